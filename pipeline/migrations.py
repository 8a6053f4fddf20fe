"""Alembic's folders of migrations, found once for a process.

Whoever opens a Dagster instance on SQLite asks alembic for that folder, and so does every run for a file of its own.
Alembic keeps what led to the folder until the process ends, anew each time (`coerce_resource_to_filename`, and there
`atexit.register`). A server for code opens an instance for each tick of a schedule: 27 objects, some 4 KB, or 0.1 GB in
a year of one source.
"""

from __future__ import annotations

from functools import cache

import alembic.util

_find_folder = cache(alembic.util.coerce_resource_to_filename)


def find_migrations_once() -> None:
    """Answer alembic's question from memory from here on: the same name has always the same folder."""
    alembic.util.coerce_resource_to_filename = _find_folder
