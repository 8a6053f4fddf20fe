"""What all Parquet files of the lake have in common. Loads neither DuckDB nor pandas: an export needs none of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from pipeline.core.files import damaged

TIME_TYPE = pa.timestamp("us", "UTC")
ROW_GROUP = 122_880
"""Rows of a row group, which DuckDB reads in parallel in multiples of its own vector size."""


def aligned(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """With the columns of ``schema`` alone; one that the table lacks, as a counter that joined later, is null."""
    known = set(table.column_names)
    columns = [table[f.name].cast(f.type) if f.name in known else pa.nulls(len(table), f.type) for f in schema]
    return pa.table(columns, schema=schema)


def gathered(tables: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    """The rows of the tables one after the other, in tables of at least ``rows`` but for the last."""
    held: list[pa.Table] = []
    for table in tables:
        held.append(table)
        if sum(map(len, held)) >= rows:
            yield pa.concat_tables(held)
            held = []
    if held:
        yield pa.concat_tables(held)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn Arrow's complaint about a missing or damaged file into LakeFault."""
    try:
        yield
    except (pa.ArrowException, OSError) as fault:
        raise damaged(path, str(fault)) from fault
