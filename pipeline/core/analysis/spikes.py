"""Spikes: stretches in which an item, or all items together, gained far more than they usually do.

A stretch between two observations that lie at most LONGEST_HOURS apart belongs to a spike if it brought at
least FEWEST and TIMES what was usual: the mean rate of the USUAL_DAYS before it, of which at least a day
has to be observed, so an item's first day has none. The mean and not the median, which is zero for most items.
Stretches that follow each other are one spike. With these bounds chance alone makes few: steady traffic of
Poisson's distribution is worst at 3 an hour, where 15 come once in 170 years of hours.

Beside each spike stands what the record knows of the hours before it. That it came before is no proof that it was
the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from pipeline.core.analysis.happenings import Happening, Kind
from pipeline.core.analysis.watched import HOUR, MISSING, Floats, Item, Watched
from pipeline.core.hours import microseconds
from pipeline.core.text import duration, unlisted

LONGEST_HOURS = 6.0
FEWEST = 15
TIMES = 5.0
USUAL_DAYS = 7
BEFORE = timedelta(hours=12)
_TELLING = (Kind.PUBLISHED, Kind.MARK, Kind.TITLE, Kind.RETURNED)
_NAMED = 3


@dataclass(frozen=True)
class Spike:
    """``item`` is None where all items together are meant. ``usual`` is the rate an hour before it.

    ``before``: what was published, marked, renamed or listed again in the hours before, the latest first.
    """

    began: datetime
    ended: datetime
    item: Item | None
    gained: int
    usual: float
    before: tuple[Happening, ...] = ()

    @property
    def hours(self) -> float:
        """How long it lasted, between the observations at its ends."""
        return (self.ended - self.began) / timedelta(hours=1)

    @property
    def times(self) -> float | None:
        """How many times the usual; None where nothing was usual."""
        return self.gained / self.hours / self.usual if self.usual > 0 else None


@dataclass(frozen=True)
class _Burst:
    began: float
    first_ended: float
    ended: float
    gained: int
    usual: float


def spikes(watched: Watched, counter: str, happened: Sequence[Happening]) -> list[Spike]:
    """Every spike of the history, oldest first.

    One of all items is left out where a single item's spike in the same hours brought more than half of it.
    """
    found: list[tuple[_Burst, Item | None]] = []
    times = watched.captured_at / HOUR
    for place, item in enumerate(watched.items):
        column = watched.values[counter][:, place]
        seen = column != MISSING
        found += [(burst, item) for burst in _bursts(times[seen], column[seen].astype(float))]
    of_items = [burst for burst, _ in found]
    found += [(burst, None) for burst in _bursts(*_catalogue(watched, counter)) if not _explained(burst, of_items)]
    told = sorted((h for h in happened if h.kind in _TELLING), key=lambda h: h.at, reverse=True)
    return sorted((_spike(burst, item, told) for burst, item in found), key=lambda spike: spike.ended)


def _bursts(times: Floats, values: Floats) -> Iterator[_Burst]:
    """``times`` in hours, in order; ``values`` are counts."""
    if len(times) < 3:
        return
    spans, gained = np.diff(times), np.diff(values)
    since = np.searchsorted(times, times[:-1] - USUAL_DAYS * 24)
    watched_for = times[:-1] - times[since]
    usual = np.full(len(spans), np.inf)
    np.divide(values[:-1] - values[since], watched_for, out=usual, where=watched_for >= 24)
    hits = (spans <= LONGEST_HOURS) & (gained >= FEWEST) & (gained >= TIMES * usual * spans)
    edges = np.diff(np.concatenate([[0], hits.astype(np.int8), [0]]))
    for first, end in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True):
        total = int(values[end] - values[first])
        yield _Burst(times[first], times[first + 1], times[end], total, float(usual[first]))


def _catalogue(watched: Watched, counter: str) -> tuple[Floats, Floats]:
    """What all items gained since the first report, as the reports told it: times in hours, and sums."""
    told = [t for t in watched.told if counter in t.movement]
    times = np.array([microseconds(t.captured_at) / HOUR for t in told])
    return times, np.cumsum([t.movement[counter].delta or 0 for t in told], dtype=float)


def _explained(burst: _Burst, of_items: Iterable[_Burst]) -> bool:
    return any(b.began < burst.ended and burst.began < b.ended and b.gained > burst.gained / 2 for b in of_items)


def _spike(burst: _Burst, item: Item | None, told: Iterable[Happening]) -> Spike:
    began, first_ended = _moment(burst.began), _moment(burst.first_ended)
    item_id = None if item is None else item.item_id
    before = (
        h
        for h in told
        if began - BEFORE <= h.at < first_ended
        and (h.kind is Kind.PUBLISHED or h.item_id is None or item_id in (None, h.item_id))
    )
    return Spike(began, _moment(burst.ended), item, burst.gained, burst.usual, tuple(before))


def _moment(hours: float) -> datetime:
    return datetime.fromtimestamp(round(hours * 3600), UTC)


def size_words(spike: Spike) -> str:
    """``+812 in 2 hours, 40 times the usual``."""
    times = spike.times
    usual = "where nothing was usual" if times is None else f"{times:,.0f} times the usual"
    return f"+{spike.gained:,} in {duration(timedelta(hours=spike.hours))}, {usual}"


def before_words(spike: Spike) -> str:
    """What the record holds of the hours before, the latest first, and how long before the spike it was."""
    if not spike.before:
        return f"nothing published or marked in the {duration(BEFORE)} before"
    named = [_happening_words(spike, h) for h in spike.before[:_NAMED]]
    return "; ".join([*named, *unlisted(named, len(spike.before))])


def _happening_words(spike: Spike, happening: Happening) -> str:
    ahead = spike.began - happening.at
    when = f"{duration(ahead)} before" if ahead > timedelta() else "as it began"
    words = happening.words if happening.kind in (Kind.MARK, Kind.TITLE) else f"“{happening.words}”"
    if happening.kind is Kind.RETURNED:
        return f"in the listing again {when}"
    return f"{happening.kind} {words} {when}"
