"""The first 36 hours: how fast the count of an item arrives after its publication, and when it fades.

An item takes part if it was published while the source was watched, so that its count began at zero
under observation. For each age there is an interval and an estimate: the counts of the observations
before and after that age bound the count at it, and the estimate lies on the straight line between
them. An age is covered by an item if an observation lies within an hour or a tenth of the age of it.
Shares are of what the item has so far. Quartiles are over items, by linear interpolation between them.

The rate of an item is measured over the time between two observations. It has faded at the first
observation after its peak from which the mean rate over at least FADED_OVER hours is under a tenth of
the peak; a whole day, since every night looks like an end. The yardstick is the half-life of a news
item's visits: Z. Dezső and others, Dynamics of information access on the web, Physical Review E 73,
066132 (2006).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.core.analysis.watched import HOUR, MISSING, Floats, Item, Watched
from pipeline.core.hours import microseconds
from pipeline.core.text import counted

AGES = (1, 6, 24, 36, 72, 7 * 24, 30 * 24)
YARDSTICK_HOURS, YARDSTICK_SHARE = 36, 0.5
ENOUGH_ITEMS = 5
LATE_HOURS = 12
YOUNG_HOURS = 7 * 24
FEWEST = 10
FADED_TO, FADED_OVER = 0.1, 24


@dataclass(frozen=True)
class Bounded:
    """An estimate and what it lies between: hours, or a share from 0 to 1."""

    low: float
    estimate: float
    high: float


@dataclass(frozen=True)
class Aged:
    """One item that takes part. ``age`` is that of its newest observation, in hours; None: not covered."""

    item: Item
    age: float
    total: int
    shares: dict[int, Bounded | None]
    half: Bounded | None
    faded: Bounded | None


@dataclass(frozen=True)
class Spread:
    """Over items: the quartiles of the estimates, and the medians of what bounds them."""

    items: int
    lower: float
    median: float
    upper: float
    low: float
    high: float


@dataclass(frozen=True)
class FirstHours:
    """``shares``, ``half`` and ``faded`` are None where fewer than ``enough`` items are covered.

    ``covered`` counts those for each age, ``excluded`` the items left out by the reason.
    """

    counter: str
    enough: int
    items: tuple[Aged, ...]
    excluded: dict[str, int]
    covered: dict[int, int]
    shares: dict[int, Spread | None]
    half: Spread | None
    faded: Spread | None

    @property
    def withheld(self) -> str | None:
        """Why nothing can be said, None where something can."""
        if self.half is not None or any(self.shares.values()):
            return None
        count = len(self.items)
        words = f"{counted(count, 'item')} published while watched can be used, {self.enough} are needed"
        if count >= self.enough:
            words = f"no age is covered by {self.enough} of the {count} items published while watched"
        return f"Withheld: {words}."


def first_hours(watched: Watched, counter: str, enough: int = ENOUGH_ITEMS) -> FirstHours:
    """Over all items and the whole history of ``counter``."""
    excluded: Counter[str] = Counter()
    aged = []
    for place, item in enumerate(watched.items):
        found = _aged(watched, counter, place, item)
        if isinstance(found, str):
            excluded[found] += 1
        else:
            aged.append(found)
    shares = {age: [a.shares[age] for a in aged] for age in AGES}
    return FirstHours(
        counter=counter,
        enough=enough,
        items=tuple(aged),
        excluded=dict(excluded),
        covered={age: sum(share is not None for share in found) for age, found in shares.items()},
        shares={age: _spread(found, enough) for age, found in shares.items()},
        half=_spread([a.half for a in aged], enough),
        faded=_spread([a.faded for a in aged], enough),
    )


def _aged(watched: Watched, counter: str, place: int, item: Item) -> Aged | str:
    """The item, or why it is left out."""
    column = watched.values[counter][:, place]
    seen = np.flatnonzero(column != MISSING)
    if item.published_at is None:
        return "the time of publication is not known"
    if not item.zero:
        return "published before the source was watched"
    if not len(seen):
        return "never observed"
    hours = (watched.captured_at[seen] - microseconds(item.published_at)) / HOUR
    total = int(column[seen[-1]])
    if hours[0] < 0:
        return "observed before its time of publication"
    if hours[0] > LATE_HOURS:
        return f"first seen more than {LATE_HOURS} hours after publication"
    if hours[-1] < YOUNG_HOURS:
        return f"younger than {YOUNG_HOURS // 24} days"
    if total < FEWEST:
        return f"fewer than {FEWEST} {counter} so far"
    ages = np.concatenate([[0.0], hours])
    shares = np.concatenate([[0], column[seen]]) / total
    return Aged(
        item=item,
        age=float(hours[-1]),
        total=total,
        shares={age: _share_at(ages, shares, age) for age in AGES},
        half=_half(ages, shares),
        faded=_faded(ages, shares),
    )


def _covered(ages: Floats, age: float) -> bool:
    """Whether an observation (the publication is none) lies near an age."""
    return bool(np.abs(ages[1:] - age).min() <= max(1.0, age / 10))


def _share_at(ages: Floats, shares: Floats, age: float) -> Bounded | None:
    if age > ages[-1] or not _covered(ages, age):
        return None
    before = int(np.searchsorted(ages, age, side="right")) - 1
    after = int(np.searchsorted(ages, age, side="left"))
    return Bounded(float(shares[before]), float(np.interp(age, ages, shares)), float(shares[after]))


def _half(ages: Floats, shares: Floats) -> Bounded | None:
    """The age at which the item first had half of what it has so far."""
    after = int((shares >= 0.5).argmax())
    before = after - 1
    part = (0.5 - shares[before]) / (shares[after] - shares[before])
    age = float(ages[before] + part * (ages[after] - ages[before]))
    return Bounded(float(ages[before]), age, float(ages[after])) if _covered(ages, age) else None


def _faded(ages: Floats, shares: Floats) -> Bounded | None:
    """The age from which the rate stays under a tenth of its peak for FADED_OVER hours.

    None where it has not come to that, or where the observations that say so lie too far apart.
    """
    spans = np.diff(ages)
    rates = np.divide(np.diff(shares), spans, out=np.zeros(len(spans)), where=spans > 0)
    peak = int(rates.argmax())
    for begin in range(peak + 1, len(ages)):
        end = int(np.searchsorted(ages, ages[begin] + FADED_OVER, side="left"))
        if end == len(ages):
            return None
        if (shares[end] - shares[begin]) / (ages[end] - ages[begin]) < FADED_TO * rates[peak]:
            near = ages[end] - ages[begin] <= 2 * max(FADED_OVER, ages[begin] / 10)
            return Bounded(float(ages[begin - 1]), float(ages[begin]), float(ages[end])) if near else None
    return None


def _spread(found: Sequence[Bounded | None], enough: int) -> Spread | None:
    known = [bounded for bounded in found if bounded is not None]
    if len(known) < max(1, enough):
        return None
    lower, median, upper = np.quantile([bounded.estimate for bounded in known], [0.25, 0.5, 0.75])
    return Spread(
        items=len(known),
        lower=float(lower),
        median=float(median),
        upper=float(upper),
        low=float(np.median([bounded.low for bounded in known])),
        high=float(np.median([bounded.high for bounded in known])),
    )


def sentences(found: FirstHours) -> list[str]:
    """What a writer can act on, and how sure it is."""
    if found.withheld:
        return [found.withheld, *_left_out(found)]
    words, of_all = [], f"of the {len(found.items)} items"
    if found.half is not None:
        half = found.half
        words.append(
            f"Half of the {found.counter} that your items have so far arrived within {_hours(half.median)} of "
            f"publication (median of {half.items} {of_all}; of half of them between {_hours(half.lower)} and "
            f"{_hours(half.upper)}; the observations bound the median between {_hours(half.low)} and "
            f"{_hours(half.high)})."
        )
    if found.faded is not None:
        faded = found.faded
        words.append(
            f"Cross-post after {_hours(faded.median)}: by then the rate had fallen under a tenth of its peak "
            f"(median of {faded.items} {of_all}; of half of them between {_hours(faded.lower)} and"
            f" {_hours(faded.upper)})."
        )
    share = found.shares[YARDSTICK_HOURS]
    if share is not None:
        words.append(
            f"After {YARDSTICK_HOURS} hours they had {share.median:.0%} of it ({share.lower:.0%} to {share.upper:.0%});"
            " the news items of Dezső and others (2006) had half."
        )
    ages = sorted(aged.age / 24 for aged in found.items)
    words.append(f"The items are {ages[0]:.0f} to {ages[-1]:.0f} days old; what still arrives will lower every share.")
    return words + _left_out(found)


def _left_out(found: FirstHours) -> list[str]:
    if not found.excluded:
        return []
    reasons = ", ".join(f"{count} ({reason})" for reason, count in sorted(found.excluded.items()))
    return [f"Left out: {reasons}."]


def _hours(hours: float) -> str:
    if hours < 48:
        return f"{hours:.1f} hours" if hours < 10 else f"{hours:.0f} hours"
    return f"{hours / 24:.1f} days"
