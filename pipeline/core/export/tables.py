"""What an export holds: its hours, counters and columns, and its rows as a stream of tables.

Rows come hour by hour, in each by ``item_id`` (crossings in the order of their report), and never more
than a fixed number of them are in memory, whatever the length of history. Columns are the same in
every table: a counter that an hour does not know reads null there.

``snapshots``  captured_at, item_id, title, url, published_at, status, <counter>...
``deltas``     captured_at, item_id, previous_captured_at, elapsed_seconds, and for each counter
               <counter>, <counter>_delta, <counter>_per_hour
``crossings``  captured_at, hour, item_id, title, url, counter, rule, kind, threshold, value, previous_value

Times are timestamp[us, UTC], counters int64, rates and thresholds double. Nothing is locked: no export
keeps a capture waiting. One that meets a rebuild is given up, so that no file mixes two histories.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.core.errors import ConfigError, LakeFault, NothingAccepted, SourceBusy
from pipeline.core.files import damaged
from pipeline.core.hours import Hour, format_time
from pipeline.core.lake import DELTA, REPORT, VALIDATED, SourceLake
from pipeline.core.lineage import read_lineage
from pipeline.core.model import Counter
from pipeline.core.parquet import ROW_GROUP, TIME_TYPE, aligned, gathered, reading
from pipeline.core.policy import Trend
from pipeline.core.records import Report, decode

TABLE_ROWS = ROW_GROUP
"""Rows of one table of the stream, or a few more: a row group of Parquet as its readers like it."""

_SNAPSHOT = {
    "captured_at": TIME_TYPE,
    "item_id": pa.string(),
    "title": pa.string(),
    "url": pa.string(),
    "published_at": TIME_TYPE,
    "status": pa.string(),
}
_DELTA = {
    "captured_at": TIME_TYPE,
    "item_id": pa.string(),
    "previous_captured_at": TIME_TYPE,
    "elapsed_seconds": pa.float64(),
}
_CROSSING = {
    "captured_at": TIME_TYPE,
    **dict.fromkeys(("hour", "item_id", "title", "url", "counter", "rule", "kind"), pa.string()),
    **dict.fromkeys(("threshold", "value", "previous_value"), pa.float64()),
}


class Contents(StrEnum):
    """Which of the files of an hour are exported."""

    SNAPSHOTS = "snapshots"
    DELTAS = "deltas"
    CROSSINGS = "crossings"


_KIND = {Contents.SNAPSHOTS: VALIDATED, Contents.DELTAS: DELTA, Contents.CROSSINGS: REPORT}


@dataclass(frozen=True)
class Export:
    """A stretch of a source's history. ``hours`` have their files; ``counters`` are those asked for."""

    lake: SourceLake
    contents: Contents
    hours: tuple[Hour, ...]
    counters: tuple[Counter, ...]

    @property
    def schema(self) -> pa.Schema:
        """The columns of every table, with their types: the fixed ones of ``contents``, then those of the counters."""
        return pa.schema(self._fixed | self._counted)

    @property
    def _fixed(self) -> dict[str, pa.DataType]:
        return {Contents.SNAPSHOTS: _SNAPSHOT, Contents.DELTAS: _DELTA, Contents.CROSSINGS: _CROSSING}[self.contents]

    @property
    def _counted(self) -> dict[str, pa.DataType]:
        columns: dict[str, pa.DataType] = {}
        for counter in self.counters:
            if self.contents is not Contents.CROSSINGS:
                columns[counter.name] = pa.int64()
            if self.contents is Contents.DELTAS:
                columns |= {f"{counter.name}_delta": pa.int64(), f"{counter.name}_per_hour": pa.float64()}
        return columns

    def about(self, created_at: datetime) -> dict[str, object]:
        """What a file says of itself, ready for JSON. ``hours`` counts those that have their file."""
        return {
            "source": self.lake.name,
            "contents": self.contents.value,
            "first_hour": self.hours[0].key,
            "last_hour": self.hours[-1].key,
            "hours": len(self.hours),
            "counters": {counter.name: _policy_words(counter) for counter in self.counters},
            "created_at": format_time(created_at),
        }

    def tables(self, done: Callable[[Hour], None]) -> Iterator[pa.Table]:
        """Every row, in tables of about ``TABLE_ROWS``; ``done`` hears of every hour that was read.

        Raises LakeFault where a file is damaged, SourceBusy where one was replaced in the meantime.
        """
        before = self._stamps()
        try:
            yield from gathered(self._by_hour(done), TABLE_ROWS)
        except LakeFault:
            self._require_unchanged(before)  # a file that a rebuild took away is not damaged
            raise
        self._require_unchanged(before)

    def _by_hour(self, done: Callable[[Hour], None]) -> Iterator[pa.Table]:
        for hour in self.hours:
            yield from self._crossings(hour) if self.contents is Contents.CROSSINGS else self._stored(self._path(hour))
            done(hour)

    def _stored(self, path: Path) -> Iterator[pa.Table]:
        with reading(path), pq.ParquetFile(path) as file:
            known = set(file.schema_arrow.names)
            missing = [name for name in self._fixed if name not in known]
            if missing:
                raise damaged(path, f"it has no {missing[0]}")
            columns = [name for name in self.schema.names if name in known]
            for batch in file.iter_batches(TABLE_ROWS, columns=columns):
                yield aligned(pa.Table.from_batches([batch]), self.schema)

    def _crossings(self, hour: Hour) -> Iterator[pa.Table]:
        report = decode(self._path(hour), Report)
        names, wanted = _CROSSING.keys() - {"captured_at"}, {counter.name for counter in self.counters}
        rows = [
            {"captured_at": report.captured_at} | {name: getattr(crossing, name) for name in names}
            for crossing in report.crossings
            if crossing.counter in wanted
        ]
        if rows:
            yield pa.Table.from_pylist(rows, self.schema)

    def _path(self, hour: Hour) -> Path:
        return self.lake.path(_KIND[self.contents], hour)

    def _stamps(self) -> list[tuple[int, int, int] | None]:
        """What changes of a file when a rebuild replaces it, for every hour."""
        return [self.lake.stamp(_KIND[self.contents], hour) for hour in self.hours]

    def _require_unchanged(self, before: list[tuple[int, int, int] | None]) -> None:
        if self._stamps() != before:
            raise SourceBusy(
                f"Hours of {self.lake.name} were made again while they were exported.",
                "Wait until that is done and export again; what was written so far is no whole export.",
            )


def plan_export(
    lake: SourceLake,
    contents: Contents,
    first: Hour | None = None,
    last: Hour | None = None,
    chosen: Sequence[str] | None = None,
) -> Export:
    """The export of the hours from ``first`` to ``last``, of the counters ``chosen``, or of all.

    All are those of the stretch, in the order in which they joined the source. Raises ConfigError where
    the stretch is empty or none of its hours knows a counter, NothingAccepted where the lake has no accepted hour.
    """
    stored = set(lake.hours_with(_KIND[contents], last))
    hours = tuple(hour for hour in lake.accepted_hours(first, last) if hour in stored)
    if not hours:
        raise _nothing_there(lake, contents, first, last)
    # The newest policy stands, at the place of the first.
    known = {c.name: c for hour in hours for c in read_lineage(lake.path(VALIDATED, hour)).terms.counters}
    unknown = [name for name in chosen or () if name not in known]
    if unknown:
        raise ConfigError(
            f"{lake.name} has no counter '{unknown[0]}' from {hours[0]} to {hours[-1]}.",
            f"Its counters there are: {', '.join(known)}.",
        )
    return Export(lake, contents, hours, tuple(known[name] for name in dict.fromkeys(chosen or known)))


def _nothing_there(
    lake: SourceLake, contents: Contents, first: Hour | None, last: Hour | None
) -> ConfigError | NothingAccepted:
    accepted = lake.accepted_hours()
    stretch = (f" from {first}" if first else "") + (f" to {last}" if last else "")
    if not accepted:
        return NothingAccepted(
            f"{lake.name} has accepted nothing yet.", f"Capture its present hour: ratchet collect {lake.name}"
        )
    return ConfigError(
        f"{lake.name} has no {contents}{stretch}.",
        f"It has {len(accepted):,} accepted hours from {accepted[0]} to {accepted[-1]}; both ends may be left out.",
    )


def _policy_words(counter: Counter) -> str:
    policy = counter.policy
    return f"{policy.trend} {policy.tolerance}" if policy.trend is Trend.TOLERANCE else policy.trend.value
