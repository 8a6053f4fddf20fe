"""The gate: nothing goes on from a refused capture, whoever asks for it and however.

The recorded account at 2026-03-19T13 lists one article twice and lacks another; the capture before it is sound.
test_live.py asks through GraphQL, as the UI does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import dagster as dg
import pytest

from pipeline.core.hours import Hour
from pipeline.core.model import Origin
from pipeline.core.records import Quarantine, decode
from pipeline.failures import KIND
from pipeline.graph import ASSETS, DELTA, RAW, REPORT, SNAPSHOT, asset_key
from pipeline.replaying import RECORDING
from pipeline.running import Outcome, SourceRuns
from pipeline.sandbox.recording import RecordedAccount, Recording
from pipeline_tests.core.snapshots import BROKEN_CAPTURE
from pipeline_tests.dagster_parts import Blog, checks_of, made_blog, made_project, published, stored_files

BROKEN_HOUR = Hour.of(BROKEN_CAPTURE)
DOWNSTREAM = (SNAPSHOT, DELTA, REPORT)


@dataclass
class Gate:
    """A source whose newest capture was refused, and what was published before."""

    blog: Blog
    refusing: Outcome
    before: dict[str, bytes]


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory, new_home: Path) -> Iterator[Gate]:
    recording = Recording.read(RECORDING)
    account = RecordedAccount(recording)
    sound = max(moment for moment in recording.captures if moment < BROKEN_CAPTURE)
    with made_project(tmp_path_factory.mktemp("gate"), new_home) as project, made_blog(project) as blog:
        blog.sandbox.listing = account

        def capture(moment: datetime) -> Outcome:
            account.show(moment)
            return blog.capture(moment, Origin.REPLAY)

        assert capture(sound).success
        before = published(blog.lake)
        yield Gate(blog, capture(BROKEN_CAPTURE), before)


def requested(evaluated: dg.EvaluateAutomationConditionsResult) -> dict[str, set[str]]:
    """Which partitions of which assets the conditions ask for."""
    return {
        result.key.path[-1]: set(result.true_subset.expensively_compute_partition_keys())
        for result in evaluated.results
        if not result.true_subset.is_empty
    }


def test_in_the_same_run_nothing_follows_a_refused_capture(gate: Gate) -> None:
    assert gate.refusing == Outcome(success=False, blocked=True)
    assert gate.before
    assert published(gate.blog.lake) == gate.before
    statuses = {
        asset: gate.blog.instance.get_latest_materialization_event(asset_key(gate.blog.source, asset))
        for asset in ASSETS
    }
    partitions = {
        asset: event.asset_materialization.partition
        for asset, event in statuses.items()
        if event is not None and event.asset_materialization is not None
    }
    assert partitions[RAW] == BROKEN_HOUR.partition_key
    assert BROKEN_HOUR.partition_key not in {partitions[asset] for asset in DOWNSTREAM}


def test_the_refused_capture_lies_in_raw_and_in_quarantine_with_its_findings(gate: Gate) -> None:
    lake = gate.blog.lake
    (capture,) = lake.captures(BROKEN_HOUR, BROKEN_HOUR)
    assert lake.raw(capture).stat().st_size > 0
    record = decode(lake.quarantine(capture), Quarantine)
    assert record.failed == ("unique_items",)
    (finding,) = (finding for finding in record.findings if finding.check == "unique_items")
    assert finding.failing == 1
    assert "Listed more than once" in record.reason
    assert "Missing instead" in record.reason
    shown = checks_of(gate.blog.instance, gate.blog.source, RAW, BROKEN_HOUR)
    assert {name for name, status in shown.items() if status == "FAILED"} >= {"unique_items"}
    assert shown["non_decreasing_counts"] == "SUCCEEDED"


@pytest.mark.parametrize("asset", DOWNSTREAM)
def test_launched_alone_afterwards_a_downstream_asset_fails_and_writes_nothing(gate: Gate, asset: str) -> None:
    evidence = stored_files(gate.blog.lake.root)
    result = gate.blog.launch(asset, hour=BROKEN_HOUR)
    assert not result.success
    (failure,) = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    assert failure.user_failure_data is not None
    expected = "refused" if asset == SNAPSHOT else "nothing_accepted"
    assert failure.user_failure_data.metadata[KIND].value == expected
    assert not [event for event in result.all_events if event.is_step_materialization]
    assert stored_files(gate.blog.lake.root) == evidence


def test_all_downstream_assets_launched_together_write_nothing(gate: Gate) -> None:
    assert not gate.blog.launch(*DOWNSTREAM, hour=BROKEN_HOUR).success
    assert published(gate.blog.lake) == gate.before


def test_under_declarative_automation_the_request_that_follows_a_refused_capture_writes_nothing(
    new_home: Path, tmp_path: Path
) -> None:
    """The conditions see a new raw_snapshot and ask for what follows; the gate answers, not Dagster."""
    recording = Recording.read(RECORDING)
    account = RecordedAccount(recording)
    sound = max(moment for moment in recording.captures if moment < BROKEN_CAPTURE)
    with made_project(tmp_path, new_home) as project, made_blog(project, end=BROKEN_HOUR.key) as blog:
        blog.sandbox.listing = account
        runs = blog.runs
        eager = SourceRuns(
            runs.source,
            runs.instance,
            runs.definitions.map_asset_specs(
                func=lambda spec: spec.replace_attributes(automation_condition=dg.AutomationCondition.eager())
            ),
        )

        def evaluate(cursor: dg.AutomationConditionCursor | None = None) -> dg.EvaluateAutomationConditionsResult:
            return dg.evaluate_automation_conditions(
                defs=eager.definitions,
                instance=blog.instance,
                asset_selection=dg.AssetSelection.assets(asset_key(blog.source, SNAPSHOT)),
                evaluation_time=BROKEN_HOUR.end,
                cursor=cursor,
            )

        account.show(sound)
        assert blog.capture(sound, Origin.REPLAY).success
        first = evaluate()
        before = published(blog.lake)
        account.show(BROKEN_CAPTURE)
        assert blog.launch(RAW, hour=BROKEN_HOUR, moment=BROKEN_CAPTURE).success is False
        asked = requested(evaluate(first.cursor))
        assert asked == {SNAPSHOT: {BROKEN_HOUR.partition_key}}
        for asset in DOWNSTREAM:
            assert not blog.launch(asset, hour=BROKEN_HOUR).success
        assert published(blog.lake) == before
