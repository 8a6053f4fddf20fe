"""A program reports, and its points run through the same four assets, checks and rules as any counters."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from pipeline.core.history import read_report
from pipeline.core.hours import Hour, format_time
from pipeline.core.model import Origin
from pipeline.core.observe import RecordedClock
from pipeline.core.project import ROOT, Project
from pipeline.core.sources import find_source
from pipeline.graph import ASSETS
from pipeline.running import SourceRuns, dagster_instance
from pipeline_tests.dagster_parts import MOMENT, checks_of


def program_reports(spool: Path, version: str, at: datetime, times: int) -> None:
    """What a program in any language sends through the command of the SDK."""
    told: list[dict[str, Any]] = []
    for number in range(times):
        place = {"file": "/srv/shop/pool.erl", "line": 12, "function": "pool:take/1", "time": format_time(at)}
        told.append(
            {"name": "checkout.paid", "who": f"u{number % 3}", "attributes": {"amount": 2}, "time": format_time(at)}
        )
        told.append({"name": "db.pool_exhausted", "exception": {"type": "PoolExhausted"}, **place})
    subprocess.run(
        [sys.executable, "-m", "ratchet_points", "emit", "--stream", "--app", "shop", "--version", version],
        env=os.environ | {"PYTHONPATH": str(ROOT / "points" / "src"), "POINTS_SPOOL": str(spool)},
        input="".join(json.dumps(one) + "\n" for one in told).encode(),
        check=True,
        timeout=60,
    )


def write_source(project: Project, spool: Path, **more: Any) -> None:
    attributes = {
        "source": "shop",
        "platform": {
            "kind": "points",
            "spool": str(spool),
            "events": {"checkout.paid": {"sums": ["amount"], "distinct": ["who"]}},
        },
        "rules": [{"counter": "events", "crosses": [10]}, {"counter": "errors_here", "gained": 5}],
        **more,
    }
    file = project.defs / "shop" / "defs.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(yaml.safe_dump({"type": "pipeline.components.CounterSource", "attributes": attributes}))


def test_events_of_a_program_are_recorded_hour_after_hour(project: Project, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    write_source(project, spool, start="2026-03-08")
    source = find_source(project, "shop")
    with dagster_instance(project) as instance:
        runs = SourceRuns.of(source, instance)
        for number, times in enumerate((4, 7)):
            moment = MOMENT + timedelta(hours=number)
            program_reports(spool, f"1.{number}", moment - timedelta(minutes=1), times)
            assert runs.capture(Hour.of(moment), RecordedClock(moment, Origin.REPLAY)).success
        for asset in ASSETS:
            assert set(checks_of(instance, source, asset, Hour.of(MOMENT) + 1).values()) <= {"SUCCEEDED"}
    report = read_report(project.lake.source("shop"), Hour.of(MOMENT) + 1)
    totals = {name: (moved.total, moved.delta) for name, moved in report.movement.items()}
    assert totals["events"] == (22, 14)
    assert totals["errors"] == totals["errors_here"] == (11, 7)
    assert totals["sum_amount"] == (22, 14)
    assert totals["distinct_who"] == (3, 0)
    assert {(crossing.rule, crossing.value) for crossing in report.crossings} == {
        ("events crosses", 11),
        ("errors_here gained 5", 11),
    }
    [worst] = [mover for mover in report.top_movers if mover.counter == "errors_here"]
    assert worst.title == "PoolExhausted at shop/pool.erl:12 in pool:take/1, first seen 2026-04-04 12:16 UTC in 1.0"
