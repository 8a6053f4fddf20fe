"""Compacting: the files of a finished month go into one archive, and into one table a kind made for reading.

The archive holds every file as it was published; it and the tables are read back and compared with the
files before the index is published, which is the moment from which the month is packed. Only then are
the files removed. What a kill interrupts before that moment is begun again, and after it gone on with.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.core import archives, checksums
from pipeline.core.files import damaged, encode_json, lake_faults, listing, make_folder, room, sync, sync_folder
from pipeline.core.history import read_report
from pipeline.core.hours import Hour
from pipeline.core.lake import DELTA, PACKED, RAW, REPORT, SIGNALS, VALIDATED, SourceLake, hour_in
from pipeline.core.parquet import ROW_GROUP, aligned, gathered, reading
from pipeline.core.snapshots import read_table
from pipeline.core.unsettled import unsettled_from

OLD_ENOUGH = timedelta(days=7)
"""How long a month has to be over before it is compacted: corrections come in the first days as a rule."""
_FILE_TIME = (1980, 1, 1, 0, 0, 0)
_TABLES = {VALIDATED: ".parquet", DELTA: ".parquet", REPORT: ".jsonl.zst"}


@dataclass(frozen=True)
class Compacted:
    """One month: how many files went into its archive, and the room that they and what is left take on the disk."""

    month: str
    files: int
    bytes_before: int
    bytes_after: int


def finished_months(lake: SourceLake, now: datetime, age: timedelta = OLD_ENOUGH) -> list[str]:
    """The months that can be compacted or whose compaction was interrupted, in order of time.

    A month is finished where it ended ``age`` ago, a later one has an accepted hour, and none of its hours waits for
    a rebuild.
    """
    newest, unsettled = lake.last_accepted(), unsettled_from(lake)
    if newest is None:
        return []
    limit = min(newest.month, Hour.of(now - age).month, *([unsettled.month] if unsettled else []))
    return [month for month in lake.months(RAW) if month < limit and not _is_compact(lake, month)]


def _is_compact(lake: SourceLake, month: str) -> bool:
    packed = archives.packed(lake.root, month)
    return packed is not None and not lake.packing(month).exists() and not _strays(lake, month, packed)


def _strays(lake: SourceLake, month: str, packed: archives.Packed) -> bool:
    """Whether files came into the month since it was packed, as older history does that is imported."""
    return any(not packed.holds(kind, name) for kind in PACKED for name in lake.names(kind, month))


def _half_unpacked(lake: SourceLake, packed: archives.Packed) -> bool:
    """Whether a table of the month is neither in its place nor waiting for it."""
    tables = [lake.root / table for table in packed.index.tables]
    waiting = [lake.packing(packed.index.month) / table.parent.parent.name / table.name for table in tables]
    return not all(a.exists() or b.exists() for a, b in zip(tables, waiting, strict=True))


def compact(lake: SourceLake, month: str, done: Callable[[], None] = lambda: None) -> Compacted:
    """Compact a finished month; the caller holds `SourceLake.writing`. ``done`` hears of every file.

    Raises LakeFault where a file is damaged; then nothing is removed.
    """
    packed = archives.packed(lake.root, month)
    if packed is not None and (_strays(lake, month, packed) or _half_unpacked(lake, packed)):
        lake.unpack(month)
        packed = None
    before = _room(lake, month)
    if packed is None:
        shutil.rmtree(lake.packing(month), ignore_errors=True)
        packed = _pack(lake, month, done)
    _remove_packed(lake, packed)
    return Compacted(month, sum(map(len, packed.index.names.values())), before, _room(lake, month))


# Packing ------------------------------------------------------------------------------------


def _pack(lake: SourceLake, month: str, done: Callable[[], None]) -> archives.Packed:
    names = {kind: tuple(lake.names(kind, month)) for kind in sorted(PACKED)}
    tables = {kind: _make_table(lake, kind, month, names[kind]) for kind in _TABLES if names[kind]}
    archive = lake.root / archives.FOLDER / f"{lake.name}-{month}.zip"
    files = [_place(lake, kind, name) for kind in names for name in names[kind]]
    _write_archive(lake, archive, files)
    recorded = checksums.read(lake.root, month).digests
    for member, content in archives.members(archive):
        if (lake.root / member).read_bytes() != content:
            raise damaged(archive, f"{member} was not read back as it is")
        if hashlib.sha256(content).hexdigest() not in recorded.get(member, (hashlib.sha256(content).hexdigest(),)):
            raise damaged(lake.root / member, "its checksum is not the one recorded when it was published")
        done()
    index = archives.Index(
        month=month,
        archive=archive.name,
        bytes=archive.stat().st_size,
        sha256=checksums.digest_of(archive),
        names=names,
        tables={
            (lake.folder(kind, month) / table.name).relative_to(lake.root).as_posix(): checksums.digest_of(table)
            for kind, table in tables.items()
        },
    )
    lake.publish(archives.index_path(lake.root, month), encode_json(index))
    packed = archives.packed(lake.root, month)
    assert packed is not None  # noqa: S101
    return packed


def _place(lake: SourceLake, kind: str, name: str) -> Path:
    return lake.place(kind, hour_in(name), name)


def _write_archive(lake: SourceLake, archive: Path, files: Sequence[Path]) -> None:
    with lake_faults(archive):
        archive.unlink(missing_ok=True)  # without an index it is what a kill left
    with lake.publishing(archive) as file, zipfile.ZipFile(file, "w") as opened:
        for path in files:
            member = zipfile.ZipInfo(path.relative_to(lake.root).as_posix(), _FILE_TIME)
            member.compress_type = zipfile.ZIP_STORED if path.suffix == ".zst" else zipfile.ZIP_DEFLATED
            opened.writestr(member, path.read_bytes())


# Tables for reading -------------------------------------------------------------------------


def _make_table(lake: SourceLake, kind: str, month: str, names: Sequence[str]) -> Path:
    """Write the table of a month where it waits, and read it back. Raises LakeFault."""
    target = lake.packing(month) / lake.folder(kind, month).parent.name / f"{month}{_TABLES[kind]}"
    with lake_faults(target):
        make_folder(target.parent)
    hours = [Hour.parse(name) for name in names]
    if kind == REPORT:
        _write_reports(lake, hours, target)
    else:
        _write_rows([lake.path(kind, hour) for hour in hours], target)
    with lake_faults(target), target.open("rb+") as file:
        sync(file)
        sync_folder(target.parent)
    return target


def _write_rows(files: Sequence[Path], target: Path) -> None:
    with reading(files[0]):
        schema = pa.unify_schemas([pq.read_schema(file).remove_metadata() for file in files])
    groups = 0
    with lake_faults(target), pq.ParquetWriter(target, schema, compression="zstd") as writer:
        for table in _row_groups(files, schema):
            writer.write_table(table, row_group_size=max(1, len(table)))
            groups += 1
    with reading(target), pq.ParquetFile(target) as written:
        read_back = (written.read_row_group(number) for number in range(groups))
        if any(not found.equals(table) for found, table in zip(read_back, _row_groups(files, schema), strict=True)):
            raise damaged(target, "it was not read back as it was written")


def _row_groups(files: Sequence[Path], schema: pa.Schema) -> Iterator[pa.Table]:
    return gathered((aligned(read_table(file), schema) for file in files), ROW_GROUP)


def _write_reports(lake: SourceLake, hours: Sequence[Hour], target: Path) -> None:
    """One report a line, as DuckDB's read_json takes it."""
    with lake_faults(target), pa.CompressedOutputStream(str(target), "zstd") as stream:
        for hour in hours:
            stream.write(msgspec.json.encode(read_report(lake, hour)) + b"\n")
    with reading(target), pa.input_stream(str(target), compression="zstd") as stream:
        for line, hour in zip(io.BufferedReader(stream), hours, strict=True):
            if line != msgspec.json.encode(read_report(lake, hour)) + b"\n":
                raise damaged(target, "it was not read back as it was written")


# Removing what is packed --------------------------------------------------------------------


def _remove_packed(lake: SourceLake, packed: archives.Packed) -> None:
    """Put the tables in the place of the files, and remove each file that the archive holds byte for byte."""
    month = packed.index.month
    archive, packing = lake.archive(month), lake.packing(month)
    with lake_faults(packing):
        for table, digest in packed.index.tables.items():
            place = (lake.root / table).parent
            waiting = packing / place.parent.name
            if waiting.exists():
                if checksums.digest_of(waiting / Path(table).name) != digest:
                    raise damaged(waiting / Path(table).name, "it is not the table that was made")
                _exchange(place, waiting, packing / f"{place.parent.name} before")
            _remove_read_back(lake, archive, packing / f"{place.parent.name} before", place)
        for kind in (RAW, SIGNALS):  # of which no table is made
            _remove_read_back(lake, archive, lake.folder(kind, month), lake.folder(kind, month))
        shutil.rmtree(packing, ignore_errors=True)


def _exchange(place: Path, waiting: Path, before: Path) -> None:
    """Two renames, so that whoever reads the folder finds the files or the table, never both."""
    if place.exists():
        place.rename(before)
    waiting.rename(place)
    sync_folder(place.parent)
    sync_folder(before.parent)


def _remove_read_back(lake: SourceLake, archive: Path, folder: Path, place: Path) -> None:
    """Remove from ``folder`` what the archive holds of ``place``. Raises LakeFault where the bytes differ."""
    for name in listing(folder):
        member = (place / name).relative_to(lake.root).as_posix()
        if (folder / name).read_bytes() != archives.read_member(archive, member):
            raise damaged(folder / name, f"it is not the file that {archive} holds")
        (folder / name).unlink()
    if folder.exists():
        folder.rmdir()


def _room(lake: SourceLake, month: str) -> int:
    """Bytes on the disk that a month takes, its checksums and findings left out."""
    folders = {lake.folder(kind, month) for kind in PACKED}
    files = [folder / name for folder in folders for name in listing(folder)]
    files += [lake.root / archives.FOLDER / f"{lake.name}-{month}.zip", archives.index_path(lake.root, month)]
    return sum(map(room, files))
