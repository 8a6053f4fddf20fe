"""Observing the present hour: ask the platform and store what arrived, or find that it was done.

Only the hour in which the clock stands can be observed. A replay brings a clock of its own, whose
time is that of the recorded capture, and goes through the very same code.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from pipeline.core.capture import Ended, store_capture
from pipeline.core.errors import DeadSession, WrongHour
from pipeline.core.hours import Hour, format_time
from pipeline.core.lake import VALIDATED, CaptureRef, SourceLake
from pipeline.core.lineage import read_lineage
from pipeline.core.model import Origin, Source
from pipeline.core.snapshots import read_table

DEAD_SESSION = "dead_session"


class Clock(Protocol):
    """What time it is, and whether that is the present or a recorded past."""

    @property
    def origin(self) -> Origin: ...

    def now(self) -> datetime: ...


class PresentClock:
    """The machine's clock."""

    origin = Origin.LIVE

    def now(self) -> datetime:
        return datetime.now(UTC)


PRESENT = PresentClock()


@dataclass(frozen=True)
class RecordedClock:
    """Stands still at the time of a recorded capture."""

    moment: datetime
    origin: Origin = Origin.REPLAY

    def now(self) -> datetime:
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


def outside(source: Source, hour: Hour) -> str | None:
    """Why the hour is none of the source's: before its ``start`` or after its ``end``. None where it is."""
    if source.start is not None and hour < source.start:
        return f"{source.name} starts at {source.start.key}; {hour.key} is before that."
    if source.end is not None and hour > source.end:
        return f"{source.name} ended at {source.end.key} and takes no new captures."
    return None


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
    from pipeline.platforms.client import fetch_pages

    pages = fetch_pages(
        source.platform,
        _described(lake, hour),
        max_pages=source.bounds.max_pages,
        max_bytes=source.bounds.max_bytes,
        now=clock.now,
    )
    try:
        stored = store_capture(lake, source, clock.origin, now, pages)
    except DeadSession as dead:
        _remember(lake, source, dead, now)
        raise
    lake.drop_note(DEAD_SESSION)
    return stored


def _described(lake: SourceLake, hour: Hour) -> frozenset[str]:
    """Items whose publication is known, so that an adapter need not ask for it again."""
    previous = lake.last_accepted(before=hour)
    if previous is None:
        return frozenset()
    items = read_table(lake.path(VALIDATED, previous), ["item_id", "published_at"])
    return frozenset(items.filter(items["published_at"].is_valid())["item_id"].to_pylist())


# The dead session ---------------------------------------------------------------------------


def _remember(lake: SourceLake, source: Source, dead: DeadSession, now: datetime) -> None:
    salt = secrets.token_hex(8)
    lake.write_note(
        DEAD_SESSION,
        {
            "since": format_time(now),
            "what": dead.what,
            "salt": salt,
            "credential": _fingerprint(salt, source.platform.credential),
        },
    )


def known_dead_session(lake: SourceLake, source: Source) -> str | None:
    """Why the scheduler must not call the platform: this very credential was turned away before.

    None once the credential changed or a capture succeeded.
    """
    note = lake.read_note(DEAD_SESSION)
    if note is None or note["credential"] != _fingerprint(note["salt"], source.platform.credential):
        return None
    return f"{note['what']} (since {note['since']})"


def _fingerprint(salt: str, credential: str) -> str:
    """Tells two credentials apart and gives none away: 32 bits of a salted hash match any of countless texts."""
    return hashlib.sha256(f"{salt}{credential}".encode()).hexdigest()[:8]
