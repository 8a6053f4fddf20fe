"""What each item gained over the last hour, day, week and month, or why that is not known.

A gain is the difference of two observed values: the newest, and the one in the capture nearest to the
beginning of the window. That capture has to lie within half an hour or a tenth of the window of it,
otherwise the gain is not known: nothing is interpolated. An item that was published inside the window,
while the source was watched, gained all that it has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from pipeline.core.analysis.watched import HOUR, MISSING, Watched
from pipeline.core.hours import format_time, microseconds
from pipeline.core.text import duration

WINDOWS = {"1h": 1, "24h": 24, "7d": 7 * 24, "30d": 30 * 24}
RANKED_OVER = "7d"


@dataclass(frozen=True)
class Gain:
    """``value`` is None where it is not known, and ``note`` says why; else over which time it was measured."""

    value: int | None
    note: str


@dataclass(frozen=True)
class Standing:
    """One item and one counter. ``value`` is the last one observed; ``rank`` 1 is the highest of those listed now.

    ``climbed``: places since the beginning of RANKED_OVER, positive towards the top; None where not known.
    """

    value: int | None
    gains: dict[str, Gain]
    rank: int | None
    climbed: int | None


def window_start(watched: Watched, hours: int) -> int | None:
    """The capture that stands for the beginning of a window which ends with the newest capture."""
    times = watched.captured_at
    wanted = times[-1] - hours * HOUR
    nearest = int(np.abs(times - wanted).argmin())
    tolerance = max(0.5, hours / 10) * HOUR
    return nearest if nearest < len(times) - 1 and abs(times[nearest] - wanted) <= tolerance else None


def standings(watched: Watched, counter: str) -> list[Standing]:
    """Of every item, in the order of ``watched.items``."""
    values = watched.values[counter]
    starts = {name: window_start(watched, hours) for name, hours in WINDOWS.items()}
    ranks = _ranks(values[-1])
    start = starts[RANKED_OVER]
    before = [None] * len(watched.items) if start is None else _ranks(values[start])
    found = []
    for place in range(len(watched.items)):
        known = np.flatnonzero(values[:, place] != MISSING)
        gains = {name: _gain(watched, counter, place, name, start) for name, start in starts.items()}
        rank, earlier = ranks[place], before[place]
        found.append(
            Standing(
                value=int(values[known[-1], place]) if len(known) else None,
                gains=gains,
                rank=rank,
                climbed=None if rank is None or earlier is None else earlier - rank,
            )
        )
    return found


def _ranks(values: np.ndarray) -> list[int | None]:
    """1 for the highest; equal values share a place, and the next one lies as many places lower."""
    ordered = np.sort(values)
    above = len(values) - np.searchsorted(ordered, values, side="right")
    return [None if value == MISSING else int(place) + 1 for value, place in zip(values, above, strict=True)]


def _gain(watched: Watched, counter: str, place: int, window: str, start: int | None) -> Gain:
    column, times, item = watched.values[counter][:, place], watched.captured_at, watched.items[place]
    if column[-1] == MISSING:
        return Gain(None, "not in the newest capture")
    first = int((column != MISSING).argmax())
    begins = times[-1] - WINDOWS[window] * HOUR
    published = None if item.published_at is None else microseconds(item.published_at)
    if item.zero and published is not None and begins <= published <= times[first]:
        return Gain(int(column[-1]), f"since its publication {_span(times[-1] - published)} before")
    if start is None:
        return Gain(None, f"no observation about {_span(WINDOWS[window] * HOUR)} before the newest")
    if column[start] == MISSING:
        if first > start:
            return Gain(None, f"first observed at {format_time(watched.moment(first))}, after the window began")
        return Gain(None, f"not listed at {format_time(watched.moment(start))}, where the window begins")
    return Gain(int(column[-1] - column[start]), f"in {_span(times[-1] - times[start])}")


def _span(microseconds: int | float) -> str:
    return duration(timedelta(microseconds=float(microseconds)))


def lately(watched: Watched, counter: str, place: int) -> list[Gain]:
    """What an item gained since it was observed before, and over the last day; only what is known."""
    column, times = watched.values[counter][:, place], watched.captured_at
    seen = np.flatnonzero(column != MISSING)
    found = []
    if len(seen) > 1 and seen[-1] == len(column) - 1:
        before, now = seen[-2], seen[-1]
        found.append(Gain(int(column[now] - column[before]), f"in {_span(times[now] - times[before])}"))
    day = _gain(watched, counter, place, "24h", window_start(watched, WINDOWS["24h"]))
    if day.value is not None and day not in found:
        found.append(day)
    return found


def total_gain(watched: Watched, counter: str, window: str) -> Gain:
    """What the catalogue gained: the sum of the deltas that its reports told since the window's first capture."""
    start = window_start(watched, WINDOWS[window])
    if start is None:
        return Gain(None, f"no observation about {_span(WINDOWS[window] * HOUR)} before the newest")
    since = watched.moment(start)
    told = [t.movement[counter].delta for t in watched.told if t.captured_at > since and counter in t.movement]
    known: Sequence[int] = [delta for delta in told if delta is not None]
    if not known:
        return Gain(None, "nothing to compare with")
    return Gain(sum(known), f"in {_span(watched.captured_at[-1] - watched.captured_at[start])}")
