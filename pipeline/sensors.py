"""The sensors: of a source, for its reports; and one for the incidents of all sources, silence among them.

What is pending is read from the lake, not from Dagster's events: a new Dagster instance sends
nothing twice, since the receipts are in the lake, and forgets nothing either.
"""

import hashlib
from collections.abc import Iterator, Sequence

import dagster as dg

from pipeline.core.errors import LakeFault, SourceBusy
from pipeline.core.hours import Hour
from pipeline.core.model import Source
from pipeline.core.project import Project
from pipeline.failures import keeping_secrets
from pipeline.graph import INCIDENTS_JOB, INCIDENTS_SENSOR, notify_job
from pipeline.lost_runs import end_lost_messages
from pipeline.notify.channels import attempts
from pipeline.notify.delivery import Channel
from pipeline.notify.incidents import attempt_keys, pending_messages, watched
from pipeline.notify.sending import HOURS_WORTH_TELLING, unsent
from pipeline.resources import CLOCK, LAKE

_SECONDS_BETWEEN_LOOKS = 30


def build_sensor(source: Source) -> dg.SensorDefinition:
    """The sensor of the reports of one source: a run for each report with something to tell."""

    @dg.sensor(
        name=f"{source.name}_crossings",
        job_name=notify_job(source),
        minimum_interval_seconds=_SECONDS_BETWEEN_LOOKS,
        description=f"Send one message for each live report of {source.name} with crossings; none for quiet hours.",
        default_status=dg.DefaultSensorStatus.RUNNING if source.enabled else dg.DefaultSensorStatus.STOPPED,
        required_resource_keys={LAKE, CLOCK},
    )
    def crossings(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        with keeping_secrets():
            if not source.notify:
                yield dg.SkipReason(f"{source.name} has no channels; add addresses under 'notify' in its YAML.")
                return
            lake, now = context.resources.lake.source(source.name), context.resources.clock.now()
            present = Hour.of(now)
            pending = unsent(lake, source, present + -HOURS_WORTH_TELLING)
            failures = [attempts(lake, Channel(address).id, now) for address in source.notify]
            ready = [times for times in failures if times is not None]
            if not pending:
                yield dg.SkipReason("No report has anything unsent.")
            elif not ready:
                yield dg.SkipReason("All channels failed lately and are not tried yet.")
            for hour in pending if ready else ():
                # A run key is used once for ever. With the attempt in it a channel that was down is tried
                # again when its wait is over, with the present hour in it a killed run is made up for;
                # what has its receipt is not sent again.
                yield dg.RunRequest(
                    run_key=f"{hour.key} at {present.key}" + (f", attempt {sum(ready) + 1}" if sum(ready) else ""),
                    run_config={"ops": {f"{source.name}_send": {"config": {"hour": hour.key}}}},
                )

    return crossings


def build_incidents_sensor(sources: Sequence[Source]) -> dg.SensorDefinition:
    """The sensor of the project: one run for all messages that are due. On where any source is enabled."""

    @dg.sensor(
        name=INCIDENTS_SENSOR,
        job_name=INCIDENTS_JOB,
        minimum_interval_seconds=_SECONDS_BETWEEN_LOOKS,
        description="Open an incident for what went wrong with any source, or for silence, and tell the channels.",
        default_status=dg.DefaultSensorStatus.RUNNING
        if any(source.enabled for source in sources)
        else dg.DefaultSensorStatus.STOPPED,
        required_resource_keys={LAKE, CLOCK},
    )
    def incidents(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        with keeping_secrets():
            lake, now = context.resources.lake, context.resources.clock.now()
            try:
                with lake.project.sending():
                    end_lost_messages(context.instance, now)
                    # Sources are read anew: this process may be older than their YAML and .env.
                    pending = pending_messages(lake, watched(Project.here()), now)
                    keys = attempt_keys(lake, pending, now)
            except SourceBusy:
                yield dg.SkipReason("Messages are on their way.")
            except LakeFault as fault:
                # Nothing can be remembered in the lake, so Dagster remembers: one message every six hours.
                yield dg.RunRequest(
                    run_key=f"the lake fails at {now:%Y-%m-%d} {now.hour // 6}: {_digest([fault.what])}"
                )
            else:
                if not keys:
                    yield dg.SkipReason(
                        "There is nothing to tell." if not pending else "Its channels are not tried yet."
                    )
                else:
                    yield dg.RunRequest(run_key=f"{Hour.of(now).key} {_digest(keys)}")

    return incidents


def _digest(keys: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(keys).encode()).hexdigest()[:16]
