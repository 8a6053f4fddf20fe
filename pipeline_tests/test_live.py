"""Clicks in the UI of a real stack: webserver, daemon with its queue, code server, runs in processes of their own.

Everything that can wait for the queue side by side is launched when the stack is up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from pipeline.core.hours import Hour
from pipeline.core.lake import VALIDATED
from pipeline.core.ledger import corrections
from pipeline.core.model import Origin
from pipeline.core.observe import RecordedClock
from pipeline.core.project import Project
from pipeline.core.sources import find_source
from pipeline.graph import ASSETS, DELTA, INCIDENTS_SENSOR, RAW, REPORT, SNAPSHOT
from pipeline.lost_runs import STARTING_UP
from pipeline.running import SourceRuns, dagster_instance
from pipeline.sandbox.faults import Hang
from pipeline.sandbox.server import NoteSandbox
from pipeline_tests.dagster_parts import (
    COOKIE,
    Account,
    made_project,
    present_moment,
    published,
    ratchet,
    write_source,
)
from pipeline_tests.graphql import EXECUTIONS, shown
from pipeline_tests.live_stack import Stack, running_stack, until
from pipeline_tests.receiver import Receiver, receiving

GROWING, SHRUNK, HANGING = "growing", "shrunk", "hanging"
TIMERS = """
query Timers {
  schedulesOrError(repositorySelector: {repositoryName: "__repository__", repositoryLocationName: "pipeline"}) {
    ... on Schedules { results { name cronSchedule scheduleState { status } } }
  }
}
"""
START_SENSOR = """
mutation Start($selector: SensorSelector!) { startSensor(sensorSelector: $selector) { __typename } }
"""
TICKS = """
query Ticks($selector: SensorSelector!) {
  sensorOrError(sensorSelector: $selector) {
    ... on Sensor { sensorState { ticks(limit: 50) { status timestamp runIds skipReason } } }
  }
}
"""


@dataclass
class Live:
    stack: Stack
    receiver: Receiver
    sandboxes: dict[str, NoteSandbox]
    accounts: dict[str, Account]
    instance: dg.DagsterInstance
    hour: Hour
    before: dict[str, bytes]
    runs: dict[str, str]

    @property
    def project(self) -> Project:
        return self.stack.project


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, new_home: Path) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("live")
    accounts = {name: Account(n1=80, n2=95, n3=97) for name in (GROWING, SHRUNK, HANGING)}
    sandboxes = {name: NoteSandbox(account, cookie=COOKIE) for name, account in accounts.items()}
    with (
        made_project(folder, new_home) as project,
        receiving(folder / "path") as receiver,
        sandboxes[GROWING],
        sandboxes[SHRUNK],
        sandboxes[HANGING],
        dagster_instance(project) as instance,
    ):
        hour = Hour.of(present_moment(timedelta(minutes=6)))
        rules = [{"counter": "views", "crosses": [100]}]
        for name, sandbox in sandboxes.items():
            write_source(project, name, sandbox.url, enabled=False, rules=rules, notify=receiver.notify)
        write_source(project, "ticking", "http://127.0.0.1:9", minute=quiet_minute(datetime.now(UTC)))
        earlier = RecordedClock((hour + -1).start, Origin.LIVE)
        for name in (GROWING, SHRUNK):
            assert SourceRuns.of(find_source(project, name), instance).capture(hour + -1, earlier).success
        before = published(project.lake.source(SHRUNK))
        accounts[GROWING].views = {"n1": 81, "n2": 105, "n3": 197}
        accounts[SHRUNK].views = {"n1": 81, "n2": 12, "n3": 97}
        sandboxes[HANGING].fail_next(Hang())
        with running_stack(project, folder) as stack:
            runs = {
                "first": stack.launch(GROWING, ASSETS, hour),
                "second": stack.launch(GROWING, ASSETS, hour),
                "refused": stack.launch(SHRUNK, ASSETS, hour),
            }
            yield Live(stack, receiver, sandboxes, accounts, instance, hour, before, runs)


def quiet_minute(now: datetime) -> int:
    """An odd minute whose three ticks come no sooner than this module ends."""
    return next(
        m for m in range(1, 40, 2) if m % 15 and all((m + later - now.minute) % 60 > 8 for later in (0, 10, 20))
    )


def step(run: Mapping[str, Any], asset: str) -> Mapping[str, Any] | None:
    found = [stats for stats in run["stepStats"] if stats["stepKey"].endswith(f"__{asset}")]
    return found[0] if found else None


def check_results(live: Live, source: str) -> dict[str, str]:
    """The state of every check at the present hour, as the UI shows it."""
    found = {}
    for name in shown(live.stack.ask, source):
        asset, _, check = name.partition(": ")
        if check:
            executions = live.stack.ask(
                EXECUTIONS, asset={"path": [source, asset]}, check=check, partition=live.hour.partition_key
            )["assetCheckExecutions"]
            found[check] = executions[0]["status"] if executions else "NONE"
    return found


def test_a_click_on_the_present_hour_turns_all_four_assets_and_all_checks_green(live: Live) -> None:
    run = live.stack.succeeded(live.runs["first"])
    assert [each["assetKey"]["path"] for each in run["assetMaterializations"]] == [[GROWING, name] for name in ASSETS]
    live.stack.finished(live.runs["second"])  # a check that is planned again shows as in progress
    results = check_results(live, GROWING)
    assert len(results) >= 6
    assert set(results.values()) == {"SUCCEEDED"}
    for asset in ASSETS:
        last = shown(live.stack.ask, GROWING)[asset][-1]
        assert (last["endKey"], last["status"]) == (live.hour.partition_key, "MATERIALIZED")


def test_two_runs_of_a_source_launched_at_once_never_overlap_and_the_second_says_that_it_was_observed(
    live: Live,
) -> None:
    first, second = (live.stack.succeeded(live.runs[name]) for name in ("first", "second"))
    earlier, later = sorted((first, second), key=lambda run: run["startTime"])
    assert earlier["endTime"] <= later["startTime"]
    notes = [
        entry["text"]
        for materialization in later["assetMaterializations"]
        for entry in materialization["metadataEntries"]
        if entry["label"] == "note"
    ]
    assert notes
    assert all("already observed" in note for note in notes)
    assert len(live.project.lake.source(GROWING).captures(live.hour, live.hour)) == 1


def test_a_refused_capture_stops_what_is_launched_alone_afterwards(live: Live) -> None:
    lake = live.project.lake.source(SHRUNK)
    run = live.stack.finished(live.runs["refused"])
    assert run["status"] == "FAILURE"
    assert [each["assetKey"]["path"][-1] for each in run["assetMaterializations"]] == [RAW]
    assert check_results(live, SHRUNK)["non_decreasing_counts"] == "FAILED"
    (capture,) = lake.captures(live.hour, live.hour)
    assert lake.quarantine(capture).exists()
    alone = [live.stack.launch(SHRUNK, assets, live.hour) for assets in ((SNAPSHOT,), (DELTA, REPORT))]
    for run_id in alone:
        run = live.stack.finished(run_id)
        assert run["status"] == "FAILURE"
        assert run["assetMaterializations"] == []
    assert published(lake) == live.before


def test_the_owner_accepts_a_lower_value_from_the_launchpad(live: Live) -> None:
    lake, job = live.project.lake.source(SHRUNK), f"{SHRUNK}_correct"
    live.stack.finished(live.runs["refused"])
    word = {
        "hour": live.hour.key,
        "action": "lower",
        "items": ["n2"],
        "by": "Ada",
        "reason": "The platform removed bots",
    }
    config = {"ops": {f"{SHRUNK}_decide": {"config": word}}}
    unsigned = {"ops": {f"{SHRUNK}_decide": {"config": {**word, "by": 1}}}}
    with pytest.raises(AssertionError, match="RunConfigValidationInvalid"):
        live.stack.launch_job(job, unsigned)
    run = live.stack.succeeded(live.stack.launch_job(job, config))
    assert [each["assetKey"]["path"] for each in run["assetMaterializations"]] == [[SHRUNK, name] for name in ASSETS]
    assert lake.exists(VALIDATED, live.hour)
    last = shown(live.stack.ask, SHRUNK)[SNAPSHOT][-1]
    assert (last["endKey"], last["status"]) == (live.hour.partition_key, "MATERIALIZED")
    [decision] = corrections(lake)
    assert (decision.action, decision.items, decision.by) == ("lower", ("n2",), "Ada")


def test_a_past_hour_is_refused_in_one_attempt_and_the_platform_is_not_asked(live: Live) -> None:
    asked = len(live.sandboxes[SHRUNK].requests)
    run = live.stack.finished(live.stack.launch(SHRUNK, ASSETS, live.hour + -3))
    assert run["status"] == "FAILURE"
    assert run["assetMaterializations"] == []
    raw = step(run, RAW)
    assert raw is not None
    assert (raw["status"], len(raw["attempts"])) == ("FAILURE", 1)
    assert len(live.sandboxes[SHRUNK].requests) == asked


def test_the_schedule_runs_at_its_minute(live: Live) -> None:
    schedules = {each["name"]: each for each in live.stack.ask(TIMERS)["schedulesOrError"]["results"]}
    minute = find_source(live.project, "ticking").minute
    ticking = schedules["ticking_hourly"]
    assert ticking["scheduleState"]["status"] == "RUNNING"
    assert ticking["cronSchedule"].split(" ")[0].split(",")[0] == str(minute)
    assert schedules[f"{GROWING}_hourly"]["scheduleState"]["status"] == "STOPPED"


def test_the_sensor_of_incidents_looks_from_the_start_and_finds_nothing_to_tell(live: Live) -> None:
    selector = {
        "repositoryName": "__repository__",
        "repositoryLocationName": "pipeline",
        "sensorName": INCIDENTS_SENSOR,
    }

    def ticks() -> list[Mapping[str, Any]]:
        state = live.stack.ask(TICKS, selector=selector)["sensorOrError"]["sensorState"]
        found: list[Mapping[str, Any]] = [tick for tick in state["ticks"] if tick["status"] != "STARTED"]
        return found

    until(ticks)
    assert {(tick["status"], tick["skipReason"]) for tick in ticks()} == {("SKIPPED", "There is nothing to tell.")}


def test_a_report_is_told_once_although_the_daemon_is_killed_and_the_hour_made_again(live: Live) -> None:
    live.stack.succeeded(live.runs["first"])
    selector = {
        "repositoryName": "__repository__",
        "repositoryLocationName": "pipeline",
        "sensorName": f"{GROWING}_crossings",
    }

    def ticks() -> list[Mapping[str, Any]]:
        state = live.stack.ask(TICKS, selector=selector)["sensorOrError"]["sensorState"]
        return [tick for tick in state["ticks"] if tick["status"] != "STARTED"]

    live.stack.ask(START_SENSOR, selector=selector)
    live.receiver.wait_for(posts=2)
    (webhook,), (sms,) = live.receiver.webhooks, live.receiver.sms
    for text in (webhook, sms):
        assert "Article n2" in text
        assert "Article n3" in text
    (notify_run,) = until(lambda: [run_id for tick in ticks() for run_id in tick["runIds"]])
    live.stack.succeeded(notify_run)

    live.stack.kill("daemon")
    seen = len(ticks())
    live.stack.start_daemon()
    live.stack.succeeded(live.stack.launch(GROWING, ASSETS, live.hour))
    until(lambda: len(ticks()) > seen)
    assert ticks()[0]["skipReason"] == "No report has anything unsent."
    assert len(live.receiver.posts) == 2
    assert len(list((live.project.lake.source(GROWING).root / "receipts").iterdir())) == 2


def test_a_run_that_was_lost_is_reported_by_the_next_tick_and_no_longer_in_the_way(live: Live) -> None:
    """kill -9 of the code server with the run in it, as when the machine goes down: Dagster does not notice."""
    lake = live.project.lake.source(HANGING)
    lost = live.stack.launch(HANGING, ASSETS, live.hour)
    until(lambda: live.sandboxes[HANGING].requests)
    busy = ratchet("collect", HANGING)
    assert busy.returncode == 15, busy.stderr

    live.stack.kill("code")
    live.sandboxes[HANGING].release()
    live.stack.start_code()
    waiting = until(lambda: launched_again(live))
    assert live.stack.run(lost)["status"] == "STARTED"

    tick(live, datetime.now(UTC))
    assert live.stack.run(lost)["status"] == "STARTED", "a run that just began may be without its lock"
    tick(live, datetime.now(UTC) + STARTING_UP)
    assert live.stack.run(lost)["status"] == "FAILURE"
    live.stack.succeeded(waiting)
    assert lake.exists(VALIDATED, live.hour)


def launched_again(live: Live) -> str | None:
    """A run in the queue, as soon as the webserver sees the new code server."""
    try:
        return live.stack.launch(HANGING, ASSETS, live.hour)
    except AssertionError:
        return None


def tick(live: Live, now: datetime) -> None:
    """The tick that comes at ``now``, as the daemon lets the code server evaluate it."""
    source = find_source(live.project, HANGING)
    repository = SourceRuns.of(source, live.instance).definitions.get_repository_def()
    resources = {"lake": live.project.lake, "clock": RecordedClock(now)}
    with dg.build_schedule_context(
        live.instance, scheduled_execution_time=now, resources=resources, repository_def=repository
    ) as context:
        repository.get_schedule_def(f"{HANGING}_hourly").evaluate_tick(context)
