"""The accepted snapshot of an hour: a table of every item of the source, and what it was made from.

State carries forward: an item that the listing lacks keeps its last value and the time it was last
observed, so the predecessor of any item lies in exactly one file, the accepted hour before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from io import BytesIO
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.core.engine import cursor, named, reading_lake, render
from pipeline.core.lineage import reading
from pipeline.core.model import Counter
from pipeline.core.validation.checks import CHECKS_VERSION
from pipeline.core.validation.listing import TIME_TYPE

# DuckDB reads row groups of its own vector size in parallel.
_ROW_GROUP = 122_880
# Columns with a value of its own for nearly every item: a dictionary only makes them larger and slower
# to read. Sorted by item_id, names and addresses share most of their beginning with the one before.
_VARIED = {
    "item_id": "DELTA_BYTE_ARRAY",
    "title": "PLAIN",
    "url": "DELTA_BYTE_ARRAY",
    "published_at": "PLAIN",
}
_FIXED = {
    "item_id": pa.string(),
    "title": pa.string(),
    "url": pa.string(),
    "published_at": TIME_TYPE,
    "captured_at": TIME_TYPE,
    "status": pa.string(),
    "last_observed_at": TIME_TYPE,
    "checks_version": pa.string(),
}


def build_snapshot(
    items: pd.DataFrame,
    previous: Path | None,
    counters: Sequence[Counter],
    captured_at: datetime,
    *,
    overruled: bool,
) -> pa.Table:
    """The items of a sound capture joined with the accepted snapshot before it, sorted by item_id.

    ``overruled``: the owner took the capture as true, so items below their policy become `corrected`
    and the tolerance of their counters is measured from the new value on.
    """
    known = _columns(previous) if previous else frozenset()
    values = {"captured_at": captured_at, "overruled": overruled, "checks_version": CHECKS_VERSION}
    if previous:
        values["previous"] = named(previous)
    query = render("snapshot.sql", counters, known=known)
    with reading_lake(), cursor() as connection:
        connection.register("listing", pa.Table.from_pandas(items, preserve_index=False))
        table = connection.sql(query, params=values).to_arrow_table()
    return table.cast(_schema(table.column_names))


def _columns(path: Path) -> frozenset[str]:
    with reading(path):
        return frozenset(pq.read_schema(path).names)


def _schema(names: Iterable[str]) -> pa.Schema:
    return pa.schema([(name, _FIXED.get(name, pa.int64())) for name in names])


def read_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """A Parquet file of the lake. Raises LakeFault where it is damaged."""
    with reading(path):
        return pq.read_table(path, columns=columns, partitioning=None)


def read_frame(path: Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """The same as an Arrow-backed frame."""
    return as_frame(read_table(path, columns))


def as_frame(table: pa.Table) -> pd.DataFrame:
    """Arrow-backed columns, so that whole numbers stay whole where some are missing."""
    frame: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype)
    return frame


def encode_table(table: pa.Table) -> bytes:
    """Parquet, compressed with zstd; the same bytes for the same table and library version."""
    buffer = BytesIO()
    pq.write_table(
        table,
        buffer,
        compression="zstd",
        row_group_size=_ROW_GROUP,
        use_dictionary=[name for name in table.column_names if name not in _VARIED],
        column_encoding={name: encoding for name, encoding in _VARIED.items() if name in table.column_names},
    )
    return buffer.getvalue()
