"""What `ratchet status --json` prints of a source: the ledger with the reasons of its refused hours."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pipeline.core.hours import format_time
from pipeline.core.lake import SourceLake
from pipeline.core.ledger import quarantined, read_ledger
from pipeline.core.lineage import standing_capture
from pipeline.core.model import HourState, Source


def status_of(lake: SourceLake, source: Source, now: datetime) -> dict[str, Any]:
    """Ready for JSON; the keys are a contract with whoever reads them from cron or a probe."""
    ledger = read_ledger(lake, source, now)
    last = lake.last_accepted()
    return {
        "source": source.name,
        "observed": ledger.count(HourState.OBSERVED),
        "quarantined": ledger.count(HourState.QUARANTINED),
        "gaps": ledger.count(HourState.GAP),
        "unfinished": ledger.count(HourState.UNFINISHED),
        "last_accepted": format_time(standing_capture(lake, last).captured_at) if last else None,
        "quarantined_hours": [
            {
                "hour": capture.hour.key,
                "captured_at": format_time(capture.captured_at),
                "checks": list(record.failed),
                "reason": record.reason,
            }
            for capture, record in quarantined(lake, ledger)
        ],
        "hours": {hour.key: state.value for hour, state in ledger.hours.items()},
    }
