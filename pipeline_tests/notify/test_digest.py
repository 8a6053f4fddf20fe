"""The digest of a day or a week: what it says, of which days, and that each channel is told once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from pipeline.core.analysis.happenings import Happening, Kind
from pipeline.core.analysis.marks import make_mark
from pipeline.core.analysis.spikes import Spike
from pipeline.core.analysis.watched import Item, read_watched
from pipeline.core.errors import ChannelFault
from pipeline.core.hours import Hour
from pipeline.core.model import Origin, Period
from pipeline.notify.digest import (
    MOST_MOVERS,
    _movers,
    _published,
    _spikes,
    digest_message,
    last_stretch,
    send_digest,
    stretch_before,
    untold,
)
from pipeline_tests.core.account import Account, Row, row
from pipeline_tests.core.snapshots import at

from .hostile import Webhook, webhook
from .reports import HOSTILE_TITLES
from .test_wording import ACTIVE

DAYS = 9
NOON = at(24 * DAYS + 11)
YESTERDAY = last_stretch(Period.DAILY, NOON, "UTC")


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with webhook() as started:
        yield started


@pytest.fixture
def account(tmp_path: Path) -> Account:
    """Nine days of one capture every six hours; on the last an item is published and another jumps after a mark."""
    account = Account.under(tmp_path / "lake")
    account.origin = Origin.LIVE
    with account.lake.writing():
        for hours in range(0, 24 * DAYS, 6):
            published = {"new": "2026-11-09T07:00:00Z"} if hours > 24 * 8 + 6 else None
            account.tell(hours, _listing(hours), published=published)
        make_mark(account.lake, "newsletter", by="Ada", made_at=NOON, at=at(24 * 8 + 4), item_id="n1")
    return account


def _listing(hours: int) -> list[Row]:
    jump = 120 if hours >= 24 * 8 + 6 else 0
    listing = [row("n1", 100 + hours + jump, likes=3), row("n2", 65 + hours // 6, name=HOSTILE_TITLES["everyone"])]
    return listing + ([row("new", 40, name="Brand new")] if hours > 24 * 8 + 6 else [])


def test_a_day_in_words(account: Account) -> None:
    message = digest_message(account.lake, account.source, YESTERDAY, NOON)
    assert message.title == "blog, Monday, 9 November 2026"
    assert message.body.split("\n") == [
        "views +188 in 24 hours; the day before +28",
        "likes +0 in 24 hours; the day before +0",
        "comments +0 in 24 hours; the day before +0",
        "Most gained, of 3 items that moved:",
        "- +144 views: “Title of n1” https://note.com/notes/n1",
        "- +40 views: “Brand new” https://note.com/notes/new",
        "- +4 views: “@\u2060everyone look” https://note.com/notes/n2",
        "Published: “Brand new”.",
        "1 item passed a mark.",
        "Spikes, and what came before them (which need not be why):",
        "- Mon 00:17: views +126 in 6 hours, 21 times the usual: “Title of n1”. Before it: marked newsletter (Ada) as"
        " it began.",
        "4 of 24 hours observed, 20 missing.",
    ]


def test_a_week_compares_with_the_week_before(account: Account) -> None:
    week = stretch_before(Period.WEEKLY, date(2026, 11, 9), "UTC")
    message = digest_message(account.lake, account.source, week, NOON)
    assert message.title == "blog, 2 November to 8 November 2026"
    assert message.body.startswith("views +196 in 7 days\n")


def test_a_simulated_source_is_labelled(account: Account) -> None:
    message = digest_message(account.lake, replace(account.source, simulated=True), YESTERDAY, NOON)
    assert message.title.startswith("SIMULATED blog")
    assert message.body.startswith("These numbers are simulated")


TITLES = [title for name, title in HOSTILE_TITLES.items() if "surrogate" not in name]
"""Without half of a surrogate pair: a capture that holds one is refused."""


@pytest.mark.parametrize("first", range(0, len(TITLES), MOST_MOVERS))
def test_nothing_in_a_title_takes_effect(tmp_path: Path, first: int) -> None:
    titles = TITLES[first : first + MOST_MOVERS]
    account = Account.under(tmp_path / "lake")
    with account.lake.writing():
        account.tell(0, [row(f"n{n}", 1) for n in range(len(titles))])
        account.tell(23, [row(f"n{n}", 9 + n, name=title) for n, title in enumerate(titles)])
    body = digest_message(account.lake, account.source, last_stretch(Period.DAILY, at(30), "UTC"), at(30)).body
    lines = [line.partition(" https://")[0] for line in body.split("\n") if line.startswith("- +")]
    assert len(lines) == len(titles)
    assert not [line for line in lines if ACTIVE.search(line)]


@pytest.mark.parametrize("text", HOSTILE_TITLES.values(), ids=HOSTILE_TITLES)
def test_nothing_takes_effect_in_what_was_published_and_what_came_before_a_spike(text: str) -> None:
    item = Item("n1", text, None, None, zero=True)
    published = Happening(YESTERDAY.begin, Kind.PUBLISHED, "n1", text)
    mark = replace(published, kind=Kind.MARK)
    spike = Spike(YESTERDAY.begin, YESTERDAY.end, item, 9, 1.0, (published, mark))
    [told] = _published([published])
    [_, line] = _spikes([spike], "views", YESTERDAY)
    assert not ACTIVE.search(told)
    assert not ACTIVE.search(line.partition(" times the usual: ")[2])


def test_an_address_of_an_item_that_is_none_is_not_told(account: Account) -> None:
    history = read_watched(account.lake, None)
    odd = ("https://note.com@evil.example/", "javascript:alert(1)", "https://note.com/a_b @everyone")
    items = tuple(replace(item, url=url) for item, url in zip(history.items, odd, strict=True))
    lines = list(_movers(replace(history, items=items), "views", "24h"))
    assert "evil" not in " ".join(lines)
    assert "javascript" not in " ".join(lines)
    assert [line.partition("” ")[2] for line in lines if "note.com" in line] == ["https://note.com/a%5Fb%20%40everyone"]


def test_a_day_without_an_observation_has_a_digest_that_says_so(account: Account) -> None:
    later = NOON + timedelta(days=1)
    body = digest_message(account.lake, account.source, last_stretch(Period.DAILY, later, "UTC"), later).body
    assert body == "Not one hour was observed.\n0 of 24 hours observed, 24 missing."
    over = replace(account.source, end=Hour.of(later - timedelta(days=3)))
    body = digest_message(account.lake, over, last_stretch(Period.DAILY, later, "UTC"), later).body
    assert body == "Not one hour was observed.\nNone of its hours lies in that time."


def test_a_source_that_never_accepted_anything_has_one_too(tmp_path: Path) -> None:
    account = Account.under(tmp_path / "lake")
    assert digest_message(account.lake, account.source, YESTERDAY, NOON).body == "Nothing was ever accepted."


@pytest.mark.parametrize(
    ("period", "now", "timezone", "first", "hours"),
    [
        (Period.DAILY, datetime(2026, 11, 10, 8, tzinfo=UTC), "UTC", date(2026, 11, 9), 24),
        (Period.DAILY, datetime(2026, 11, 10, 23, tzinfo=UTC), "Asia/Tokyo", date(2026, 11, 10), 24),
        (Period.DAILY, datetime(2026, 10, 26, 8, tzinfo=UTC), "Europe/Berlin", date(2026, 10, 25), 25),
        (Period.WEEKLY, datetime(2026, 11, 9, 8, tzinfo=UTC), "UTC", date(2026, 11, 2), 168),
        (Period.WEEKLY, datetime(2026, 11, 15, 8, tzinfo=UTC), "UTC", date(2026, 11, 2), 168),
        (Period.WEEKLY, datetime(2026, 3, 30, 8, tzinfo=UTC), "Europe/Berlin", date(2026, 3, 23), 167),
    ],
)
def test_days_and_weeks_are_the_owners(period: Period, now: datetime, timezone: str, first: date, hours: int) -> None:
    stretch = last_stretch(period, now, timezone)
    assert stretch.first == first
    assert (stretch.end.astimezone(UTC) - stretch.begin.astimezone(UTC)) == timedelta(hours=hours)


def test_each_channel_is_told_once_and_tried_again_when_it_failed(account: Account, hook: Webhook) -> None:
    account.change(notify=(hook.address,))
    hook.mood = "fails"
    with pytest.raises(ChannelFault, match="1 message of blog did not reach"):
        send_digest(account.lake, account.source, YESTERDAY, lambda: NOON)
    hook.mood = "good"
    hook.bodies.clear()
    later = NOON + timedelta(hours=1)
    assert [d.result for d in send_digest(account.lake, account.source, YESTERDAY, lambda: later)] == ["sent"]
    assert send_digest(account.lake, account.source, YESTERDAY, lambda: later) == []
    (body,) = hook.bodies
    assert json.loads(body)["title"] == "blog, Monday, 9 November 2026"


def test_a_digest_of_days_ago_is_no_news(account: Account, hook: Webhook) -> None:
    account.change(notify=(hook.address,))
    assert untold(account.lake, account.source, YESTERDAY, NOON) == [hook.address]
    assert untold(account.lake, account.source, YESTERDAY, NOON + timedelta(hours=48)) == []
