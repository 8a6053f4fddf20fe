"""The SQL engine: DuckDB in memory, one for many queries of the process, and the rendering of the texts in ``sql/``.

Paths, times and thresholds reach a query as bound parameters. A column's name cannot be bound,
so counter names are the only thing ever written into SQL text, and only after they matched
``[a-z][a-z0-9_]*``. No database file is opened anywhere: a file held open by one process would
lock out every other.
"""

from __future__ import annotations

import glob
import os
import re
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from itertools import count
from pathlib import Path

import duckdb
import pyarrow as pa
from jinja2 import Environment, PackageLoader, StrictUndefined

from pipeline.core.errors import LakeFault
from pipeline.core.model import Counter

_NAME = re.compile(r"[a-z][a-z0-9_]*")

# What DuckDB raises over a Parquet file: the bare Error where not even the headers can be decoded.
_DAMAGE = (duckdb.Error, duckdb.IOException, duckdb.InvalidInputException)

# A capture shares its machine with Dagster and with the captures of other sources.
_THREADS = 2
_MEMORY = "1GB"

SMALL = 262_144
"""A file of the lake of so many bytes holds some ten thousand items."""


_LASTING = 200
"""After so many connections another database is made: DuckDB 2.0 keeps 3.7 KB of every join until its database ends."""
_given = count()


@lru_cache(maxsize=1)
def _database(number: int) -> duckdb.DuckDBPyConnection:
    """Those before it end with the last connection to them."""
    spill = str(Path(tempfile.gettempdir()) / f"ratchet-duckdb-{os.getpid()}-{number}")
    config: dict[str, str | bool | int | float | list[str]] = {
        "threads": _THREADS,
        "memory_limit": _MEMORY,
        "temp_directory": spill,
    }
    database = duckdb.connect(config=config)
    database.execute("SET GLOBAL TimeZone = 'UTC'")
    return database


def cursor() -> duckdb.DuckDBPyConnection:
    """A connection of its own to the database of this process, which holds nothing; close it after use.

    The database is made by the first call (50 to 75 ms) and anew by every 200th. It runs on two threads in 1 GB,
    beyond which it spills to the system's folder for temporary files. Times are UTC.
    """
    return _database(next(_given) // _LASTING).cursor()


def arrow_rows(
    connection: duckdb.DuckDBPyConnection, query: str, parameters: Mapping[str, object], *, few: bool
) -> pa.Table:
    """The rows of a query. ``few``: planning it twice, as a relation does, would cost more than copying them once."""
    if not few:
        return connection.sql(query, params=dict(parameters)).to_arrow_table()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Arrow output on a DB-API result", UserWarning)
        return connection.execute(query, dict(parameters)).to_arrow_table()


def render(template: str, counters: Sequence[str] | Sequence[Counter], **choices: object) -> str:
    """The text of ``sql/<template>`` for these counters; ``choices`` select among its branches.

    Raises ValueError for a name that is no counter's.
    """
    for counter in counters:
        name = counter.name if isinstance(counter, Counter) else counter
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} cannot be a counter; a name is lower-case letters, digits and '_'")
    return _templates().get_template(template).render(counters=counters, **choices)


@cache
def _templates() -> Environment:
    loader = PackageLoader("pipeline.core", "sql")
    return Environment(  # noqa: S701  this renders SQL, where HTML escapes would be wrong
        loader=loader,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def named(path: Path) -> str:
    """``path`` as the parameter of ``read_parquet``, which would take ``*``, ``?`` and ``[`` for patterns."""
    return glob.escape(str(path))


@contextmanager
def reading_lake() -> Iterator[None]:
    """Turn DuckDB's complaint about a missing or damaged file into LakeFault."""
    try:
        yield
    except duckdb.Error as fault:
        if type(fault) not in _DAMAGE:  # a query that does not bind is a bug, and memory is not the file's
            raise
        raise LakeFault(
            f"A snapshot of the lake cannot be read: {fault}",
            "Restore the file from a backup; nothing was changed.",
        ) from fault
