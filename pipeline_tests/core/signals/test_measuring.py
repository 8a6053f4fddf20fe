"""Every evaluation of every check leaves what it measured: once, before its verdict, whatever is made again later."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest

from pipeline.core import history
from pipeline.core.hours import Hour
from pipeline.core.lake import DELTA, SIGNALS, VALIDATED, SourceLake
from pipeline.core.model import Origin
from pipeline.core.records import Signals, decode
from pipeline.core.signals.fields import field_names
from pipeline.core.validation import conservation
from pipeline.platforms.protocol import Page
from pipeline_tests.core.account import CHECKS, Account, hour, page, pages, row, rows
from pipeline_tests.core.snapshots import at


def of_capture(account: Account, hours: float) -> Signals:
    capture = account.lake.captures(hour(hours), hour(hours))[-1]
    return decode(account.lake.path(SIGNALS, capture.hour, capture.name), Signals)


def of_delta(account: Account, hours: float) -> Signals:
    return decode(account.lake.path(SIGNALS, hour(hours)), Signals)


def test_an_accepted_hour_keeps_what_each_check_measured_and_how_long_it_took(account: Account) -> None:
    account.tell(0, rows(a=90, b=20))
    account.tell(1, [row("a", 120, likes=-0)])  # b is gone, which is named and does not block
    found = of_capture(account, 1)
    assert [check.check for check in found.checks] == CHECKS
    assert all(check.passed and check.seconds is not None and check.seconds >= 0 for check in found.checks)
    listed = next(check for check in found.checks if check.check == "complete_listing")
    assert (listed.failing, listed.measures["items_gone"]) == (1, 1)
    assert found.volume is not None
    assert (found.volume.items, found.volume.pages) == (1, 1)
    assert found.volume.bytes == len(pages([row("a", 120, likes=-0)])[0].body)
    [delta] = of_delta(account, 1).checks
    assert (delta.check, delta.passed, delta.measures) == (conservation.CHECK, True, {"items_compared": 1})
    assert delta.seconds is not None


def test_a_refused_capture_keeps_its_signals_too_and_a_second_one_of_the_hour_its_own(account: Account) -> None:
    account.tell(0, rows(a=90))
    assert not account.tell(1, rows(a=50))
    refused = of_capture(account, 1)
    assert [check.check for check in refused.checks if not check.passed] == ["non_decreasing_counts"]
    assert account.tell(1.3, rows(a=95))
    assert len(account.lake.signal_names(hour(1), hour(1))) == 3  # both captures, and the delta
    assert all(check.passed for check in of_capture(account, 1.3).checks)


def test_what_was_not_judged_and_what_is_missing_is_told_apart(account: Account) -> None:
    account.tell(0, rows(a=90, b=20))
    account.tell(1, [row("a", None), row("b", 21, name=None)])
    found = of_capture(account, 1)
    assert found.volume is not None
    assert found.volume.nulls == {
        "item_id": 0, "title": 1, "url": 0, "published_at": 2, "views": 1, "likes": 0, "comments": 0
    }  # fmt: skip
    assert [check.check for check in found.checks if not check.judged] == ["non_decreasing_counts"]


def test_late_and_slow_are_known_of_live_captures_alone(account: Account) -> None:
    account.change(minute=12)
    account.tell(0, rows(a=90))
    assert (of_capture(account, 0).late_seconds, of_capture(account, 0).capture_seconds) == (None, None)
    account.origin = Origin.LIVE
    reply = pages(rows(a=95))[0]
    account.tell(1, [Page(reply.request, 200, reply.headers, at(1) + timedelta(seconds=7), reply.body)])
    assert of_capture(account, 1).late_seconds == 5 * 60  # it began at 17 past
    assert of_capture(account, 1).capture_seconds == 7


def test_a_rebuild_judges_again_and_leaves_the_signals_as_they_are(account: Account) -> None:
    account.tell(0, rows(a=90, b=20))
    account.tell(1, rows(a=50, b=21))
    account.tell(2, rows(a=95, b=22))
    before = account.files("signals")
    account.correct(1, "accept")  # the hour is accepted now, and the one after it judged against it
    after = account.files("signals")
    assert account.lake.exists(VALIDATED, hour(1))
    assert {name: after[name] for name in before} == before
    assert [name for name in after if name not in before] == [f"signals/month=2026-11/{hour(1).key}.json"]
    account.settle(0)
    assert account.files("signals") == after


def test_hours_that_were_judged_before_there_were_signals_get_none_from_a_rebuild(account: Account) -> None:
    account.tell(0, rows(a=90))
    account.tell(1, rows(a=50))
    for name in account.files("signals"):
        (account.lake.root / name).unlink()
    account.settle(0)
    assert account.files("signals") == {}


Step = Callable[[SourceLake, Account], object]


@pytest.mark.parametrize("published", ["snapshot", "delta", "refusal"])
def test_signals_are_there_before_the_verdict_to_which_they_belong(
    account: Account, published: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.tell(0, rows(a=90))
    judged = account.judge(1, rows(a=50 if published == "refusal" else 95))
    if published == "delta":
        history.publish_snapshot(account.lake, judged)

    class Killed(Exception):
        pass

    seen: list[bool] = []

    def dies(*_: object) -> None:
        name = hour(1).key if published == "delta" else judged.capture.name
        seen.append(account.lake.exists(SIGNALS, hour(1), name))
        raise Killed

    monkeypatch.setattr(history, "encode_json" if published == "refusal" else "_publish_table", dies)
    with pytest.raises(Killed):
        if published == "refusal":
            history.record_refusal(account.lake, judged)
        elif published == "delta":
            history.publish_delta(account.lake, hour(1))
        else:
            history.publish_snapshot(account.lake, judged)
    assert seen == [True]
    monkeypatch.undo()
    history.finish_interrupted(account.lake, account.source)
    assert account.lake.exists(DELTA, hour(1)) is (published != "refusal")
    assert Hour.parse(of_capture(account, 1).hour) == hour(1)


# Fields -------------------------------------------------------------------------------------------


def names(body: object, dropped: tuple[str, ...] = ()) -> tuple[str, ...]:
    told = page(json.dumps(body).encode())
    return field_names([Page(told.request, 200, {}, told.fetched_at, told.body, dropped)])


def test_fields_are_named_with_dots_and_lists_stand_for_what_is_in_them() -> None:
    body = {"data": {"stats": [{"key": "a", "user": {"id": 1}}, {"key": "b", "extra": None}]}}
    assert names(body) == (
        "data", "data.stats", "data.stats.extra", "data.stats.key", "data.stats.user", "data.stats.user.id"
    )  # fmt: skip


def test_what_an_adapter_drops_is_among_the_fields() -> None:
    assert names([{"id": 1}], dropped=("body_html", "user.name")) == ("body_html", "id", "user.name")


@pytest.mark.parametrize(
    "body",
    [
        {"2026-11-01": 1, "2026-11-02": 2},  # a map by day
        {f"key_{n}": n for n in range(500)},  # a map by name
        {"<script>": 1},
        "text",
        [[[1]]],
    ],
)
def test_keys_that_are_data_are_no_fields(body: object) -> None:
    assert names(body) == ()


@pytest.mark.parametrize("body", [b"\xff{", b"<html>", b"[" * 100_000, b""])
def test_a_body_that_cannot_be_read_has_no_fields(body: bytes) -> None:
    assert field_names([page(body)]) == ()
