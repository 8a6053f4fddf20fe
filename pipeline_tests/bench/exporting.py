"""What an export takes, and that its memory does not grow with history: 3 hours beside 12, a process each.

`python -m pipeline_tests.bench.exporting FOLDER FORMAT HOURS` exports the last HOURS of the lake in FOLDER
and prints JSON.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import click
import msgspec
import pyarrow as pa

from pipeline.core.export.formats import Format, write_file
from pipeline.core.export.tables import Contents, plan_export
from pipeline.core.hours import Hour
from pipeline.core.lake import VALIDATED, Lake
from pipeline.core.lineage import with_lineage
from pipeline.core.model import Origin
from pipeline.core.parquet import TIME_TYPE
from pipeline.core.records import Lineage, Terms
from pipeline.core.snapshots import build_snapshot, encode_table
from pipeline_tests.bench.figures import Effort, Figure, peak_megabytes, python
from pipeline_tests.bench.made_account import BEFORE, NOW, MadeAccount, made_source

_FEW, _MANY = 3, 12


def exports(folder: Path, effort: Effort) -> list[Figure]:
    """Seconds and peak memory of each format over a few hours and four times as many."""
    items = 50_000 if effort.quick else 1_000_000
    _write_hours(folder / "lake", items)
    figures: list[Figure] = []
    for kind in (Format.CSV, Format.PARQUET, Format.SQLITE, Format.JSONL):  # an array differs in its commas alone
        few, many = (_measured(folder, kind, hours) for hours in (_FEW, _MANY))
        if many.rows != items * _MANY:
            raise RuntimeError(f"{many.rows} of {items * _MANY} rows were exported")
        figures += [
            Figure(f"{many.rows:,} rows to {kind}", many.seconds, "s"),
            Figure(
                f"  peak memory, {_MANY} hours", many.peak_megabytes, "MB", f"{_FEW} hours", few.peak_megabytes, aim=1.2
            ),
            Figure("  bytes a row", many.bytes / many.rows, "B"),
        ]
    return figures


class _Exported(msgspec.Struct):
    """What the process prints."""

    rows: int
    seconds: float
    peak_megabytes: float
    bytes: int


def _measured(folder: Path, kind: Format, hours: int) -> _Exported:
    printed = python("-m", "pipeline_tests.bench.exporting", str(folder), kind.value, str(hours))()
    return msgspec.json.decode(printed, type=_Exported)


def _write_hours(root: Path, items: int) -> None:
    """Accepted hours of a made account, of which every other one holds the gains of an hour."""
    account, source = MadeAccount.of(items), made_source()
    lake, terms = Lake(root).source(source.name), Terms(source.counters, source.bounds, source.rules)
    before, now = (
        build_snapshot(found, None, source.counters, BEFORE, overruled=False) for found in (account.before, account.now)
    )
    with lake.writing():
        for captured_at, table in _alternating(before, now):
            hour = Hour.of(captured_at)
            lineage = Lineage(source.name, hour.key, f"{hour.key}-made", Origin.REPLAY, None, BEFORE, (), terms)
            lake.publish(lake.path(VALIDATED, hour), encode_table(with_lineage(table, lineage)))


def _alternating(before: pa.Table, now: pa.Table) -> Iterator[tuple[datetime, pa.Table]]:
    for number in range(_MANY):
        captured_at, table = BEFORE + timedelta(hours=number), now if number % 2 else before
        place = table.column_names.index("captured_at")
        times = pa.array([captured_at], TIME_TYPE).take(pa.repeat(pa.scalar(0), len(table)))
        yield captured_at, table.set_column(place, "captured_at", times)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("kind", type=click.Choice([kind.value for kind in Format]))
@click.argument("hours", type=int)
def main(folder: Path, kind: str, hours: int) -> None:
    lake = Lake(folder / "lake").source(made_source().name)
    first = Hour.of(BEFORE + timedelta(hours=_MANY - hours))
    target = folder / f"exported.{kind}"
    started = time.perf_counter()
    export = plan_export(lake, Contents.SNAPSHOTS, first)
    rows = write_file(export, Format(kind), target, NOW, lambda hour: None, replace=True)
    seconds = time.perf_counter() - started
    peak = peak_megabytes()
    sys.stdout.write(msgspec.json.encode(_Exported(rows, seconds, peak, target.stat().st_size)).decode())
    target.unlink()


if __name__ == "__main__":
    main()
