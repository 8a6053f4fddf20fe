"""From JSON pages to report: time of each part and peak memory, in a process of its own.

`python -m pipeline_tests.bench.scale make FOLDER ITEMS` writes a history, `... run FOLDER` measures
one hour of it and prints JSON. Each is a process of its own, so that the peak is that of the hour.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar
from unittest.mock import patch

import click
import msgspec

from pipeline.core import history
from pipeline.core.capture import read_pages
from pipeline.core.lake import DELTA, VALIDATED, Lake
from pipeline.core.listing import read_listing
from pipeline.platforms.protocol import Page
from pipeline_tests.bench.figures import Effort, Figure, in_turn, peak_megabytes, python
from pipeline_tests.bench.made_account import made_source, write_history

P = ParamSpec("P")
R = TypeVar("R")


class Stopwatch:
    """Seconds by name of the part; a part inside another is taken off the outer one."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._inner = [0.0]

    def timed(self, part: str, function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            self._inner.append(0.0)
            started = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                taken = time.perf_counter() - started
                self.seconds[part] = self.seconds.get(part, 0.0) + taken - self._inner.pop()
                self._inner[-1] += taken

        return call


@click.group()
def main() -> None:
    """One hour of a large account."""


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("items", type=int)
def make(folder: Path, items: int) -> None:
    """Write a history of ITEMS articles into FOLDER."""
    write_history(folder, items)


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
def run(folder: Path) -> None:
    """Judge and publish the last capture in FOLDER, and print the parts as JSON."""
    source = made_source()
    lake, watch = Lake(folder).source(source.name), Stopwatch()
    decode = watch.timed("decode", read_listing)
    capture = lake.last_capture()
    assert capture is not None
    started = time.perf_counter()
    with lake.writing(), patch("pipeline.core.grounds.read_listing", decode):
        judged = watch.timed("check", history.verdict)(lake, source, capture)
        watch.timed("publish", history.publish_snapshot)(lake, judged)
        watch.timed("delta", history.publish_delta)(lake, capture.hour)
        watch.timed("report", history.publish_report)(lake, source, capture.hour)
    total = time.perf_counter() - started
    found = {
        "items": len(judged.listing.items),
        "seconds": watch.seconds | {"total": total},
        "peak_megabytes": peak_megabytes(),
        "bytes": {kind: lake.path(kind, capture.hour).stat().st_size for kind in (VALIDATED, DELTA)},
    }
    sys.stdout.write(msgspec.json.encode(found).decode() + "\n")


def from_json_to_report(folder: Path, effort: Effort) -> list[Figure]:
    """The parts, the peak and the bytes at 10,000 and 1,000,000 items."""
    figures = []
    for items in (10_000,) if effort.quick else (10_000, 1_000_000):
        lake = folder / str(items)
        python("-m", "pipeline_tests.bench.scale", "make", str(lake), str(items))()
        found = msgspec.json.decode(python("-m", "pipeline_tests.bench.scale", "run", str(lake))(), type=_Hour)
        if found.items != items:
            raise RuntimeError(f"{found.items} of {items} items were read")
        floor = _decoding_alone(lake)
        total = found.seconds.pop("total")
        figures += [
            Figure(f"{items:,} items from JSON to report", total, "s", "msgspec on the same pages alone", floor),
            *(Figure(f"  of it {part}", seconds, "s") for part, seconds in found.seconds.items()),
            Figure(f"{items:,} items: peak memory", found.peak_megabytes, "MB", aim=3_000.0),
            Figure(f"{items:,} items: a million rows of both files", found.megabytes_per_million, "MB", aim=31.0),
            *(Figure(f"  of a million rows in {kind}", size / items, "MB") for kind, size in found.bytes.items()),
        ]
    return figures


class _Hour(msgspec.Struct):
    """What `run` prints."""

    items: int
    seconds: dict[str, float]
    peak_megabytes: float
    bytes: dict[str, int]

    @property
    def megabytes_per_million(self) -> float:
        """Rows of both files together: each item has one in either."""
        return sum(self.bytes.values()) / (2 * self.items)


def _decoding_alone(folder: Path) -> float:
    """Seconds that the JSON library takes for the pages as the adapter declares them, on objects it throws away."""
    lake = Lake(folder).source(made_source().name)
    capture = lake.last_capture()
    assert capture is not None
    read = made_source().platform.read
    pages = [part for part in read_pages(lake, capture) if isinstance(part, Page)]

    def decode() -> None:
        for page in pages:
            read(page)

    return in_turn(3, decode)[0]


if __name__ == "__main__":
    main()
