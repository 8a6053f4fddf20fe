"""What the deltas must be, told from the captures alone: no carried state, no file, no SQL.

Written from the words of docs/architecture.md, in the slowest and plainest way.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

from .snapshots import Capture


def expected_deltas(captures: Sequence[Capture]) -> list[list[dict[str, Any]]]:
    """For each accepted capture its delta, one dict per observed item in the order of item_id."""
    accepted = [capture for capture in captures if capture.items is not None]
    return [
        [_expected(item, accepted[: place + 1]) for item in sorted(capture.items or {})]
        for place, capture in enumerate(accepted)
    ]


def _expected(item: str, history: Sequence[Capture]) -> dict[str, Any]:
    now = history[-1]
    assert now.items is not None
    sightings = [place for place, capture in enumerate(history[:-1]) if item in (capture.items or {})]
    since = history[sightings[-1] :] if sightings else []
    counted_from = since[0].captured_at if since else _birth(item, history)
    elapsed = now.captured_at - counted_from if counted_from else None
    row: dict[str, Any] = {
        "item_id": item,
        "captured_at": now.captured_at,
        "previous_captured_at": since[0].captured_at if since else None,
        "elapsed_seconds": elapsed.total_seconds() if elapsed is not None else None,
    }
    for counter in now.counters:
        value = now.items[item][counter]
        before: int | None
        if not since:
            before = 0 if counted_from else None
        elif all(counter in capture.counters for capture in since):
            before = (since[0].items or {})[item][counter]
        else:  # it left the source meanwhile, so nobody knows where it starts from
            before = None
        change = None if value is None or before is None else value - before
        row |= {counter: value, f"{counter}_delta": change, f"{counter}_per_hour": _per_hour(change, elapsed)}
    return row


def _birth(item: str, history: Sequence[Capture]) -> datetime | None:
    published = history[-1].published.get(item)
    if published is None or published <= history[0].captured_at or published > history[-1].captured_at:
        return None
    return published


def _per_hour(change: int | None, elapsed: timedelta | None) -> float | None:
    if change is None or not elapsed:
        return None
    return float(Fraction(change) / Fraction(elapsed // timedelta(microseconds=1), 3_600_000_000))
