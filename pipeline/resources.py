"""What the assets are given from outside: the lake, the clock, and the lock of each source.

Dagster's word for these is resources. The clock is one so that a replay and the tests can bring
another time; the lock is one because a resource lives exactly as long as its run.
"""

from collections.abc import Iterator

import dagster as dg

from pipeline.core.lake import SourceLake
from pipeline.core.model import Source
from pipeline.core.observe import PresentClock
from pipeline.core.project import Project

LAKE, CLOCK = "lake", "clock"


def shared_resources() -> dict[str, object]:
    """The resources of the code location; a replay and the tests override some by key."""
    return {LAKE: Project.here().lake, CLOCK: PresentClock()}


def lock_key(source: Source) -> str:
    """Of the resource that holds the writing lock of a source for as long as its run lasts."""
    return f"{source.name}_writing"


def source_lock(source: Source) -> dg.ResourceDefinition:
    """Held from the first step of a run to its end, so runs of a source never overlap.

    Dagster's pools see to that for queued runs; this also meets what goes around the queue.
    """

    @dg.resource(required_resource_keys={LAKE}, description=f"The lock of the source {source.name}.")
    def writing(context: dg.InitResourceContext) -> Iterator[None]:
        lake: SourceLake = context.resources.lake.source(source.name)
        with lake.writing():
            yield

    return writing
