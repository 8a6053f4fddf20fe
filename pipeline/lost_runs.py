"""Runs whose process is gone: killed, or lost with the machine.

Dagster goes on taking such a run for a running one, and the next run of its source would wait for
it for ever. A run at work holds the lock of its source, which dies with its process: so where the
lock is free, no run that began a while ago is alive.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

import dagster as dg

from pipeline.core.errors import SourceBusy
from pipeline.core.lake import SourceLake
from pipeline.core.model import Source
from pipeline.graph import PROJECT, SOURCE_TAG

STARTING_UP = timedelta(minutes=5)
"""A process that is only just starting holds no lock yet."""

_AT_WORK = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


def end_lost_runs(instance: dg.DagsterInstance, lake: SourceLake, source: Source, now: datetime) -> list[str]:
    """Report every lost run of ``source`` as failed, and return their ids. Nothing where the source is at work."""
    old = list(_runs(instance, source.name, now - STARTING_UP))
    if not old:
        return []
    try:
        with lake.writing(), lake.sending():
            _report(instance, old, "What it had captured is in the lake and is taken up by the next run.")
    except SourceBusy:
        return []
    return [run.run_id for run in old]


def end_lost_messages(instance: dg.DagsterInstance, now: datetime) -> None:
    """The same for runs that tell of incidents. The caller holds the project's sending lock."""
    lost = list(_runs(instance, PROJECT, now - STARTING_UP))
    _report(instance, lost, "What it was to tell is told by the next run.")


def _report(instance: dg.DagsterInstance, lost: Iterable[dg.DagsterRun], what_next: str) -> None:
    for run in lost:
        instance.report_run_failed(
            run, f"The process of this run is gone: it was killed, or the machine went down. {what_next}"
        )


def _runs(instance: dg.DagsterInstance, source: str, before: datetime) -> Iterator[dg.DagsterRun]:
    for record in instance.get_run_records(dg.RunsFilter(statuses=_AT_WORK, updated_before=before)):
        run = record.dagster_run
        # A run that was started by a click on assets has no job of the source, and not its tag.
        selected = {asset.path[0] for asset in run.asset_selection or ()}
        selected |= {check.asset_key.path[0] for check in run.asset_check_selection or ()}
        if run.tags.get(SOURCE_TAG) == source or source in selected:
            yield run
