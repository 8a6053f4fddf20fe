"""What drifts is named before it fails, with the hour since when, and not for ever."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from pipeline.core import history
from pipeline.core.model import Origin
from pipeline.core.records import Signal, Signals, Volume
from pipeline.core.signals.drift import CHECK, Drift, drifts
from pipeline.core.signals.series import Measured, measured
from pipeline_tests.core.account import Account, Row, row
from pipeline_tests.core.snapshots import at


def capture(hours: float, items: int = 200, missing: int = 0, **changes: Any) -> Measured:
    """A capture in which so many of the items have no title."""
    checks = changes.pop("checks", (Signal("readable_listing", True, seconds=0.01),))
    volume = Volume(items, 2, {"title": missing, "views": 0}, 10_000, changes.pop("fields", ("id", "title")))
    return measured(Signals("blog", "", f"{hours}", at(hours), Origin.LIVE, checks, volume, **changes))


def named(now: Measured, before: list[Measured]) -> list[str]:
    return [drift.what for drift in drifts(now, before)]


QUIET = [capture(hours) for hours in range(14)]


def test_a_title_that_was_never_missing_is_named_with_its_share_and_since_when() -> None:
    began, then = capture(14, missing=1), capture(15, missing=1)
    words = "title missing in 0.5 % of items since 14:17 UTC, never before (14 captures)"
    assert named(began, QUIET) == [words]
    assert named(then, [*QUIET, began]) == [words]
    assert drifts(then, [*QUIET, began]) == [Drift("title missing", words, at(14))]


def test_what_has_stood_for_a_day_is_how_the_platform_is() -> None:
    since = [capture(hours, missing=1) for hours in range(14, 39)]
    assert named(since[-2], [*QUIET, *since[:-2]]) != []
    assert named(since[-1] if since[-1].at - since[0].at > timedelta(hours=24) else capture(39, missing=1),
                 [*QUIET, *since]) == []  # fmt: skip


def test_a_share_that_was_there_before_is_named_when_it_more_than_doubles() -> None:
    before = [*QUIET[:13], capture(13, missing=2), capture(14)]
    assert named(capture(15, missing=4), before) == []
    [words] = named(capture(15, missing=5), before)
    assert words == "title missing in 2.5 % of items since 15:17 UTC, at most 1 % before (15 captures)"


def test_few_captures_say_nothing_about_what_is_usual() -> None:
    assert named(capture(14, missing=9), QUIET[:5]) == []
    assert named(capture(14, missing=9), QUIET[:6]) != []


@pytest.mark.parametrize(("items", "drifting"), [(180, False), (179, True), (300, False), (301, True)])
def test_a_listing_that_shrinks_or_swells_is_named_before_it_is_refused(items: int, drifting: bool) -> None:
    found = named(capture(14, items=items), QUIET)
    assert found == ([f"{items} items listed, where 200 are usual"] if drifting else [])


def test_a_listing_that_stays_shorter_is_named_since_its_first_capture() -> None:
    shorter = [capture(hours, items=170) for hours in (14, 15, 16)]
    assert drifts(shorter[2], [*QUIET, *shorter[:2]]) == [
        Drift("items", "170 items listed, where 200 are usual", at(14))
    ]


def test_late_and_slow_captures_are_named() -> None:
    before = [capture(hours, late_seconds=3.0, capture_seconds=2.0) for hours in range(14)]
    assert named(capture(14, late_seconds=600.0, capture_seconds=6.9), before) == []
    assert named(capture(14, late_seconds=1260.0, capture_seconds=7.1), before) == [
        "the capture began 21 minutes after the source's minute, where 0 are usual",
        "capture took 7.1 s, where 2.0 s are usual",
    ]


def test_counts_that_fall_within_their_policy_for_more_items_than_ever_are_named() -> None:
    fell = (Signal("non_decreasing_counts", True, measures={"likes_fell": 7.0, "items_compared": 200.0}),)
    assert named(capture(14, checks=fell), [capture(h, checks=(Signal("x", True),)) for h in range(14)]) == []
    quiet = (Signal("non_decreasing_counts", True, measures={"likes_fell": 0.0}),)
    assert named(capture(14, checks=fell), [capture(h, checks=quiet) for h in range(14)]) == [
        "likes fell in 3.5 % of items since 14:17 UTC, never before (14 captures)"
    ]


# Fields -------------------------------------------------------------------------------------------


def test_a_new_field_is_named_once() -> None:
    new = capture(14, fields=("id", "title", "user.badge"))
    assert named(new, QUIET) == ["the platform sends what it never sent before: user.badge"]
    assert named(capture(15, fields=("id", "title", "user.badge")), [*QUIET, new]) == []


def test_a_field_that_was_always_there_is_missed_once_and_one_that_comes_and_goes_is_not() -> None:
    lost = capture(14, fields=("id",))
    assert named(lost, QUIET) == ["the platform no longer sends title"]
    assert named(capture(15, fields=("id",)), [*QUIET, lost]) == []
    changing = [capture(hours, fields=("id", "title") if hours % 3 else ("id",)) for hours in range(14)]
    assert named(capture(14, fields=("id",)), changing) == []


def test_an_unreadable_capture_lost_no_field() -> None:
    broken = (Signal("readable_listing", False, 1),)
    assert named(capture(14, fields=("error",), checks=broken), QUIET) == []


# In a lake ----------------------------------------------------------------------------------------


def test_a_field_that_a_platform_adds_is_a_warning_of_its_hour_and_the_hour_is_accepted(account: Account) -> None:
    def listing(hours: int, **more: Any) -> list[Row]:
        return [row(f"n{n}", 10 * hours + n, **more) for n in range(5)]

    for hours in range(8):
        account.tell(hours, listing(hours))
    found = []
    for hours in (8, 9):
        judged = account.judge(hours, listing(hours, badge="gold"))
        assert judged.accepted
        found.append(history.steadiness(account.lake, judged))
        history.settle_hour(account.lake, account.source, judged.capture.hour)
    assert [(f.check, f.passed, f.failing) for f in found] == [(CHECK, True, 1), (CHECK, True, 0)]
    assert "data.note_stats.badge" in found[0].reason
    assert found[0].rows[0]["signal"] == "fields"
    assert found[1].facts["items"] == 5
    assert found[1].reason == "Like the 9 captures before."
