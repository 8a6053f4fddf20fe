"""A rate per minute fires once for a rise, whatever the hour around it looks like."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.minutes import Edge, Mark, highest, judge_levels, judge_minutes, minute_of, moment_of
from pipeline.core.model import Rule, RuleKind

NOW = datetime(2026, 11, 22, 14, 17, 30, tzinfo=UTC)
LAST = minute_of(NOW)
FIFTY = Rule("errors", RuleKind.RATE_ABOVE, (50.0,), per_seconds=60)
HYSTERESIS = Rule("errors", RuleKind.RATE_ABOVE, (50.0,), per_seconds=60, rearm_below=10)


def judged(
    counts: dict[int, int], marks: dict[str, Mark] | None = None, rule: Rule = FIFTY, now: datetime = NOW
) -> tuple[list[Edge], dict[str, Mark]]:
    """``counts`` by minutes before the present one, as negative numbers."""
    minutes = {"a": {"errors": {LAST + minute: count for minute, count in counts.items()}}}
    return judge_minutes(rule, minutes, marks or {}, now)


def rises(counts: dict[int, int], rule: Rule = FIFTY) -> list[tuple[int, int]]:
    return [(edge.minute - LAST, edge.count) for edge in judged(counts, rule=rule)[0]]


def test_sixty_in_one_minute_fire_and_three_thousand_spread_over_the_hour_do_not() -> None:
    assert rises({-30: 60}) == [(-30, 60)]
    assert rises({-minute: 50 for minute in range(60)}) == []


@pytest.mark.parametrize(
    ("counts", "expected", "rule"),
    [
        ({-3: 60, -2: 70, -1: 80}, [(-3, 60)], FIFTY),
        ({-5: 60, -3: 70}, [(-5, 60), (-3, 70)], FIFTY),
        ({-5: 60, -4: 50, -3: 70}, [(-5, 60)], FIFTY),
        ({-5: 60, -4: 49, -3: 70}, [(-5, 60), (-3, 70)], FIFTY),
        ({-5: 60, -4: 49, -3: 70}, [(-5, 60)], HYSTERESIS),
        ({-5: 60, -4: 9, -3: 70}, [(-5, 60), (-3, 70)], HYSTERESIS),
    ],
)
def test_a_rule_fires_when_the_rate_rises_and_is_armed_by_a_quiet_minute(
    counts: dict[int, int], expected: list[tuple[int, int]], rule: Rule
) -> None:
    assert rises(counts, rule) == expected


def test_the_present_minute_fires_and_arms_nothing() -> None:
    [edge], marks = judged({0: 60})
    assert edge.minute == LAST
    later = NOW + timedelta(minutes=1)
    edges, marks = judged({0: 60, 1: 3}, marks, now=later)
    assert edges == []
    assert judged({0: 60, 1: 70}, marks, now=later)[0] == []
    edges, marks = judged({0: 60, 1: 3}, marks, now=later + timedelta(minutes=1))
    assert judged({0: 60, 1: 3, 2: 60}, marks, now=later + timedelta(minutes=1))[0] == [Edge("a", LAST + 2, 60)]


def test_what_was_judged_says_nothing_new() -> None:
    _, marks = judged({-5: 60, -4: 1})
    assert judged({-5: 90, -4: 1}, marks) == ([], marks)
    assert judged({}, marks) == ([], marks)
    assert judged({}, marks, now=NOW + timedelta(hours=2)) == ([], {})


def test_a_report_tells_of_an_item_once() -> None:
    edges = [Edge("a", 1, 60), Edge("b", 1, 70), Edge("a", 5, 90)]
    assert highest(edges, FIFTY) == [Edge("a", 5, 90), Edge("b", 1, 70)]


@given(st.dictionaries(st.integers(-50, -1), st.integers(0, 120)), st.integers(-50, 0))
def test_looking_twice_finds_what_looking_once_finds(counts: dict[int, int], first_look: int) -> None:
    """The watcher looks every second, the report once an hour."""
    then = moment_of(LAST + first_look)
    early, marks = judged({minute: n for minute, n in counts.items() if minute < first_look}, now=then)
    late, _ = judged(counts, marks)
    assert early + late == judged(counts)[0]


# Values ---------------------------------------------------------------------------------------

ABOVE = Rule("queue", RuleKind.ABOVE, (100.0,))
BELOW = Rule("queue", RuleKind.BELOW, (10.0,))
COOLING = Rule("queue", RuleKind.ABOVE, (100.0,), cooldown=timedelta(minutes=30))


def looked(
    seen: dict[int, tuple[int, int]], marks: dict[str, Mark] | None = None, rule: Rule = ABOVE, now: datetime = NOW
) -> tuple[list[tuple[int, int]], dict[str, Mark]]:
    """``seen``: the lowest and the highest value, by minutes before the present one."""
    levels = {"a": {"queue": {LAST + minute: between for minute, between in seen.items()}}}
    edges, after = judge_levels(rule, levels, marks or {}, now)
    return [(edge.minute - LAST, edge.count) for edge in edges], after


@pytest.mark.parametrize(
    ("seen", "expected", "rule"),
    [
        ({-3: (5, 100)}, [], ABOVE),
        ({-3: (5, 101)}, [(-3, 101)], ABOVE),
        ({-3: (5, 101), -2: (101, 150), -1: (99, 180)}, [(-3, 101)], ABOVE),
        ({-3: (5, 101), -2: (90, 100), -1: (5, 102)}, [(-3, 101), (-1, 102)], ABOVE),
        ({-9: (5, 101), -1: (101, 102)}, [(-9, 101)], ABOVE),  # nobody looked in between
        ({-3: (9, 50), -2: (10, 50), -1: (2, 3)}, [(-3, 9), (-1, 2)], BELOW),
        ({-40: (5, 101), -39: (5, 5), -20: (5, 102), -19: (5, 5), -1: (5, 103)}, [(-40, 101), (-1, 103)], COOLING),
    ],
)
def test_a_value_fires_when_it_comes_to_stand_beyond_and_is_armed_by_a_minute_on_the_right_side(
    seen: dict[int, tuple[int, int]], expected: list[tuple[int, int]], rule: Rule
) -> None:
    assert looked(seen, rule=rule)[0] == expected


def test_a_minute_that_is_not_over_arms_nothing_and_is_judged_again() -> None:
    _, marks = looked({-1: (5, 101)})
    assert looked({0: (5, 6)}, marks)[0] == []
    _, marks = looked({0: (5, 6)}, marks)
    assert looked({0: (5, 120)}, marks)[0] == []
    later = NOW + timedelta(minutes=1)
    _, marks = looked({0: (5, 6)}, marks, now=later)
    assert looked({0: (5, 6), 1: (5, 120)}, marks, now=later)[0] == [(1, 120)]


def test_a_value_that_stays_beyond_is_remembered_for_days_and_a_sound_one_for_an_hour() -> None:
    _, marks = looked({0: (101, 101)})
    days = NOW + timedelta(days=3)
    assert looked({}, marks, now=days)[1] == marks
    _, marks = looked({0: (1, 1)})
    assert looked({}, marks, now=days)[1] == {}


LOOKS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 8)), max_size=30)


@given(LOOKS, st.sampled_from([ABOVE, BELOW, COOLING]))
def test_values_judged_on_the_way_fire_as_those_judged_at_once(steps: list[tuple[int, int]], rule: Rule) -> None:
    moments: list[tuple[int, int]] = []
    for apart, value in steps:
        moments.append(((moments[-1][0] if moments else 0) + apart, 20 * value))

    def between(looks: list[tuple[int, int]]) -> dict[int, tuple[int, int]]:
        of: dict[int, list[int]] = {}
        for minute, value in looks:
            of.setdefault(minute, []).append(value)
        return {minute: (min(values), max(values)) for minute, values in of.items()}

    marks: dict[str, Mark] = {}
    fired: list[int] = []
    for number, (minute, _) in enumerate(moments, 1):
        edges, marks = looked(between(moments[:number]), marks, rule, NOW + timedelta(minutes=minute))
        fired += [at for at, _ in edges]
    end = NOW + timedelta(minutes=moments[-1][0] if moments else 0)
    assert fired == [at for at, _ in looked(between(moments), {}, rule, end)[0]]
