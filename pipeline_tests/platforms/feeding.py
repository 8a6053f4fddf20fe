"""A source that is a feed, and its lake, whose hours a test tells one after the other."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from pipeline.core import history
from pipeline.core.hours import Hour
from pipeline.core.lake import VALIDATED, SourceLake
from pipeline.core.model import Bounds, Counter, Origin, Rule, Source
from pipeline.core.observe import RecordedClock, observe
from pipeline.core.records import RefusedRecords, Report, decode
from pipeline.core.snapshots import read_table
from pipeline.platforms.protocol import Feed

Counts = dict[str, dict[str, int]]
MOMENT = datetime(2026, 11, 22, 14, 17, tzinfo=UTC)


@dataclass
class Fed:
    """The caller holds the lock of ``lake``."""

    lake: SourceLake
    platform: Feed
    rules: tuple[Rule, ...] = ()
    bounds: Bounds = field(default_factory=Bounds)
    notify: tuple[str, ...] = ()
    origin: Origin = Origin.REPLAY

    @property
    def source(self) -> Source:
        counters = tuple(Counter(name, policy, True) for name, policy in self.platform.policies.items())
        return Source(self.lake.name, self.platform, counters, self.rules, bounds=self.bounds, notify=self.notify)

    def hour(self, number: int, minute: int = 0) -> bool:
        """Capture the hour ``number`` hours after MOMENT's and settle it; whether it has a snapshot then."""
        return self.capture(MOMENT + timedelta(hours=number, minutes=minute))

    def capture(self, moment: datetime) -> bool:
        hour = Hour.of(moment)
        with self.lake.writing():
            observe(self.lake, self.source, hour, RecordedClock(moment, self.origin))
            history.settle_hour(self.lake, self.source, hour)
        return self.lake.exists(VALIDATED, hour)

    def rows(self, number: int = 0) -> dict[str, dict[str, Any]]:
        path = self.lake.path(VALIDATED, Hour.of(MOMENT) + number)
        return {row["item_id"]: row for row in read_table(path).to_pylist()}

    def counts(self, number: int = 0) -> Counts:
        """By item the counters that it has."""
        return {
            item: {name: row[name] for name in self.platform.policies if row[name] is not None}
            for item, row in self.rows(number).items()
        }

    def report(self, number: int) -> Report:
        return history.read_report(self.lake, Hour.of(MOMENT) + number)

    def refused_records(self) -> list[RefusedRecords]:
        return [decode(path, RefusedRecords) for path in sorted((self.lake.root / "refused_records").glob("*.json"))]

    def reasons(self) -> list[str]:
        """Why the newest capture that was refused was."""
        return [
            finding.reason
            for finding in history.verdict(self.lake, self.source, self.lake.refused()[-1]).findings
            if not finding.passed
        ]
