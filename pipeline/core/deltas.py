"""Deltas: the change of each counter since the item was last observed, and the time it spans.

Two questions with one answer: the delta of one hour from its two files, and the deltas of any
stretch of history by a window function. Both read validated snapshots, as docs/architecture.md
describes them. What the numbers mean, both say in the same words (``sql/change.sql``).

A delta has one row per item that the capture observed (carried items have none), in the order of
``item_id`` within a capture, and the columns

``item_id``               string
``captured_at``           timestamp[us, UTC]
``previous_captured_at``  timestamp[us, UTC]: when the item was last observed before; null if never
``elapsed_seconds``       double, exact to the microsecond: ``captured_at`` minus the instant from which
                          the delta counts; null where there is none

and for each counter

``<counter>``             int64: the observed value
``<counter>_delta``       int64, exact; null where either side is unknown, never zero for that
``<counter>_per_hour``    double; null where the delta is, and where no time elapsed

An item never seen before counts from zero since its publication, if it was published after the
source's first accepted capture and not after this one. Otherwise its delta and its elapsed time are
null. That holds for all its counters, those that join the source in the same hour included. For
an item seen before, a counter that the previous file lacks has no delta.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from pipeline.core.engine import SMALL, arrow_rows, cursor, named, reading_lake, render
from pipeline.core.snapshots import columns_of


def hour_delta(current: Path, previous: Path | None, counters: Sequence[str], first_accepted_at: datetime) -> pa.Table:
    """The delta of the snapshot ``current`` against ``previous``, the last one accepted before it.

    ``previous`` is None for the first accepted snapshot of a source, whose deltas are all null.
    ``first_accepted_at`` is the time of the source's first accepted capture.

    Raises ValueError where ``current`` lacks one of the counters, LakeFault where a file cannot be read.
    """
    missing = set(counters).difference(columns_of(current))
    if missing:
        raise ValueError(f"{current} has no counter {', '.join(sorted(missing))}")
    query = render("hour_delta.sql", counters, has_previous=previous is not None)
    parameters: dict[str, object] = {"current": named(current)}
    if previous is not None:
        parameters |= {"previous": named(previous), "first_accepted_at": first_accepted_at}
    with reading_lake(), cursor() as connection:
        return arrow_rows(connection, query, parameters, few=current.stat().st_size <= SMALL)


def history_deltas(files: Sequence[Path], counters: Sequence[str]) -> pa.Table:
    """The deltas of every snapshot in ``files``, which begin with the source's first accepted one.

    Equal to ``hour_delta`` file by file. The files follow each other by ``captured_at``, and in the
    order in which they are named where that is equal. A counter that a file lacks reads null there.

    Raises ValueError without any file, LakeFault where a file cannot be read.
    """
    if not files:
        raise ValueError("a history needs at least one snapshot")
    query = render("history_deltas.sql", counters)
    with reading_lake(), cursor() as connection:
        return connection.sql(query, params={"files": [named(file) for file in files]}).to_arrow_table()
