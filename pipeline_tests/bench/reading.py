"""Reading a year of history: from its hourly files and from compacted months, beside one sorted file."""

from __future__ import annotations

import time
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.core.compact import compact
from pipeline.core.engine import cursor, named
from pipeline.core.hours import Hour
from pipeline.core.lake import VALIDATED, Lake, SourceLake
from pipeline.core.lineage import with_lineage
from pipeline.core.model import Origin
from pipeline.core.parquet import TIME_TYPE
from pipeline.core.records import Lineage, Terms
from pipeline.core.snapshots import build_snapshot, encode_table
from pipeline_tests.bench.figures import Effort, Figure, in_turn
from pipeline_tests.bench.made_account import BEFORE, MadeAccount, made_source

ITEMS = 200
_GROUP = 122_880
_COUNTERS = ("views", "likes", "comments")
_QUESTION = """
    SELECT item_id, date_trunc('day', captured_at) AS day, max(views) - min(views) AS views,
           max(likes) - min(likes) AS likes, count(*) AS hours
    FROM read_parquet($files, hive_partitioning = false) GROUP BY ALL
"""


def _snapshots(lake: SourceLake) -> list[str]:
    return [named(path) for path in sorted((lake.root / VALIDATED).glob("*/*.parquet"))]


def reading(folder: Path, effort: Effort) -> list[Figure]:
    """One question about every day of every item."""
    hours = effort.times(8_760, 1_460)
    lake, sorted_file = made_history(folder, hours)
    by_hour = _snapshots(lake)
    before = _room(folder / "lake")
    started = time.perf_counter()
    with lake.writing():
        for month in lake.months(VALIDATED):
            compact(lake, month)
    taken = time.perf_counter() - started
    by_month = _snapshots(lake)
    # Files that compacting removed are in the archives: the hourly ones are taken out again beside the lake.
    apart = folder / "by hour"
    for name in by_hour:
        source = Path(name)
        place = apart / source.name
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(lake.path(VALIDATED, Hour.parse(source.stem)).read_bytes())
    hourly = [named(path) for path in sorted(apart.iterdir())]
    answers = {len(_ask(files)) for files in (hourly, by_month, [named(sorted_file)])}
    assert len(answers) == 1
    one, months, single = in_turn(
        effort.times(7, 5), partial(_ask, [named(sorted_file)]), partial(_ask, by_month), partial(_ask, hourly)
    )
    rows = f"{hours * ITEMS:,} rows"
    return [
        Figure(f"{rows} from {len(hourly):,} hourly files", single, "s", "one sorted file", one),
        Figure(f"{rows} from {len(by_month)} compacted months", months, "s", "one sorted file", one, 1.3),
        Figure(f"compacting {hours:,} hours of snapshots", taken, "s"),
        Figure("room of compacted snapshots", _room(folder / "lake") / 1e6, "MB", "as hourly files", before / 1e6, 1.0),
    ]


def made_history(folder: Path, hours: int) -> tuple[SourceLake, Path]:
    """Accepted snapshots of an account whose counters rise every hour, and all of their rows in one sorted file."""
    account, source = MadeAccount.of(ITEMS), made_source()
    model = build_snapshot(account.before, None, source.counters, BEFORE, overruled=False)
    terms = Terms(source.counters, source.bounds, source.rules)
    lake, draw, first = Lake(folder / "lake").source(source.name), np.random.default_rng(7), Hour.parse("2026-01-01T00")
    gained = {counter: np.zeros(len(model), dtype=np.int64) for counter in _COUNTERS}
    sorted_file = folder / "sorted.parquet"
    with pq.ParquetWriter(sorted_file, model.schema.remove_metadata(), compression="zstd") as writer:
        held = []
        for hour in first.through(first + (hours - 1)):
            captured_at = hour.start + timedelta(minutes=17)
            for counter, rate in zip(_COUNTERS, (2.0, 0.1, 0.01), strict=True):
                gained[counter] += draw.poisson(rate, len(model))
            table = _later(model, captured_at, gained)
            lineage = Lineage(source.name, hour.key, f"{hour.key}-made", Origin.REPLAY, None, first.start, (), terms)
            path = lake.place(VALIDATED, hour)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode_table(with_lineage(table, lineage)))
            held.append(table)
            if len(held) * len(model) >= _GROUP or hour == first + (hours - 1):
                writer.write_table(pa.concat_tables(held), row_group_size=_GROUP)
                held = []
    return lake, sorted_file


def _later(model: pa.Table, captured_at: object, gained: dict[str, np.ndarray]) -> pa.Table:
    moment = pa.repeat(pa.scalar(captured_at, TIME_TYPE), len(model))
    new = {"captured_at": moment, "last_observed_at": moment}
    for counter, more in gained.items():
        new[counter] = new[f"{counter}_max"] = pa.array(model[counter].to_numpy() + more)
    columns = [new.get(name, model[name]) for name in model.column_names]
    return pa.table(columns, schema=model.schema.remove_metadata())


def _ask(files: list[str]) -> list[tuple[Any, ...]]:
    with cursor() as connection:
        return connection.execute(_QUESTION, {"files": files}).fetchall()


def _room(folder: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())
