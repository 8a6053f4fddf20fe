"""What stands in the way of a source now, read from its lake. Nothing here is stored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline.core.credential import days_left, runway_words
from pipeline.core.errors import LakeFault
from pipeline.core.hours import Hour
from pipeline.core.incidents.notes import ATTEMPT, HEARTBEAT, Attempt, Failing, read_note
from pipeline.core.lake import VALIDATED, SourceLake
from pipeline.core.lineage import read_lineage, standing_capture
from pipeline.core.model import Cause, Origin, Source, outside
from pipeline.core.records import Quarantine, decode
from pipeline.core.refusals import REJECTED, refusal_advice
from pipeline.core.text import unlisted

SETTLING = timedelta(minutes=5)
"""How long after its last tick of an hour an attempt may take to succeed, retries included."""
SILENCE = timedelta(hours=2)
FAILING_LONG = timedelta(hours=1)
ROWS_TOLD = 5

SESSION = frozenset({Cause.SESSION_EXPIRED, Cause.FORBIDDEN})
"""The schedule leaves the platform alone, so nothing would be gained by waiting."""
BLOCKING = SESSION | {Cause.TRANSPORT, Cause.REFUSED, Cause.NOTHING_CAPTURED, Cause.LAKE, Cause.CLOCK, Cause.FAULT}
"""While one of these stands, hours are lost."""


@dataclass(frozen=True)
class Trouble:
    """``subject``: a source or, for a channel that fails, its id. ``detail``: which check refused.

    ``since``: the first failure. ``due``: when it becomes an incident if it still stands.
    ``ends``: of a credential.
    """

    subject: str
    cause: Cause
    since: datetime
    due: datetime
    what: str
    next_step: str
    detail: str = ""
    at: datetime | None = None
    ends: datetime | None = None
    rows: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, Cause, str]:
        """There is one open incident for each."""
        return self.subject, self.cause, self.detail


def troubles(lake: SourceLake, source: Source, now: datetime, watched_since: datetime | None) -> list[Trouble]:
    """What stands at ``now``, also what is not due yet. ``watched_since``: None while nobody awaits captures of it."""
    try:
        return list(_troubles(lake, source, now, watched_since))
    except LakeFault as fault:
        return [Trouble(source.name, Cause.LAKE, now, now, fault.what, fault.next_step)]


def settled(source: Source, hour: Hour) -> datetime:
    """When the last attempt of the hour is over."""
    return hour.start + timedelta(minutes=source.attempt_minutes[-1]) + SETTLING


def _troubles(lake: SourceLake, source: Source, now: datetime, watched_since: datetime | None) -> Iterator[Trouble]:
    blocking = [found for found in (_attempt(lake, source), _refused(lake, source)) if found]
    newest = max(blocking, key=lambda found: found.at or found.since, default=None)
    if newest is not None:
        yield newest
    last = lake.last_accepted()
    accepted_at = standing_capture(lake, last).captured_at if last else None
    if watched_since is not None and not _explains(newest, now) and not outside(source, Hour.of(now)):
        yield _silence(source, max(filter(None, (watched_since, accepted_at))), last)
    if last is not None and watched_since is not None:
        yield from _credential(source, read_lineage(lake.path(VALIDATED, last)).credential_expires, now)
    heartbeat = read_note(lake, HEARTBEAT, Failing)
    if heartbeat is not None and source.heartbeat_url is not None:
        yield Trouble(
            source.name,
            Cause.HEARTBEAT_FAILED,
            heartbeat.since,
            heartbeat.since + FAILING_LONG,
            heartbeat.detail,
            "Check 'heartbeat_url' in its YAML and the service behind it. Captures go on.",
        )


def _attempt(lake: SourceLake, source: Source) -> Trouble | None:
    note = read_note(lake, ATTEMPT, Attempt)
    if note is None:
        return None
    due = note.at if note.cause in SESSION else settled(source, Hour.of(note.at))
    next_step = f"{note.next_step} Then run: ratchet collect {source.name}" if note.cause in SESSION else note.next_step
    return Trouble(source.name, note.cause, note.since, due, note.what, next_step, at=note.at)


def _refused(lake: SourceLake, source: Source) -> Trouble | None:
    """The newest capture, where the checks refused it and no other of its hour passed."""
    capture = lake.last_capture()
    if capture is None or lake.exists(VALIDATED, capture.hour) or not lake.quarantine(capture).exists():
        return None
    record = decode(lake.quarantine(capture), Quarantine)
    if record.origin is not Origin.LIVE or REJECTED in record.failed:
        return None
    first = record.failed[0]
    findings = [finding for finding in record.findings if not finding.passed]
    rows = [_row_words(dict(row)) for finding in findings for row in finding.rows]
    typed = refusal_advice(source.name, capture.hour.key, record.failed)
    advice = "No sound snapshot can be made of it; the next sound capture goes on."
    if typed:
        advice = f"{typed}; if it is not, wait: the next sound capture goes on."
    return Trouble(
        source.name,
        Cause.REFUSED,
        capture.captured_at,
        settled(source, capture.hour),
        record.reason,
        advice,
        detail=first,
        at=capture.captured_at,
        rows=(*rows[:ROWS_TOLD], *unlisted(rows[:ROWS_TOLD], len(rows))),
    )


def _row_words(row: dict[str, object]) -> str:
    """``How a ratchet works (n1): counter views, before 12, now 9, fell by 3``."""
    title, item = row.pop("title", None), row.pop("item_id", None)
    name = f"{title} ({item})" if title and item else str(title or item or "")
    facts = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in row.items() if value is not None)
    return f"{name}: {facts}" if name else facts


def _explains(trouble: Trouble | None, now: datetime) -> bool:
    """Whether silence needs no incident of its own: the door is known to be shut, or someone knocked lately."""
    if trouble is None or trouble.at is None:
        return False
    return trouble.cause in SESSION or trouble.at > now - SILENCE


def _silence(source: Source, since: datetime, last: Hour | None) -> Trouble:
    words = "Nothing was captured" if last else "Nothing was ever captured, and it is watched"
    return Trouble(
        source.name,
        Cause.NOTHING_CAPTURED,
        since,
        since + SILENCE,
        f"{words} since {since:%Y-%m-%d %H:%M} UTC, and no attempt left a trace.",
        f"Look whether Dagster's daemon runs and the schedule {source.name}_hourly is on, then run: "
        f"ratchet collect {source.name}",
    )


def _credential(source: Source, ends: datetime | None, now: datetime) -> Iterator[Trouble]:
    """From the first of the days at which the owner wants to be warned."""
    if ends is None or days_left(ends, now) > max(source.credential_days, default=0):
        return
    since = ends - timedelta(days=max(source.credential_days))
    advice = f"{source.platform.login_hint} Renew it before that day, and nothing is lost."
    yield Trouble(source.name, Cause.CREDENTIAL_ENDING, since, since, runway_words(ends, now), advice, ends=ends)
