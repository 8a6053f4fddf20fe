"""Counters that a platform tells per day become totals that lose no day and count none twice."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core import history
from pipeline.core.lake import REPORT_TEXT, VALIDATED
from pipeline.core.listing import Listing
from pipeline.core.model import Rule, RuleKind
from pipeline.core.report.markdown import REVISIONS_NAMED, report_text
from pipeline.core.revisions import REVISIONS_KEPT, daily_numbers
from pipeline.core.text import plain
from pipeline.core.windows import KEPT_DAYS, MalformedWindow, with_totals

from .account import Account, assert_accepted, failed, finding, hour
from .snapshots import at
from .traffic import (
    REPOSITORY,
    Window,
    day,
    expected_total,
    highest_told,
    last_told,
    midday,
    told,
    traffic_account,
)


@pytest.fixture
def account(tmp_path: Path) -> Any:
    made = traffic_account(tmp_path / "lake")
    with made.lake.writing():
        yield made


def views(account: Account, number: int) -> Any:
    return account.snapshot(midday(number))[REPOSITORY]["views"]


def tell(account: Account, number: int, window: Window | None, **more: Any) -> bool:
    return account.tell(midday(number), told(window, **more))


# Totals -------------------------------------------------------------------------------------


def test_the_first_snapshot_is_the_sum_of_its_window(account: Account) -> None:
    assert tell(account, 13, dict.fromkeys(range(14), 10))
    assert views(account, 13) == 140
    assert account.delta(midday(13))[REPOSITORY]["views_delta"] is None


def test_a_day_that_leaves_the_window_stays_in_the_total(account: Account) -> None:
    tell(account, 13, dict.fromkeys(range(14), 10))
    tell(account, 14, dict.fromkeys(range(1, 15), 10))
    assert views(account, 14) == 150
    assert account.delta(midday(14))[REPOSITORY]["views_delta"] == 10


def test_a_window_that_shrinks_and_grows_again_counts_nothing_twice(account: Account) -> None:
    tell(account, 13, dict.fromkeys(range(14), 10))
    tell(account, 14, {13: 10, 14: 3})
    tell(account, 15, {})
    tell(account, 16, dict.fromkeys(range(3, 17), 10))
    assert [views(account, number) for number in (13, 14, 15, 16)] == [140, 143, 143, 170]


def test_a_day_that_grows_counts_what_it_grew_by(account: Account) -> None:
    for number, count in ((0.0, 3), (1.0, 5), (2.0, 5)):
        assert account.tell(number, told({0: count}))
    assert [account.snapshot(number)[REPOSITORY]["views"] for number in (0.0, 1.0, 2.0)] == [3, 5, 5]


def test_days_without_a_number_are_left_out_or_zero_alike(account: Account) -> None:
    tell(account, 3, {0: 5, 3: 1})
    tell(account, 4, {0: 5, 1: 0, 2: 0, 3: 1, 4: 0})
    tell(account, 5, {0: 5, 3: 1})
    assert [views(account, number) for number in (3, 4, 5)] == [6, 6, 6]


def test_a_day_that_is_lowered_stays_as_high_as_it_was_told_and_only_what_is_above_counts_again(
    account: Account,
) -> None:
    tell(account, 1, {0: 10, 1: 0})
    tell(account, 2, {0: 7, 2: 1})
    tell(account, 3, {0: 11})
    assert [views(account, number) for number in (1, 2, 3)] == [10, 11, 12]
    assert_accepted(account.judge(midday(4), told({0: 2})))


def test_a_repository_without_any_traffic_was_told_to_have_none(account: Account) -> None:
    tell(account, 0, {})
    assert views(account, 0) == 0


def test_a_window_that_is_missing_once_is_missing_and_the_next_one_goes_on(account: Account) -> None:
    tell(account, 1, {0: 10, 1: 5})
    tell(account, 2, None)
    tell(account, 3, {0: 10, 1: 6, 3: 1})
    assert [views(account, number) for number in (1, 2, 3)] == [15, None, 17]
    assert account.delta(midday(2))[REPOSITORY]["views_delta"] is None


def test_a_repository_that_was_not_listed_for_a_while_goes_on_from_its_days(account: Account) -> None:
    account.tell(midday(1), [*told({0: 10, 1: 5}), *told({1: 2}, repository="octo/quiet")])
    account.tell(midday(2), told({1: 2}, repository="octo/quiet"))
    assert account.snapshot(midday(2))[REPOSITORY]["status"] == "carried"
    tell(account, 3, {1: 8, 3: 1})
    assert views(account, 3) == 19
    assert account.delta(midday(3))[REPOSITORY]["views_delta"] == 4


def test_a_rejected_capture_takes_its_days_along(account: Account) -> None:
    tell(account, 1, {0: 10, 1: 5})
    tell(account, 2, {1: 500, 2: 1})
    tell(account, 3, {1: 6, 3: 2})
    assert views(account, 3) == 513
    account.correct(midday(2), "reject", made=midday(4))
    assert views(account, 3) == 18


def test_rules_and_reports_see_an_ordinary_counter(tmp_path: Path) -> None:
    account = traffic_account(tmp_path / "lake", rules=[Rule("views", RuleKind.CROSSES, (100.0,))])
    with account.lake.writing():
        tell(account, 13, dict.fromkeys(range(14), 7))
        tell(account, 14, dict.fromkeys(range(1, 15), 7))
    [crossing] = account.report(midday(14)).crossings
    assert (crossing.item_id, crossing.value, crossing.previous_value) == (REPOSITORY, 105, 98)
    assert account.report(midday(14)).movement["views"].total == 105


# Every history ------------------------------------------------------------------------------

COUNTS = st.integers(0, 50)


@dataclass(frozen=True)
class Told:
    number: int
    window: dict[int, int]


@st.composite
def histories(draw: st.DrawFn) -> list[Told]:
    """Captures on rising days, each with a window that leaves out, revises and shrinks as it likes."""
    numbers = sorted(draw(st.sets(st.integers(0, 80), min_size=1, max_size=8)))
    return [
        Told(number, draw(st.dictionaries(st.integers(number - KEPT_DAYS + 1, number), COUNTS, max_size=8)))
        for number in numbers
    ]


def fold(captures: list[Told]) -> list[tuple[int, dict[date, tuple[int, int]]]]:
    """The total and the days that each capture leaves, by the fold alone."""
    previous: pd.DataFrame | None = None
    left = []
    for capture in captures:
        pairs = [(day(number), count) for number, count in capture.window.items()]
        items = pd.DataFrame({"item_id": [REPOSITORY], "views": pd.Series([pairs], dtype=object)})
        captured_at = datetime.combine(day(capture.number), datetime.min.time(), at(0).tzinfo)
        listing = with_totals(Listing(captured_at, items, (), 1), {"views"}, previous)
        previous = listing.items.assign(views_max=listing.items["views"])
        days = {told["day"]: (told["highest"], told["told"]) for told in listing.items["views_days"][0]}
        left.append((int(listing.items["views"][0]), days))
    return left


@settings(deadline=None, derandomize=True, max_examples=150)
@given(histories())
def test_a_total_is_the_highest_number_ever_told_of_each_day(captures: list[Told]) -> None:
    windows = [capture.window for capture in captures]
    for place, (total, days) in enumerate(fold(captures), 1):
        so_far = windows[:place]
        assert total == expected_total(so_far)
        recent = [known for known in highest_told(so_far) if (day(captures[place - 1].number) - known).days < KEPT_DAYS]
        assert days == {known: (highest_told(so_far)[known], last_told(so_far)[known]) for known in recent}


@settings(deadline=None, derandomize=True, max_examples=4)
@given(histories())
def test_the_days_of_all_snapshots_are_every_day_ever_told(captures: list[Told]) -> None:
    with TemporaryDirectory() as folder, ExitStack() as stack:
        account = traffic_account(Path(folder) / "lake")
        stack.enter_context(account.lake.writing())
        for capture in captures:
            assert tell(account, capture.number, capture.window)
        windows = [capture.window for capture in captures]
        files = [account.lake.path(VALIDATED, hour(midday(capture.number))) for capture in captures]
        found = daily_numbers(files, "views").to_pylist()
        assert {row["day"]: row["highest"] for row in found} == highest_told(windows)
        assert {row["day"]: row["told"] for row in found} == last_told(windows)
        assert views(account, captures[-1].number) == sum(row["highest"] for row in found)
        assert account.settle(midday(captures[0].number)) == []


def test_snapshots_of_before_a_counter_was_told_per_day_have_no_days(account: Account) -> None:
    tell(account, 0, {0: 1}, clones={0: 3})
    account.change(counters=account.source.counters[:1])
    tell(account, 1, {0: 1})
    account.change(counters=traffic_account(Path("unused")).source.counters)
    tell(account, 2, {0: 1, 2: 4})
    assert views(account, 2) == 5
    assert account.delta(midday(2))[REPOSITORY]["views_delta"] is None
    files = [account.lake.path(VALIDATED, hour(midday(number))) for number in (0, 1, 2)]
    assert len(daily_numbers(files, "views")) == 2
    assert daily_numbers(files[1:2], "views").to_pylist() == []


# Revisions ----------------------------------------------------------------------------------


def revised(account: Account, number: int) -> list[tuple[str, date, int | None, int]]:
    return [(r.counter, r.day, r.before, r.after) for r in account.report(midday(number)).revisions]


def test_a_day_that_grows_while_it_lasts_or_begins_is_no_revision(account: Account) -> None:
    tell(account, 1, {0: 10, 1: 1})
    tell(account, 2, {0: 10, 1: 7, 2: 3})
    tell(account, 5, {1: 7, 2: 4, 3: 5, 5: 1})
    assert revised(account, 1) == revised(account, 2) == revised(account, 5) == []


def test_a_day_raised_after_it_was_over_is_a_revision(account: Account) -> None:
    tell(account, 1, {0: 10, 1: 1}, clones={0: 1})
    tell(account, 2, {0: 13, 1: 7}, clones={0: 1})
    assert revised(account, 2) == [("views", day(0), 10, 13)]


def test_a_day_told_late_is_a_revision_of_none(account: Account) -> None:
    tell(account, 3, {0: 10, 3: 1})
    tell(account, 4, {0: 10, 1: 2, 3: 1})
    assert revised(account, 4) == [("views", day(1), None, 2)]


def test_a_day_that_is_lowered_is_a_revision_once_whenever_it_is(account: Account) -> None:
    tell(account, 1, {0: 10, 1: 6})
    tell(account, 2, {0: 8, 1: 4})
    tell(account, 3, {0: 8, 1: 4})
    assert revised(account, 2) == [("views", day(0), 10, 8), ("views", day(1), 6, 4)]
    assert revised(account, 3) == []
    assert views(account, 3) == 16


def test_a_day_that_leaves_the_window_or_is_left_out_is_no_revision(account: Account) -> None:
    tell(account, 1, {0: 10, 1: 6})
    tell(account, 2, {2: 1})
    assert revised(account, 2) == []


def test_revisions_stand_in_the_report_and_in_its_text(account: Account) -> None:
    tell(account, 13, dict.fromkeys(range(14), 10))
    tell(account, 14, {0: 9} | {number: 10 + number for number in range(1, 13)})
    assert account.report(midday(14)).revised == 13
    assert revised(account, 14)[0] == ("views", day(12), 10, 22)
    text = account.lake.path(REPORT_TEXT, hour(midday(14))).read_text()
    assert "## Revised days" in text
    assert f"| {plain(REPOSITORY)} | views | {day(12)} | 10 | 22 |" in text
    assert "## Revised days" not in account.lake.path(REPORT_TEXT, hour(midday(13))).read_text()


def test_a_report_names_the_largest_revisions_and_counts_all(account: Account) -> None:
    repositories = [f"octo/r{number:03}" for number in range(REVISIONS_KEPT + 5)]
    account.tell(midday(1), [page for name in repositories for page in told({0: 1}, repository=name)])
    account.tell(midday(2), [page for name in repositories for page in told({0: 2}, repository=name)])
    report = account.report(midday(2))
    assert (len(report.revisions), report.revised) == (REVISIONS_KEPT, REVISIONS_KEPT + 5)
    assert f"And {REVISIONS_KEPT + 5 - REVISIONS_NAMED} more." in report_text(report)


# Windows that are none ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("window", "words"),
    [
        ([(day(0), -1)], "views of a day is negative"),
        ([(day(0), "5")], "views of a day is not a whole number"),
        ([(day(0), 5.0)], "views of a day is not a whole number"),
        ([(day(0), True)], "views of a day is not a whole number"),
        ([(day(0), None)], "views of a day is not a whole number"),
        ([(day(0), 2**63)], "views of a day is not a whole number"),
        ([(day(0), 2**63 - 1), (day(1), 1)], "views adds up to more than a counter can hold"),
        ([(day(0), 5), (day(0), 5)], "views tells a day twice"),
        ([(day(2), 5)], "views is told for a day in the future"),
        ([(day(1 - KEPT_DAYS), 5)], "views is told for a day more than 31 days back"),
        ([(day(number), 5) for number in range(1 - KEPT_DAYS, 2)], "views is told for a day more than 31 days back"),
        ([("2026-11-01", 5)], "views is told for a day that is none"),
        ([(None, 5)], "views is told for a day that is none"),
        ([(datetime(2026, 11, 1), 5)], "views is told for a day that is none"),  # noqa: DTZ001
        ([day(0)], "views is not told per day"),
        (17, "views is not told per day"),
        ({day(0): 5}, "views is not told per day"),
        ("", "views is not told per day"),
        ([(day(0), 2**63 - 1), (day(1), 1)], "views adds up to more than a counter can hold"),
    ],
)
def test_a_window_that_is_none_is_refused_with_its_item_named(account: Account, window: Any, words: str) -> None:
    tell(account, 0, {0: 1})
    capture = account.capture(midday(1), told({0: 1}))
    platform = account.source.platform

    class Odd:
        windows = platform.windows
        base_url = platform.base_url

        def read(self, page: Any) -> Any:
            columns = platform.read(page)
            return type(columns)(columns | {"views": [window]}) if "traffic" in page.request else columns

    account.change(platform=Odd())
    judged = history.verdict(account.lake, account.source, capture)
    assert failed(judged.findings) == ["required_fields"]
    assert f"{words} in 1 item" in judged.reason.lower()
    [row] = finding(judged, "required_fields").rows
    assert (row["item_id"], row["field"], row["value"]) == (REPOSITORY, "views", str(window)[:200])


def test_one_malformed_window_leaves_the_totals_of_the_others(account: Account) -> None:
    judged = account.judge(midday(1), [*told({0: 1, 1: 2}), *told({0: -1}, repository="octo/quiet")])
    totals = dict(zip(judged.listing.items["item_id"], judged.listing.items["views"], strict=True))
    assert totals[REPOSITORY] == 3
    assert isinstance(totals["octo/quiet"], MalformedWindow)
    assert not judged.accepted


def test_a_day_that_begins_by_the_platforms_clock_is_not_in_the_future(account: Account) -> None:
    late = (datetime.combine(day(1), datetime.min.time(), at(0).tzinfo) - at(0)).total_seconds() / 3600
    assert_accepted(account.judge(late - 0.05, told({0: 1, 1: 1})))
    assert not account.judge(late - 0.1, told({0: 1, 1: 1})).accepted


def test_other_sources_are_left_as_they_are() -> None:
    items = pd.DataFrame({"item_id": ["a"], "views": [1]})
    listing = Listing(at(0), items, (), 1)
    assert with_totals(listing, frozenset(), None) is listing
    assert with_totals(listing, {"clones"}, None) is listing
