"""Gains, first hours and slots against numbers told in plain Python, and what is withheld."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.analysis.first_hours import AGES, Bounded, FirstHours, first_hours, sentences
from pipeline.core.analysis.gains import WINDOWS, Gain, standings
from pipeline.core.analysis.slots import ENOUGH_HOURS, slot_sentences, slots
from pipeline.core.analysis.watched import Watched

from .history_of import grown, together, watched

# Gains ----------------------------------------------------------------------------------------


def _gained(history: Watched, item: str) -> dict[str, Gain]:
    place = history.place(item)
    assert place is not None
    return standings(history, "views")[place].gains


def test_a_gain_is_the_difference_of_two_observed_values_and_says_over_which_time() -> None:
    history = watched({0: {"a": 10}, 23: {"a": 15}, 24: {"a": 18}})
    gains = _gained(history, "a")
    assert gains["1h"] == Gain(3, "in 1 hour")
    assert gains["24h"] == Gain(8, "in 24 hours")
    assert gains["7d"] == Gain(None, "no observation about 7 days before the newest")


@pytest.mark.parametrize(("begin", "known"), [(21.5, False), (21.7, True), (26.3, True), (26.5, False)])
def test_a_gain_is_not_known_where_no_observation_stands_near_the_windows_beginning(begin: float, known: bool) -> None:
    history = watched({0: {"a": 1}, 48 - begin: {"a": 10}, 48: {"a": 15}})
    assert (_gained(history, "a")["24h"].value is not None) is known


def test_an_item_published_inside_the_window_gained_all_it_has() -> None:
    history = watched({0: {"old": 7}, 10: {"old": 7, "new": 4}, 24: {"old": 8, "new": 9}}, {"old": -50, "new": 8})
    assert _gained(history, "new")["24h"] == Gain(9, "since its publication 16 hours before")


def test_an_item_published_before_the_first_capture_counts_from_nothing_known() -> None:
    history = watched({0: {"a": 7}, 24: {"a": 9}}, {"a": -2})
    assert _gained(history, "a")["7d"].value is None
    assert _gained(history, "a")["24h"] == Gain(2, "in 24 hours")


def test_what_an_item_had_before_it_was_first_seen_is_not_taken_for_a_gain() -> None:
    history = watched({0: {"a": 7}, 10: {"a": 7, "late": 400}, 24: {"a": 8, "late": 401}}, {"late": -90})
    gain = _gained(history, "late")["24h"]
    assert gain.value is None
    assert gain.note.startswith("first observed at 2026-11-01T10:17:00Z")


def test_an_item_that_is_missing_at_an_end_of_the_window_has_no_gain() -> None:
    history = watched({0: {"a": 7, "b": 1}, 12: {"a": 8, "b": 2}, 24: {"b": 3}, 25: {"a": 9}})
    assert _gained(history, "b")["24h"] == Gain(None, "not in the newest capture")
    assert _gained(history, "a")["1h"] == Gain(None, "not listed at 2026-11-02T00:17:00Z, where the window begins")


def test_places_are_shared_by_equal_values_and_climbed_against_a_week_before() -> None:
    history = watched({0: {"a": 5, "b": 9, "c": 1}, 168: {"a": 10, "b": 9, "c": 10, "d": 2}})
    found = {item.item_id: standing for item, standing in zip(history.items, standings(history, "views"), strict=True)}
    assert {name: (s.rank, s.climbed) for name, s in found.items()} == {
        "a": (1, 1),
        "b": (3, -2),
        "c": (1, 2),
        "d": (4, None),
    }


@given(
    st.lists(
        st.tuples(st.floats(0.2, 30), st.lists(st.one_of(st.none(), st.integers(0, 50)), min_size=3, max_size=3)),
        min_size=2,
        max_size=12,
    )
)
def test_gains_are_what_plain_python_says(steps: list[tuple[float, list[int | None]]]) -> None:
    told, hour = {}, 0.0
    for step, values in steps:
        hour += round(step, 2)
        told[hour] = dict(zip("abc", values, strict=True))
    history = watched(told)
    hours = sorted(told)
    for place, item in enumerate(history.items):
        for window, length in WINDOWS.items():
            found = standings(history, "views")[place].gains[window].value
            wanted = hours[-1] - length
            nearest = min(range(len(hours)), key=lambda n: abs(hours[n] - wanted))
            near = abs(hours[nearest] - wanted) <= max(0.5, length / 10) + 1e-9 and nearest < len(hours) - 1
            edge = abs(abs(hours[nearest] - wanted) - max(0.5, length / 10)) < 1e-6
            tie = sum(abs(abs(h - wanted) - abs(hours[nearest] - wanted)) < 1e-6 for h in hours) > 1
            now = told[hours[-1]][item.item_id]
            then = told[hours[nearest]][item.item_id]
            if edge or tie:
                continue
            assert found == (now - then if near and now is not None and then is not None else None)


# The first hours --------------------------------------------------------------------------------

HOURLY = [float(hour) for hour in range(24 * 40)]


def _account(items: int = 6, every: int = 1) -> Watched:
    """Items that gain 10 views an hour for a day and 0.5 afterwards, published an hour and a half apart."""
    hours = HOURLY[::every]
    parts = [grown(hours, f"n{n}", 5 + n * 1.5, [(24, 10), (10_000, 0.5)]) for n in range(items)]
    published = {f"n{n}": 5 + n * 1.5 for n in range(items)} | {"old": -100.0}
    return watched(together({hour: {"old": 500} for hour in hours}, *parts), published)


def _oracle(history: Watched, item: str, age: float) -> Bounded | None:
    """A share at an age, from lists alone."""
    place = history.place(item)
    assert place is not None
    published = history.items[place].published_at
    assert published is not None
    values = history.values["views"][:, place].tolist()
    seen = [(history.moment(n), value) for n, value in enumerate(values) if value >= 0]
    points = [(0.0, 0)] + [((moment - published).total_seconds() / 3600, value) for moment, value in seen]
    ages, total = [a for a, _ in points], points[-1][1]
    if age > ages[-1] or min(abs(a - age) for a in ages[1:]) > max(1, age / 10):
        return None
    before, after = points[bisect_right(ages, age) - 1], points[bisect_left(ages, age)]
    part = 0 if after[0] == before[0] else (age - before[0]) / (after[0] - before[0])
    return Bounded(before[1] / total, (before[1] + part * (after[1] - before[1])) / total, after[1] / total)


@pytest.mark.parametrize("every", [1, 3, 5])
def test_shares_by_age_are_bounded_by_the_observations_around_it(every: int) -> None:
    history = _account(every=every)
    found = first_hours(history, "views")
    assert len(found.items) == 6
    for aged in found.items:
        for age in AGES:
            expected, share = _oracle(history, aged.item.item_id, age), aged.shares[age]
            assert (share is None) is (expected is None)
            if share is not None and expected is not None:
                assert (share.low, share.estimate, share.high) == pytest.approx(
                    (expected.low, expected.estimate, expected.high)
                )
                assert share.low <= share.estimate <= share.high
    for age in AGES:
        spread = found.shares[age]
        known = [share.estimate for aged in found.items if (share := aged.shares[age]) is not None]
        assert found.covered[age] == len(known)
        assert (spread is None) is (len(known) < 5)
        if spread is not None:
            assert spread.median == pytest.approx(median(known))


def test_the_age_of_half_and_of_the_end_of_the_rush_are_found_where_they_were_put() -> None:
    found = first_hours(_account(), "views")
    assert found.half is not None
    assert found.faded is not None
    for aged in found.items:
        assert aged.half is not None
        half = aged.total / 2
        exact = half / 10 if half <= 240 else 24 + (half - 240) / 0.5
        assert aged.half.low <= exact + 2  # whole views arrive one every two hours there
        assert aged.half.high >= exact - 2
        assert aged.faded is not None
        assert 23 <= aged.faded.estimate <= 26
    said = " ".join(sentences(found))
    assert "Half of the views that your items have so far arrived within" in said
    assert "Cross-post after 2" in said
    assert "the news items of Dezső and others (2006) had half" in said


def test_items_that_were_not_watched_from_their_publication_are_left_out_and_counted() -> None:
    hours = HOURLY[: 24 * 20]
    parts = [
        {hour: {"unknown": 50 + int(hour)} for hour in hours},
        {hour: {"old": 50 + int(hour)} for hour in hours},
        grown([h for h in hours if h > 40], "late", 20, [(24, 10), (1000, 1)]),
        grown(hours, "young", 24 * 20 - 50, [(24, 10), (1000, 1)]),
        grown(hours, "quiet", 30, [(1000, 0.01)]),
        grown(hours, "good", 30, [(24, 10), (1000, 1)]),
    ]
    published = {"old": -10.0, "late": 20.0, "young": 24 * 20.0 - 50, "quiet": 30.0, "good": 30.0}
    found = first_hours(watched(together(*parts), published), "views", enough=1)
    assert [aged.item.item_id for aged in found.items] == ["good"]
    assert found.excluded == {
        "the time of publication is not known": 1,
        "published before the source was watched": 1,
        "first seen more than 12 hours after publication": 1,
        "younger than 7 days": 1,
        "fewer than 10 views so far": 1,
    }


@pytest.mark.parametrize(("items", "withheld"), [(4, True), (5, False)])
def test_nothing_is_said_of_too_few_items(items: int, withheld: bool) -> None:
    found: FirstHours = first_hours(_account(items), "views")
    assert (found.withheld is not None) is withheld
    if withheld:
        assert sentences(found)[0] == "Withheld: 4 items published while watched can be used, 5 are needed."
        assert found.half is None
        assert found.faded is None


def test_an_age_at_which_nobody_looked_is_not_covered() -> None:
    hours = [float(hour) for hour in range(0, 24 * 20, 20)]
    parts = [grown(hours, f"n{n}", 35, [(24, 10), (10_000, 0.5)]) for n in range(6)]
    history = watched(together({0: {"old": 5}}, *parts), {f"n{n}": 35.0 for n in range(6)})
    found = first_hours(history, "views")
    assert found.covered[1] == found.covered[36] == 0
    assert found.shares[36] is None
    assert found.covered[24] == 6


# When readers come --------------------------------------------------------------------------------


def _weeks(zone_hours: dict[int, int], weeks: int) -> Watched:
    """Two old items which gain 2 views in every hour and more in some hours of the day (UTC)."""
    told, total = {}, 100
    for hour in range(24 * 7 * weeks):
        told[float(hour)] = {"a": total, "b": total}
        total += 2 * zone_hours.get(hour % 24, 1)
    return watched(told, {"a": -20_000, "b": -20_000})


def test_a_slot_is_set_against_what_is_usual_and_named_in_the_owners_time() -> None:
    history = _weeks({18: 5}, 4)
    found = slots(history, "views", "Asia/Tokyo")
    best = found.known[:7]
    assert {cell.hour for cell in best} == {3}  # 18:47 UTC is the middle of the hour, 03:47 in Tokyo
    usual = 2 * (23 + 5) / 24
    assert best[0].ratio == pytest.approx(10 / usual, rel=0.01)
    assert "03:00" in slot_sentences(found)[0]
    assert sum(cell.hours for cell in found.cells) == 24 * 7 * 4 - 1


def test_a_slot_with_too_few_hours_stays_blank() -> None:
    found = slots(_weeks({}, ENOUGH_HOURS - 1), "views", "UTC")
    assert found.known == []
    assert slot_sentences(found)[0].startswith("Withheld:")
    assert all(cell.ratio is None for cell in found.cells)
    assert max(cell.hours for cell in found.cells) == ENOUGH_HOURS - 1


def test_a_gain_over_several_hours_belongs_to_no_slot() -> None:
    told = {float(hour): {"a": hour * 10} for hour in range(0, 24 * 7 * 8, 4)}
    found = slots(watched(told, {"a": -500}), "views", "UTC")
    assert sum(cell.hours for cell in found.cells) == 0
    assert found.known == []
