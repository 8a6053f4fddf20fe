"""A year of hours, cheaply: one real hour under 8,760 names; the predecessor's search and the status on it."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from pipeline.core.deltas import hour_delta
from pipeline.core.history import publish_delta, publish_report, publish_snapshot, verdict
from pipeline.core.hours import Hour
from pipeline.core.lake import DELTA, RAW, REPORT, REPORT_TEXT, VALIDATED, Lake, SourceLake
from pipeline_tests.bench.figures import Effort, Figure, command, in_turn, python
from pipeline_tests.bench.made_account import BEFORE, made_source, write_history

YEAR = 8_760
HISTORIES = (24, 720, YEAR)
GAP = 10
_COUNTERS = ("views", "likes", "comments")


def made_hours(folder: Path, items: int) -> tuple[SourceLake, Path, Path]:
    """A lake with two accepted hours of the account, and their snapshots: the earlier and the later one."""
    lake, capture = write_history(folder, items)
    source = made_source()
    with lake.writing():
        publish_snapshot(lake, verdict(lake, source, capture))
        publish_delta(lake, capture.hour)
        publish_report(lake, source, capture.hour)
    return lake, lake.path(VALIDATED, Hour.of(BEFORE)), lake.path(VALIDATED, capture.hour)


def long_history(folder: Path, hours: int, like: SourceLake, last: Hour) -> SourceLake:
    """``hours`` hours up to ``last``, each holding links to the files of the newest hour in ``like``."""
    lake = Lake(folder).source(like.name)
    model = like.last_capture()
    assert model is not None
    for hour in (last + (1 - hours)).through(last):
        stem = f"{hour.key}-{hour.start:%Y%m%dT%H%M%S%fZ}"
        links = {like.path(kind, model.hour): lake.path(kind, hour) for kind in (VALIDATED, DELTA, REPORT, REPORT_TEXT)}
        for existing, name in {like.raw(model): lake.path(RAW, hour, stem), **links}.items():
            name.parent.mkdir(parents=True, exist_ok=True)
            os.link(existing, name)
    return lake


def floor_of_delta(current: Path, previous: Path) -> list[np.ndarray]:
    """What a delta cannot do without: decode the columns of both files and subtract them row by row."""
    columns = ["item_id", *_COUNTERS]
    then, now = (pq.read_table(path, columns=columns, partitioning=None) for path in (previous, current))
    return [now[counter].to_numpy() - then[counter].to_numpy() for counter in _COUNTERS]


def deltas_by_history(folder: Path, effort: Effort) -> list[Figure]:
    """The delta of an hour after a gap, its predecessor looked for, at growing lengths of history."""
    like, _, current = made_hours(folder / "like", 100)
    last = Hour.parse("2026-11-30T13")  # in the last day of its month, whose folder is as full as it gets
    lakes = [long_history(folder / str(hours), hours, like, last) for hours in HISTORIES]

    def after_gap(lake: SourceLake) -> None:
        previous = lake.last_accepted(before=last + GAP)
        assert previous == last
        hour_delta(current, lake.path(VALIDATED, previous), _COUNTERS, BEFORE)

    taken = in_turn(effort.times(60, 15), *(partial(after_gap, lake) for lake in lakes))
    return [
        Figure(f"delta of 100 items after {hours:,} hours", seconds, "s", f"after {HISTORIES[0]} hours", taken[0], 1.1)
        for hours, seconds in zip(HISTORIES[1:], taken[1:], strict=True)
    ]


def deltas_by_size(folder: Path, effort: Effort) -> list[Figure]:
    """The delta of an hour beside decoding the two files and subtracting."""
    figures = []
    for items in (100, 100_000) if effort.quick else (100, 100_000, 1_000_000):
        _, previous, current = made_hours(folder / str(items), items)
        times = effort.times(40, 12) if items < 1_000_000 else 8
        ours, floor = in_turn(
            times,
            partial(hour_delta, current, previous, _COUNTERS, BEFORE),
            partial(floor_of_delta, current, previous),
        )
        figures.append(Figure(f"delta of {items:,} items", ours, "s", "decode and subtract", floor, 3.0))
    return figures


def terminal(folder: Path, effort: Effort) -> list[Figure]:
    """`ratchet --help`, and `ratchet status` on a year of hours, beside starting Python."""
    like, _, _ = made_hours(folder / "like", 100)
    data, defs = folder / "data", folder / "defs" / like.name / "defs.yaml"
    defs.parent.mkdir(parents=True)
    defs.write_text(
        f"type: pipeline.components.CounterSource\nattributes:\n  source: {like.name}\n  end: 2026-11-30T13\n"
        "  platform: {kind: note, session_cookie: made-up}\n"
    )
    long_history(data / "lake", YEAR, like, Hour.parse("2026-11-30T13"))
    environment = {**os.environ, "RATCHET_DATA": str(data), "RATCHET_DEFS": str(defs.parent.parent)}
    ratchet = str(Path(sys.executable).with_name("ratchet"))
    help_, status, python_alone = in_turn(
        effort.times(9, 3),
        command([ratchet, "--help"], environment),
        command([ratchet, "status", like.name], environment),
        python("-c", "pass"),
    )
    return [
        Figure("`ratchet --help`", help_, "s", aim=0.3),
        Figure(f"`ratchet status` on {YEAR:,} hours", status, "s", aim=1.0),
        Figure("python -c pass", python_alone, "s"),
    ]
