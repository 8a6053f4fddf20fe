"""A program's metrics run through the same four assets, checks and rules as any counters."""

from __future__ import annotations

from datetime import timedelta

import yaml

from pipeline.core.history import read_report
from pipeline.core.hours import Hour
from pipeline.core.model import Origin
from pipeline.core.observe import RecordedClock
from pipeline.core.project import Project
from pipeline.core.sources import find_source
from pipeline.graph import ASSETS
from pipeline.running import SourceRuns, dagster_instance
from pipeline_tests.dagster_parts import MOMENT, checks_of
from pipeline_tests.platforms.openmetrics.parts import OPENMETRICS, Told
from pipeline_tests.platforms.stand_in import StandIn


def body(errors: int, queue: float, began_hours: float) -> bytes:
    created = (MOMENT + timedelta(hours=began_hours)).timestamp()
    return (
        f"# TYPE errors counter\nerrors_total {errors}\nerrors_created {created}\n"
        f"# TYPE queue_size gauge\nqueue_size {queue}\n# EOF\n"
    ).encode()


def test_metrics_of_a_program_are_recorded_hour_after_hour(project: Project) -> None:
    told = Told(b"", OPENMETRICS)
    with StandIn(told) as program:
        platform = {
            "kind": "openmetrics",
            "base_url": program.url,
            "counters": {"failures": "errors_total"},
            "gauges": {"queue": "queue_size"},
        }
        rules = [{"counter": "failures", "gained": 50}, {"counter": "queue", "above": 100}]
        attributes = {"source": "server", "platform": platform, "rules": rules, "start": "2026-03-08"}
        file = project.defs / "server" / "defs.yaml"
        file.parent.mkdir(parents=True)
        file.write_text(yaml.safe_dump({"type": "pipeline.components.CounterSource", "attributes": attributes}))
        source = find_source(project, "server")
        with dagster_instance(project) as instance:
            runs = SourceRuns.of(source, instance)
            for number, answer in enumerate([body(40, 90, -5), body(60, 101.0, 0.5), body(5, 3, 0.5)]):
                told.body, moment = answer, MOMENT + timedelta(hours=number)
                accepted = runs.capture(Hour.of(moment), RecordedClock(moment, Origin.REPLAY)).success
                assert accepted == (number < 2)
            for asset in ASSETS:
                assert set(checks_of(instance, source, asset, Hour.of(MOMENT) + 1).values()) <= {"SUCCEEDED"}
            found = checks_of(instance, source, "raw_snapshot", Hour.of(MOMENT) + 2)
    assert [name for name, status in found.items() if status == "FAILED"] == ["non_decreasing_counts"]
    report = read_report(project.lake.source("server"), Hour.of(MOMENT) + 1)
    assert report.movement["failures"].total == report.movement["total"].total == 100
    assert {(crossing.rule, crossing.value) for crossing in report.crossings} == {
        ("failures gained 50", 100),
        ("queue above 100", 101),
    }
