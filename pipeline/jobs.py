"""The jobs of a source: capture the present hour, work history in, correct an hour, send a report's message."""

from enum import Enum

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from pydantic import Field

from pipeline.core import history
from pipeline.core.corrections import Choice, decide
from pipeline.core.errors import ConfigError
from pipeline.core.hours import Hour
from pipeline.core.model import Source
from pipeline.core.project import Project
from pipeline.core.text import counted
from pipeline.core.untold import forget_untold, untold
from pipeline.drawing import draw_if_possible
from pipeline.failures import failing_loudly
from pipeline.graph import (
    INCIDENTS_JOB,
    PROJECT,
    SOURCE_TAG,
    capture_job,
    correct_job,
    history_job,
    notify_job,
    notify_pool,
    pool,
)
from pipeline.notify.incidents import tell_incidents, watched
from pipeline.notify.sending import send_report
from pipeline.resources import CLOCK, LAKE, lock_key
from pipeline.telling import tell_hour


class Telling(dg.Config):
    """``tell_from``: the hour from which on Dagster is told of every hour, changed or not."""

    tell_from: str | None = None


class ReportHour(dg.Config):
    """Which report: ``hour`` as 2026-11-22T14."""

    hour: str


class Decision(Enum):
    """What `ratchet correct` calls --accept, --lower and --reject."""

    accept = "accept"
    lower = "lower"
    reject = "reject"


class Deciding(dg.Config):
    """The owner's signed word on one hour, as `ratchet correct` takes it."""

    hour: str = Field(description="of the source, as 2026-11-22T14 (UTC) or as a partition is called")
    action: Decision = Field(
        description="accept: the refused capture is true. lower: of that capture the fall of the named items is true, "
        "whatever else was found still blocks. reject: the accepted snapshot is taken back"
    )
    by: str = Field(description="who decides")
    reason: str = Field(description="why")
    items: list[str] = Field(default=[], description="of the action lower: the ids of the items whose fall is true")
    captured_at: str | None = Field(
        default=None, description="which refused capture is meant, where the hour has several; the newest by default"
    )


def build_jobs(source: Source) -> list[dg.JobDefinition | UnresolvedAssetJobDefinition]:
    """To capture, to work history in, to correct and to notify."""
    return [_capture(source), _history(source), _correct(source), _notify(source)]


def _capture(source: Source) -> UnresolvedAssetJobDefinition:
    return dg.define_asset_job(
        capture_job(source),
        selection=dg.AssetSelection.groups(source.name),
        description=f"Observe the present hour of {source.name}: raw, validated, delta, report.",
        tags=_tags(source),
    )


def _history(source: Source) -> dg.JobDefinition:
    @dg.op(name=f"{source.name}_settle", required_resource_keys={LAKE, CLOCK, lock_key(source)}, pool=pool(source))
    def settle(context: dg.OpExecutionContext, config: Telling) -> None:
        with failing_loudly():
            _settle(context, source, config.tell_from)

    @dg.job(
        name=history_job(source),
        description=f"Work a stretch of the past of {source.name} into its history, and tell Dagster of it.",
        tags=_tags(source),
    )
    def job() -> None:
        settle()

    return job


def _correct(source: Source) -> dg.JobDefinition:
    @dg.op(name=f"{source.name}_decide", required_resource_keys={LAKE, CLOCK, lock_key(source)}, pool=pool(source))
    def decide_and_settle(context: dg.OpExecutionContext, config: Deciding) -> None:
        lake, now = context.resources.lake.source(source.name), context.resources.clock.now()
        choice = Choice(config.action.value, config.items, config.captured_at)
        with failing_loudly():
            made = decide(lake, source, _hour(config.hour), choice, by=config.by, reason=config.reason, made_at=now)
            context.log.info(f"{made.hour}: {made.words} (correction {made.id}).")
            _settle(context, source)

    @dg.job(
        name=correct_job(source),
        description=f"Correct an hour of {source.name}: accept what was refused, accept lower values of some items, "
        "or reject what was accepted. Signed, kept, and reversible by another correction.",
        tags=_tags(source),
    )
    def job() -> None:
        decide_and_settle()

    return job


def _hour(text: str) -> Hour:
    try:
        return Hour.parse(text)
    except ValueError as fault:
        raise ConfigError(str(fault), "Take the name of a partition.") from None


def _settle(context: dg.OpExecutionContext, source: Source, tell_from: str | None = None) -> None:
    """Work in what is planned or interrupted, tell Dagster of the hours that changed, and draw the pages."""
    lake = context.resources.lake.source(source.name)
    told = set(history.finish_interrupted(lake, source))
    told |= untold(lake) & {capture.hour for capture in lake.captures()}  # a killed import noted more
    if tell_from is not None:
        told |= {capture.hour for capture in lake.captures(Hour.parse(tell_from))}
    for hour in sorted(told):
        tell_hour(context, lake, source, hour)
    forget_untold(lake)
    context.log.info(f"{counted(len(told), 'hour')} of {source.name} told to Dagster.")
    draw_if_possible(source, context.resources.clock.now(), context.log)


def _notify(source: Source) -> dg.JobDefinition:
    @dg.op(name=f"{source.name}_send", required_resource_keys={LAKE, CLOCK}, pool=notify_pool(source))
    def send(context: dg.OpExecutionContext, config: ReportHour) -> None:
        lake = context.resources.lake.source(source.name)
        with failing_loudly():
            for delivery in send_report(lake, source, Hour.parse(config.hour), context.resources.clock.now):
                context.log.info(delivery.words)

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
                context.log.info(delivery.words)

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
