"""A source whose platform tells its counters per day runs through the same four assets as any other."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import dagster as dg
import yaml

from pipeline.core.history import read_report
from pipeline.core.hours import Hour
from pipeline.core.model import Origin
from pipeline.core.observe import RecordedClock
from pipeline.core.project import Project
from pipeline.core.sources import find_source
from pipeline.graph import ASSETS, SNAPSHOT, asset_key
from pipeline.running import SourceRuns, dagster_instance
from pipeline_tests.dagster_parts import MOMENT, checks_of
from pipeline_tests.platforms.accounts.account import SECRET
from pipeline_tests.platforms.accounts.github import GitHubAnswer, github_repository
from pipeline_tests.platforms.stand_in import StandIn

TODAY = MOMENT.date()


def traffic(**days_ago: int) -> dict[date, int]:
    """``traffic(_1=5)``: five yesterday."""
    return {TODAY - timedelta(days=int(days[1:])): count for days, count in days_ago.items()}


def write_source(project: Project, url: str) -> None:
    platform = {"kind": "github", "base_url": url, "repositories": ["octo/busy"], "token": "{{ env.PLANTED_TOKEN }}"}
    attributes = {
        "source": "traffic",
        "platform": platform | {"traffic": True, "requests_per_second": 10_000},
        "rules": [{"counter": "views", "crosses": [40]}],
        "start": "2026-03-08",
    }
    file = project.defs / "traffic" / "defs.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(yaml.safe_dump({"type": "pipeline.components.CounterSource", "attributes": attributes}))


def shown(instance: dg.DagsterInstance, source: Any, hour: Hour) -> dict[str, Any]:
    """The metadata of the accepted snapshot of an hour."""
    [record] = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key(source, SNAPSHOT), asset_partitions=[hour.partition_key]), limit=1
    ).records
    assert record.asset_materialization is not None
    return {name: value.value for name, value in record.asset_materialization.metadata.items()}


def test_traffic_is_recorded_hour_after_hour(project: Project, monkeypatch: Any) -> None:
    monkeypatch.setenv("PLANTED_TOKEN", SECRET)
    platform = GitHubAnswer({"octo/busy": github_repository("octo/busy", 5)})
    told = [traffic(_2=20, _1=10), traffic(_1=13, _0=9)]
    hours = [Hour.of(MOMENT) + number for number in range(len(told))]
    with StandIn(platform, etags=True) as serving, dagster_instance(project) as instance:
        write_source(project, serving.url)
        source = find_source(project, "traffic")
        runs = SourceRuns.of(source, instance)
        for hour, days in zip(hours, told, strict=True):
            platform.traffic["octo/busy"] = days
            clock = RecordedClock(hour.start + timedelta(minutes=17), Origin.REPLAY)
            assert runs.capture(hour, clock).success
        for asset in ASSETS:
            assert set(checks_of(instance, source, asset, hours[-1]).values()) <= {"SUCCEEDED"}
        totals = [shown(instance, source, hour) for hour in hours]
    assert [found["total_views"] for found in totals] == [30, 42]
    assert [found.get("days_revised") for found in totals] == [None, 2]  # yesterday, of views and of clones
    lake = project.lake.source("traffic")
    [crossing] = read_report(lake, hours[-1]).crossings
    assert (crossing.value, crossing.previous_value, crossing.threshold) == (42, 30, 40)
