"""Signals as numbers over time: one name for each thing that was measured, whatever part of the record it stands in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

from pipeline.core.hours import KEY_LENGTH, Hour
from pipeline.core.lake import SIGNALS, CaptureRef, SourceLake, hour_in
from pipeline.core.records import Signals, decode

WINDOW_HOURS = 7 * 24
"""How far back what is usual is looked for."""
_OWN_WORDS = {"credential_runway"}
"""Checks whose numbers say by themselves when they become a failure."""


class Kind(StrEnum):
    """How a number is to be read: a share of the items, a plain number, or seconds."""

    SHARE = "share"
    NUMBER = "number"
    SECONDS = "seconds"


@dataclass(frozen=True)
class Name:
    """``text`` is what the page, the UI and the drift call it: "title missing"."""

    text: str
    kind: Kind

    @property
    def fact(self) -> str:
        """The same where a name has to be one word: "title_missing", "capture_seconds"."""
        return self.text.replace(" ", "_") + ("_seconds" if self.kind is Kind.SECONDS else "")


ITEMS = Name("items", Kind.NUMBER)
BYTES = Name("bytes", Kind.NUMBER)
LATE = Name("late", Kind.SECONDS)
CAPTURE = Name("capture", Kind.SECONDS)
CHECKS = Name("all checks", Kind.SECONDS)


@dataclass(frozen=True)
class Measured:
    """One capture's signals, as numbers under their names, and as the names of the fields that it held."""

    signals: Signals
    numbers: Mapping[Name, float]
    fields: Set[str]

    @property
    def at(self) -> datetime:
        """When the capture was taken (UTC)."""
        return self.signals.captured_at


def measured_before(lake: SourceLake, capture: CaptureRef) -> list[Measured]:
    """The captures of the seven days before this one, oldest first. Raises LakeFault where a file is damaged."""
    names = lake.signal_names(capture.hour + -WINDOW_HOURS, capture.hour)
    return [_read(lake, name) for name in names if is_capture(name) and name < capture.name]


def measured_since(lake: SourceLake, first: Hour) -> list[Measured]:
    """Every capture from ``first`` on that was measured, oldest first. Raises LakeFault where a file is damaged."""
    return [_read(lake, name) for name in lake.signal_names(first) if is_capture(name)]


def is_capture(name: str) -> bool:
    """Whether the signals called so are of a capture; else they are of a delta."""
    return len(name) > KEY_LENGTH


def read_signals(lake: SourceLake, name: str) -> Signals:
    """Signals by one of `SourceLake.signal_names`. Raises LakeFault where the file is damaged."""
    return _read(lake, name).signals


def measured(signals: Signals) -> Measured:
    """The numbers of one capture under their names; those that nobody measured are not among them."""
    fields = frozenset(signals.volume.fields) if signals.volume else frozenset[str]()
    return Measured(signals, dict(_numbers(signals)), fields)


def _read(lake: SourceLake, name: str) -> Measured:
    return _decoded(lake.path(SIGNALS, hour_in(name), name))


@lru_cache(maxsize=512)
def _decoded(path: Path) -> Measured:
    """Read once: a published file never changes. A source's week fits in, which is asked for again every hour."""
    return measured(decode(path, Signals))


def _numbers(signals: Signals) -> Iterator[tuple[Name, float]]:
    volume = signals.volume
    if volume is not None:
        yield ITEMS, volume.items
        if volume.bytes is not None:
            yield BYTES, volume.bytes
        if volume.refused_records:
            yield Name("records refused", Kind.NUMBER), volume.refused_records
        for column, missing in volume.nulls.items():
            yield Name(f"{column} missing", Kind.SHARE), missing / volume.items if volume.items else 0.0
    if signals.late_seconds is not None:
        yield LATE, signals.late_seconds
    if signals.capture_seconds is not None:
        yield CAPTURE, signals.capture_seconds
    took = [check.seconds for check in signals.checks if check.seconds is not None]
    if took and not any(check.failing for check in signals.checks):  # naming items loads Pandera, which takes longer
        yield CHECKS, sum(took)
    items = volume.items if volume is not None else 0
    for check in signals.checks:
        if check.judged and check.passed and check.check not in _OWN_WORDS:  # one that failed speaks for itself
            yield Name(f"{check.check} warnings", Kind.SHARE), check.failing / items if items else 0.0
            for measure, value in check.measures.items():
                if measure.endswith("_fell"):
                    yield Name(f"{measure.removesuffix('_fell')} fell", Kind.SHARE), value / items if items else 0.0
                elif measure == "read_again":
                    yield Name("listing read again", Kind.NUMBER), value
