"""Counters that a platform tells per day, for the last days only, made cumulative.

A window is what an item's platform says now of its last days: pairs (day, number). Days leave it,
days without any count are left out of it, and numbers of days that are over are revised. The total
of such an item counts the highest number ever told for each of its days, each day once:

    total = total before + the sum over the window's days of max(0, number - highest known of that day)

What is known of the last KEPT_DAYS days stands beside the total in the accepted snapshot, so the
fold needs one earlier file. No window reaches further back, so no day that was forgotten comes
again. A number that a platform lowers stays in the total, which would otherwise fall for a reason
that no check could tell from a broken capture; what was told last is kept beside the highest, and
every revision is recorded. Days that no capture saw while they were in the window are unknown for ever.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pandas as pd
import pyarrow as pa

from pipeline.core.listing import CLOCK_SKEW, Listing, series
from pipeline.core.policy import LARGEST

KEPT_DAYS = 31
"""How far back a window may reach, the day of the capture included. Days are those of UTC."""
_DAY = pa.struct([("day", pa.date32()), ("highest", pa.int64()), ("told", pa.int64())])
DAYS_TYPE = pa.list_(pa.field("element", _DAY))
"""What is known of each day: the highest number that was told, which counts, and the one told last."""

Days = dict[date, tuple[int, int]]
"""For each day the highest number told and the one told last."""


def days_column(counter: str) -> str:
    """The snapshot's column with what is known of the days of ``counter``."""
    return f"{counter}_days"


def is_days(column: str) -> bool:
    """Whether a snapshot's column holds days; no counter is called like one."""
    return column.endswith(days_column(""))


@dataclass(frozen=True)
class MalformedWindow:
    """Stands where a total would, for the check `required_fields` to refuse. ``problem`` follows the counter's name."""

    told: Any
    problem: str

    def __str__(self) -> str:
        return str(self.told)


def with_totals(listing: Listing, windows: Collection[str], previous: pd.DataFrame | None) -> Listing:
    """The listing with a cumulative number in place of each window, and the column of its days.

    ``windows`` names the counters that the platform tells per day; ``previous`` is the accepted
    snapshot before the capture. An item without a window has no number, and keeps its days. A window of which no
    total can be made leaves a MalformedWindow, so that nothing is raised here.
    """
    counters = [name for name in listing.items.columns if name in windows]
    if not counters:
        return listing
    nothing: tuple[int, Days] = (0, {})
    items = listing.items.copy(deep=False)
    today = (listing.captured_at + CLOCK_SKEW).astimezone(UTC).date()
    for counter in counters:
        known = _known(previous, counter)
        folded = [
            _folded(told, *(known.get(item, nothing) if isinstance(item, str) else nothing), today)
            for item, told in zip(items["item_id"], items[counter], strict=True)
        ]
        items[counter] = series([total for total, _ in folded], pa.int64())
        items[days_column(counter)] = pd.Series(
            [_listed(days) for _, days in folded], index=items.index, dtype=pd.ArrowDtype(DAYS_TYPE)
        )
    return replace(listing, items=items)


def _known(previous: pd.DataFrame | None, counter: str) -> dict[Any, tuple[int, Days]]:
    """Of each item its total and its days so far. Totals never fall, so the highest is the last one known."""
    if previous is None or days_column(counter) not in previous:
        return {}
    rows = zip(previous["item_id"], previous[f"{counter}_max"], previous[days_column(counter)], strict=True)
    return {
        item: (int(total), {told["day"]: (told["highest"], told["told"]) for told in days})
        for item, total, days in rows
        if isinstance(days, list)
    }


def _folded(told: Any, total: int, known: Days, today: date) -> tuple[int | MalformedWindow | None, Days | None]:
    """The total and the days after ``told``; None where nothing was told."""
    if told is None or told is pd.NA:
        return None, None
    problem = _problem(told, today)
    if problem is not None:
        return MalformedWindow(told, problem), None
    days = {day: held for day, held in known.items() if day > today - timedelta(days=KEPT_DAYS)}
    for day, number in told:
        highest = days[day][0] if day in days else 0
        total += max(0, number - highest)
        days[day] = max(number, highest), number
    if total > LARGEST:
        return MalformedWindow(told, "adds up to more than a counter can hold"), None
    return total, days


def _problem(told: Any, today: date) -> str | None:
    """What is wrong with a window, in words that follow the counter's name."""
    if not isinstance(told, list) or not all(isinstance(pair, tuple) and len(pair) == 2 for pair in told):
        return "is not told per day"
    days, numbers = [day for day, _ in told], [number for _, number in told]
    if not all(isinstance(day, date) and not isinstance(day, datetime) for day in days):
        return "is told for a day that is none"
    if not all(isinstance(number, int) and not isinstance(number, bool) and number <= LARGEST for number in numbers):
        return "of a day is not a whole number"
    if any(number < 0 for number in numbers):
        return "of a day is negative"
    if len(set(days)) < len(days):
        return "tells a day twice"
    if any(day > today for day in days):
        return "is told for a day in the future"
    if any(day <= today - timedelta(days=KEPT_DAYS) for day in days):
        return f"is told for a day more than {KEPT_DAYS} days back"
    return None


def _listed(days: Days | None) -> list[dict[str, Any]] | None:
    if days is None:
        return None
    return [{"day": day, "highest": highest, "told": told} for day, (highest, told) in sorted(days.items())]
