"""Observing the present hour: ask the platform and store what arrived, or find that it was done.

Only the hour in which the clock stands can be observed. A replay brings a clock of its own, whose
time is that of the recorded capture, and goes through the very same code.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import pyarrow.compute as pc

from pipeline.core import checksums
from pipeline.core.capture import Ended, read_pages, store_capture
from pipeline.core.errors import DeadSession, LakeFault, WrongHour
from pipeline.core.feeds import news
from pipeline.core.files import lake_faults
from pipeline.core.hours import Hour, format_time
from pipeline.core.lake import VALIDATED, CaptureRef, SourceLake
from pipeline.core.lineage import read_lineage
from pipeline.core.model import Origin, Source
from pipeline.core.readings import Shifted, read_until_still
from pipeline.core.sessions import DEAD_SESSION, remember_dead_session
from pipeline.core.snapshots import read_table
from pipeline.platforms.protocol import Feed, Page


class Clock(Protocol):
    """What time it is, and whether that is the present or a recorded past."""

    @property
    def origin(self) -> Origin:
        """What captures by this clock are marked with."""

    def now(self) -> datetime:
        """The moment, with its offset (UTC)."""


class PresentClock:
    """The machine's clock."""

    origin = Origin.LIVE

    def now(self) -> datetime:
        """The machine's time in UTC."""
        return datetime.now(UTC)


PRESENT = PresentClock()


@dataclass(frozen=True)
class RecordedClock:
    """Stands still at the time of a recorded capture."""

    moment: datetime
    origin: Origin = Origin.REPLAY

    def now(self) -> datetime:
        """The recorded moment, however often it is asked for."""
        return self.moment


@dataclass(frozen=True)
class Observation:
    """The capture that stands for the hour. ``ended`` is None where no request was made.

    ``accepted``: the hour had its accepted snapshot before this call.
    """

    capture: CaptureRef
    ended: Ended | None
    accepted: bool


def observe(lake: SourceLake, source: Source, hour: Hour, clock: Clock) -> Observation:
    """Capture ``hour``, or return what it already has. The caller holds `SourceLake.writing`.

    A capture that a killed run stored without judging it is taken up instead of asking again.
    Raises WrongHour, TransportFault, DeadSession, LakeFault.
    """
    now = clock.now()
    if lake.exists(VALIDATED, hour):
        return Observation(CaptureRef(hour, read_lineage(lake.path(VALIDATED, hour)).capture), None, True)
    _require_present(lake, source, hour, now, clock)
    unjudged = set(lake.captures(hour, hour)) - set(lake.refused(hour, hour))
    if unjudged:
        return Observation(max(unjudged), None, False)
    capture, ended = _ask(lake, source, hour, now, clock)
    return Observation(capture, ended, False)


def _require_present(lake: SourceLake, source: Source, hour: Hour, now: datetime, clock: Clock) -> None:
    if now not in hour:
        raise WrongHour(
            f"{hour.key} cannot be observed at {format_time(now)}: a counter can only be read in the present.",
            "Leave the hour as it is: a gap is shown as a gap. Observe the present hour instead.",
        )
    newest = lake.last_accepted()
    if clock.origin is Origin.LIVE and newest is not None and newest > hour:
        raise WrongHour(
            f"{source.name} was already observed at {newest.key}, after {hour.key}: this machine's clock went back.",
            "Set the clock right (for example with NTP) and run again.",
        )


def _ask(lake: SourceLake, source: Source, hour: Hour, now: datetime, clock: Clock) -> tuple[CaptureRef, Ended]:
    _require_undamaged(lake, lake.last_accepted(before=hour))
    if isinstance(source.platform, Feed):
        pages: Iterator[Page | Shifted] = news(lake, source.platform, hour, source.bounds, clock.now)
    else:
        pages = _listed(lake, source, hour, clock)
    try:
        stored = store_capture(lake, source, clock.origin, now, pages)
    except DeadSession as dead:
        remember_dead_session(lake, source, dead, now)
        raise
    lake.drop_note(DEAD_SESSION)
    return stored


def _listed(lake: SourceLake, source: Source, hour: Hour, clock: Clock) -> Iterator[Page | Shifted]:
    from pipeline.platforms.client import fetch_pages

    expected, described = _known_items(lake, hour)
    remembered = _last_pages(lake, hour) if source.platform.conditional else {}

    def read_once() -> Iterator[Page]:
        return fetch_pages(
            source.platform,
            described,
            max_pages=source.bounds.max_pages,
            max_bytes=source.bounds.max_bytes,
            now=clock.now,
            remembered=remembered.get,
        )

    return read_until_still(read_once, source.platform.read, source.counter_names, expected)


def _require_undamaged(lake: SourceLake, previous: Hour | None) -> None:
    """A flipped bit can leave a file that still opens, with other numbers; what is captured is judged against them."""
    if previous is None:
        return
    name = lake.place(VALIDATED, previous).relative_to(lake.root).as_posix()
    recorded = checksums.read(lake.root, previous.month).digests.get(name)
    path = lake.path(VALIDATED, previous)
    with lake_faults(path):
        if recorded is not None and checksums.digest_of(path) not in recorded:
            raise LakeFault(
                f"{path} is damaged: its bytes are not those that were recorded when it was published.",
                f"Make it again: ratchet verify {lake.name} --repair",
            )


def _known_items(lake: SourceLake, hour: Hour) -> tuple[Set[str], Set[str]]:
    """Items that were listed last time, and those whose publication is known and need not be asked for again."""
    previous = lake.last_accepted(before=hour)
    if previous is None:
        return frozenset(), frozenset()
    items = read_table(lake.path(VALIDATED, previous), ["item_id", "published_at", "status"])
    listed = items.filter(pc.not_equal(items["status"], "carried"))
    described = items.filter(items["published_at"].is_valid())
    return frozenset(listed["item_id"].to_pylist()), frozenset(described["item_id"].to_pylist())


def _last_pages(lake: SourceLake, hour: Hour) -> dict[str, Page]:
    """The pages of the last accepted capture by their request line, to ask whether they still stand."""
    previous = lake.last_accepted(before=hour)
    if previous is None:
        return {}
    capture = CaptureRef(previous, read_lineage(lake.path(VALIDATED, previous)).capture)
    return {part.request: part for part in read_pages(lake, capture) if isinstance(part, Page)}
