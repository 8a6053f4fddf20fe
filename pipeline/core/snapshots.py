"""The accepted snapshot of an hour: a table of every item of the source, and what it was made from.

State carries forward: an item that the listing lacks keeps its last value and the time it was last
observed, so the predecessor of any item lies in exactly one file, the accepted hour before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from io import BytesIO
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.core.engine import SMALL, arrow_rows, cursor, named, reading_lake, render
from pipeline.core.model import FEED_STATE, Counter
from pipeline.core.parquet import ROW_GROUP, TIME_TYPE, reading
from pipeline.core.validation.checks import CHECKS_VERSION
from pipeline.core.windows import DAYS_TYPE, days_column, is_days

# Columns with a value of its own for nearly every item: a dictionary only makes them larger and slower
# to read. Sorted by item_id, names and addresses share most of their beginning with the one before.
_VARIED = {
    "item_id": "DELTA_BYTE_ARRAY",
    "title": "PLAIN",
    "url": "DELTA_BYTE_ARRAY",
    "published_at": "PLAIN",
}
_FEW = 10_000
_FIXED = {
    "item_id": pa.string(),
    "title": pa.string(),
    "url": pa.string(),
    "published_at": TIME_TYPE,
    "captured_at": TIME_TYPE,
    "status": pa.string(),
    "last_observed_at": TIME_TYPE,
    "checks_version": pa.string(),
    FEED_STATE: pa.binary(),
}


def build_snapshot(
    items: pd.DataFrame,
    previous: Path | None,
    counters: Sequence[Counter],
    captured_at: datetime,
    *,
    overruled: bool,
    lowered: Sequence[str] = (),
) -> pa.Table:
    """The items of a sound capture joined with the accepted snapshot before it, sorted by item_id.

    ``overruled``: the owner took the capture as true, so items below their policy become `corrected`
    and the tolerance of their counters is measured from the new value on. ``lowered``: the ids of
    single items of which the same was said.
    """
    known = columns_of(previous) if previous else frozenset()
    values: dict[str, object] = {
        "captured_at": captured_at,
        "overruled": overruled,
        "lowered": list(lowered),
        "checks_version": CHECKS_VERSION,
    }
    if previous:
        values["previous"] = named(previous)
    windows = {counter.name for counter in counters if days_column(counter.name) in items}
    query = render("snapshot.sql", counters, known=known, windows=windows, feed=FEED_STATE in items)
    with reading_lake(), cursor() as connection:
        connection.register("listing", pa.Table.from_pandas(items, preserve_index=False))
        table = arrow_rows(connection, query, values, few=len(items) <= _FEW)
    return table.cast(_schema(table.column_names))


def columns_of(path: Path) -> frozenset[str]:
    """The names of the columns of a file. Raises LakeFault where it is damaged."""
    with reading(path):
        return frozenset(pq.read_schema(path).names)


def _schema(names: Iterable[str]) -> pa.Schema:
    return pa.schema([(name, _FIXED.get(name, DAYS_TYPE if is_days(name) else pa.int64())) for name in names])


def read_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """A Parquet file of the lake. Raises LakeFault where it is damaged."""
    with reading(path):
        if columns is None and (file := path.stat()).st_size <= SMALL:
            return _read_small(path, file.st_ino, file.st_mtime_ns)
        return pq.read_table(path, columns=columns, partitioning=None)


@lru_cache(maxsize=8)
def _read_small(path: Path, inode: int, written_at: int) -> pa.Table:
    """Decoded once: while a history is settled, an hour's small files are asked for again and again.

    What lies under a name never changes; another generation is another file, which ``inode`` and
    ``written_at`` tell.
    """
    return pq.read_table(path, partitioning=None)


def read_frame(path: Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """The same as an Arrow-backed frame. Raises LakeFault where the file is damaged."""
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
        row_group_size=ROW_GROUP,
        use_dictionary=[name for name in table.column_names if name not in _VARIED],
        column_encoding={name: encoding for name, encoding in _VARIED.items() if name in table.column_names},
    )
    return buffer.getvalue()
