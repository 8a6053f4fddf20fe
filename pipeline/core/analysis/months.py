"""The months of a history as they are read: rows of the snapshots, what the reports told, and the cache of both.

A month in the cache stands for the files from which it was read: their folders' stamps say at a glance
whether any was published, made again or packed since, and if so, each hour's stamp says which. What
the cache holds can be deleted at any time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.feather as feather

from pipeline.core import archives
from pipeline.core.engine import cursor, named, reading_lake, render
from pipeline.core.files import replacing
from pipeline.core.hours import Hour
from pipeline.core.lake import REPORT, VALIDATED, SourceLake
from pipeline.core.model import Crossing
from pipeline.core.parquet import TIME_TYPE
from pipeline.core.records import Movement, decode

_KEY = b"ratchet-month"
_FORMAT = 1
Stamp = tuple[int, int, int] | None


class Told(msgspec.Struct, frozen=True):
    """What analysis needs of a report."""

    hour: str
    captured_at: datetime
    elapsed_seconds: float | None
    movement: dict[str, Movement]
    crossings: tuple[Crossing, ...]


class _Head(msgspec.Struct, frozen=True):
    """From what a month in the cache was read. ``folders`` are the stamps of the folders of snapshots and reports."""

    format: int
    counters: tuple[str, ...]
    chosen: tuple[str, ...] | None
    folders: tuple[Stamp, ...]
    stamps: dict[str, tuple[Stamp, Stamp]]
    told: tuple[Told, ...]


@dataclass(frozen=True)
class Followed:
    """The items that are followed in a source that has too many: those of a month's beginning, and later ones."""

    month: str
    chosen: tuple[str, ...]
    newcomers: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        """The ids of the items as they are followed from ``month`` on."""
        return self.chosen + self.newcomers

    def within(self, month: str) -> tuple[str, ...]:
        """The ids of the items to read of a month, written ``2026-11``: newcomers from that of ``month`` on."""
        return self.all if month >= self.month else self.chosen


@dataclass(frozen=True)
class Month:
    """``rows`` as sql/watched.sql orders them; ``told`` hour by hour."""

    rows: pa.Table
    told: tuple[Told, ...]


def read_month(
    lake: SourceLake, month: str, counters: Sequence[str], followed: Followed | None, cache: Path | None
) -> Month:
    """One month of the accepted history. Raises LakeFault where a file of the lake is damaged."""
    chosen = None if followed is None else followed.within(month)
    folders = (_folder_stamp(lake, VALIDATED, month), _folder_stamp(lake, REPORT, month))
    held = _cached(cache, month)
    if held is not None and (held[0].counters, held[0].chosen, held[0].format) != (tuple(counters), chosen, _FORMAT):
        held = None
    if held is not None and held[0].folders == folders:
        return Month(held[1], held[0].told)
    hours = [hour for name in lake.names(VALIDATED, month) for hour in [Hour.parse(name)]]
    stamps = {hour.key: (lake.stamp(VALIDATED, hour), lake.stamp(REPORT, hour)) for hour in hours}
    known = {} if held is None else {key: stamp for key, stamp in held[0].stamps.items() if stamps.get(key) == stamp}
    fresh = [hour for hour in hours if hour.key not in known]
    rows = read_hours(lake, month, fresh, counters, chosen)
    told = {hour.key: decode(lake.path(REPORT, hour), Told) for hour in fresh if lake.exists(REPORT, hour)}
    if held is not None:
        rows = pa.concat_tables([_of_hours(held[1], known), rows]).unify_dictionaries().combine_chunks()
        rows = rows.sort_by([("captured_at", "ascending")])
        told |= {found.hour: found for found in held[0].told if found.hour in known}
    head = _Head(_FORMAT, tuple(counters), chosen, folders, stamps, tuple(told[key] for key in sorted(told)))
    rows = rows.replace_schema_metadata({_KEY: msgspec.json.encode(head)})
    _keep(cache, month, rows)
    return Month(rows, head.told)


def _folder_stamp(lake: SourceLake, kind: str, month: str) -> Stamp:
    """A folder changes with every name that comes, goes or becomes another file's; a packed month with its index."""
    path = archives.index_path(lake.root, month)
    if not path.exists():
        path = lake.folder(kind, month)
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def read_hours(
    lake: SourceLake, month: str, hours: Sequence[Hour], counters: Sequence[str], chosen: Sequence[str] | None
) -> pa.Table:
    """The rows of hours of one month, of a packed one those of the whole month; ``chosen`` leaves these items alone."""
    if not hours:
        return pa.schema(_types(counters)).empty_table()
    packed = archives.packed(lake.root, month)
    tables = [lake.root / table for table in packed.index.tables if table.startswith(VALIDATED)] if packed else []
    single = [lake.path(VALIDATED, hour) for hour in hours if packed is None or not packed.holds(VALIDATED, hour.key)]
    parameters: dict[str, object] = {"files": [named(file) for file in (*tables, *single)]}
    if chosen is not None:
        parameters["chosen"] = list(chosen)
    query = render("watched.sql", counters, chosen=chosen is not None)
    with reading_lake(), cursor() as connection:
        table = connection.sql(query, params=parameters).to_arrow_table()
    return table.select(list(_types(counters))).cast(pa.schema(_types(counters))).unify_dictionaries()


def _types(counters: Sequence[str]) -> dict[str, pa.DataType]:
    texts = dict.fromkeys(("item_id", "title", "status"), pa.dictionary(pa.int32(), pa.string()))
    fixed = {"captured_at": TIME_TYPE, **texts}
    return fixed | dict.fromkeys(counters, pa.int64())


def _of_hours(rows: pa.Table, hours: Mapping[str, object]) -> pa.Table:
    if not len(rows):
        return rows
    starts = pa.array([Hour.parse(key).start for key in hours], TIME_TYPE)
    return rows.filter(pc.is_in(pc.floor_temporal(rows["captured_at"], unit="hour"), starts))


def _cached(cache: Path | None, month: str) -> tuple[_Head, pa.Table] | None:
    """What the cache holds of the month; whatever is wrong with it, the month is read again."""
    if cache is None:
        return None
    try:
        table = feather.read_table(cache / f"{month}.arrow", memory_map=False)
        return msgspec.json.decode(table.schema.metadata[_KEY], type=_Head), table
    except (OSError, pa.ArrowException, msgspec.DecodeError, KeyError, TypeError):
        return None


def _keep(cache: Path | None, month: str, rows: pa.Table) -> None:
    """A disk that is full costs time at the next reading, nothing else."""
    if cache is None:
        return
    with suppress(OSError), replacing(cache / f"{month}.arrow") as file:
        feather.write_feather(rows, file, compression="zstd")
