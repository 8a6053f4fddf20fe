"""The front door: every folder of ``defs/`` becomes definitions of the code location ``pipeline``.

Dagster's own folder loader gives up the whole location when one folder fails. Here a source that
cannot load becomes one asset with a failing check that says why, and the others run.
"""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from pipeline.components.broken_source import broken_source_definitions
from pipeline.components.counter_source import source_definitions
from pipeline.core.errors import ConfigError
from pipeline.core.project import ROOT, Project
from pipeline.core.sources import read_source, sound_sources
from pipeline.jobs import build_incidents_job
from pipeline.maintenance import maintenance_definitions
from pipeline.resources import shared_resources
from pipeline.sensors import build_incidents_sensor


@dg.definitions
def definitions() -> dg.Definitions:
    """Those of every source, of the project's maintenance and of its incidents; steps of a run go one by one."""
    tree = dg.ComponentTree.for_project(ROOT)
    return dg.Definitions.merge(
        *(_source(tree, file) for file in Project.here().source_files()),
        maintenance_definitions(),
        dg.Definitions(
            jobs=[build_incidents_job()],
            sensors=[build_incidents_sensor(sound_sources(Project.here())[0])],
            resources=shared_resources(),
            executor=dg.in_process_executor,
        ),
    )


def _source(tree: dg.ComponentTree, file: Path) -> dg.Definitions:
    try:
        source = read_source(file)
    except ConfigError as error:
        return broken_source_definitions(file.parent.name, error)
    if file.parent.parent != tree.defs_module_path:
        # RATCHET_DEFS names a folder that is no Python package, and a component tree has to be one.
        return source_definitions(source)
    return tree.build_defs_at_path(Path(file.parent.name))
