"""Telling Dagster what the lake holds of an hour, from a run that is not that hour's own.

Dagster's instance is disposable: what it shows of an hour can be told again from the files. Used
where a run works hours of the past into the history: after a correction, an interrupted run, or
the loss of Dagster's database.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from uuid import uuid4

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationPlanned,
    AssetCheckEvaluationTargetMaterializationData,
)
from dagster._core.events import AssetMaterializationPlannedData, StepMaterializationData

from pipeline.asset_checks import verdict_words
from pipeline.core import history
from pipeline.core.hours import Hour
from pipeline.core.lake import VALIDATED, CaptureRef, SourceLake
from pipeline.core.lineage import read_lineage, standing_capture
from pipeline.core.model import Finding, Origin, Source
from pipeline.core.signals import drift
from pipeline.core.validation import conservation
from pipeline.core.validation.checks import ADVISORY
from pipeline.core.verdicts import Verdict
from pipeline.graph import DELTA, RAW, REPORT, SNAPSHOT, SOURCE_TAG, asset_key, capture_job
from pipeline.metadata import (
    Metadata,
    delta_metadata,
    raw_metadata,
    report_metadata,
    snapshot_metadata,
)
from pipeline.partitions import hourly_partitions

_PARTITION_TAG, TOLD_TAG = "dagster/partition", "ratchet/told"
_Event = dg.AssetMaterialization | dg.AssetCheckEvaluation


def tell_hour(
    context: dg.OpExecutionContext | dg.AssetExecutionContext, lake: SourceLake, source: Source, hour: Hour
) -> None:
    """Tell what a run of ``hour`` would have told: into the run of ``context``, or of a refusal as a failed run.

    Checks that imported history passed at once are left out: they are most of the time that telling takes.
    """
    told = _Told(context.instance, source, hour)
    capture = standing_capture(lake, hour)
    judged = None if _passed_on_import(lake, hour) else history.verdict(lake, source, capture)
    of_capture = _capture_events(told, lake, capture, judged)
    if judged is not None and not lake.exists(VALIDATED, hour):
        _tell_refusal(told, judged.reason, of_capture)
        return
    for event in chain(of_capture, _accepted_events(told, lake, judged)):
        # The annotation lacks check evaluations; the method takes them.
        context.log_event(event)  # type: ignore[arg-type]


def _passed_on_import(lake: SourceLake, hour: Hour) -> bool:
    """Whether an imported capture is the hour's, without a word of its owner, and nothing in it was ever refused."""
    if not lake.exists(VALIDATED, hour):
        return False
    lineage = read_lineage(lake.path(VALIDATED, hour))
    return lineage.origin is Origin.IMPORT and not lineage.corrections and not lake.refused(hour, hour)


@dataclass(frozen=True)
class _Told:
    """What is told of, and to whom."""

    instance: dg.DagsterInstance
    source: Source
    hour: Hour

    def materialized(self, asset: str, metadata: Metadata) -> dg.AssetMaterialization:
        return dg.AssetMaterialization(
            asset_key(self.source, asset), partition=self.hour.partition_key, metadata=metadata
        )

    def evaluated(self, asset: str, finding: Finding) -> dg.AssetCheckEvaluation:
        """The result of a check of the newest materialization: Dagster shows no result of an older one."""
        key = asset_key(self.source, asset)
        of_the_hour = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[self.hour.partition_key])
        (newest,) = self.instance.fetch_materializations(of_the_hour, limit=1).records
        return dg.AssetCheckEvaluation(
            asset_key=key,
            check_name=finding.check,
            partition=self.hour.partition_key,
            blocking=finding.check not in (*ADVISORY, drift.CHECK),
            target_materialization_data=AssetCheckEvaluationTargetMaterializationData(
                storage_id=newest.storage_id, run_id=newest.run_id, timestamp=newest.timestamp
            ),
            **verdict_words(finding),
        )


def _capture_events(told: _Told, lake: SourceLake, capture: CaptureRef, judged: Verdict | None) -> Iterator[_Event]:
    """Each event is made when the one before it was told. ``judged``: None where checks are left out."""
    yield told.materialized(RAW, raw_metadata(lake, capture, judged))
    for finding in (*judged.judged, history.steadiness(lake, judged)) if judged is not None else ():
        yield told.evaluated(RAW, finding)


def _accepted_events(told: _Told, lake: SourceLake, judged: Verdict | None) -> Iterator[_Event]:
    hour = told.hour
    yield told.materialized(SNAPSHOT, snapshot_metadata(lake, hour))
    yield told.materialized(DELTA, delta_metadata(lake, hour))
    if judged is not None:
        yield told.evaluated(DELTA, history.conservation(lake, hour))
    yield told.materialized(REPORT, report_metadata(lake, history.read_report(lake, hour)))


def _tell_refusal(told: _Told, reason: str, events: Iterator[_Event]) -> None:
    """Record a run of the hour that failed with ``reason``.

    Dagster calls a partition failed where a run meant to make it and failed. Nothing else does:
    without such a run the assets after a refused capture would look as if nobody had tried.
    """
    instance, source, hour = told.instance, told.source, told.hour
    run = instance.add_run(
        dg.DagsterRun(
            job_name=capture_job(source),
            run_id=str(uuid4()),
            tags={SOURCE_TAG: source.name, _PARTITION_TAG: hour.partition_key, TOLD_TAG: "true"},
        )
    )

    def report(kind: dg.DagsterEventType, data: object) -> None:
        event = dg.DagsterEvent(kind.value, run.job_name, event_specific_data=data)  # type: ignore[arg-type]
        instance.report_dagster_event(event, run.run_id)

    for asset in (SNAPSHOT, DELTA, REPORT):
        planned = AssetMaterializationPlannedData(asset_key(source, asset), partition=hour.partition_key)
        report(dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED, planned)
    partitions = hourly_partitions(source)
    if partitions.has_partition_key(hour.partition_key):  # the YAML may have got a later start since
        unreached = AssetCheckEvaluationPlanned(
            asset_key=asset_key(source, DELTA),
            check_name=conservation.CHECK,
            partitions_subset=partitions.subset_with_partition_keys([hour.partition_key]).to_serializable_subset(),
        )
        report(dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED, unreached)
    for event in events:
        if isinstance(event, dg.AssetMaterialization):
            report(dg.DagsterEventType.ASSET_MATERIALIZATION, StepMaterializationData(event))
        else:
            report(dg.DagsterEventType.ASSET_CHECK_EVALUATION, event)
    instance.report_run_failed(run, f"{hour.key} of {source.name} was refused. {reason}")
