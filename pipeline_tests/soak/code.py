"""The code location of the soak: every source of the project as always, with the driven clock for the present."""

import dagster as dg

from pipeline.components.counter_source import source_definitions
from pipeline.core.project import Project
from pipeline.core.sources import sound_sources
from pipeline.resources import CLOCK, shared_resources
from pipeline_tests.soak.clock import DrivenClock

defs = dg.Definitions.merge(
    *(source_definitions(source) for source in sound_sources(Project.here())[0]),
    dg.Definitions(resources=shared_resources() | {CLOCK: DrivenClock.here()}, executor=dg.in_process_executor),
)
