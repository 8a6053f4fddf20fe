"""The Dagster UI as a person meets it, in a real Chromium on a real stack. Pictures of it go to build/screenshots."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.core.hours import Hour
from pipeline.core.lake import REPORT, VALIDATED
from pipeline.core.model import Origin
from pipeline.core.observe import RecordedClock
from pipeline.core.project import ROOT
from pipeline.core.sources import find_source
from pipeline.running import SourceRuns, dagster_instance
from pipeline.sandbox.server import NoteSandbox
from pipeline_tests.dagster_parts import COOKIE, Account, made_project, present_moment, write_source

pytest.importorskip("selenium", reason="selenium is not installed: it opens the UI in a real browser")
from pipeline_tests.chromium import chromium
from pipeline_tests.dagster_ui import DagsterUi
from pipeline_tests.live_stack import Stack, running_stack, until

pytestmark = pytest.mark.browser

GROWING, SHRUNK, THIRD = SOURCES = ("growing", "shrunk", "third")
SCREENSHOTS = ROOT / "build" / "screenshots"


@dataclass
class Seen:
    ui: DagsterUi
    stack: Stack
    hour: Hour


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory, new_home: Path) -> Iterator[Seen]:
    """Three sources, observed an hour ago; of one the present hour is refused, of another it waits for a click."""
    folder = tmp_path_factory.mktemp("ui")
    accounts = {name: Account(n1=80, n2=95, n3=97) for name in SOURCES}
    with made_project(folder, new_home) as project, dagster_instance(project) as instance:
        hour = Hour.of(present_moment(timedelta(minutes=6)))
        with (
            NoteSandbox(accounts[GROWING], cookie=COOKIE) as growing,
            NoteSandbox(accounts[SHRUNK], cookie=COOKIE) as shrunk,
            NoteSandbox(accounts[THIRD], cookie=COOKIE) as third,
        ):
            for name, sandbox in zip(SOURCES, (growing, shrunk, third), strict=True):
                rules = [{"counter": "views", "crosses": [100]}]
                write_source(
                    project, name, sandbox.url, enabled=False, rules=rules, owner="me@example.org", simulated=True,
                    start=(hour + -2).key,
                )  # fmt: skip
                runs = SourceRuns.of(find_source(project, name), instance)
                assert runs.capture(hour + -1, RecordedClock((hour + -1).start, Origin.LIVE)).success
            accounts[GROWING].views = {"n1": 81, "n2": 105, "n3": 197}
            accounts[SHRUNK].views = {"n1": 81, "n2": 12, "n3": 97}
            refused = SourceRuns.of(find_source(project, SHRUNK), instance)
            assert not refused.capture(hour, RecordedClock(hour.start, Origin.LIVE)).success
            with running_stack(project, folder) as stack, chromium() as driver:
                ui = DagsterUi(driver, f"http://127.0.0.1:{stack.web_port}", SCREENSHOTS)
                ui.hide_navigation()
                yield Seen(ui, stack, hour)


def test_the_lineage_of_three_sources_reads_at_a_glance(seen: Seen) -> None:
    seen.ui.open("/asset-groups", *SOURCES, *(f"{name}_long_view" for name in SOURCES))
    seen.ui.picture("lineage_of_all")


def test_the_lineage_of_a_source_shows_its_four_assets(seen: Seen) -> None:
    seen.ui.lineage(SHRUNK, "raw_snapshot", "validated_snapshot", "hourly_delta", "threshold_report", "1 failed")
    seen.ui.picture("lineage")


def test_a_refused_check_shows_its_table(seen: Seen) -> None:
    seen.ui.check(SHRUNK, "non_decreasing_counts", seen.hour.partition_key, "Article n2", "failing_items", "95", "12")
    seen.ui.picture("refused_check")


def test_the_capture_itself_says_why_it_goes_no_further(seen: Seen) -> None:
    partition = seen.hour.partition_key
    seen.ui.asset(SHRUNK, "raw_snapshot", "refused_by", "non_decreasing_counts", "Article n2", partition=partition)
    seen.ui.picture("refused_capture")


def test_a_newcomer_finds_what_an_asset_is(seen: Seen) -> None:
    shown = ("The exact change of every counter", "me@example.org", "Parquet", "platform", "simulated", "Row count")
    seen.ui.asset(GROWING, "hourly_delta", *shown, "time that the delta spans", "assets.py", "views_delta")
    seen.ui.picture("delta")


def test_jobs_and_timers_are_there_to_be_read(seen: Seen) -> None:
    seen.ui.open("/automation", "growing_daily_digest", "growing_hourly", "incidents", "maintenance_daily")
    seen.ui.picture("automation")
    seen.ui.open("/jobs", "growing_capture", "growing_digest")
    seen.ui.picture("jobs")


def test_the_button_materializes_the_latest_hour_and_its_report_shows_a_picture(seen: Seen) -> None:
    lake = seen.stack.project.lake.source(GROWING)
    assert not lake.exists(VALIDATED, seen.hour)
    seen.ui.materialize_latest(GROWING)
    until(lambda: lake.exists(REPORT, seen.hour) or None)
    partition = seen.hour.partition_key
    crossed = ("crossed", "Article n3", "197", "97", "top_movers", "views_gained", "coverage_24h")
    seen.ui.asset(GROWING, "threshold_report", *crossed, partition=partition)
    seen.ui.picture("report")
    seen.ui.click("[Show Markdown]")
    seen.ui.image("largest gains")
    seen.ui.picture("report_picture")
