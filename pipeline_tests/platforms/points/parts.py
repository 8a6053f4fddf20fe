"""A program's spool that a test writes by hand, and a source of points whose hours it tells one after the other."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from pipeline.core.hours import format_time
from pipeline.core.lake import Lake
from pipeline.core.model import Bounds, Rule
from pipeline.platforms.points.adapter import Points
from pipeline_tests.platforms.feeding import MOMENT, Fed


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
class Told(Fed):
    """A source of points."""

    platform: Points

    @classmethod
    def under(cls, folder: Path, rules: tuple[Rule, ...] = (), bounds: Bounds | None = None, **settings: Any) -> Told:
        platform = Points.model_validate({"spool": str(folder / "spool"), **settings})
        return cls(Lake(folder / "lake").source("shop"), platform, rules, bounds or Bounds())

    @property
    def program(self) -> Program:
        assert self.platform.spool is not None
        return Program(self.platform.spool)

    def reading(self, number: int = 0) -> dict[str, int]:
        return self.counts(number)["reading"]
