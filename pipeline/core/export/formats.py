"""How an export is written: CSV, Parquet, SQLite, JSON, each from the same stream of tables.

A file appears whole under its name or not at all. Times in text are ISO 8601 in UTC with ``Z``.

CSV is RFC 4180 in UTF-8 with every text in quotes, and an empty cell for what is not known. A text that a
spreadsheet would take for a formula gets an apostrophe in front, and so does one that begins with
apostrophes before such a character: taking one away, which ``restored`` does, gives every text back.
Numbers are never touched.
"""

from __future__ import annotations

import os
import re
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv
import pyarrow.parquet as pq

from pipeline.core.errors import ConfigError
from pipeline.core.export.tables import Export
from pipeline.core.hours import Hour

SQLITE_LAYOUT = 1
"""``PRAGMA user_version`` of the SQLite files; counts up when their tables change."""

_METADATA_KEY = "ratchet_export"
_SQL_TYPES = {pa.int64(): "INTEGER", pa.float64(): "REAL", pa.string(): "TEXT"}
# Bounds the Python objects at any one time, which take some twenty times the room of the columns.
_ROWS = 8_192
# Whatever OWASP names, NUL of its verification standard included, behind any number of apostrophes.
_FORMULA = "^'*[=+\\-@＝＋－＠\t\r\n\\x00]"
_GUARDED = re.compile("'" + _FORMULA.removeprefix("^"))

_Put = Callable[[pa.Table], None]


class Format(StrEnum):
    """``json`` is one array, as a file of that name has to be; ``jsonl`` is one object a line."""

    CSV = "csv"
    PARQUET = "parquet"
    SQLITE = "sqlite"
    JSON = "json"
    JSONL = "jsonl"


STREAMED = (Format.CSV, Format.JSON, Format.JSONL)
"""The formats that are written from front to back, and so into a pipe."""

_ENDINGS = {f".{kind}": kind for kind in Format} | {
    ".sqlite3": Format.SQLITE,
    ".db": Format.SQLITE,
    ".ndjson": Format.JSONL,
}


def format_of(target: Path) -> Format:
    """The format that the end of a file's name says. Raises ConfigError where it says none."""
    try:
        return _ENDINGS[target.suffix.lower()]
    except KeyError:
        raise ConfigError(
            f"The name '{target.name}' does not say which format it is to have.",
            f"Let it end in {', '.join(_ENDINGS)}, or add --format.",
        ) from None


def write_file(
    export: Export,
    kind: Format,
    target: Path,
    created_at: datetime,
    done: Callable[[Hour], None],
    *,
    replace: bool = False,
) -> int:
    """Write the export to ``target``; the number of its rows. ``done`` hears of every hour that was read.

    Raises ConfigError where ``target`` cannot be written, or exists and may not be replaced.
    """
    require_free(target, replace)
    try:
        with _appearing(target, replace) as file:
            return _write(export, kind, file, created_at, done)
    except (OSError, sqlite3.OperationalError) as fault:
        words = fault.strerror if isinstance(fault, OSError) and fault.strerror else str(fault)
        raise ConfigError(
            f"{target} cannot be written: {words}.", "Name a file in a folder that exists, is yours and has room."
        ) from fault


def write_stream(
    export: Export, kind: Format, stream: BinaryIO, created_at: datetime, done: Callable[[Hour], None]
) -> int:
    """Write the export to a pipe; the number of its rows. Raises ConfigError for a format that needs a file."""
    if kind not in STREAMED:
        raise ConfigError(
            f"{kind} cannot be written to standard output.", f"Use {', '.join(STREAMED)}, or name a file."
        )
    rows = _write(export, kind, stream, created_at, done)
    stream.flush()
    return rows


def require_free(target: Path, replace: bool) -> None:
    """Raises ConfigError unless a file may be put at ``target``."""
    if target.exists() and not target.is_file():
        raise ConfigError(f"{target} is there already and is no file.", "Name a file, or - for standard output.")
    if target.exists() and not replace:
        raise ConfigError(f"{target} is there already.", "Name another file, or add --force to replace it.")


def restored(text: str) -> str:
    """A text of an exported CSV as it was before a spreadsheet had to be kept from taking it for a formula."""
    return text[1:] if _GUARDED.match(text) else text


@contextmanager
def _appearing(target: Path, replace: bool) -> Iterator[BinaryIO]:
    """A file that takes the name ``target`` when the block ends without an error, and leaves nothing otherwise."""
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        require_free(target, replace)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _write(export: Export, kind: Format, file: BinaryIO, created_at: datetime, done: Callable[[Hour], None]) -> int:
    rows = 0
    with _WRITERS[kind](file, export, created_at) as put:
        for table in export.tables(done):
            put(table)
            rows += len(table)
    return rows


# One writer a format: what it yields takes the tables; what follows the last one it writes itself ----------


@contextmanager
def _csv(file: BinaryIO, export: Export, _: datetime) -> Iterator[_Put]:
    schema = pa.schema([(f.name, pa.string() if pa.types.is_timestamp(f.type) else f.type) for f in export.schema])
    with pv.CSVWriter(file, schema) as writer:
        yield lambda table: writer.write_table(_with_times_as_text(_guarded(table)))


@contextmanager
def _parquet(file: BinaryIO, export: Export, created_at: datetime) -> Iterator[_Put]:
    about = msgspec.json.encode(export.about(created_at)).decode()
    schema = export.schema.with_metadata({_METADATA_KEY: about})
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        yield lambda table: writer.write_table(table.replace_schema_metadata(schema.metadata))


@contextmanager
def _jsonl(file: BinaryIO, _: Export, __: datetime) -> Iterator[_Put]:
    encoder = msgspec.json.Encoder()

    def put(table: pa.Table) -> None:
        for part in _readable(table):
            file.write(encoder.encode_lines(part.to_pylist()))

    yield put


@contextmanager
def _json(file: BinaryIO, _: Export, __: datetime) -> Iterator[_Put]:
    encoder, before = msgspec.json.Encoder(), b"[\n"

    def put(table: pa.Table) -> None:
        nonlocal before
        for part in _readable(table):
            # A line break inside a text is written \n, so every one in the lines ends a row.
            file.write(before + encoder.encode_lines(part.to_pylist())[:-1].replace(b"\n", b",\n"))
            before = b",\n"

    yield put
    file.write(b"[]\n" if before == b"[\n" else b"\n]\n")


@contextmanager
def _sqlite(file: BinaryIO, export: Export, created_at: datetime) -> Iterator[_Put]:
    names = [_quoted(name) for name in export.schema.names]
    columns = [f"{name} {_SQL_TYPES.get(field.type, 'TEXT')}" for name, field in zip(names, export.schema, strict=True)]
    table_name = export.contents.value
    insert = f"INSERT INTO {table_name} VALUES ({', '.join('?' * len(names))})"  # noqa: S608  one of our own names
    connection = sqlite3.connect(file.name, isolation_level=None)

    def put(table: pa.Table) -> None:
        for part in _readable(table):
            connection.executemany(insert, zip(*(column.to_pylist() for column in part.columns), strict=True))

    try:
        # Nobody reads the file before it is whole, so a journal would only write everything twice.
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(f"PRAGMA user_version = {SQLITE_LAYOUT}")
        connection.execute("BEGIN")
        connection.execute(f"CREATE TABLE {table_name} ({', '.join(columns)})")
        connection.execute("CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT)")
        connection.executemany("INSERT INTO about VALUES (?, ?)", _about_rows(export, created_at))
        yield put
        connection.execute(f"CREATE INDEX {table_name}_by_item ON {table_name} (item_id, captured_at)")
        connection.execute("COMMIT")
    finally:
        connection.close()


_WRITERS: dict[Format, Callable[[BinaryIO, Export, datetime], AbstractContextManager[_Put]]] = {
    Format.CSV: _csv,
    Format.PARQUET: _parquet,
    Format.SQLITE: _sqlite,
    Format.JSON: _json,
    Format.JSONL: _jsonl,
}


def _about_rows(export: Export, created_at: datetime) -> list[tuple[str, object]]:
    return [
        (key, msgspec.json.encode(value).decode() if isinstance(value, dict) else value)
        for key, value in export.about(created_at).items()
    ]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


# Columns as text -------------------------------------------------------------------------------------------


def _readable(table: pa.Table) -> Iterator[pa.Table]:
    """The rows with their times as text, in parts that may become Python's own values."""
    readable = _with_times_as_text(table)
    return (readable.slice(start, _ROWS) for start in range(0, len(readable), _ROWS))


def _guarded(table: pa.Table) -> pa.Table:
    return _changed(table, pa.types.is_string, _guard)


def _with_times_as_text(table: pa.Table) -> pa.Table:
    return _changed(table, pa.types.is_timestamp, _as_text)


def _changed(
    table: pa.Table, concerns: Callable[[pa.DataType], bool], change: Callable[[pa.ChunkedArray], pa.ChunkedArray]
) -> pa.Table:
    columns = [
        change(column) if concerns(field.type) else column
        for field, column in zip(table.schema, table.columns, strict=True)
    ]
    return pa.table(columns, names=table.column_names)


def _guard(column: pa.ChunkedArray) -> pa.ChunkedArray:
    dangerous = pc.match_substring_regex(column, _FORMULA)
    return pc.if_else(dangerous, pc.binary_join_element_wise("'", column, ""), column)


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Each time as ``core.hours.format_time`` writes it."""
    seconds = pc.floor_temporal(column, unit="second")
    # Thirty times as fast as strftime; it leaves a space where the T belongs.
    spaced = seconds.cast(pa.timestamp("s")).cast(pa.string())
    written = pc.utf8_replace_slice(spaced, start=10, stop=11, replacement="T")
    fraction = pc.subtract(column.cast(pa.int64()), seconds.cast(pa.int64()))
    whole = pc.binary_join_element_wise(written, "Z", "")
    if pc.all(pc.equal(fraction, 0)).as_py():  # as a rule; the rest would cost as much again
        return whole
    digits = pc.utf8_lpad(fraction.cast(pa.string()), 6, "0")
    exact = pc.binary_join_element_wise(written, ".", digits, "Z", "")
    return pc.if_else(pc.equal(fraction, 0), whole, exact)
