"""The component behind every ``defs/<source>/defs.yaml``: a source becomes its assets, checks, jobs and timers."""

from __future__ import annotations

from dataclasses import dataclass

import dagster as dg
from pydantic import BaseModel

from pipeline.asset_checks import build_asset_checks
from pipeline.assets import build_assets
from pipeline.core.model import Source
from pipeline.core.source_spec import SourceSpec
from pipeline.core.sources import read_source
from pipeline.digests import build_digests
from pipeline.jobs import build_jobs
from pipeline.long_view import build_long_view
from pipeline.partitions import hourly_partitions
from pipeline.resources import lock_key, source_lock
from pipeline.schedules import build_schedule
from pipeline.sensors import build_sensor


@dataclass
class CounterSource(dg.Component):
    """An account on a platform whose counters are recorded every hour."""

    source: Source

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """What the attributes are checked by, and what gives ``dg`` and editors their JSON schema."""
        return SourceSpec

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> CounterSource:
        """The source as its own file says. Raises ConfigError."""
        # Read by the core and not from ``attributes``: it knows lines, variables and counters, and
        # its errors hold no value from the environment.
        return cls(read_source(context.path / "defs.yaml"))

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Its assets, checks, jobs, schedules and sensor."""
        return source_definitions(self.source)


def source_definitions(source: Source) -> dg.Definitions:
    """Everything Dagster knows of one source, but the resources that all sources share."""
    partitions = hourly_partitions(source)
    long_view, digests = build_long_view(source), build_digests(source)
    return dg.Definitions(
        assets=[*build_assets(source, partitions), *long_view.assets],
        asset_checks=build_asset_checks(source, partitions),
        jobs=[*build_jobs(source), long_view.job, digests.job],
        schedules=[build_schedule(source), long_view.schedule, *digests.schedules],
        sensors=[build_sensor(source)],
        resources={lock_key(source): source_lock(source)},
    )
