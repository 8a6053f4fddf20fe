"""Histories in memory and a page's worth of them, for tests of analysis: no lake, no capture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np

from pipeline.core.analysis.watched import MISSING, OBSERVED, Item, Watched
from pipeline.core.hours import microseconds

from .snapshots import at

Told = Mapping[float, Mapping[str, int | None]]
"""By hours after `snapshots.START` the value of each item, None where it was not observed."""


def watched(told: Told, published: Mapping[str, float] | None = None) -> Watched:
    """A history of views. ``published``: of items, in hours after START; before it where it is negative."""
    hours = sorted(told)
    names = sorted({item for values in told.values() for item in values})
    moments = {item: at(hour) for item, hour in (published or {}).items()}
    values = np.full((len(hours), len(names)), MISSING, np.int64)
    for row, hour in enumerate(hours):
        for column, name in enumerate(names):
            value = told[hour].get(name)
            values[row, column] = MISSING if value is None else value
    first = at(hours[0])
    return Watched(
        source="blog",
        counters=("views",),
        items=tuple(_item(name, moments.get(name), first) for name in names),
        left_out=0,
        captured_at=np.array([microseconds(at(hour)) for hour in hours]),
        status=np.where(values == MISSING, 0, OBSERVED).astype(np.int8),
        values={"views": values},
        titles=np.zeros(values.shape, np.int32),
        title_names=("Title",),
        told=(),
        first_accepted_at=first,
    )


def _item(name: str, published: datetime | None, first: datetime) -> Item:
    return Item(name, f"Title of {name}", None, published, published is not None and published > first)


def grown(hours: Sequence[float], item: str, published: float, rates: Sequence[tuple[float, float]]) -> Told:
    """An item that gains so many views an hour until each age: ``[(24, 10), (1000, 0.1)]``; whole numbers."""
    found = {}
    for hour in hours:
        age = hour - published
        if age < 0:
            continue
        total, since = 0.0, 0.0
        for until, rate in rates:
            total += max(0.0, min(age, until) - since) * rate
            since = until
        found[hour] = {item: int(total)}
    return found


def together(*parts: Told) -> Told:
    found: dict[float, dict[str, int | None]] = {}
    for part in parts:
        for hour, values in part.items():
            found.setdefault(hour, {}).update(values)
    return found
