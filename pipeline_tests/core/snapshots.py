"""Histories for the tests: captures as an owner saw them, and the validated files that they leave."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

RECORDING = Path(__file__).parents[2] / "data" / "recordings" / "note_account.csv"
RECORDED_COUNTERS = {"views": "read_count", "likes": "like_count", "comments": "comment_count"}
BROKEN_CAPTURE = datetime(2026, 3, 19, 13, 2, 1, tzinfo=UTC)  # holds one item twice and lacks another

START = datetime(2026, 11, 1, 0, 17, tzinfo=UTC)
_TIME = pa.timestamp("us", "UTC")


@dataclass(frozen=True)
class Capture:
    """One capture. ``items`` is None where it was refused, ``counters`` what the YAML asked for then."""

    captured_at: datetime
    items: Mapping[str, Mapping[str, int | None]] | None
    counters: Sequence[str] = ("views",)
    published: Mapping[str, datetime | None] = field(default_factory=dict)


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def views(hours: float, published: Mapping[str, datetime | None] | None = None, /, **items: int) -> Capture:
    """A capture of views alone, so many hours after the first."""
    return Capture(at(hours), {item: {"views": value} for item, value in items.items()}, ("views",), published or {})


def recorded_captures() -> Iterator[Capture]:
    """The recording without its broken capture."""
    with RECORDING.open(newline="") as file:
        for stamp, group in groupby(csv.DictReader(file), key=lambda row: row["captured_at"]):
            captured_at, rows = datetime.fromisoformat(stamp), list(group)
            if captured_at == BROKEN_CAPTURE:
                continue
            yield Capture(
                captured_at,
                {row["item_id"]: {c: int(row[field]) for c, field in RECORDED_COUNTERS.items()} for row in rows},
                tuple(RECORDED_COUNTERS),
                {row["item_id"]: datetime.fromisoformat(row["published_at"]) for row in rows},
            )


def write_snapshots(captures: Sequence[Capture], folder: Path) -> list[Path]:
    """The validated file of every accepted capture, in their order; state is carried forward."""
    files: list[Path] = []
    state: dict[str, dict[str, Any]] = {}
    for capture in captures:
        if capture.items is None:
            continue
        state = {
            item: _observed(item, capture, state.get(item, {}))
            if item in capture.items
            else _carried(capture, state[item])
            for item in [*capture.items, *(item for item in state if item not in capture.items)]
        }
        file = folder / f"{len(files):04d}.parquet"
        pq.write_table(pa.Table.from_pylist(list(state.values()), schema=_schema(capture.counters)), file)
        files.append(file)
    return files


def _observed(item: str, capture: Capture, before: Mapping[str, Any]) -> dict[str, Any]:
    assert capture.items is not None
    row: dict[str, Any] = {
        "item_id": item,
        "title": f"Title of {item}",
        "url": f"https://example.org/{item}",
        "published_at": capture.published.get(item),
        "captured_at": capture.captured_at,
        "status": "observed",
        "last_observed_at": capture.captured_at,
        "checks_version": "1",
    }
    for counter in capture.counters:
        value = capture.items[item][counter]
        known = [number for number in (value, before.get(f"{counter}_max")) if number is not None]
        row |= {counter: value, f"{counter}_max": max(known, default=None)}
    return row


def _carried(capture: Capture, before: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: before.get(name) for name in _schema(capture.counters).names}
    return kept | {"captured_at": capture.captured_at, "status": "carried"}


def _schema(counters: Sequence[str]) -> pa.Schema:
    fixed = {
        "item_id": pa.string(),
        "title": pa.string(),
        "url": pa.string(),
        "published_at": _TIME,
        "captured_at": _TIME,
        "status": pa.string(),
        "last_observed_at": _TIME,
        "checks_version": pa.string(),
    }
    return pa.schema(fixed | {name: pa.int64() for c in counters for name in (c, f"{c}_max")})
