"""The numbers of a page say what the history says: series, axes and hours, decoded again in plain Python."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.analysis.watched import MISSING
from pipeline.core.hours import Hour
from pipeline.core.ledger import Ledger
from pipeline.core.model import HourState
from pipeline.site.payload import axis_payload, hours_payload, make_axis, series
from pipeline_tests.core.history_of import watched
from pipeline_tests.core.snapshots import at


def _decoded(found: dict[str, Any] | None, length: int) -> list[int]:
    if found is None:
        return [MISSING] * length
    values, place, value = [MISSING] * found["f"], found["f"], 0
    changes = {found["f"] + n: change for n, change in enumerate(found.get("d", []))}
    pairs = found.get("c", [])
    for step, change in zip(pairs[::2], pairs[1::2], strict=True):
        place += step
        changes[place] = change
    for place in range(found["f"], length):
        value += changes.get(place, 0)
        values.append(value)
    absent = found.get("n", [])
    for first, count in zip(absent[::2], absent[1::2], strict=True):
        values[first : first + count] = [MISSING] * count
    return values


@given(st.lists(st.integers(MISSING, 4), min_size=1, max_size=40))
def test_a_series_is_decoded_to_what_was_observed(values: list[int]) -> None:
    assert _decoded(series(np.array(values, np.int64)), len(values)) == values


def test_every_capture_of_the_last_days_is_kept_and_of_earlier_days_the_last() -> None:
    history = watched({hour: {"a": hour} for hour in range(24 * 10)})
    axis = make_axis(history, 2)
    kept = [history.moment(int(place)) for place in axis.kept]
    recent = [moment for moment in kept if (kept[-1] - moment).total_seconds() < 2 * 86_400]
    assert len(recent) == 48
    assert axis.hourly_from == len(kept) - 48
    earlier = kept[: axis.hourly_from]
    assert [moment.hour for moment in earlier] == [23] * 8
    assert axis.breaks == ()
    x = np.cumsum(axis_payload(history, axis)["x"]).tolist()
    assert x == [int(moment.timestamp()) for moment in kept]


def test_a_line_is_broken_where_an_hour_is_missing_and_among_older_days_where_a_day_is() -> None:
    hours = [*range(24 * 3), *range(24 * 4, 24 * 8), *range(24 * 8 + 3, 24 * 9)]
    axis = make_axis(watched({hour: {"a": hour} for hour in hours}), 2)
    broken = [hours[int(axis.kept[place])] for place in axis.breaks]
    assert broken == [
        24 * 5 - 1,
        24 * 8 + 3,
    ]  # the first capture after the missing day that is drawn, and after the missing hours


def test_hours_are_told_as_runs_of_their_states() -> None:
    states = [HourState.OBSERVED] * 3 + [HourState.GAP] * 2 + [HourState.QUARANTINED] + [HourState.OBSERVED]
    first = Hour.of(at(0))
    found = hours_payload(Ledger("blog", {first + n: state for n, state in enumerate(states)}))
    assert found == {"first": int(first.start.timestamp()), "runs": [0, 3, 2, 2, 1, 1, 0, 1]}
    assert hours_payload(Ledger("blog", {})) == {"first": 0, "runs": []}
