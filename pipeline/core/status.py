"""What `ratchet status --json` prints of a source: the ledger with the reasons of its refused hours."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from pipeline.core.hours import Hour, format_time
from pipeline.core.incidents.book import Book
from pipeline.core.lake import VALIDATED, CaptureRef, SourceLake
from pipeline.core.ledger import corrections, quarantined, read_coverage, read_ledger
from pipeline.core.lineage import read_lineage
from pipeline.core.model import HourState, Source, outside
from pipeline.core.refusals import refusal_advice
from pipeline.core.sessions import known_dead_session
from pipeline.core.unsettled import unsettled_from


def status_of(lake: SourceLake, source: Source, now: datetime, book: Book | None = None) -> dict[str, Any]:
    """Ready for JSON; the keys are a contract with whoever reads them from cron or a probe.

    ``coverage`` ends with the newest hour of the ledger. ``book``: that of the project's incidents.
    """
    ledger = read_ledger(lake, source, now)
    last = lake.last_accepted()
    lineage = read_lineage(lake.path(VALIDATED, last)) if last else None
    expires = lineage.credential_expires if lineage else None
    newest = max(ledger.hours, default=None)
    return {
        "source": source.name,
        "observed": ledger.count(HourState.OBSERVED),
        "quarantined": ledger.count(HourState.QUARANTINED),
        "gaps": ledger.count(HourState.GAP),
        "unfinished": ledger.count(HourState.UNFINISHED),
        "interrupted": _interrupted(lake, source, now),
        "last_accepted": format_time(CaptureRef(last, lineage.capture).captured_at) if last and lineage else None,
        "last_incident": _last_incident(book, source) if book else None,
        "dead_session": known_dead_session(lake, source),
        "credential_expires": format_time(expires) if expires else None,
        "coverage": msgspec.to_builtins(read_coverage(lake, newest)) if newest else {},
        "quarantined_hours": [
            {
                "hour": capture.hour.key,
                "captured_at": format_time(capture.captured_at),
                "checks": list(record.failed),
                "reason": record.reason,
                "next_step": refusal_advice(source.name, capture.hour.key, record.failed),
                "captures": [format_time(c.captured_at) for c in lake.captures(capture.hour, capture.hour)],
            }
            for capture, record in quarantined(lake, ledger)
        ],
        "corrections": [msgspec.to_builtins(decision) for decision in corrections(lake)],
        "hours": {hour.key: state.value for hour, state in ledger.hours.items()},
    }


def _interrupted(lake: SourceLake, source: Source, now: datetime) -> dict[str, str] | None:
    """The first hour that is not finished, also where it is observed: its delta or its report can be missing."""
    first = unsettled_from(lake)
    if first is None:
        return None
    can_collect = outside(source, Hour.of(now)) is None
    finish = f"ratchet collect {source.name}" if can_collect else f"ratchet verify {source.name} --repair"
    return {"from": first.key, "next_step": f"Unless a run is at work now, finish it: {finish}"}


def _last_incident(book: Book, source: Source) -> dict[str, Any] | None:
    """The newest incident; ``over_at`` is null while it is open, and so is what was lost by it."""
    found = book.last(source.name)
    if found is None:
        return None
    incident, over = found
    return {
        "cause": incident.cause.value,
        "what": incident.what,
        "next_step": incident.next_step,
        "since": format_time(incident.since),
        "opened_at": format_time(incident.opened_at),
        "over_at": format_time(over.over_at) if over else None,
        "hours_lost": over.gaps + over.quarantined if over else None,
    }
