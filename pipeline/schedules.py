"""The schedule of a source: its odd minute, and ten and twenty minutes later for an hour not yet observed.

A tick never fills a gap and never knocks at a door that was just shut: it skips, with the reason,
where the hour is observed, the session is known to be dead, or the tick itself comes too late.
"""

from collections.abc import Iterator

import dagster as dg

from pipeline.core.hours import Hour, format_time
from pipeline.core.lake import VALIDATED
from pipeline.core.model import Source, outside
from pipeline.core.project import Project
from pipeline.core.sessions import known_dead_session
from pipeline.core.sources import find_source
from pipeline.core.unsettled import unsettled_from
from pipeline.failures import keeping_secrets
from pipeline.graph import capture_job, know_pools
from pipeline.lost_runs import end_lost_runs
from pipeline.resources import CLOCK, LAKE


def build_schedule(source: Source) -> dg.ScheduleDefinition:
    """It is on where the source is enabled; a tick asks for one run, or skips with its reason."""
    minutes = source.attempt_minutes

    @dg.schedule(
        name=f"{source.name}_hourly",
        job_name=capture_job(source),
        cron_schedule=f"{','.join(map(str, minutes))} * * * *",
        execution_timezone="UTC",
        description=f"Observe {source.name} at minute {minutes[0]}; later ticks only where that failed.",
        default_status=dg.DefaultScheduleStatus.RUNNING if source.enabled else dg.DefaultScheduleStatus.STOPPED,
        required_resource_keys={LAKE, CLOCK},
    )
    def hourly(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        with keeping_secrets():
            tick, now = context.scheduled_execution_time, context.resources.clock.now()
            hour, lake = Hour.of(tick), context.resources.lake.source(source.name)
            know_pools(context.instance, source)
            end_lost_runs(context.instance, lake, source, now)
            # Read anew: this process may be older than the credential that is in .env now.
            dead = known_dead_session(lake, find_source(Project.here(), source.name))
            if now not in hour:
                yield dg.SkipReason(
                    f"The tick of {format_time(tick)} came at {format_time(now)}; {hour.key} is over and stays as it"
                    " is."
                )
            elif outside(source, hour):
                yield dg.SkipReason(outside(source, hour))
            elif lake.exists(VALIDATED, hour) and unsettled_from(lake) is None:
                yield dg.SkipReason(f"{hour.key} is already observed.")
            elif dead is not None:
                yield dg.SkipReason(
                    f"{dead} The platform is not called until the credential changes or someone runs: "
                    f"ratchet collect {source.name}"
                )
            else:
                yield dg.RunRequest(run_key=format_time(tick), partition_key=hour.partition_key)

    return hourly
