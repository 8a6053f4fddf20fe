"""The history of a source in memory: every observation of every item, and what each hour's report told.

Numbers stand in matrices of captures by items, where ``MISSING`` says that an item was not observed:
carried values are no observations. Counters are never negative, so no observation looks like it.

Large sources are followed in part: the items with the highest first counter at the beginning of the
newest month, and the latest of those that came since. ``Watched.left_out`` counts the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.core.analysis.months import Followed, Told, read_hours, read_month
from pipeline.core.errors import NothingAccepted
from pipeline.core.hours import Hour, microseconds
from pipeline.core.lake import VALIDATED, SourceLake
from pipeline.core.lineage import read_lineage
from pipeline.core.snapshots import read_table

MISSING = -1
ABSENT, OBSERVED, CARRIED, CORRECTED = range(4)
STATES = ("absent", "observed", "carried", "corrected")
MOST_ITEMS = 500
_NEWCOMERS = 100
_HOURS_OF_A_MONTH = 744
_CELLS = 8_000_000
"""Captures times items that are held at once: 29 bytes each with three counters."""

HOUR = 3_600_000_000
"""Microseconds of one."""
Int64 = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Item:
    """``zero``: it was published while the source was watched, so its counters began at zero then."""

    item_id: str
    title: str
    url: str | None
    published_at: datetime | None
    zero: bool


@dataclass(frozen=True)
class Watched:
    """``values[counter][capture, item]``; times in microseconds since 1970, in order.

    ``titles[capture, item]`` are places in ``title_names``, ``MISSING`` where the item was not there.
    """

    source: str
    counters: tuple[str, ...]
    items: tuple[Item, ...]
    left_out: int
    captured_at: Int64
    status: npt.NDArray[np.int8]
    values: Mapping[str, Int64]
    titles: npt.NDArray[np.int32]
    title_names: tuple[str, ...]
    told: tuple[Told, ...]
    first_accepted_at: datetime

    @cached_property
    def observed(self) -> npt.NDArray[np.bool_]:
        """Whether each item was listed in each capture."""
        listed: npt.NDArray[np.bool_] = (self.status == OBSERVED) | (self.status == CORRECTED)
        return listed

    def moment(self, capture: int) -> datetime:
        """When that capture was taken (UTC). ``capture``: its place in ``captured_at``."""
        return datetime.fromtimestamp(int(self.captured_at[capture]) / 1e6, UTC)

    def until(self, moment: datetime) -> Watched | None:
        """The history as it stood at a moment, items that came later left in; None where it had not begun."""
        end = int(np.searchsorted(self.captured_at, microseconds(moment)))
        if not end:
            return None
        return replace(
            self,
            captured_at=self.captured_at[:end],
            status=self.status[:end],
            values={name: cells[:end] for name, cells in self.values.items()},
            titles=self.titles[:end],
            told=tuple(told for told in self.told if told.captured_at < moment),
        )

    def place(self, item_id: str) -> int | None:
        """Where an item stands, None where it is unknown or not followed."""
        return next((place for place, item in enumerate(self.items) if item.item_id == item_id), None)


def read_watched(lake: SourceLake, cache: Path | None = None) -> Watched:
    """The whole accepted history. ``cache``: a folder for months that were read, which may be lost at any time.

    Raises NothingAccepted where there is none, LakeFault where a file is damaged.
    """
    last = lake.last_accepted()
    if last is None:
        raise NothingAccepted(
            f"{lake.name} has accepted nothing yet.", f"Capture its present hour: ratchet collect {lake.name}"
        )
    newest = lake.path(VALIDATED, last)
    lineage = read_lineage(newest)
    counters = tuple(counter.name for counter in lineage.terms.counters)
    columns = ["item_id", "title", "url", "published_at", "captured_at"]
    latest = read_table(newest, [*columns, counters[0]])
    followed = _followed(lake, last, latest, counters[0])
    known = None if followed is None else followed.all
    listed = latest if known is None else latest.filter(pc.is_in(latest["item_id"], pa.array(known, pa.string())))
    items = tuple(_item(row, lineage.first_accepted_at) for row in listed.to_pylist())
    months = [read_month(lake, month, counters, followed, cache) for month in lake.months(VALIDATED)]
    rows = pa.concat_tables([month.rows for month in months])
    return Watched(
        source=lake.name,
        counters=counters,
        items=items,
        left_out=len(latest) - len(items),
        told=tuple(told for month in months for told in month.told),
        first_accepted_at=lineage.first_accepted_at,
        **_matrices(rows, counters, items),
    )


def read_recent(lake: SourceLake, hour: Hour, item_ids: Sequence[str], days: int) -> Watched:
    """Some items alone over the ``days`` up to an accepted ``hour``; no reports are read. Raises LakeFault."""
    newest = lake.path(VALIDATED, hour)
    lineage = read_lineage(newest)
    counters = tuple(counter.name for counter in lineage.terms.counters)
    latest = read_table(newest, ["item_id", "title", "url", "published_at", "captured_at"])
    chosen = latest.filter(pc.is_in(latest["item_id"], pa.array(item_ids, pa.string())))
    items = tuple(_item(row, lineage.first_accepted_at) for row in chosen.to_pylist())
    first = hour + -24 * days
    hours = lake.accepted_hours(first, hour)
    parts = [
        read_hours(lake, month, list(found), counters, [item.item_id for item in items])
        for month, found in groupby(hours, key=lambda each: each.month)
    ]
    rows = pa.concat_tables(parts).unify_dictionaries().combine_chunks()
    within = pc.and_(
        pc.greater_equal(rows["captured_at"], pa.scalar(first.start, rows["captured_at"].type)),
        pc.less(rows["captured_at"], pa.scalar(hour.end, rows["captured_at"].type)),
    )  # of a packed month all hours are read
    return Watched(
        source=lake.name,
        counters=counters,
        items=items,
        left_out=len(latest) - len(items),
        told=(),
        first_accepted_at=lineage.first_accepted_at,
        **_matrices(rows.filter(within), counters, items),
    )


def _item(row: Mapping[str, object], first_accepted_at: datetime) -> Item:
    published = row["published_at"]
    assert published is None or isinstance(published, datetime)  # noqa: S101  the type of the column
    return Item(
        item_id=str(row["item_id"]),
        title=str(row["title"] or row["item_id"]),
        url=None if row["url"] is None else str(row["url"]),
        published_at=published,
        zero=published is not None and published > first_accepted_at,
    )


def _followed(lake: SourceLake, last: Hour, latest: pa.Table, counter: str) -> Followed | None:
    """The items of a source that has too many; None where all are followed.

    What is chosen stays the same for a month, so that earlier months need not be read again.
    """
    limit = MOST_ITEMS
    while limit * len(lake.months(VALIDATED)) * _HOURS_OF_A_MONTH > _CELLS:
        limit //= 2
    if len(latest) <= limit:
        return None
    newcomers = min(_NEWCOMERS, limit // 5)
    first = Hour.parse(lake.names(VALIDATED, last.month)[0])
    then = read_table(lake.path(VALIDATED, first))
    order = [(counter if counter in then.column_names else "item_id", "descending")]
    highest = then.take(pc.select_k_unstable(then, limit - newcomers, order))["item_id"]
    since = latest.filter(pc.invert(pc.is_in(latest["item_id"], then["item_id"].combine_chunks())))
    youngest = since.take(pc.select_k_unstable(since, newcomers, [("published_at", "descending")]))["item_id"]
    return Followed(last.month, tuple(sorted(highest.to_pylist())), tuple(sorted(youngest.to_pylist())))


def _matrices(rows: pa.Table, counters: Sequence[str], items: Sequence[Item]) -> dict[str, Any]:
    """The rows, in order of time, as matrices of captures by items."""
    times = rows["captured_at"].cast(pa.int64()).to_numpy()
    begins = np.concatenate([[True], times[1:] != times[:-1]])[: len(times)]
    capture = np.cumsum(begins) - 1
    item = _places(rows["item_id"], [item.item_id for item in items])
    title_names = sorted({name for chunk in rows["title"].chunks for name in chunk.dictionary.to_pylist()})
    shape = (int(begins.sum()), len(items))

    def matrix(kind: type[Any], fill: int, found: npt.NDArray[Any]) -> npt.NDArray[Any]:
        cells = np.full(shape, fill, kind)
        cells[capture, item] = found
        return cells

    status = matrix(np.int8, ABSENT, _places(rows["status"], STATES))
    absent = (status != OBSERVED) & (status != CORRECTED)
    values = {name: matrix(np.int64, MISSING, pc.fill_null(rows[name], MISSING).to_numpy()) for name in counters}
    for cells in values.values():
        cells[absent] = MISSING
    return {
        "captured_at": times[begins],
        "status": status,
        "values": values,
        "titles": matrix(np.int32, MISSING, _places(rows["title"], title_names)),
        "title_names": tuple(title_names),
    }


def _places(column: pa.ChunkedArray, names: Sequence[str]) -> Int64:
    """Where the text of each row stands in ``names``; MISSING where it is null."""
    known = pa.array(names, pa.string())
    found = []
    for chunk in column.chunks:
        place = pc.fill_null(pc.index_in(chunk.dictionary, known), MISSING).to_numpy().astype(np.int64)
        row = pc.fill_null(chunk.indices, len(place)).to_numpy()
        found.append(np.append(place, MISSING)[row])
    return np.concatenate(found) if found else np.empty(0, np.int64)
