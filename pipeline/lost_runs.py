"""Runs whose process is gone: killed, or lost with the machine.

Dagster goes on taking such a run for a running one, and the next run of its source would wait for
it for ever. A run at work holds the lock of its source, which dies with its process: so where the
lock is free, no run that began a while ago is alive.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import dagster as dg

from pipeline.core.errors import SourceBusy
from pipeline.core.lake import SourceLake
from pipeline.core.model import Source
from pipeline.graph import SOURCE_TAG

STARTING_UP = timedelta(minutes=5)
"""A process that is only just starting holds no lock yet."""

_AT_WORK = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


def end_lost_runs(instance: dg.DagsterInstance, lake: SourceLake, source: Source, now: datetime) -> list[str]:
    """Report every lost run of ``source`` as failed, and return their ids. Nothing where the source is at work."""
    old = list(_runs(instance, source, now - STARTING_UP))
    if not old:
        return []
    try:
        with lake.writing(), lake.sending():
            for run in old:
                instance.report_run_failed(
                    run,
                    "The process of this run is gone: it was killed, or the machine went down. What it had captured"
                    " is in the lake and is taken up by the next run.",
                )
    except SourceBusy:
        return []
    return [run.run_id for run in old]


def _runs(instance: dg.DagsterInstance, source: Source, before: datetime) -> Iterator[dg.DagsterRun]:
    for record in instance.get_run_records(dg.RunsFilter(statuses=_AT_WORK, updated_before=before)):
        run = record.dagster_run
        # A run that was started by a click on assets has no job of the source, and not its tag.
        selected = {asset.path[0] for asset in run.asset_selection or ()}
        selected |= {check.asset_key.path[0] for check in run.asset_check_selection or ()}
        if run.tags.get(SOURCE_TAG) == source.name or source.name in selected:
            yield run
