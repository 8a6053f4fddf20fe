"""The jobs of a source: capture the present hour, work history in, send a report's message."""

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from pipeline.core import history
from pipeline.core.hours import Hour
from pipeline.core.model import Source
from pipeline.core.project import Project
from pipeline.core.untold import forget_untold, untold
from pipeline.failures import failing_loudly
from pipeline.graph import INCIDENTS_JOB, PROJECT, SOURCE_TAG, capture_job, history_job, notify_job, notify_pool, pool
from pipeline.notify.incidents import tell_incidents, watched
from pipeline.notify.sending import send_report
from pipeline.resources import CLOCK, LAKE, lock_key
from pipeline.telling import tell_hour


class Telling(dg.Config):
    """``tell_from``: the hour from which on Dagster is told of every hour, changed or not."""

    tell_from: str | None = None


class ReportHour(dg.Config):
    hour: str


def build_jobs(source: Source) -> list[dg.JobDefinition | UnresolvedAssetJobDefinition]:
    return [_capture(source), _history(source), _notify(source)]


def _capture(source: Source) -> UnresolvedAssetJobDefinition:
    return dg.define_asset_job(
        capture_job(source),
        selection=dg.AssetSelection.groups(source.name),
        description=f"Observe the present hour of {source.name}: raw, validated, delta, report.",
        tags=_tags(source),
    )


def _history(source: Source) -> dg.JobDefinition:
    @dg.op(name=f"{source.name}_settle", required_resource_keys={LAKE, lock_key(source)}, pool=pool(source))
    def settle(context: dg.OpExecutionContext, config: Telling) -> None:
        lake = context.resources.lake.source(source.name)
        with failing_loudly():
            told = set(history.finish_interrupted(lake, source))
            told |= untold(lake) & {capture.hour for capture in lake.captures()}  # a killed import noted more
            if config.tell_from is not None:
                told |= {capture.hour for capture in lake.captures(Hour.parse(config.tell_from))}
            for hour in sorted(told):
                tell_hour(context, lake, source, hour)
            forget_untold(lake)
        context.log.info(f"{len(told)} hours of {source.name} told to Dagster.")

    @dg.job(
        name=history_job(source),
        description=f"Work a stretch of the past of {source.name} into its history, and tell Dagster of it.",
        tags=_tags(source),
    )
    def job() -> None:
        settle()

    return job


def _notify(source: Source) -> dg.JobDefinition:
    @dg.op(name=f"{source.name}_send", required_resource_keys={LAKE, CLOCK}, pool=notify_pool(source))
    def send(context: dg.OpExecutionContext, config: ReportHour) -> None:
        lake = context.resources.lake.source(source.name)
        with failing_loudly():
            for delivery in send_report(lake, source, Hour.parse(config.hour), context.resources.clock.now):
                context.log.info(f"{delivery.channel}: {delivery.result}. {delivery.detail}")

    @dg.job(
        name=notify_job(source),
        description=f"Send the message of one report of {source.name}, once per channel.",
        tags=_tags(source),
    )
    def job() -> None:
        send()

    return job


def build_incidents_job() -> dg.JobDefinition:
    """One for all sources: what meets several of them at once is one message."""

    @dg.op(name=f"tell_{INCIDENTS_JOB}", required_resource_keys={LAKE, CLOCK})
    def tell(context: dg.OpExecutionContext) -> None:
        with failing_loudly():
            for delivery in tell_incidents(
                context.resources.lake, watched(Project.here()), context.resources.clock.now
            ):
                context.log.info(f"{delivery.channel}: {delivery.result}. {delivery.detail}")

    @dg.job(
        name=INCIDENTS_JOB,
        description="Tell the channels which incidents opened, still stand, or are over.",
        tags={SOURCE_TAG: PROJECT},
    )
    def job() -> None:
        tell()

    return job


def _tags(source: Source) -> dict[str, str]:
    return {SOURCE_TAG: source.name}
