"""Alembic's folders of migrations, found once for a process.

Whoever opens a Dagster instance on SQLite asks alembic for that folder, and so does every run for a file of its own.
Alembic keeps what led to the folder until the process ends, anew each time (`coerce_resource_to_filename`, and there
`atexit.register`): 27 objects, some 4 KB. A server for code opens an instance for each tick, and the daemon writes
into the file of every run, so they would grow by that for as long as they run.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import alembic.util
from dagster._core.scheduler import DagsterDaemonScheduler

_find_folder = cache(alembic.util.coerce_resource_to_filename)


class AskingOnce(DagsterDaemonScheduler):
    """Dagster's own scheduler. dagster.yaml names it, so that every process that opens the instance comes by here."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        alembic.util.coerce_resource_to_filename = _find_folder  # the same name has always the same folder
        super().__init__(*arguments, **settings)
