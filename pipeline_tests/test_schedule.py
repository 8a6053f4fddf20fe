"""The schedule: up to three ticks an hour at odd minutes, each of which skips with its reason where it must."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.errors import ScheduleExecutionError
from dagster._utils.error import serializable_error_info_from_exc_info

from pipeline.core import project as project_module
from pipeline.core.hours import Hour
from pipeline.core.ledger import read_ledger
from pipeline.core.model import HourState
from pipeline.core.observe import RecordedClock
from pipeline.graph import pool
from pipeline.running import SourceRuns
from pipeline_tests.dagster_parts import BLOG, COOKIE, COOKIE_VARIABLE, HOUR, MOMENT, Blog, stored_files, write_source

LATER = (MOMENT, MOMENT + timedelta(minutes=10), MOMENT + timedelta(minutes=20))


def schedule_of(blog: Blog) -> dg.ScheduleDefinition:
    return blog.runs.definitions.resolve_schedule_def(f"{BLOG}_hourly")


def evaluate(blog: Blog, at: datetime, now: datetime, runs: SourceRuns) -> dg.ScheduleExecutionData:
    """What the schedule decides about the tick of ``at`` when the clock says ``now``."""
    repository = runs.definitions.get_repository_def()
    with dg.build_schedule_context(
        blog.instance,
        scheduled_execution_time=at,
        resources={"lake": blog.project.lake, "clock": RecordedClock(now)},
        repository_def=repository,
    ) as context:
        return repository.get_schedule_def(f"{BLOG}_hourly").evaluate_tick(context)


def tick(blog: Blog, at: datetime, now: datetime | None = None, runs: SourceRuns | None = None) -> str:
    """The partition that a tick asks for, or the reason why it is skipped."""
    decided = evaluate(blog, at, now or at, runs or blog.runs)
    if decided.run_requests:
        (request,) = decided.run_requests
        partition: str | None = request.partition_key
        assert partition is not None
        return partition
    return f"skipped: {decided.skip_message}"


def tick_and_run(blog: Blog, at: datetime) -> str:
    """A tick, and the run that it asks for."""
    asked = tick(blog, at)
    if asked == Hour.of(at).partition_key:
        blog.capture(at)
    return asked


def test_it_ticks_at_its_odd_minute_and_ten_and_twenty_minutes_later(blog: Blog) -> None:
    minute = blog.source.minute
    assert minute % 2 == 1
    assert minute % 15 != 0
    schedule = schedule_of(blog)
    assert schedule.cron_schedule == f"{minute},{minute + 10},{minute + 20} * * * *"
    assert schedule.execution_timezone == "UTC"
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING


def test_the_queue_knows_the_pool_of_a_source_before_its_first_run(blog: Blog) -> None:
    storage, name = blog.instance.event_log_storage, pool(blog.source)
    storage.delete_concurrency_limit(name)
    assert name not in storage.get_concurrency_keys()
    tick(blog, MOMENT)
    assert name in storage.get_concurrency_keys()


def test_each_attempt_of_an_hour_is_a_run_of_its_own(blog: Blog) -> None:
    decisions = [evaluate(blog, at, at, blog.runs).run_requests or [] for at in LATER]
    assert [request.partition_key for (request,) in decisions] == 3 * [HOUR.partition_key]
    assert len({request.run_key for (request,) in decisions}) == 3


def test_later_ticks_skip_an_hour_that_is_observed(blog: Blog) -> None:
    assert tick_and_run(blog, LATER[0]) == HOUR.partition_key
    asked = len(blog.sandbox.requests)
    assert tick(blog, LATER[1]) == tick(blog, LATER[2]) == "skipped: 2026-04-04T12 is already observed."
    assert len(blog.sandbox.requests) == asked


def test_a_tick_that_comes_after_its_hour_is_skipped_with_the_reason(blog: Blog) -> None:
    late = tick(blog, MOMENT, now=HOUR.end + timedelta(minutes=2))
    assert late == (
        "skipped: The tick of 2026-04-04T12:17:00Z came at 2026-04-04T13:02:00Z;"
        " 2026-04-04T12 is over and stays as it is."
    )


def test_a_stale_page_and_then_a_sound_one_end_in_an_accepted_hour_with_both_kept(blog: Blog) -> None:
    before = MOMENT - timedelta(hours=1)
    assert blog.capture(before).success
    sound = dict(blog.account.views)
    blog.account.views = {key: views - 30 for key, views in sound.items()}  # a cache of some days ago
    assert tick_and_run(blog, LATER[0]) == HOUR.partition_key
    assert read_ledger(blog.lake, blog.source, HOUR.end).hours[HOUR] is HourState.QUARANTINED
    (stale,) = blog.lake.captures(HOUR, HOUR)
    evidence = {path: path.read_bytes() for path in (blog.lake.raw(stale), blog.lake.quarantine(stale))}

    blog.account.views = {key: views + 5 for key, views in sound.items()}
    assert tick_and_run(blog, LATER[1]) == HOUR.partition_key
    assert read_ledger(blog.lake, blog.source, HOUR.end).hours[HOUR] is HourState.OBSERVED
    assert {path: path.read_bytes() for path in evidence} == evidence
    assert len(blog.lake.captures(HOUR, HOUR)) == 2
    assert tick(blog, LATER[2]) == "skipped: 2026-04-04T12 is already observed."


def test_after_a_dead_session_no_tick_calls_the_platform_until_the_credential_changed(
    blog: Blog, monkeypatch: pytest.MonkeyPatch
) -> None:
    blog.sandbox.cookie = "another-session"
    assert tick_and_run(blog, LATER[0]) == HOUR.partition_key
    assert len(blog.sandbox.requests) == 1
    for at in (*LATER[1:], MOMENT + timedelta(hours=1), MOMENT + timedelta(hours=5)):
        reason = tick_and_run(blog, at)
        assert "answered 401" in reason
        assert f"ratchet collect {BLOG}" in reason
    assert len(blog.sandbox.requests) == 1
    assert COOKIE.encode() not in b"".join(stored_files(blog.lake.root).values())

    monkeypatch.setenv(COOKIE_VARIABLE, "another-session")
    assert tick_and_run(blog, LATER[2]) == HOUR.partition_key
    assert tick(blog, LATER[2]) == "skipped: 2026-04-04T12 is already observed."


def test_a_credential_changed_in_dotenv_is_seen_by_a_process_that_loaded_the_source_before(
    blog: Blog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(COOKIE_VARIABLE)
    monkeypatch.setattr(project_module, "ROOT", tmp_path)
    (tmp_path / ".env").write_text(f"{COOKIE_VARIABLE}=expired\n")
    loaded_before = blog.runs
    assert not blog.capture().success
    assert "answered 401" in tick(blog, LATER[1], runs=loaded_before)
    (tmp_path / ".env").write_text(f"{COOKIE_VARIABLE}={COOKIE}\n")
    assert tick(blog, LATER[1], runs=loaded_before) == HOUR.partition_key


def test_the_owner_may_ask_although_the_session_is_known_to_be_dead(blog: Blog) -> None:
    blog.sandbox.cookie = "another-session"
    blog.capture()
    blog.sandbox.cookie = COOKIE
    assert "answered 401" in tick(blog, LATER[1])
    assert blog.capture(LATER[1]).success
    assert tick(blog, MOMENT + timedelta(hours=1)) == (HOUR + 1).partition_key


def test_a_source_that_is_not_enabled_has_a_schedule_that_does_not_run(blog: Blog) -> None:
    write_source(blog.project, BLOG, blog.sandbox.url, enabled=False)
    assert schedule_of(blog).default_status is dg.DefaultScheduleStatus.STOPPED


def test_a_tick_that_crashes_is_told_without_the_secrets_in_it(blog: Blog, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object) -> None:
        raise RuntimeError(f"sent {COOKIE!r}")

    monkeypatch.setattr("pipeline.schedules.known_dead_session", crash)
    with pytest.raises(ScheduleExecutionError) as told:
        tick(blog, LATER[0])
    words = str(serializable_error_info_from_exc_info((told.type, told.value, told.tb)))
    assert "(withheld)" in words
    assert COOKIE not in words
