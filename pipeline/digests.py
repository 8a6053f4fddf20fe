"""The digests of a source: a job and, for each period, a schedule that is off unless the YAML names it.

A schedule ticks each hour of its day from 8 to 20 in the owner's time zone and skips, with the reason, once every
channel has its receipt. So a machine that slept at 8, or a channel that was down, is made up for.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import dagster as dg

from pipeline.core.hours import Hour
from pipeline.core.model import Period, Source
from pipeline.core.project import Project
from pipeline.failures import failing_loudly, keeping_secrets
from pipeline.graph import SOURCE_TAG, notify_pool
from pipeline.notify.digest import last_stretch, send_digest, stretch_before, untold
from pipeline.resources import CLOCK, LAKE
from pipeline.site.build import cache_folder

_CRON = {Period.DAILY: "7 8-20 * * *", Period.WEEKLY: "7 8-20 * * 1"}
_DESCRIPTION = {
    Period.DAILY: "Tell the channels of {} what the day before brought; on where its YAML says 'digests: [daily]'.",
    Period.WEEKLY: "Tell the channels of {} on Monday what the week brought; on where its YAML says"
    " 'digests: [weekly]'.",
}


class DigestOf(dg.Config):
    """Which digest: ``period`` is daily or weekly, ``last`` its last day as 2026-11-22."""

    period: str
    last: str


@dataclass(frozen=True)
class Digests:
    """What a source's definitions take in."""

    job: dg.JobDefinition
    schedules: list[dg.ScheduleDefinition]


def build_digests(source: Source) -> Digests:
    """Of every period a schedule, so that one that is off can be switched on in the UI."""
    job = _job(source)
    return Digests(job, [_schedule(source, period, job) for period in Period])


def _job(source: Source) -> dg.JobDefinition:
    @dg.op(name=f"{source.name}_send_digest", required_resource_keys={LAKE, CLOCK}, pool=notify_pool(source))
    def send(context: dg.OpExecutionContext, config: DigestOf) -> None:
        after = date.fromisoformat(config.last) + timedelta(days=1)
        stretch = stretch_before(Period(config.period), after, source.timezone)
        lake, cache = context.resources.lake.source(source.name), cache_folder(Project.here(), source.name)
        with failing_loudly():
            for delivery in send_digest(lake, source, stretch, context.resources.clock.now, cache):
                context.log.info(delivery.words)

    @dg.job(
        name=f"{source.name}_digest",
        description=f"Send the digest of one day or week of {source.name}, once per channel.",
        tags={SOURCE_TAG: source.name},
    )
    def job() -> None:
        send()

    return job


def _schedule(source: Source, period: Period, job: dg.JobDefinition) -> dg.ScheduleDefinition:
    on = source.enabled and period in source.digests

    @dg.schedule(
        name=f"{source.name}_{period}_digest",
        job=job,
        cron_schedule=_CRON[period],
        execution_timezone=source.timezone,
        description=_DESCRIPTION[period].format(source.name),
        default_status=dg.DefaultScheduleStatus.RUNNING if on else dg.DefaultScheduleStatus.STOPPED,
        required_resource_keys={LAKE, CLOCK},
    )
    def digest(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        with keeping_secrets():
            now = context.resources.clock.now()
            stretch = last_stretch(period, now, source.timezone)
            if not source.notify:
                yield dg.SkipReason(f"{source.name} has no channels; add addresses under 'notify' in its YAML.")
            elif not untold(context.resources.lake.source(source.name), source, stretch, now):
                yield dg.SkipReason(f"The digest of {stretch.words} was told.")
            else:
                config = {"period": period.value, "last": stretch.last.isoformat()}
                yield dg.RunRequest(
                    run_key=f"{stretch.key} at {Hour.of(now).key}",
                    run_config={"ops": {f"{source.name}_send_digest": {"config": config}}},
                )

    return digest
