"""Old runs go and give their room back, while the UI shows every hour as it did; and the lake is not concerned."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from pipeline.core.observe import RecordedClock
from pipeline.definitions import definitions
from pipeline.graph import DELTA, RAW, REPORT, SNAPSHOT, asset_key
from pipeline.maintenance import MAINTENANCE, maintenance_definitions
from pipeline.resources import CLOCK
from pipeline_tests.dagster_parts import MOMENT, Blog, stored_files
from pipeline_tests.graphql import asking_in_process, shown

# Dagster reads components through a function of Pydantic that is deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::pydantic.PydanticDeprecatedSince20")


def tell_a_history(blog: Blog) -> None:
    """Three hours: the second is refused, its views having fallen."""
    for hours, views in enumerate((70, 1, 80)):
        blog.account.views = blog.account.views | {"n1": views}
        blog.capture(MOMENT + timedelta(hours=hours))


def maintenance_job(now: datetime) -> dg.JobDefinition:
    clock = dg.Definitions(resources={CLOCK: RecordedClock(now)})
    return dg.Definitions.merge(maintenance_definitions(), clock).resolve_job_def(MAINTENANCE)


def maintain(instance: dg.DagsterInstance, now: datetime, days: int = 30) -> dict[str, int]:
    """Run the job at ``now``; what it reports."""
    config = {"ops": {"delete_old_runs": {"config": {"days": days}}}}
    result = maintenance_job(now).execute_in_process(run_config=config, instance=instance)
    [output] = [e.step_output_data for e in result.all_events if e.is_successful_output]
    return {name: int(value.value) for name, value in output.metadata.items()}  # type: ignore[arg-type]


def test_old_runs_are_deleted_and_every_hour_is_shown_as_before(blog: Blog) -> None:
    tell_a_history(blog)
    with asking_in_process(blog.instance) as ask:
        before = shown(ask, blog.source.name)
    lake = stored_files(blog.lake.root)
    told = maintain(blog.instance, datetime.now(UTC) + timedelta(days=31))
    assert (told["runs_deleted"], told["failed_runs_kept"]) == (3, 1)
    assert told["bytes_after"] < told["bytes_before"] / 2
    for asset in (RAW, SNAPSHOT, DELTA, REPORT):
        blog.instance.event_log_storage.wipe_asset_cached_status(asset_key(blog.source, asset))
    with asking_in_process(blog.instance) as ask:
        assert shown(ask, blog.source.name) == before
    assert {status["status"] for status in before[SNAPSHOT]} == {"MATERIALIZED", "FAILED"}
    assert stored_files(blog.lake.root) == lake
    found = blog.instance.fetch_materializations(asset_key(blog.source, SNAPSHOT), limit=10).records
    assert len(found) == 2
    for record in found:  # numbers that plot stay, what only fills the disk goes
        made = record.asset_materialization
        assert made is not None
        assert made.metadata["items_observed"].value == 8
        assert "capture" not in made.metadata


def test_young_runs_and_runs_at_work_stay(blog: Blog) -> None:
    tell_a_history(blog)
    waiting = blog.instance.create_run_for_job(maintenance_job(MOMENT))
    runs = {run.run_id for run in blog.instance.get_runs()}
    told = maintain(blog.instance, datetime.now(UTC) + timedelta(days=29))
    assert told["runs_deleted"] == 0
    assert runs < {run.run_id for run in blog.instance.get_runs()}
    maintain(blog.instance, datetime.now(UTC) + timedelta(days=31))
    assert blog.instance.get_run_by_id(waiting.run_id) is not None


def test_it_is_done_again_without_harm_and_a_failed_hour_that_was_mended_lets_its_run_go(blog: Blog) -> None:
    tell_a_history(blog)
    blog.account.views = blog.account.views | {"n1": 2}
    blog.capture(MOMENT + timedelta(hours=3))
    later = datetime.now(UTC) + timedelta(days=31)
    assert maintain(blog.instance, later)["failed_runs_kept"] == 2
    blog.account.views = blog.account.views | {"n1": 95}
    blog.capture(MOMENT + timedelta(hours=3, minutes=20))
    assert maintain(blog.instance, later)["failed_runs_kept"] == 1


def test_it_runs_every_day_at_an_odd_minute(blog: Blog) -> None:
    repository = definitions().get_repository_def()
    schedule = repository.get_schedule_def(f"{MAINTENANCE}_daily")
    assert (schedule.cron_schedule, schedule.default_status) == ("41 4 * * *", dg.DefaultScheduleStatus.RUNNING)
