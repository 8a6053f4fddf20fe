"""The ledger: the state of every hour of a source, derived from the names of files, never stored.

Observed: an accepted snapshot lies there. Quarantined: a capture lies there and all were refused.
Unfinished: a capture has neither verdict; the next start judges it. Gap: nothing.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from pipeline.core.hours import Hour
from pipeline.core.lake import CaptureRef, SourceLake
from pipeline.core.model import HourState, Source
from pipeline.core.records import Correction, Coverage, Quarantine, decode

WINDOWS = {"24h": 24, "7d": 7 * 24, "30d": 30 * 24}


@dataclass(frozen=True)
class Ledger:
    """``hours`` runs without a hole from the first capture's hour to the last hour that counts."""

    source: str
    hours: Mapping[Hour, HourState]

    def count(self, state: HourState) -> int:
        """How many hours are in this state."""
        return self._counts[state]

    @cached_property
    def _counts(self) -> Counter[HourState]:
        return Counter(self.hours.values())

    def last(self, state: HourState) -> Hour | None:
        """The latest hour in this state; None where no hour is."""
        return max((hour for hour, found in self.hours.items() if found is state), default=None)


def read_ledger(lake: SourceLake, source: Source, now: datetime, since: Hour | None = None) -> Ledger:
    """From the first capture to the last complete hour, the source's ``end``, or the newest capture.

    ``since`` leaves out what lies before it, for those who only ask about the latest hours.
    """
    earliest = lake.first_capture()
    if earliest is None:
        return Ledger(source.name, {})
    first = earliest.hour if since is None else max(since, earliest.hour)
    accepted, refused = set(lake.accepted_hours(first)), set(lake.refused(first))
    states = dict.fromkeys(accepted, HourState.OBSERVED)
    last = Hour.of(now) + -1 if source.end is None else min(Hour.of(now) + -1, source.end)
    for capture in lake.captures(first):
        last = max(last, capture.hour)
        if capture.hour not in accepted:
            states[capture.hour] = HourState.QUARANTINED if capture in refused else HourState.UNFINISHED
    return Ledger(source.name, {hour: states.get(hour, HourState.GAP) for hour in first.through(last)})


def read_coverage(lake: SourceLake, last: Hour) -> dict[str, Coverage]:
    """Coverage of each window that ends with ``last``, cut at the first capture.

    Asked once for every hour that is worked into a history, so it looks at no hour outside the longest window.
    """
    earliest = lake.first_capture()
    first = last if earliest is None else earliest.hour
    longest = last + (1 - max(WINDOWS.values()))
    observed = lake.accepted_hours(longest, last)
    others = sorted({capture.hour for capture in lake.captures(longest, last)}.difference(observed))

    def since(begin: Hour) -> Coverage:
        seen, refused = (len(hours) - bisect_left(hours, begin) for hours in (observed, others))
        count = last - begin + 1
        return Coverage(hours=count, observed=seen, quarantined=refused, gaps=count - seen - refused)

    return {name: since(max(first, last + (1 - length))) for name, length in WINDOWS.items()}


def corrections(lake: SourceLake) -> list[Correction]:
    """Every decision of the owner, oldest first."""
    return [decode(path, Correction) for path in lake.correction_paths()]


def quarantined(lake: SourceLake, ledger: Ledger) -> list[tuple[CaptureRef, Quarantine]]:
    """The last refused capture of every quarantined hour, with its findings."""
    last = {capture.hour: capture for capture in lake.refused()}
    return [
        (last[hour], decode(lake.quarantine(last[hour]), Quarantine))
        for hour, state in ledger.hours.items()
        if state is HourState.QUARANTINED and hour in last
    ]
