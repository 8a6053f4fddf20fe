"""What accepted snapshots know of the days of windowed counters: revised numbers, and every day ever told.

`windows` says what a window is and how its days come to stand in a snapshot.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.core.engine import cursor, named, reading_lake, render
from pipeline.core.records import Revision
from pipeline.core.snapshots import columns_of
from pipeline.core.windows import days_column

REVISIONS_KEPT = 100
"""How many revisions of an hour a report names. All of them follow from the two snapshots."""


def revisions(current: Path, previous: Path | None, counters: Sequence[str]) -> list[Revision]:
    """What the platform changed about days that were told before, largest change first.

    A number that was lowered, and one that was raised, or told at all, after its day was over when
    the item was last observed. ``previous`` is the accepted snapshot that ``current`` followed.
    Raises LakeFault where a file cannot be read.
    """
    if previous is None or not counters:
        return []
    told = windowed(columns_of(current) & columns_of(previous), counters)
    if not told:
        return []
    query = render("revisions.sql", told)
    with reading_lake(), cursor() as connection:
        rows = connection.sql(query, params={"current": named(current), "previous": named(previous)}).to_arrow_table()
    return [Revision(**row) for row in rows.to_pylist()]


def windowed(columns: Container[str], counters: Iterable[str]) -> list[str]:
    """Those of ``counters`` whose days stand among ``columns``."""
    return [counter for counter in counters if days_column(counter) in columns]


def daily_numbers(files: Sequence[Path], counter: str) -> pa.Table:
    """Every day ever told, from the accepted snapshots of a source: windows end, this does not.

    Columns: item_id, day (date32), highest (int64: what the total counts), told (int64: what was told
    last), sorted by item and day. Raises LakeFault where a file cannot be read.
    """
    query = render("daily_numbers.sql", [counter])
    with reading_lake(), cursor() as connection:
        return connection.sql(query, params={"files": [named(file) for file in files]}).to_arrow_table()


def revision_row(revision: Revision) -> Mapping[str, Any]:
    """A revision as a row of a table: item (its title, if it has one), counter, day (ISO 8601), before and after."""
    return {
        "item": revision.title or revision.item_id,
        "counter": revision.counter,
        "day": revision.day.isoformat(),
        "before": revision.before,
        "after": revision.after,
    }
