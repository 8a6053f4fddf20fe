"""The schedules of digests and the run that they ask for, in real Dagster: off by default, once per channel."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from pipeline.core.observe import RecordedClock
from pipeline.core.project import Project
from pipeline_tests.dagster_parts import BLOG, MOMENT, Blog, made_blog, ratchet
from pipeline_tests.receiver import Receiver, receiving

MORNING = MOMENT + timedelta(hours=20)
DAILY, WEEKLY = f"{BLOG}_daily_digest", f"{BLOG}_weekly_digest"


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    with receiving(tmp_path / "path") as started:
        yield started


@pytest.fixture
def told(project: Project, receiver: Receiver) -> Iterator[Blog]:
    with made_blog(project, notify=receiver.notify, digests=["daily"]) as blog:
        for hours in (-1, 0):
            assert blog.capture(MOMENT + timedelta(hours=hours)).success
            blog.account.views["n1"] += 7
        yield blog


def tick(blog: Blog, name: str, now: datetime) -> str:
    """Let the schedule look and run what it asks for: the run's key, or why it skipped."""
    repository, clock = blog.runs.definitions.get_repository_def(), RecordedClock(now)
    resources = {"lake": blog.project.lake, "clock": clock}
    with dg.build_schedule_context(
        blog.instance, scheduled_execution_time=now, resources=resources, repository_def=repository
    ) as context:
        decided = repository.get_schedule_def(name).evaluate_tick(context)
    if not decided.run_requests:
        return str(decided.skip_message)
    [request] = decided.run_requests
    job = blog.runs.definitions.resolve_job_def(f"{BLOG}_digest")
    done = job.execute_in_process(
        run_config=request.run_config, instance=blog.instance, resources={"clock": clock}, raise_on_error=False
    )
    return f"{request.run_key}: {'sent' if done.success else 'failed'}"


def test_a_schedule_is_on_where_the_yaml_names_it_alone(told: Blog) -> None:
    schedules = {name: told.runs.definitions.resolve_schedule_def(name) for name in (DAILY, WEEKLY)}
    assert {name: schedule.default_status.value for name, schedule in schedules.items()} == {
        DAILY: "RUNNING",
        WEEKLY: "STOPPED",
    }
    assert all(schedule.description for schedule in schedules.values())


def test_the_day_is_told_once_and_a_channel_that_was_down_an_hour_later(told: Blog, receiver: Receiver) -> None:
    receiver.status, receiver.failing = 500, "/webhooks/"
    assert tick(told, DAILY, MORNING) == "2026-04-04T23-digest-daily at 2026-04-05T08: failed"
    receiver.status = 200
    later = MORNING + timedelta(hours=1)
    assert tick(told, DAILY, later) == "2026-04-04T23-digest-daily at 2026-04-05T09: sent"
    assert tick(told, DAILY, later + timedelta(hours=1)) == "The digest of Saturday, 4 April 2026 was told."
    assert len(receiver.sms) == 1
    assert "blog, Saturday, 4 April 2026" in receiver.webhooks[-1]
    assert "2 of 2 hours observed" not in receiver.webhooks[-1]
    assert "2 of 13 hours observed, 11 missing." in receiver.webhooks[-1]


def test_without_channels_it_skips_and_says_so(project: Project) -> None:
    with made_blog(project) as blog:
        assert tick(blog, DAILY, MORNING).startswith("blog has no channels")


def test_the_command_prints_it_and_sends_it_once(told: Blog, receiver: Receiver) -> None:
    shown = ratchet("digest", BLOG)
    assert shown.returncode == 0, shown.stderr
    assert "Not one hour was observed." in shown.stdout  # the capture lies in the past of this test's real clock
    assert ratchet("digest", BLOG, "--send").returncode == 0
    assert "Every channel was sent the digest" in ratchet("digest", BLOG, "--send").stdout
    assert len(receiver.posts) == 2
