"""Rules: what fires, once or again, on the recording and on small histories."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipeline.core.crossings import measured_over
from pipeline.core.deltas import hour_delta
from pipeline.core.errors import LakeFault
from pipeline.core.model import Crossing, Rule, RuleKind
from pipeline.core.rules import RuleState, evaluate
from pipeline.platforms.points.adapter import Points

from .account import a_source
from .snapshots import Capture, at, recorded_captures, views, write_snapshots

Fired = tuple[str, float, float, float | None]


class Played:
    """The crossings of each accepted capture, with the state stored as JSON from hour to hour."""

    def __init__(self, rules: Sequence[Rule], captures: Sequence[Capture], folder: Path) -> None:
        accepted = [capture for capture in captures if capture.items is not None]
        self.files = write_snapshots(captures, folder)
        self.hours: list[list[Crossing]] = []
        self.states: list[Any] = []
        stored = "{}"
        for capture, current, previous in zip(accepted, self.files, [None, *self.files], strict=False):
            delta = hour_delta(current, previous, capture.counters, accepted[0].captured_at)
            crossings, state = evaluate(rules, current, previous, delta, json.loads(stored), capture.captured_at)
            stored = json.dumps(state)
            self.hours.append(crossings)
            self.states.append(json.loads(stored))

    @property
    def fired(self) -> list[list[Fired]]:
        return [[(c.item_id, c.threshold, c.value, c.previous_value) for c in hour] for hour in self.hours]

    @property
    def items(self) -> list[str]:
        """Which items fired in each hour, as one word."""
        return ["".join(crossing.item_id for crossing in hour) for hour in self.hours]


def crosses(*milestones: float) -> Rule:
    return Rule("views", RuleKind.CROSSES, milestones)


# Milestones ---------------------------------------------------------------------------------------


def test_the_milestones_of_the_recording_fire_as_counted_from_its_raw_numbers(tmp_path: Path) -> None:
    played = Played([crosses(100, 200, 500, 1000)], list(recorded_captures()), tmp_path)
    crossings = [crossing for hour in played.hours for crossing in hour]
    assert Counter(crossing.threshold for crossing in crossings) == {100: 16, 200: 9, 500: 1, 1000: 1}
    assert len({crossing.hour for crossing in crossings}) == 22
    assert len({(crossing.item_id, crossing.threshold) for crossing in crossings}) == len(crossings)


def test_a_crossing_carries_its_facts(tmp_path: Path) -> None:
    played = Played([crosses(100)], [views(0, a=99), views(2, a=100)], tmp_path)
    assert played.hours == [
        [],
        [
            Crossing(
                rule="views crosses",
                kind=RuleKind.CROSSES,
                counter="views",
                item_id="a",
                title="Title of a",
                url="https://example.org/a",
                threshold=100.0,
                value=100.0,
                previous_value=99.0,
                hour="2026-11-01T02",
            )
        ],
    ]


def test_every_milestone_jumped_in_one_hour_is_a_crossing_in_order(tmp_path: Path) -> None:
    captures = [views(0, a=1, b=1, c=1, d=1), views(1, a=150, b=700, c=150, d=99)]
    played = Played([crosses(500, 100)], captures, tmp_path)
    assert played.fired[1] == [("b", 100, 700, 1), ("a", 100, 150, 1), ("c", 100, 150, 1), ("b", 500, 700, 1)]


def test_a_dip_and_its_return_cross_nothing_twice(tmp_path: Path) -> None:
    values = [90, 100, 95, 110, 300, 300]
    played = Played([crosses(100, 200)], [views(h, a=value) for h, value in enumerate(values)], tmp_path)
    assert [[crossing.threshold for crossing in hour] for hour in played.hours] == [
        [],
        [100],
        [],
        [],
        [200],
        [],
    ]


def test_an_item_that_was_away_crosses_when_it_returns(tmp_path: Path) -> None:
    captures = [views(0, a=90, b=1), views(1, b=1), views(2, b=1), views(3, a=250, b=1)]
    played = Played([crosses(100, 200)], captures, tmp_path)
    assert played.items == ["", "", "", "aa"]


def test_the_first_snapshot_crosses_nothing(tmp_path: Path) -> None:
    played = Played([crosses(100)], [views(0, a=5000), views(1, a=5001)], tmp_path)
    assert played.items == ["", ""]


def test_a_new_item_crosses_from_zero_where_its_beginning_was_seen(tmp_path: Path) -> None:
    published = {"new": at(0.5), "old": at(-9), "undated": None}
    captures = [views(0, a=1), views(1, published, a=1, new=120, old=120, undated=120)]
    played = Played([crosses(100)], captures, tmp_path)
    assert played.fired[1] == [("new", 100, 120, 0)]


def test_a_counter_that_joins_the_source_crosses_nothing_in_its_first_hour(tmp_path: Path) -> None:
    def liked(hours: float, value: int) -> Capture:
        return Capture(at(hours), {"a": {"views": 1, "likes": value}}, ("views", "likes"))

    [before, *after] = write_snapshots([views(0, a=1), liked(1, 150), liked(2, 250)], tmp_path)
    rule = Rule("likes", RuleKind.CROSSES, (100, 200))
    for current, previous, thresholds in [(after[0], before, []), (after[1], after[0], [200])]:
        delta = hour_delta(current, previous, ["likes"], at(0))
        crossings, _ = evaluate([rule], current, previous, delta, {}, at(1))
        assert [crossing.threshold for crossing in crossings] == thresholds


# Rates --------------------------------------------------------------------------------------------


def rate(threshold: float, **changes: Any) -> Rule:
    return Rule("views", RuleKind.RATE_ABOVE, (threshold,), **changes)


def test_a_rate_fires_on_its_upward_edge_and_again_only_after_it_fell_below_the_lower_bound(
    tmp_path: Path,
) -> None:
    gains = [0, 50, 51, 80, 30, 60, 24, 51]
    totals = [sum(gains[: n + 1]) for n in range(len(gains))]
    captures = [views(h, a=total) for h, total in enumerate(totals)]
    played = Played([rate(50, rearm_below=25)], captures, tmp_path)
    assert played.items == ["", "", "a", "", "", "", "", "a"]
    assert played.fired[2] == [("a", 50, 51, None)]
    assert played.states[5] == {"views rate_above 50/hour": {"a": {"firing": True}}}
    assert played.states[6] == {}


def test_without_a_lower_bound_a_rate_is_armed_again_below_its_threshold(tmp_path: Path) -> None:
    totals = [0, 60, 110, 170, 219, 279]  # rates of 60, 50, 60, 49 and 60
    played = Played([rate(50)], [views(h, a=total) for h, total in enumerate(totals)], tmp_path)
    assert played.items == ["", "a", "", "", "", "a"]


def test_a_rate_is_measured_over_the_time_that_elapsed(tmp_path: Path) -> None:
    captures = [views(0, a=0, b=0), views(4, a=204, b=200)]
    assert Played([rate(50)], captures, tmp_path).fired[1] == [("a", 50, 51, None)]
    assert Played([rate(50, per_seconds=60)], [views(0, a=0), views(1, a=3060)], tmp_path).fired[1] == [
        ("a", 50, 51, None)
    ]


def test_the_time_that_a_rate_spans_is_told_of_captures_and_not_of_feeds(tmp_path: Path) -> None:
    delta = pa.table({"item_id": ["a"], "elapsed_seconds": [7200.0]})
    fired = [Crossing("views > 50/hour", RuleKind.RATE_ABOVE, "views", "a", None, None, 50, 51, None, "2026-11-01T02")]
    assert measured_over(a_source(), fired, delta) == {"a": timedelta(hours=2)}
    assert measured_over(a_source(platform=Points.model_validate({"spool": str(tmp_path)})), fired, delta) == {}


def test_a_rate_per_minute_is_armed_again_by_its_rate_per_minute(tmp_path: Path) -> None:
    captures = [views(h, a=total) for h, total in enumerate([0, 3060, 3660, 6720])]
    assert Played([rate(50, per_seconds=60)], captures, tmp_path).items == ["", "a", "", "a"]


def test_an_item_away_or_without_a_known_rate_keeps_firing_silently(tmp_path: Path) -> None:
    captures = [
        views(0, a=0, b=0),
        views(1, a=100, b=0),
        views(2, b=0),  # carried
        views(2, a=100, b=0),  # returned after an hour without a view: armed again
        views(2, a=400, b=0),  # no time elapsed: no rate
        views(3, a=500, b=0),
        Capture(at(4), {"a": {"views": None}}),  # unknown
        views(5, a=900, b=0),  # unknown still
        views(6, a=1000, b=0),
    ]
    played = Played([rate(50)], captures, tmp_path)
    assert played.items == ["", "a", "", "", "", "a", "", "", ""]
    assert [bool(state) for state in played.states] == [
        False,
        True,
        True,
        False,
        False,
        True,
        True,
        True,
        True,
    ]


# Gains --------------------------------------------------------------------------------------------


def gained(threshold: float, **changes: Any) -> Rule:
    return Rule("views", RuleKind.GAINED, (threshold,), **changes)


def test_a_gain_fires_from_its_threshold_on_whatever_the_time_it_took(tmp_path: Path) -> None:
    played = Played([gained(100)], [views(0, a=0, b=0), views(9, a=100, b=99)], tmp_path)
    assert played.fired[1] == [("a", 100, 100, 0)]


def test_a_share_is_of_the_value_before_and_never_of_nothing(tmp_path: Path) -> None:
    captures = [views(0, a=10, b=10, zero=0), views(1, {"new": at(0.5)}, a=11, b=10, zero=50, new=50)]
    played = Played([gained(0.1, share=True)], captures, tmp_path)
    assert played.fired[1] == [("a", 0.1, 11, 10)]


def test_a_cooldown_is_counted_from_capture_to_capture_and_for_each_item(tmp_path: Path) -> None:
    captures = [views(h, a=h * 10, b=10 if h > 1 else 0) for h in range(5)]
    played = Played([gained(10, cooldown=timedelta(hours=2))], captures, tmp_path)
    assert played.items == ["", "a", "b", "a", ""]
    assert played.states[1] == {"views gained 10": {"a": {"fired_at": "2026-11-01T01:17:00Z"}}}
    assert played.states[4] == {"views gained 10": {"a": {"fired_at": "2026-11-01T03:17:00Z"}}}


def test_without_a_cooldown_a_gain_fires_every_hour_and_leaves_no_state(tmp_path: Path) -> None:
    played = Played([gained(10)], [views(h, a=h * 10) for h in range(3)], tmp_path)
    assert played.items == ["", "a", "a"]
    assert played.states[-1] == {}


# Levels -------------------------------------------------------------------------------------------


def test_a_level_fires_for_what_was_observed_beyond_it_the_first_time_included(tmp_path: Path) -> None:
    rules = [Rule("views", RuleKind.ABOVE, (10,)), Rule("views", RuleKind.BELOW, (5,))]
    captures = [views(0, a=11, b=10, c=5, d=4), views(1, b=10, c=5, d=3)]
    played = Played(rules, captures, tmp_path)
    assert played.fired == [[("a", 10, 11, None), ("d", 5, 4, None)], [("d", 5, 3, 4)]]


def test_a_level_has_no_edge_but_a_cooldown(tmp_path: Path) -> None:
    rule = Rule("views", RuleKind.ABOVE, (10,), cooldown=timedelta(hours=2))
    played = Played([rule], [views(h, a=11) for h in range(5)], tmp_path)
    assert played.items == ["a", "", "a", "", "a"]


# All rules ----------------------------------------------------------------------------------------


def test_crossings_stand_in_the_order_of_the_rules_then_by_value_and_item(tmp_path: Path) -> None:
    captures = [views(0, a=1, b=1, c=1), views(1, a=20, b=30, c=20)]
    played = Played([gained(5), crosses(10)], captures, tmp_path)
    assert [(c.kind, c.item_id) for c in played.hours[1]] == [
        (kind, item) for kind in (RuleKind.GAINED, RuleKind.CROSSES) for item in "bac"
    ]


def test_a_rule_may_ask_for_a_counter_called_like_a_word_of_the_query(tmp_path: Path) -> None:
    names = ("value", "rate", "gain", "order")
    captures = [Capture(at(h), {"a": dict.fromkeys(names, 1000 + h)}, names) for h in range(2)]
    kinds = [
        (RuleKind.CROSSES, 1001.0),
        (RuleKind.RATE_ABOVE, 0.5),
        (RuleKind.GAINED, 1.0),
        (RuleKind.ABOVE, 1000.0),
    ]
    rules = [Rule(name, kind, (threshold,)) for name in names for kind, threshold in kinds]
    fired = Played(rules, captures, tmp_path).hours[1]
    assert [(c.counter, c.kind) for c in fired] == [(rule.counter, rule.kind) for rule in rules]
    assert {c.value for c in fired if c.kind is RuleKind.RATE_ABOVE} == {1.0}


def test_a_rule_that_is_dropped_leaves_the_state_and_what_came_in_is_not_changed(tmp_path: Path) -> None:
    first, second = write_snapshots([views(0, a=0), views(1, a=99)], tmp_path)
    delta = hour_delta(second, first, ["views"], at(0))
    state: RuleState = {
        "views rate_above 7/hour": {"a": {"firing": True}},
        rate(50).name: {"b": {"firing": True}},
    }
    before = json.dumps(state)
    crossings, after = evaluate([rate(50)], second, first, delta, state, at(1))
    assert after == {rate(50).name: {"a": {"firing": True}, "b": {"firing": True}}}
    assert [crossing.item_id for crossing in crossings] == ["a"]
    assert json.dumps(state) == before
    assert evaluate([rate(50)], second, first, delta, state, at(1)) == (crossings, after)


def test_no_rules_no_crossings(tmp_path: Path) -> None:
    assert Played([], [views(0, a=0), views(1, a=99)], tmp_path).items == ["", ""]


def test_a_damaged_snapshot_is_a_fault_of_the_lake(tmp_path: Path) -> None:
    first, second = write_snapshots([views(0, a=0), views(1, a=99)], tmp_path)
    delta = hour_delta(second, first, ["views"], at(0))
    first.write_bytes(first.read_bytes()[:100])
    with pytest.raises(LakeFault, match=first.name):
        evaluate([crosses(10)], second, first, delta, {}, at(1))
