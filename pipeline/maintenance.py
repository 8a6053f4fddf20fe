"""The project's daily maintenance: Dagster's instance stays bounded, and its history stays visible.

Dagster's own ``delete_run`` deletes what the UI knows of the partitions as well, so every hour would
look missing, and on SQLite gives not a byte back. Here the logs of an old run go, its record, and of
its events all but the materializations and the results of its checks, which are left without the
metadata that does not plot. A failed run that is the reason why an hour is shown as failed stays.
What was observed is in the lake and is not concerned.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg
from dagster._core.events import StepMaterializationData
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, SqlEventLogStorageTable
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._serdes import deserialize_value, serialize_value
from dagster_shared.record import copy
from pydantic import Field

from pipeline.core.files import room
from pipeline.resources import CLOCK

MAINTENANCE = "maintenance"
_AT_ONCE = 200
_FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_MATERIALIZATION = dg.DagsterEventType.ASSET_MATERIALIZATION.value
_PLANNED = dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED.value
_PLOTTED = (dg.IntMetadataValue, dg.FloatMetadataValue, dg.TimestampMetadataValue)
_PATIENCE_SECONDS = 60


class Retention(dg.Config):
    """How much of its own history Dagster keeps."""

    days: int = Field(default=30, ge=1, description="Runs that ended before so many days are deleted.")


@dataclass
class Deleted:
    """Runs whose logs were deleted, and of these the failed ones that stay because an hour is shown as failed."""

    runs: int = 0
    kept: int = 0


def maintenance_definitions() -> dg.Definitions:
    """The job and its schedule, once for the project."""

    @dg.op(required_resource_keys={CLOCK}, name="delete_old_runs")
    def delete_old_runs_op(context: dg.OpExecutionContext, config: Retention) -> None:
        before = context.resources.clock.now() - timedelta(days=config.days)
        bytes_before = instance_bytes(context.instance)
        deleted = delete_old_runs(context.instance, before)
        give_back(context.instance)
        bytes_after = instance_bytes(context.instance)
        context.add_output_metadata(
            {
                "runs_deleted": deleted.runs,
                "failed_runs_kept": deleted.kept,
                "bytes_before": bytes_before,
                "bytes_after": bytes_after,
            }
        )
        context.log.info(
            f"{deleted.runs:,} runs from before {before:%Y-%m-%d} deleted; Dagster's instance takes "
            f"{bytes_after / 1e6:,.1f} MB instead of {bytes_before / 1e6:,.1f} MB."
        )

    @dg.job(name=MAINTENANCE, description="Delete what Dagster noted of old runs. The lake is not concerned.")
    def maintenance() -> None:
        delete_old_runs_op()

    schedule = dg.ScheduleDefinition(
        name=f"{MAINTENANCE}_daily",
        job=maintenance,
        cron_schedule="41 4 * * *",
        execution_timezone="UTC",
        description="Once a day, at night; runs of the last 30 days stay.",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    return dg.Definitions(jobs=[maintenance], schedules=[schedule])


def delete_old_runs(instance: dg.DagsterInstance, before: datetime) -> Deleted:
    """Delete every run that ended before this time, and what it noted, but for what shows the state of an hour."""
    deleted, materialized = Deleted(), _Materialized(instance)
    for record in _old_runs(instance, before):
        run = record.dagster_run
        keep = run.status is dg.DagsterRunStatus.FAILURE and materialized.lack_what_was_planned(run.run_id)
        _thin(instance.event_log_storage, run.run_id, keep)
        if keep:
            deleted.kept += 1
        else:
            instance.run_storage.delete_run(run.run_id)
        deleted.runs += 1
    return deleted


def _old_runs(instance: dg.DagsterInstance, before: datetime) -> Iterator[dg.RunRecord]:
    """Read before any is deleted: pages would shift."""
    chosen = dg.RunsFilter(statuses=_FINISHED, updated_before=before)
    found: list[dg.RunRecord] = []
    while page := instance.get_run_records(
        chosen, limit=_AT_ONCE, cursor=found[-1].dagster_run.run_id if found else None
    ):
        found += page
    yield from found


class _Materialized:
    """Which partitions have a materialization, asked once for each asset."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance
        self._known: dict[str, set[str]] = {}

    def lack_what_was_planned(self, run_id: str) -> bool:
        """Whether no run made a partition that this one meant to make: then it is why that is shown as failed."""
        table = SqlEventLogStorageTable
        query = (
            table.select()
            .with_only_columns(table.c.asset_key, table.c.partition)
            .where(table.c.run_id == run_id, table.c.dagster_event_type == _PLANNED)
        )
        with _sql(self._instance.event_log_storage).index_connection() as connection:
            planned = connection.execute(query).fetchall()
        return any(partition and partition not in self._of(asset) for asset, partition in planned if asset)

    def _of(self, asset: str) -> set[str]:
        if asset not in self._known:
            key = dg.AssetKey.from_db_string(asset)
            self._known[asset] = self._instance.get_materialized_partitions(key) if key else set()
        return self._known[asset]


def _thin(storage: object, run_id: str, keep: bool) -> None:
    """Delete the events of a run but those that show a state; ``keep`` leaves what says that it failed."""
    events, table, checks = _sql(storage), SqlEventLogStorageTable, AssetCheckExecutionsTable
    kept = [_MATERIALIZATION, *([_PLANNED, dg.DagsterEventType.RUN_FAILURE.value] if keep else [])]
    with events.index_connection() as connection:
        of_run = table.c.run_id == run_id
        connection.execute(table.delete().where(of_run, table.c.dagster_event_type.not_in(kept)))
        connection.execute(table.delete().where(of_run, table.c.dagster_event_type.is_(None)))
        made = table.select().with_only_columns(table.c.id, table.c.event)
        for row, event in connection.execute(
            made.where(of_run, table.c.dagster_event_type == _MATERIALIZATION)
        ).fetchall():
            connection.execute(table.update().where(table.c.id == row).values(event=_slim(event)))
        judged = checks.select().with_only_columns(checks.c.id, checks.c.evaluation_event)
        for row, event in connection.execute(judged.where(checks.c.run_id == run_id)).fetchall():
            if event:
                connection.execute(checks.update().where(checks.c.id == row).values(evaluation_event=_slim(event)))
    if isinstance(storage, SqliteEventLogStorage):
        for ending in ("", "-wal", "-shm"):
            Path(f"{storage.path_for_shard(run_id)}{ending}").unlink(missing_ok=True)


def _slim(stored: str) -> str:
    """The event with the numbers of its metadata alone, which is what plots."""
    entry = deserialize_value(stored, EventLogEntry)
    event = entry.dagster_event
    if event is None:
        return stored
    slim: StepMaterializationData | dg.AssetCheckEvaluation
    match event.event_specific_data:
        case StepMaterializationData() as told:
            numbers = {n: v for n, v in told.materialization.metadata.items() if isinstance(v, _PLOTTED)}
            slim = told._replace(materialization=told.materialization._replace(metadata=numbers))
        case dg.AssetCheckEvaluation() as judged:
            slim = copy(judged, metadata={})
        case _:
            return stored
    return serialize_value(
        entry._replace(dagster_event=event._replace(event_specific_data=slim, logging_tags={}), user_message="")
    )


def _sql(storage: object) -> SqlEventLogStorage:
    if not isinstance(storage, SqlEventLogStorage):
        raise TypeError(f"{type(storage).__name__} is no event log that is kept in SQL")
    return storage


# What it takes on the disk -------------------------------------------------------------------


def instance_bytes(instance: dg.DagsterInstance) -> int:
    """What the instance's folder takes on the disk: all of it with SQLite."""
    return sum(room(path) for path in Path(instance.root_directory).rglob("*") if path.is_file())


def give_back(instance: dg.DagsterInstance) -> None:
    """Give the room of deleted rows back to the disk; only SQLite has to be told."""
    if not isinstance(instance.event_log_storage, SqliteEventLogStorage):
        return
    index = Path(instance.event_log_storage.path_for_shard("index"))
    for file in (index, index.parent.parent / "runs.db"):
        if file.exists():
            with closing(sqlite3.connect(file, timeout=_PATIENCE_SECONDS, isolation_level=None)) as database:
                database.execute("VACUUM")
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
