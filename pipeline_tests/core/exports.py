"""An account with a history to export, and every reader of the formats that exports are written in."""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.csv as pv
import pyarrow.parquet as pq

from pipeline.core.export.formats import format_of, restored, write_file
from pipeline.core.export.tables import Contents, plan_export
from pipeline.core.hours import Hour, format_time

from .account import Account, row

NOW = datetime(2026, 11, 22, 14, 17, 3, 250000, tzinfo=UTC)
AWKWARD = {
    "a": '=HYPERLINK("http://127.0.0.1/"&A1)',
    "b": "+1",
    "c": "-1; drop",
    "d": "@SUM(A1)",
    "e": "\tx",
    "f": "\r\ny",
    "g": "＝1",
    "h": "'=already",
    "i": 'it\'s, "quoted"\nand broken',
    "j": "\x1b[31m \u202e 日本語 🚀",
    "k": "'",
    "l": "",
}
NUMBERS = ("views", "likes", "comments", "threshold", "value", "previous_value", "elapsed_seconds")


def nothing(_: Hour) -> None:
    """Nobody listens."""


def three_hours(account: Account) -> Account:
    """Accepted ones: the second lacks an item, in the third one falls and another crosses 100 views."""
    listing = [row(key, 50 + place, likes=9, name=title) for place, (key, title) in enumerate(AWKWARD.items())]
    with account.lake.writing():
        assert account.tell(0, listing, published={"a": "2026-01-01T00:00:00+09:00"})
        assert account.tell(1, listing[:-1])
        assert account.tell(3, [row("a", 120, likes=4, name=AWKWARD["a"]), *listing[1:]])
    return account


def exported(account: Account, target: Path, contents: Contents = Contents.SNAPSHOTS, **choices: Any) -> Path:
    write_file(plan_export(account.lake, contents, **choices), format_of(target), target, NOW, nothing)
    return target


def as_text(value: Any) -> Any:
    return format_time(value) if isinstance(value, datetime) else value


def from_csv(file: Path) -> list[dict[str, Any]]:
    """By the standard library, which cannot tell an empty text from a missing one."""
    with file.open(newline="", encoding="utf-8") as opened:
        return [{k: typed(k, v) for k, v in item.items()} for item in csv.DictReader(opened, strict=True)]


def typed(name: str, cell: str) -> Any:
    if cell == "":
        return "" if name == "title" else None
    return float(cell) if is_number(name) else restored(cell)


def is_number(name: str) -> bool:
    return name in NUMBERS or name.endswith(("_delta", "_per_hour"))


def from_arrow_csv(file: Path) -> list[dict[str, Any]]:
    """By pyarrow, which can tell them apart."""
    options = pv.ConvertOptions(strings_can_be_null=True, quoted_strings_can_be_null=False, null_values=[""])
    names = file.read_text(encoding="utf-8").partition("\n")[0].replace('"', "").split(",")
    options.column_types = {name: pa.float64() if is_number(name) else pa.string() for name in names}
    found = pv.read_csv(file, parse_options=pv.ParseOptions(newlines_in_values=True), convert_options=options)
    return [{k: restored(v) if isinstance(v, str) else v for k, v in item.items()} for item in found.to_pylist()]


def from_parquet(file: Path) -> list[dict[str, Any]]:
    return [{name: as_text(value) for name, value in item.items()} for item in pq.read_table(file).to_pylist()]


def from_duckdb(file: Path) -> list[dict[str, Any]]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found = connection.execute("SELECT * FROM read_parquet($file)", {"file": str(file)})
        names = [column[0] for column in found.description]
        return [dict(zip(names, map(as_text, values), strict=True)) for values in found.fetchall()]


def from_sqlite(file: Path) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(file)) as connection:
        [[table]] = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'about'")
        connection.row_factory = sqlite3.Row
        return [dict(found) for found in connection.execute(f"SELECT * FROM {table} ORDER BY rowid")]


def from_json(file: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(file.read_bytes())
    return found


def from_lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_bytes().removesuffix(b"\n").split(b"\n")]


READERS: list[tuple[str, Callable[[Path], list[dict[str, Any]]]]] = [
    ("csv", from_csv),
    ("csv", from_arrow_csv),
    ("parquet", from_parquet),
    ("parquet", from_duckdb),
    ("sqlite", from_sqlite),
    ("json", from_json),
    ("jsonl", from_lines),
]
