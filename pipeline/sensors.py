"""The sensor of a source: one notify run for each live report that has something to say.

What is pending is read from the lake, not from Dagster's events: a new Dagster instance sends
nothing twice, since the receipts are in the lake, and forgets nothing either.
"""

from collections.abc import Iterator

import dagster as dg

from pipeline.core.hours import Hour
from pipeline.core.model import Source
from pipeline.graph import notify_job
from pipeline.notify.sending import HOURS_WORTH_TELLING, unsent
from pipeline.resources import CLOCK, LAKE

_SECONDS_BETWEEN_LOOKS = 30


def build_sensor(source: Source) -> dg.SensorDefinition:
    @dg.sensor(
        name=f"{source.name}_crossings",
        job_name=notify_job(source),
        minimum_interval_seconds=_SECONDS_BETWEEN_LOOKS,
        description=f"Send one message for each live report of {source.name} with crossings; none for quiet hours.",
        default_status=dg.DefaultSensorStatus.RUNNING if source.enabled else dg.DefaultSensorStatus.STOPPED,
        required_resource_keys={LAKE, CLOCK},
    )
    def crossings(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        if not source.notify:
            yield dg.SkipReason(f"{source.name} has no channels; add addresses under 'notify' in its YAML.")
            return
        lake, now = context.resources.lake.source(source.name), context.resources.clock.now()
        present = Hour.of(now)
        pending = unsent(lake, source, present + -HOURS_WORTH_TELLING)
        if not pending:
            yield dg.SkipReason("No report has anything unsent.")
        for hour in pending:
            # A run key is used once for ever; with the present hour in it a channel that was down
            # is tried again once an hour, and what has its receipt is not sent again.
            yield dg.RunRequest(
                run_key=f"{hour.key} at {present.key}",
                run_config={"ops": {f"{source.name}_send": {"config": {"hour": hour.key}}}},
            )

    return crossings
