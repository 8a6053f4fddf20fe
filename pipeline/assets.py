"""The four assets of a source, each a thin shell around one step of `core.history`.

raw_snapshot asks the platform and stores the bytes; validated_snapshot is the gate; hourly_delta
and threshold_report follow from it. What an asset reads is in the lake, never in memory, so each
can be run alone, and none can go on from what was refused.
"""

from datetime import datetime, timedelta
from typing import Any

import dagster as dg

from pipeline.core import history
from pipeline.core.hours import format_time
from pipeline.core.incidents.notes import forget_attempt
from pipeline.core.lake import VALIDATED, CaptureRef
from pipeline.core.lineage import standing_capture
from pipeline.core.model import Source
from pipeline.core.observe import observe
from pipeline.drawing import draw_if_possible
from pipeline.failures import Step, failing_loudly
from pipeline.graph import DELTA, RAW, REPORT, SNAPSHOT, asset_key, asset_owners, asset_tags, pool
from pipeline.metadata import (
    Metadata,
    delta_metadata,
    raw_metadata,
    report_metadata,
    snapshot_metadata,
    spikes_table,
)
from pipeline.notify.heartbeat import beat
from pipeline.resources import CLOCK, LAKE, lock_key
from pipeline.telling import tell_hour

_Common = dict[str, Any]
"""The arguments that all four assets have in common."""
_LATE, _OVERDUE, _LATELY = timedelta(minutes=90), timedelta(hours=2), timedelta(hours=24)


def build_assets(source: Source, partitions: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """The four assets of an hour, in the order in which they follow from each other."""
    common: _Common = {
        "partitions_def": partitions,
        "group_name": source.name,
        "pool": pool(source),
        "required_resource_keys": {LAKE, CLOCK, lock_key(source)},
        "owners": asset_owners(source),
        "freshness_policy": _freshness(source),
        "tags": asset_tags(source),
    }
    assets = [build(source, common) for build in (_raw_snapshot, _validated_snapshot, _hourly_delta, _threshold_report)]
    return [asset for asset in dg.with_source_code_references(assets) if isinstance(asset, dg.AssetsDefinition)]


def _raw_snapshot(source: Source, common: _Common) -> dg.AssetsDefinition:
    @dg.asset(
        key=asset_key(source, RAW),
        kinds={source.platform.kind, "json"},
        description=f"One capture of the whole listing from {source.platform.kind}, stored byte for byte. "
        "Only the present hour can be captured.",
        **common,
    )
    def raw_snapshot(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        step = Step.of(context, source)
        lake, hour = step.lake, step.hour
        with failing_loudly(step):
            # A replay puts past hours in and settles what follows from them once, at its end.
            finished = history.finish_interrupted(lake, source, before=hour) if step.is_live else []
            for left in finished:
                context.log.info(f"Finished {left.key}, which an interrupted run had left.")
                tell_hour(context, lake, source, left)
            if finished:
                draw_if_possible(source, step.clock.now(), context.log)
            seen = observe(lake, source, hour, step.clock)
            if seen.accepted:
                context.log.info(_already(seen.capture))
            elif seen.ended is None:
                context.log.info(f"Took up the capture {seen.capture.name}, which nobody had judged.")
            judged = None if seen.accepted else history.verdict(lake, source, seen.capture)
            metadata = raw_metadata(lake, seen.capture, judged)
        return dg.MaterializeResult(metadata=metadata | _state(seen.accepted, seen.capture))

    return raw_snapshot


def _validated_snapshot(source: Source, common: _Common) -> dg.AssetsDefinition:
    @dg.asset(
        key=asset_key(source, SNAPSHOT),
        deps=[asset_key(source, RAW)],
        kinds={"parquet"},
        description="Every item of the source after a capture that passed all checks. The gate: it "
        "judges the capture again before it writes, so nothing goes on from a refused one.",
        **common,
    )
    def validated_snapshot(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        step = Step.of(context, source)
        lake, hour = step.lake, step.hour
        with failing_loudly(step):
            already = lake.exists(VALIDATED, hour)
            if not already:
                judged = history.verdict(lake, source, standing_capture(lake, hour))
                if not judged.accepted:
                    history.record_refusal(lake, judged)
                history.publish_snapshot(lake, judged)
                if step.is_live and (fault := beat(lake, source, step.clock.now())):
                    context.log.warning(fault)
            metadata = snapshot_metadata(lake, hour)
        return dg.MaterializeResult(metadata=metadata | _state(already, standing_capture(lake, hour)))

    return validated_snapshot


def _hourly_delta(source: Source, common: _Common) -> dg.AssetsDefinition:
    @dg.asset(
        key=asset_key(source, DELTA),
        deps=[asset_key(source, SNAPSHOT)],
        kinds={"duckdb", "parquet"},
        description="The exact change of every counter since the item was last observed, with the "
        "time it spans. Items that were not listed have no row: missing is not zero.",
        **common,
    )
    def hourly_delta(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        step = Step.of(context, source)
        with failing_loudly(step):
            history.publish_delta(step.lake, step.hour)
            metadata = delta_metadata(step.lake, step.hour)
        return dg.MaterializeResult(metadata=metadata)

    return hourly_delta


def _threshold_report(source: Source, common: _Common) -> dg.AssetsDefinition:
    @dg.asset(
        key=asset_key(source, REPORT),
        deps=[asset_key(source, DELTA)],
        kinds={"json", "markdown"},
        description="Which rules fired, what moved, and how complete the observation is.",
        **common,
    )
    def threshold_report(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        step = Step.of(context, source)
        lake, hour = step.lake, step.hour
        with failing_loudly(step):
            history.publish_report(lake, source, hour)
            report = history.read_report(lake, hour)
            metadata = report_metadata(lake, report)
            if step.is_live:
                now = step.clock.now()
                forget_attempt(lake, now if now in hour else report.captured_at)
                metadata |= _page_metadata(context, source, now)
        return dg.MaterializeResult(metadata=metadata)

    return threshold_report


def _page_metadata(context: dg.AssetExecutionContext, source: Source, now: datetime) -> Metadata:
    """Draw the pages; returns what only the whole history tells: the spikes of the last day."""
    story = draw_if_possible(source, now, context.log)
    if story is None:
        return {}
    lately = [spike for spike in story.spikes if now - spike.ended <= _LATELY]
    return {"spikes_24h": len(lately)} | ({"spikes": spikes_table(lately)} if lately else {})


def _freshness(source: Source) -> dg.FreshnessPolicy | None:
    """What the UI calls fresh: an hour is expected every hour, of a source that is to be captured for ever."""
    if not source.enabled or source.simulated or source.end is not None:
        return None
    return dg.FreshnessPolicy.time_window(fail_window=_OVERDUE, warn_window=_LATE)


def _already(capture: CaptureRef) -> str:
    return f"{capture.hour.key} was already observed at {format_time(capture.captured_at)}; nothing was changed."


def _state(already: bool, capture: CaptureRef) -> dict[str, str]:
    return {"note": _already(capture)} if already else {}
