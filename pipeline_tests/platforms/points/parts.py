"""A program's spool that a test writes by hand, and a source of points whose hours it tells one after the other."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pipeline.core import history
from pipeline.core.hours import Hour, format_time
from pipeline.core.lake import VALIDATED, Lake, SourceLake
from pipeline.core.model import Bounds, Counter, Origin, Rule, Source
from pipeline.core.observe import RecordedClock, observe
from pipeline.core.records import RefusedRecords, Report, decode
from pipeline.core.snapshots import read_table
from pipeline.platforms.points.adapter import Points

MOMENT = datetime(2026, 11, 22, 14, 17, tzinfo=UTC)
Counts = dict[str, dict[str, int]]


def event(name: str = "checkout.paid", number: int = 1, **changes: Any) -> dict[str, Any]:
    """``at``: seconds after MOMENT; ``data`` members by their short names; further keys are attributes."""
    names = {"who": "user.id", "where": "where", "version": "service.version", "severity": "severity_text"}
    names |= {"file": "code.file.path", "line": "code.line.number", "function": "code.function.name"}
    names |= {"exception": "exception.type", "app": "service.name"}
    run, at = changes.pop("run", "r1"), changes.pop("at", 0)
    data: dict[str, Any] = {names[key]: changes.pop(key) for key in list(changes) if key in names}
    return {
        "specversion": "1.0",
        "source": "//host/shop",
        "id": f"{run}-{number}",
        "type": name,
        "kind": "behaviour",
        "time": format_time(MOMENT - timedelta(minutes=10) + timedelta(seconds=at)),
        "data": data | {"attributes": changes},
    }


def error(number: int = 1, **changes: Any) -> dict[str, Any]:
    place = {"file": "/srv/shop/orders.py", "line": 17, "function": "orders.pay", "exception": "pool.Full"}
    return event("db.failed", number, **{"severity": "ERROR", "version": "1.4.2", **place, **changes})


def line(what: dict[str, Any] | bytes) -> bytes:
    text = what if isinstance(what, bytes) else json.dumps(what).encode()
    return b"\n%08x %b" % (zlib.crc32(text), text)


@dataclass
class Program:
    """One segment of a spool."""

    folder: Path
    name: str = "20261122T140000000000Z-1-a-000001.points"

    @property
    def path(self) -> Path:
        return self.folder / self.name

    def reports(self, *events: dict[str, Any] | bytes) -> Program:
        self.folder.mkdir(exist_ok=True)
        with self.path.open("ab") as file:
            file.write(b"".join(map(line, events)))
        return self


@dataclass
class Told:
    """A source of points and its lake, of which the caller holds the lock."""

    lake: SourceLake
    platform: Points
    rules: tuple[Rule, ...] = ()
    bounds: Bounds = field(default_factory=Bounds)
    notify: tuple[str, ...] = ()
    origin: Origin = Origin.REPLAY

    @classmethod
    def under(cls, folder: Path, rules: tuple[Rule, ...] = (), bounds: Bounds | None = None, **settings: Any) -> Told:
        platform = Points.model_validate({"spool": str(folder / "spool"), **settings})
        return cls(Lake(folder / "lake").source("shop"), platform, rules, bounds or Bounds())

    @property
    def program(self) -> Program:
        assert self.platform.spool is not None
        return Program(self.platform.spool)

    @property
    def source(self) -> Source:
        counters = tuple(Counter(name, policy, True) for name, policy in self.platform.policies.items())
        return Source("shop", self.platform, counters, self.rules, bounds=self.bounds, notify=self.notify)

    def hour(self, number: int, minute: int = 0) -> bool:
        """Capture the hour ``number`` hours after MOMENT's and settle it; whether it has a snapshot then."""
        moment = MOMENT + timedelta(hours=number, minutes=minute)
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

    def reading(self, number: int = 0) -> dict[str, int]:
        return self.counts(number)["reading"]

    def report(self, number: int) -> Report:
        return history.read_report(self.lake, Hour.of(MOMENT) + number)

    def refused_records(self) -> Iterator[RefusedRecords]:
        for path in sorted((self.lake.root / "refused_records").glob("*.json")):
            yield decode(path, RefusedRecords)

    def reasons(self) -> list[str]:
        """Why the newest capture that was refused was."""
        return [
            finding.reason
            for finding in history.verdict(self.lake, self.source, self.lake.refused()[-1]).findings
            if not finding.passed
        ]
