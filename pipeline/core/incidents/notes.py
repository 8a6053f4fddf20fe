"""What leaves nothing else in the lake: an attempt that brought no capture, a channel or heartbeat that fails.

These are notes about the present. A success drops them.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from traceback import extract_tb
from typing import TypeVar

import msgspec

from pipeline.core.errors import DeadSession, LakeFault, RatchetError, TransportFault, WrongHour
from pipeline.core.hours import Hour
from pipeline.core.lake import SourceLake
from pipeline.core.model import Cause
from pipeline.core.records import decode

ATTEMPT, HEARTBEAT, CHANNEL = "attempt", "heartbeat", "channel-"
_PACKAGE = Path(__file__).resolve().parents[2]
_OURS = "Report it with the failed run, which the Dagster UI shows under Runs."


class Attempt(msgspec.Struct, frozen=True):
    """The newest live attempt, which failed. ``since``: the first of those that failed in a row."""

    cause: Cause
    since: datetime
    at: datetime
    what: str
    next_step: str


class Failing(msgspec.Struct, frozen=True):
    """A channel or a heartbeat that fails, ``times`` in a row by now."""

    since: datetime
    at: datetime
    times: int
    detail: str


_NoteT = TypeVar("_NoteT", Attempt, Failing)


def read_note(lake: SourceLake, name: str, kind: type[_NoteT]) -> _NoteT | None:
    """Raises LakeFault where the note is damaged."""
    path = lake.note(name)
    return decode(path, kind) if path.exists() else None


def note_attempt(lake: SourceLake, hour: Hour, error: Exception, now: datetime) -> None:
    """Remember that the live attempt at ``hour`` ended with ``error``. The caller holds `SourceLake.writing`.

    Nothing for what is no incident: a busy source, an hour that was asked for in error, and a
    refusal, whose evidence lies in quarantine.
    """
    cause = _cause(error, hour, now)
    if cause is None:
        return
    before = read_note(lake, ATTEMPT, Attempt)
    what, next_step = (error.what, error.next_step) if isinstance(error, RatchetError) else (place(error), _OURS)
    lake.write_note(ATTEMPT, Attempt(cause, before.since if before else now, now, what, next_step))


def forget_attempt(lake: SourceLake, before: datetime) -> None:
    """A live attempt went through to its report, so none that failed up to ``before`` matters."""
    failed = read_note(lake, ATTEMPT, Attempt)
    if failed is not None and failed.at <= before:
        lake.drop_note(ATTEMPT)


def failing_again(before: Failing | None, detail: str, now: datetime) -> Failing:
    """One failure more, at ``now``. ``before``: what was noted of those in a row before it, None for the first."""
    return Failing(before.since if before else now, now, before.times + 1 if before else 1, detail)


def _cause(error: Exception, hour: Hour, now: datetime) -> Cause | None:
    match error:
        case DeadSession(status=403):
            return Cause.FORBIDDEN
        case DeadSession():
            return Cause.SESSION_EXPIRED
        case TransportFault():
            return Cause.TRANSPORT
        case LakeFault():
            return Cause.LAKE
        case WrongHour() if now in hour:
            return Cause.CLOCK  # the present hour lies before what was captured already
        case RatchetError():
            return None
        case _:
            return Cause.FAULT


def place(error: Exception) -> str:
    """Where it happened. The error's own text is left out: it can quote what came from outside."""
    frames = [frame for frame in extract_tb(error.__traceback__) if Path(frame.filename).is_relative_to(_PACKAGE)]
    where = (
        f" in pipeline/{Path(frames[-1].filename).relative_to(_PACKAGE)}, line {frames[-1].lineno}" if frames else ""
    )
    return f"A fault in Ratchet: {type(error).__name__}{where}."
