"""Incidents, from the runs of real Dagster to the channels: the sensor, `ratchet collect`, `ratchet alert`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
import stamina

from pipeline.collecting import collect
from pipeline.core.errors import ChannelFault, RatchetError
from pipeline.core.hours import Hour
from pipeline.core.incidents.book import Book
from pipeline.core.lake import REPORT
from pipeline.core.model import Origin
from pipeline.core.observe import RecordedClock
from pipeline.core.project import Project
from pipeline.core.sources import sound_sources
from pipeline.core.text import as_data
from pipeline.definitions import definitions
from pipeline.graph import ASSETS, INCIDENTS_JOB, INCIDENTS_SENSOR, RAW, asset_key
from pipeline.jobs import build_incidents_job
from pipeline.lost_runs import STARTING_UP
from pipeline.platforms.client import ATTEMPTS
from pipeline.resources import shared_resources
from pipeline.sandbox.faults import Reply
from pipeline.sensors import build_incidents_sensor
from pipeline_tests.dagster_parts import BLOG, COOKIE, HOUR, MOMENT, STATUS_HEAD, Blog, made_blog, ratchet, write_source
from pipeline_tests.notify.world import titles
from pipeline_tests.receiver import WEBHOOK_TOKEN, Receiver, receiving

MINUTE = timedelta(minutes=1)
NOTHING = "There is nothing to tell."


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    with receiving(tmp_path / "path") as started:
        yield started


@pytest.fixture
def blog(project: Project, receiver: Receiver) -> Iterator[Blog]:
    """A source with one channel, observed in the hour before, and no waiting between requests."""
    with (
        made_blog(project, minute=17, notify=receiver.notify[:1]) as made,
        stamina.set_testing(True, attempts=ATTEMPTS),
    ):
        assert made.capture(MOMENT - timedelta(hours=1)).success
        look(made, MOMENT - timedelta(hours=1))
        yield made


def look(blog: Blog, now: datetime, instance: dg.DagsterInstance | None = None) -> str:
    """Let the sensor look and run what it asks for; the run key, or why it skipped."""
    resources = {"lake": blog.project.lake, "clock": RecordedClock(now, Origin.LIVE)}
    loaded = dg.Definitions.merge(dg.Definitions(resources=resources), bare())
    repository = loaded.get_repository_def()
    used = instance or blog.instance
    with dg.build_sensor_context(used, resources=resources, repository_def=repository) as context:
        decided = repository.get_sensor_def(INCIDENTS_SENSOR).evaluate_tick(context)
    if not decided.run_requests:
        return str(decided.skip_message)
    (request,) = decided.run_requests
    if not used.get_runs(dg.RunsFilter(tags={"dagster/run_key": str(request.run_key)})):
        job = loaded.resolve_job_def(INCIDENTS_JOB)
        tags = {"dagster/run_key": str(request.run_key)}
        job.execute_in_process(instance=used, raise_on_error=False, tags=tags)
    return str(request.run_key)


def bare() -> dg.Definitions:
    """The sensor and job of the code location without its resources, which the test brings."""
    sources, _ = sound_sources(Project.here())
    return dg.Definitions(
        jobs=[build_incidents_job()],
        sensors=[build_incidents_sensor(sources)],
        executor=dg.in_process_executor,
    )


def test_a_dead_session_is_told_once_and_its_end_once_though_dagster_forgets_everything(
    blog: Blog, receiver: Receiver
) -> None:
    blog.sandbox.cookie = "another-session"
    assert not blog.capture().success
    key = look(blog, MOMENT + MINUTE)
    assert key.startswith(HOUR.key)
    with dg.DagsterInstance.ephemeral() as forgetful:
        assert look(blog, MOMENT + 2 * MINUTE, forgetful) == NOTHING
    (text,) = receiver.webhooks
    assert titles([text]) == ["blog: the session has expired"]
    assert COOKIE not in text

    blog.sandbox.cookie = COOKIE
    assert blog.capture(MOMENT + timedelta(hours=2)).success
    for minutes in (1, 2):
        look(blog, MOMENT + timedelta(hours=2, minutes=minutes))
    assert "The session works again after 2 hours" in receiver.webhooks[1]
    assert "2 hours lost" in receiver.webhooks[1]
    assert len(receiver.posts) == 2


def test_a_fault_of_transport_waits_for_the_last_attempt_and_a_refusal_too(blog: Blog, receiver: Receiver) -> None:
    for attempt in range(3):
        blog.sandbox.fail_next(*[Reply(503)] * ATTEMPTS)
        assert not blog.capture(MOMENT + 10 * attempt * MINUTE).success
    assert look(blog, MOMENT + 21 * MINUTE) == NOTHING
    look(blog, MOMENT + 25 * MINUTE)
    assert titles(receiver.webhooks) == ["blog: the platform cannot be reached"]
    blog.account.views = {"n1": 1}
    assert blog.capture(MOMENT + timedelta(hours=1)).blocked
    look(blog, MOMENT + timedelta(hours=1, minutes=25))
    assert titles(receiver.webhooks)[1:] == ["blog: the capture was refused"]


def test_a_crash_in_a_step_is_an_incident_and_leaves_no_secret(
    blog: Blog, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise KeyError(COOKIE)

    with monkeypatch.context() as broken:
        broken.setattr("pipeline.assets.history.publish_delta", crash)
        assert not blog.capture().success
    look(blog, MOMENT + 25 * MINUTE)
    (text,) = receiver.webhooks
    assert "KeyError" in text
    assert COOKIE not in text
    logged = repr([blog.instance.all_logs(run.run_id) for run in blog.instance.get_runs()])
    assert "(withheld)" in logged
    assert COOKIE not in logged
    assert blog.capture().success
    look(blog, MOMENT + 26 * MINUTE)
    assert "no hour was lost" in receiver.webhooks[1]


def test_a_crash_in_a_job_of_messages_leaves_no_secret_of_a_channel(
    blog: Blog, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise RuntimeError(f"no route for {receiver.notify[0]!r}") from ValueError(WEBHOOK_TOKEN)

    monkeypatch.setattr("pipeline.jobs.tell_incidents", crash)
    blog.sandbox.cookie = "another-session"
    blog.capture()
    look(blog, MOMENT + 25 * MINUTE)
    logged = repr([blog.instance.all_logs(run.run_id) for run in blog.instance.get_runs()])
    assert "no route for" in logged
    assert "(withheld)" in logged
    assert WEBHOOK_TOKEN not in logged


def test_a_platform_that_answers_with_the_credential_gets_it_into_no_log_note_or_message(
    blog: Blog, receiver: Receiver
) -> None:
    blog.sandbox.fail_next(*[Reply(200, {"Content-Encoding": COOKIE}, b"x")] * ATTEMPTS)
    assert not blog.capture().success
    look(blog, MOMENT + 25 * MINUTE)
    (text,) = receiver.webhooks
    logged = repr([blog.instance.all_logs(run.run_id) for run in blog.instance.get_runs()])
    noted = "".join(path.read_text() for path in blog.project.lake.root.rglob("*.json"))
    for told in (as_data(text), logged, noted):
        assert "(withheld)" in told
        assert COOKIE not in told


def test_silence_is_told_although_no_run_ever_failed(blog: Blog, receiver: Receiver) -> None:
    assert look(blog, MOMENT + timedelta(hours=1) - MINUTE) == NOTHING
    look(blog, MOMENT + timedelta(hours=1))
    assert titles(receiver.webhooks) == ["blog: nothing was captured for two hours"]


def test_a_channel_that_is_down_is_tried_again_when_its_wait_is_over_and_fails_the_run_each_time(
    blog: Blog, receiver: Receiver
) -> None:
    receiver.status = 500
    blog.sandbox.cookie = "another-session"
    blog.capture()
    keys = [look(blog, MOMENT + minutes * MINUTE) for minutes in range(6)]
    waiting = "Its channels are not tried yet."
    assert [key == waiting for key in keys] == [False, False, True, False, True, True]
    assert len(receiver.posts) == 3
    failed = blog.instance.get_runs(dg.RunsFilter(job_name=INCIDENTS_JOB, statuses=[dg.DagsterRunStatus.FAILURE]))
    assert len(failed) == 3


def test_a_lake_that_takes_no_incident_is_told_once_in_six_hours(blog: Blog, receiver: Receiver) -> None:
    project = blog.project.lake.project.root
    project.rename(project.with_name("elsewhere"))
    project.write_text("a file where a folder should be")
    for minutes in (0, 1, 2):
        look(blog, MOMENT + minutes * MINUTE)
    assert titles(receiver.webhooks) == ["Ratchet: the lake cannot be used"]


def test_a_run_that_was_lost_while_it_told_is_reported_and_made_up_for(blog: Blog, receiver: Receiver) -> None:
    resources = dg.Definitions(resources=shared_resources())
    job = dg.Definitions.merge(resources, bare()).resolve_job_def(INCIDENTS_JOB)
    run = blog.instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED, tags=dict(job.tags))
    now = datetime.fromtimestamp(blog.instance.get_run_records()[0].update_timestamp.timestamp(), MOMENT.tzinfo)
    look(blog, now + STARTING_UP + MINUTE)
    found = blog.instance.get_run_by_id(run.run_id)
    assert found is not None
    assert found.status is dg.DagsterRunStatus.FAILURE


def test_the_sensor_runs_where_a_source_is_enabled(blog: Blog) -> None:
    def status() -> dg.DefaultSensorStatus:
        return definitions().get_repository_def().get_sensor_def(INCIDENTS_SENSOR).default_status

    assert status() is dg.DefaultSensorStatus.RUNNING
    write_source(blog.project, "blog", blog.sandbox.url, enabled=False)
    assert status() is dg.DefaultSensorStatus.STOPPED


def test_an_enabled_source_without_an_end_has_a_freshness_policy_on_each_asset(blog: Blog) -> None:
    def policies() -> set[object]:
        graph = blog.runs.definitions.resolve_asset_graph()
        return {graph.get(asset_key(blog.source, name)).freshness_policy for name in ASSETS}

    assert policies() == {dg.FreshnessPolicy.time_window(timedelta(hours=2), timedelta(minutes=90))}
    write_source(blog.project, "blog", blog.sandbox.url, enabled=False)
    assert policies() == {None}


def test_status_shows_the_open_incident_with_what_to_type_and_the_credential_that_was_turned_away(blog: Blog) -> None:
    blog.sandbox.cookie = "another-session"
    blog.capture()
    look(blog, MOMENT)
    shown = ratchet("status", "blog", COLUMNS="80").stdout
    lines = shown.splitlines()
    assert lines[0].split() == STATUS_HEAD
    assert "OPEN session expired since 2026-04-04 12:17 turned away" in " ".join(shown.split())
    assert "Then run: ratchet collect blog" in shown
    assert max(map(len, lines[:5])) <= 80


# Without a daemon ---------------------------------------------------------------------------------


@dataclass
class Cron:
    """`ratchet collect` at a time of the test's choice."""

    blog: Blog

    def collect(self, moment: datetime) -> str:
        try:
            collect(self.blog.project, self.blog.source, RecordedClock(moment, Origin.LIVE))
        except RatchetError as error:
            return error.kind
        return "accepted"


def test_collect_tells_its_own_failure_at_once_and_the_end_when_it_succeeds(blog: Blog, receiver: Receiver) -> None:
    cron = Cron(blog)
    for hours in (0, 1):
        blog.sandbox.fail_next(*[Reply(503)] * ATTEMPTS)
        assert cron.collect(MOMENT + timedelta(hours=hours)) == "transport"
    assert titles(receiver.webhooks) == ["blog: the platform cannot be reached"]
    assert cron.collect(MOMENT + timedelta(hours=2)) == "accepted"
    assert "2 hours lost" in receiver.webhooks[1]
    blog.account.views = {"n1": 1}
    assert cron.collect(MOMENT + timedelta(hours=3)) == "refused"
    assert titles(receiver.webhooks)[2:] == ["blog: the capture was refused"]
    assert len(Book(blog.project.lake.project).open_incidents()) == 1


def test_collect_says_that_a_channel_failed_only_where_the_capture_did_not(blog: Blog, receiver: Receiver) -> None:
    receiver.status = 500
    blog.sandbox.fail_next(Reply(401))
    assert Cron(blog).collect(MOMENT) == "dead_session"
    with pytest.raises(ChannelFault) as failed:
        collect(blog.project, blog.source, RecordedClock(MOMENT + 2 * MINUTE, Origin.LIVE))
    assert failed.value.__notes__[-1].startswith(f"The capture was accepted: blog {Hour.of(MOMENT).key}: ")
    assert blog.lake.exists(REPORT, Hour.of(MOMENT))
    assert blog.launch(RAW).success


def test_a_correction_ends_the_incident_of_its_capture_and_says_by_whom_and_why(blog: Blog, receiver: Receiver) -> None:
    # The command asks the real clock, by which nothing is awaited of this source any more.
    write_source(blog.project, BLOG, blog.sandbox.url, minute=17, notify=receiver.notify[:1], end="2026-04-05")
    blog.account.views = {"n1": 1}
    assert Cron(blog).collect(MOMENT) == "refused"
    assert len(Book(blog.project.lake.project).open_incidents()) == 1

    done = ratchet("correct", BLOG, HOUR.key, "--accept", "--by", "Ada", "--reason", "I deleted these articles")
    assert done.returncode == 0, done.stderr
    assert re.search(r"Message to discord-\w+: sent\.", done.stdout)
    assert Book(blog.project.lake.project).open_incidents() == []
    assert titles(receiver.webhooks) == ["blog: the capture was refused", "blog: over: the capture was refused"]
    assert "was accepted by Ada: I deleted these articles" in receiver.webhooks[1]
    assert "0 minutes" not in receiver.webhooks[1]
    assert "--accept" not in ratchet("status", BLOG).stdout


# ratchet alert test -------------------------------------------------------------------------------


def test_alert_test_reaches_every_channel_reports_each_and_ends_with_18_when_one_fails(
    blog: Blog, receiver: Receiver
) -> None:
    write_source(blog.project, "second", blog.sandbox.url, notify=receiver.notify)
    receiver.status, receiver.failing = 500, "jsonrpc"
    tried = ratchet("alert", "test")
    assert tried.returncode == 18, tried.stderr
    discord, sms = tried.stdout.splitlines()
    assert discord.startswith("discord-")
    assert discord.endswith("(blog, second): sent.")
    assert "(second): failed. It answered with HTTP status 500." in sms
    assert not any(secret in tried.stdout + tried.stderr for secret in ("planted-token", "4242"))
    assert titles(receiver.webhooks) == ["Ratchet: a test of this channel"]

    alone = ratchet("alert", "test", "blog")
    assert (alone.returncode, alone.stderr) == (0, "")
    assert len(receiver.webhooks) == 2

    write_source(blog.project, "third", blog.sandbox.url)
    mute = ratchet("alert", "test", "third")
    assert (mute.returncode, "third has no channels." in mute.stderr) == (2, True)
