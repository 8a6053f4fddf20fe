"""CSV and Parquet: a row for each item of each capture.

Columns: ``captured_at``, ``item_id``, one for each counter of the source, and optionally ``title``,
``url`` and ``published_at``. An export of snapshots has ``status`` as well: what is carried in it was not
observed, and is left out. Rows may stand in any order. The whole file is held in memory, texts
that repeat once: 1.75 million rows of three counters take about 100 MB.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.core.errors import ConfigError
from pipeline.core.export.formats import restored
from pipeline.core.history_files.csv_text import TEXTS, csv_header, csv_table, line_of, require_size
from pipeline.core.history_files.past import NAIVE, Past, moment
from pipeline.core.imported import rows_page
from pipeline.core.model import Counter, Source
from pipeline.platforms.protocol import ITEM_FIELDS, Page

CAPTURED_AT, STATUS = "captured_at", "status"


def read_csv(path: Path, source: Source, zone: tzinfo | None) -> Past:
    """The captures of a CSV file. Raises ConfigError with the line of what cannot be used."""
    header = csv_header(path)
    require_columns(path, header, source.counters, line=1)
    _require_no_totals_of_days(path, header, source)
    return _past(path, csv_table(path, header), zone, is_text=True)


def read_parquet(path: Path, source: Source, zone: tzinfo | None) -> Past:
    """The captures of a Parquet file. Times with a zone are times; others are local to ``zone``. Raises ConfigError."""
    try:
        names = pq.read_schema(path).names
        require_columns(path, names, source.counters)
        _require_no_totals_of_days(path, names, source)
        require_size(path)
        table = _with_plain_texts(pq.read_table(path, partitioning=None))
    except (OSError, pa.ArrowException) as fault:
        raise ConfigError(
            f"it is no Parquet file that can be read: {fault}", "Choose another file.", file=path
        ) from None
    _require_calendar_times(path, table)
    return _past(path, table, zone)


def _with_plain_texts(table: pa.Table) -> pa.Table:
    """Without string views, of which Arrow cannot take rows."""
    views = pa.types.is_string_view
    return table.cast(pa.schema([each.with_type(pa.string()) if views(each.type) else each for each in table.schema]))


def _require_calendar_times(path: Path, table: pa.Table) -> None:
    for column in table.schema:
        if not pa.types.is_timestamp(column.type):
            continue
        try:
            pc.min_max(table[column.name]).as_py()
        except (OverflowError, ValueError, KeyError):  # a zone that is unknown is a KeyError
            what = f"the column '{column.name}' holds a time, or has a zone, that no calendar knows"
            raise ConfigError(what, "Mend the file; nothing was imported.", file=path) from None


# The columns --------------------------------------------------------------------------------


def require_columns(path: Path, names: Sequence[str], counters: Sequence[Counter], line: int | None = None) -> None:
    """Raises ConfigError for a header that says too little, too much or one thing twice.

    ``names``: the columns of the file; ``line``: that of the header, which a Parquet file has none of.
    """
    known = [CAPTURED_AT, *ITEM_FIELDS, STATUS, *(counter.name for counter in counters)]
    required = [CAPTURED_AT, "item_id", *(counter.name for counter in counters if not counter.optional)]
    hint = f"Its columns can be: {', '.join(known)}."

    def refuse(what: str, step: str = hint) -> ConfigError:
        return ConfigError(what, step, file=path, line=line)

    unknown = [name for name in names if name not in known]
    if unknown:
        raise refuse(f"the source has no counter for the column '{unknown[0][:50]}'")
    twice = {name for name in names if list(names).count(name) > 1}
    if twice:
        raise refuse(f"the column '{min(twice)}' stands twice")
    missing = [name for name in required if name not in names]
    if missing and missing[0] not in (CAPTURED_AT, "item_id"):
        step = "Add it, or write 'optional: true' beside that counter in the source's YAML."
        raise refuse(f"the column '{missing[0]}' is missing, without which every capture would be refused", step)
    if missing:
        raise refuse(f"the column '{missing[0]}' is missing")


def _require_no_totals_of_days(path: Path, names: Sequence[str], source: Source) -> None:
    """An export tells totals; a cell of a windowed counter is the number of one day, and would be added to them."""
    totals = [counter.name for counter in source.counters if counter.name in source.platform.windows & set(names)]
    if STATUS in names and totals:
        others = ",".join(c.name for c in source.counters if c.name not in source.platform.windows)
        raise ConfigError(
            f"it is an export and holds totals of {' and '.join(totals)}, which this platform tells per day",
            f"Export it without them: --counters {others}" if others else "Leave these columns out.",
            file=path,
        )


# The captures -------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Grouped:
    """Rows by capture: those of the moment ranked n are ``order[starts[n]:starts[n + 1]]``."""

    path: Path
    table: pa.Table
    zone: tzinfo | None
    ranks: Mapping[datetime, int]
    order: np.ndarray[Any, np.dtype[np.int64]]
    starts: np.ndarray[Any, np.dtype[np.int64]]
    is_text: bool
    is_export: bool

    def rows(self, at: datetime) -> np.ndarray[Any, np.dtype[np.int64]]:
        place = self.ranks[at]
        return self.order[self.starts[place] : self.starts[place + 1]]

    def pages(self, at: datetime) -> list[Page]:
        rows = self.table.take(pa.array(self.rows(at)))
        columns = {name: _cells(rows[name]) for name in rows.column_names}
        if self.is_text and self.is_export:
            columns = {name: [restored(cell) for cell in cells] for name, cells in columns.items()}
        if "published_at" in columns:
            columns["published_at"] = [_with_offset(cell, self.zone) for cell in columns["published_at"]]
        return [rows_page(self.path.name, at, columns)]

    def place(self, at: datetime) -> tuple[Path, int | None]:
        return self.path, line_of(self.path, int(self.rows(at)[0])) if self.is_text else None


def _past(path: Path, table: pa.Table, zone: tzinfo | None, is_text: bool = False) -> Past:
    table = table.unify_dictionaries().combine_chunks()
    times, codes = _times(path, table, zone, is_text)
    ranks = {at: rank for rank, at in enumerate(sorted(set(times)))}
    ranked = np.array([ranks[at] for at in times], dtype=np.int64)[codes]
    kept = _observed(table)
    order = kept[np.argsort(ranked[kept], kind="stable")].astype(np.int64)
    starts = np.searchsorted(ranked[order], np.arange(len(ranks) + 1)).astype(np.int64)
    is_export = STATUS in table.column_names
    rows = table.drop_columns([CAPTURED_AT, *([STATUS] if is_export else [])])
    grouped = _Grouped(path, rows, zone, ranks, order, starts, is_text, is_export)
    return Past(tuple(ranks), grouped.pages, grouped.place)


def _observed(table: pa.Table) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The places of the rows that a capture observed: all, but those that an export says were carried."""
    if STATUS not in table.column_names:
        return np.arange(len(table))
    status = table[STATUS].cast(pa.string())
    return np.flatnonzero(pc.fill_null(pc.not_equal(status, "carried"), True).to_numpy())


def _times(
    path: Path, table: pa.Table, zone: tzinfo | None, is_text: bool
) -> tuple[list[datetime], np.ndarray[Any, np.dtype[np.int64]]]:
    """The distinct times of the rows, and for each row which of them is its own. Raises ConfigError."""
    column = table[CAPTURED_AT]
    if column.null_count:
        row = pc.index(column.is_null(), True).as_py()
        raise ConfigError(f"row {row + 1} has no {CAPTURED_AT}", "Mend the file; nothing was imported.", file=path)
    encoded = column if pa.types.is_dictionary(column.type) else pc.dictionary_encode(column)
    encoded = encoded.combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):  # a table without a row has no chunk
        encoded = encoded.chunk(0) if encoded.num_chunks else pa.array([], TEXTS)
    codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    times = []
    for code, told in enumerate(encoded.dictionary.to_pylist()):
        try:
            times.append(_moment(told, zone))
        except (ValueError, OverflowError) as fault:
            row = int(np.argmax(codes == code))
            line = line_of(path, row) if is_text else None
            where = "" if is_text else f"row {row + 1}: "
            raise ConfigError(f"{where}{CAPTURED_AT} {fault}", NAIVE, file=path, line=line) from None
    return times, codes


def _moment(told: Any, zone: tzinfo | None) -> datetime:
    if isinstance(told, datetime):
        return moment(told.isoformat(), zone)
    if isinstance(told, str):
        return moment(told, zone)
    raise ValueError(f"'{str(told)[:50]}' is not a time")


def _cells(column: pa.ChunkedArray) -> list[Any]:
    """Decoded as a whole: one by one, the texts of a dictionary take twelve times as long."""
    is_encoded = pa.types.is_dictionary(column.type)
    cells: list[Any] = (column.cast(column.type.value_type) if is_encoded else column).to_pylist()
    return cells


def _with_offset(cell: Any, zone: tzinfo | None) -> Any:
    """A time of publication with its offset where ``zone`` gives one; else the cell, for the checks to judge."""
    try:
        found = datetime.fromisoformat(cell) if isinstance(cell, str) and cell else cell
    except ValueError:
        return cell
    if not isinstance(found, datetime):
        return cell
    if found.tzinfo is not None:
        return cell if isinstance(cell, str) else found.astimezone(UTC).isoformat()
    return found.isoformat() if zone is None else found.replace(tzinfo=zone).isoformat()
