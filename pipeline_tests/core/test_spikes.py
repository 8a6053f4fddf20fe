"""Spikes: what counts as one, what is named beside it, and what chance and the age of an item do not make of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.analysis.gains import Gain, lately
from pipeline.core.analysis.happenings import Happening, Kind
from pipeline.core.analysis.months import Told
from pipeline.core.analysis.spikes import Spike, before_words, size_words, spikes
from pipeline.core.analysis.watched import Watched, read_recent
from pipeline.core.records import Movement

from .account import Account, hour, rows
from .history_of import watched
from .snapshots import at, recorded_captures

HOURS = range(24 * 9)


def steady(rate: int, burst: dict[int, int]) -> Watched:
    """An item that gains ``rate`` in every hour, and so many more in the hours of ``burst``."""
    total, told = 0, {}
    for hours in HOURS:
        total += rate + burst.get(hours, 0)
        told[float(hours)] = {"n1": total}
    return watched(told)


def of_items(history: Watched, happened: list[Happening] | None = None) -> list[Spike]:
    return [spike for spike in spikes(history, "views", happened or []) if spike.item is not None]


def test_a_burst_is_one_spike_with_its_size_and_what_was_usual() -> None:
    [spike] = of_items(steady(2, {200: 38, 201: 28}))
    assert (spike.began, spike.ended) == (at(199), at(201))
    assert (spike.gained, spike.usual, spike.times) == (70, 2.0, 17.5)
    assert size_words(spike) == "+70 in 2 hours, 18 times the usual"


@pytest.mark.parametrize(
    ("rate", "more", "count"),
    [(0, 14, 0), (0, 15, 1), (4, 15, 0), (4, 16, 1), (100, 399, 0), (100, 400, 1)],
    ids=["too few", "few are enough", "not five times", "five times", "busy and not five times", "busy"],
)
def test_a_spike_is_large_and_unusual(rate: int, more: int, count: int) -> None:
    assert len(of_items(steady(rate, {200: more}))) == count


def test_nothing_is_usual_on_the_first_day_so_nothing_is_a_spike() -> None:
    assert of_items(steady(0, {23: 500})) == []
    assert len(of_items(steady(0, {25: 500}))) == 1


def test_what_came_over_a_long_gap_is_no_spike_since_nobody_knows_when() -> None:
    told = {float(hours): {"n1": 2 * hours} for hours in range(100)} | {107.0: {"n1": 700}, 108.0: {"n1": 702}}
    assert of_items(watched(told)) == []


def test_an_item_that_nobody_looked_at_has_no_times() -> None:
    [spike] = of_items(steady(0, {200: 20}))
    assert spike.times is None
    assert size_words(spike) == "+20 in 1 hour, where nothing was usual"


def test_what_was_published_or_marked_in_the_hours_before_is_named_the_latest_first() -> None:
    happened = [
        Happening(at(186), Kind.MARK, None, "too early (Ada)"),
        Happening(at(190), Kind.PUBLISHED, "n2", "A new one"),
        Happening(at(198), Kind.MARK, "n1", "posted to X (Ada)"),
        Happening(at(198.5), Kind.MARK, "n2", "of another item (Ada)"),
        Happening(at(199.5), Kind.MARK, None, "newsletter (Ada)"),
        Happening(at(198), Kind.CROSSED, "n1", "100 views"),
        Happening(at(200), Kind.MARK, "n1", "too late (Ada)"),
    ]
    [spike] = of_items(steady(2, {200: 38}), happened)
    assert before_words(spike) == (
        "marked newsletter (Ada) as it began; marked posted to X (Ada) 1 hour before;"
        " published “A new one” 9 hours before"
    )
    assert before_words(replace(spike, before=())) == "nothing published or marked in the 12 hours before"
    assert before_words(replace(spike, before=spike.before * 2)).endswith("; and 3 more")


def _of_catalogue(gains: dict[int, int], history: Watched) -> Watched:
    told = tuple(
        Told(hour(hours).key, at(hours), 3600.0, {"views": Movement(0, gains.get(hours, 2), None, 1)}, ())
        for hours in HOURS
    )
    return replace(history, told=told)


def test_all_items_together_have_spikes_but_not_where_one_item_explains_them() -> None:
    quiet, loud = steady(1, {}), steady(1, {200: 60})
    [spike] = spikes(_of_catalogue({200: 70}, quiet), "views", [])
    assert (spike.item, spike.gained, spike.began) == (None, 70, at(199))
    assert [spike.item is None for spike in spikes(_of_catalogue({200: 70}, loud), "views", [])] == [False]
    assert [spike.item is None for spike in spikes(_of_catalogue({200: 150}, loud), "views", [])] == [False, True]


def test_chance_alone_makes_next_to_none() -> None:
    draw = np.random.default_rng(3)
    for rate in (0.1, 1.0, 3.0, 10.0):
        counts = np.cumsum(draw.poisson(rate, (2_000, 20)), axis=0)
        told = {float(hours): {f"n{n}": int(count) for n, count in enumerate(row)} for hours, row in enumerate(counts)}
        assert of_items(watched(told)) == []


def test_the_recording_has_a_jump_of_all_items_behind_a_publication() -> None:
    told: dict[float, dict[str, int | None]] = {}
    for capture in recorded_captures():
        assert capture.items is not None
        told[(capture.captured_at - at(0)) / timedelta(hours=1)] = {i: c["views"] for i, c in capture.items.items()}
    found = of_items(watched(told))
    assert [(spike.item.item_id, spike.gained) for spike in found if spike.item] == [("n002", 15), ("n047", 19)]


# What single items did lately ---------------------------------------------------------------------


def test_what_items_gained_lately_is_read_of_them_alone_and_up_to_the_hour(tmp_path: Path) -> None:
    account = Account.under(tmp_path / "lake")
    with account.lake.writing():
        for hours in range(30):
            listing = rows(a=100 + hours, b=5) + (rows(new=7 * (hours - 20)) if hours > 20 else [])
            account.tell(hours, listing, published={"new": "2026-11-01T20:17:00Z"} if hours > 20 else None)
    recent = read_recent(account.lake, hour(28), ["a", "new", "nobody"], days=1)
    assert [item.item_id for item in recent.items] == ["a", "new"]
    assert (recent.moment(0), recent.moment(-1), recent.left_out) == (at(4), at(28), 1)
    a, new = (recent.place(name) for name in ("a", "new"))
    assert a is not None
    assert new is not None
    assert lately(recent, "views", a) == [Gain(1, "in 1 hour"), Gain(24, "in 24 hours")]
    assert lately(recent, "views", new) == [Gain(7, "in 1 hour"), Gain(56, "since its publication 8 hours before")]


def test_what_is_not_known_to_have_been_gained_is_left_out(tmp_path: Path) -> None:
    account = Account.under(tmp_path / "lake")
    with account.lake.writing():
        account.tell(0, rows(a=100))
        account.tell(5, rows(a=103))
        account.tell(6, rows(b=1))
    assert lately(read_recent(account.lake, hour(5), ["a"], days=7), "views", 0) == [Gain(3, "in 5 hours")]
    assert lately(read_recent(account.lake, hour(6), ["a"], days=7), "views", 0) == []


def test_a_history_as_it_stood_at_a_moment() -> None:
    history = steady(2, {})
    assert history.until(at(0)) is None
    then = history.until(at(10.5))
    assert then is not None
    assert (then.moment(-1), then.values["views"][-1, 0]) == (at(10), 22)
