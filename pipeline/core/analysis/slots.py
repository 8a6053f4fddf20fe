"""When readers come: the count gained by weekday and hour, set against what items of that age gain as a rule.

Only gains that were observed within one stretch of at most LONGEST_HOURS count, at the clock hour in
whose middle they lie. What an item is expected to gain in such a stretch is the mean rate of all
observed stretches at its age, times the stretch. The median rate would be zero at most ages of most
sources, and nothing can be divided by that. An hour's ratio is what all items gained in it over what
was expected; a slot's is the median over its hours, so that one great day does not make a weekday.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np

from pipeline.core.analysis.watched import HOUR, MISSING, Floats, Int64, Watched
from pipeline.core.hours import microseconds

LONGEST_HOURS = 1.5
ENOUGH_HOURS = 3
ENOUGH_EXPECTED = 1.0
"""An hour in which less than this was expected says nothing either way."""
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_AGES = np.array([0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384])


@dataclass(frozen=True)
class Slot:
    """``ratio`` 2 is twice what is usual at the items' ages; None where fewer than ENOUGH_HOURS stand behind it."""

    weekday: int
    hour: int
    ratio: float | None
    hours: int


@dataclass(frozen=True)
class Slots:
    """``cells`` are all 168, Monday 0:00 first, in the time zone ``timezone``."""

    counter: str
    timezone: str
    cells: tuple[Slot, ...]

    @property
    def known(self) -> list[Slot]:
        """Those with a ratio, the best first."""
        return sorted((c for c in self.cells if c.ratio is not None), key=lambda cell: -(cell.ratio or 0))


def slots(watched: Watched, counter: str, timezone: str) -> Slots:
    """``timezone`` is a name of the IANA database."""
    middles, gained, expected = _hours(watched, counter)
    zone = ZoneInfo(timezone)
    ratios: dict[tuple[int, int], list[float]] = {}
    for middle, had, due in zip(middles.tolist(), gained.tolist(), expected.tolist(), strict=True):
        if due >= ENOUGH_EXPECTED:
            local = datetime.fromtimestamp(middle / 1e6, UTC).astimezone(zone)
            ratios.setdefault((local.weekday(), local.hour), []).append(had / due)
    cells: list[Slot] = []
    for weekday in range(7):
        for hour in range(24):
            found = ratios.get((weekday, hour), [])
            enough = len(found) >= ENOUGH_HOURS
            cells.append(Slot(weekday, hour, float(np.median(found)) if enough else None, len(found)))
    return Slots(counter, timezone, tuple(cells))


def _hours(watched: Watched, counter: str) -> tuple[Int64, Floats, Floats]:
    """Of every short stretch: its middle in microseconds, what all items gained in it, what was expected."""
    values, times = watched.values[counter], watched.captured_at
    spans = np.diff(times)
    short = np.flatnonzero(spans <= LONGEST_HOURS * HOUR)
    middles, hours = times[short] + spans[short] // 2, spans[short] / HOUR
    published = np.array([microseconds(i.published_at) if i.published_at else times[-1] for i in watched.items])
    before, after = values[short], values[short + 1]
    age = (middles[:, None] - published) / HOUR
    capture, item = np.nonzero((before != MISSING) & (after != MISSING) & (age >= 0))
    gained = (after - before)[capture, item].astype(float)
    group = np.searchsorted(_AGES, age[capture, item], side="right")
    total, time = np.bincount(group, gained), np.bincount(group, hours[capture])
    rate = np.divide(total, time, out=np.zeros(len(total)), where=time > 0)
    count = len(short)
    return (
        middles,
        np.bincount(capture, gained, count).astype(float),
        np.bincount(capture, rate[group] * hours[capture], count).astype(float),
    )


def slot_sentences(found: Slots) -> list[str]:
    """The best and the worst slots, or why none can be named."""
    known = found.known
    if not known:
        return [
            f"Withheld: no hour of the week has {ENOUGH_HOURS} observed hours yet whose change spans no more than "
            f"{LONGEST_HOURS:g} hours."
        ]
    count = sum(cell.hours for cell in found.cells)
    best = ", ".join(map(slot_words, known[:3]))
    worst = ", ".join(map(slot_words, known[: -min(3, len(known)) - 1 : -1]))
    return [
        f"Readers come most on {best}.",
        f"They come least on {worst}.",
        f"{len(known)} of 168 slots have enough observations; {count:,} hours are counted."
        f" Times are of {found.timezone}. It says when readers come, not how a post does that is published then.",
    ]


def slot_words(slot: Slot) -> str:
    """``Tuesday 20:00 (1.8 times the usual, 5 hours)``."""
    return f"{WEEKDAYS[slot.weekday]} {slot.hour:02}:00 ({slot.ratio:.1f} times the usual, {slot.hours} hours)"
