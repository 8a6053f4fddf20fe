"""The numbers of a page as compact JSON: integers, changes instead of values, older days thinned.

A series is ``{"f": place of its first value, "c": [steps to the next change, change, ...], "n": [first
place, count, ...]}``: the first pair of ``c`` is 0 and the first value, and ``n`` are the places where
nothing was observed. Where most places changed, ``"d": [first value, change, change, ...]`` of every
place is shorter than ``c`` and stands instead. Places are those of the axis ``x``, seconds since 1970
as differences.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.core.analysis.gains import WINDOWS, Standing
from pipeline.core.analysis.happenings import Happening
from pipeline.core.analysis.watched import MISSING, Int64, Watched
from pipeline.core.hours import microseconds
from pipeline.core.ledger import Ledger
from pipeline.core.model import HourState

MOST_HAPPENINGS = 1_000
_HOUR, _DAY = 3_600_000_000, 86_400_000_000
_STATES = {HourState.OBSERVED: 0, HourState.QUARANTINED: 1, HourState.GAP: 2, HourState.UNFINISHED: 3}


@dataclass(frozen=True)
class Axis:
    """``kept`` are the captures on it. ``hourly_from``: the first place of those that are all kept."""

    kept: Int64
    hourly_from: int
    breaks: tuple[int, ...]


def make_axis(watched: Watched, hourly_days: int) -> Axis:
    """Every capture of the last ``hourly_days``, and of each earlier day (UTC) the last one.

    ``breaks`` are the places before which an hour is missing, or among the earlier ones a day.
    """
    times = watched.captured_at
    cut = times[-1] - hourly_days * _DAY
    days, hours = times // _DAY, times // _HOUR
    last_of_day = np.append(days[1:] != days[:-1], True)
    kept = np.flatnonzero((times > cut) | last_of_day)
    hourly_from = int(np.searchsorted(times[kept], cut, side="right"))
    missing = np.diff(hours[kept]) > 1
    missing[: max(0, hourly_from)] = (np.diff(days[kept]) > 1)[: max(0, hourly_from)]
    return Axis(kept, hourly_from, tuple((np.flatnonzero(missing) + 1).tolist()))


def axis_payload(watched: Watched, axis: Axis) -> dict[str, Any]:
    """The axis of a page: ``x``, and the places of ``breaks`` and of ``hourly`` (the first of those all kept)."""
    seconds = watched.captured_at[axis.kept] // 1_000_000
    return {"x": _differences(seconds), "breaks": list(axis.breaks), "hourly": axis.hourly_from}


def _differences(values: Int64) -> list[int]:
    found: list[int] = np.diff(values, prepend=0).tolist()
    return found


def hours_payload(ledger: Ledger) -> dict[str, Any]:
    """The state of every hour as runs: 0 observed, 1 quarantined, 2 gap, 3 unfinished."""
    first = next(iter(ledger.hours), None)
    states = np.array([_STATES[state] for state in ledger.hours.values()], np.int64)
    begins = np.flatnonzero(np.diff(states, prepend=-1))
    lengths = np.diff(np.append(begins, len(states)))
    runs = np.column_stack([states[begins], lengths]).ravel().tolist()
    return {"first": int(first.start.timestamp()) if first else 0, "runs": runs}


def series(values: Int64) -> dict[str, Any] | None:
    """One item's values on the axis, MISSING where it was not observed. None where it never was."""
    seen = values != MISSING
    if not seen.any():
        return None
    first = int(seen.argmax())
    values, seen = values[first:], seen[first:]
    last_seen = np.maximum.accumulate(np.where(seen, np.arange(len(values)), 0))
    filled = values[last_seen]
    changes = np.diff(filled)
    changed = np.flatnonzero(changes)
    if 2 * len(changed) > len(changes):
        found: dict[str, Any] = {"f": first, "d": [int(filled[0]), *changes.tolist()]}
    else:
        steps = np.diff(changed, prepend=-1)
        found = {"f": first, "c": [0, int(filled[0]), *np.column_stack([steps, changes[changed]]).ravel().tolist()]}
    if not seen.all():
        found["n"] = _runs(~seen, first)
    return found


def _runs(where: npt.NDArray[np.bool_], offset: int) -> list[int]:
    edges = np.diff(np.concatenate([[0], where.astype(np.int8), [0]]))
    begins, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    runs: list[int] = np.column_stack([begins + offset, ends - begins]).ravel().tolist()
    return runs


def catalogue_payload(watched: Watched, axis: Axis) -> dict[str, Any]:
    """By counter the total, and what was gained since the place before, as the reports told both; null: not known."""
    places = {microseconds(told.captured_at): told for told in watched.told}
    told = [places.get(moment) for moment in watched.captured_at.tolist()]
    found = {}
    for counter in watched.counters:
        moves = [t.movement.get(counter) if t else None for t in told]
        totals = [moves[place].total if moves[place] else None for place in axis.kept.tolist()]
        gained, since = list[int | None](), 0
        for place in axis.kept.tolist():
            known = [m.delta for m in moves[since : place + 1] if m is not None and m.delta is not None]
            gained.append(sum(known) if known and gained else None)
            since = place + 1
        found[counter] = {"total": totals, "gained": gained}
    return found


def items_payload(
    watched: Watched, axis: Axis, standings: Mapping[str, Sequence[Standing]], charted: int
) -> dict[str, Any]:
    """The items with what they gained and, for the first ``charted`` by their first counter, their series.

    ``notes`` are the words to which the numbers in ``g`` lead: last value, then value and note of each
    window, then rank and the places climbed.
    """
    notes: dict[str, int] = {}
    kept = {counter: np.ascontiguousarray(cells[axis.kept].T) for counter, cells in watched.values.items()}
    primary = standings[watched.counters[0]]
    order = sorted(range(len(watched.items)), key=lambda place: -(primary[place].value or 0))
    listed = []
    for rank, place in enumerate(order):
        item = watched.items[place]
        entry: dict[str, Any] = {"i": item.item_id, "t": item.title}
        if item.url is not None:
            entry["u"] = item.url
        if item.published_at is not None:
            entry["p"] = int(item.published_at.timestamp())
        if item.zero:
            entry["z"] = 1
        entry["g"] = [_standing(standings[counter][place], notes) for counter in watched.counters]
        if rank < charted:
            entry["s"] = [series(kept[counter][place]) for counter in watched.counters]
        listed.append(entry)
    return {"items": listed, "notes": list(notes), "windows": list(WINDOWS)}


def _standing(standing: Standing, notes: dict[str, int]) -> list[int | None]:
    numbers = [standing.value]
    for gain in standing.gains.values():
        numbers += [gain.value, notes.setdefault(gain.note, len(notes))]
    return [*numbers, standing.rank, standing.climbed]


def happenings_payload(found: Iterable[Happening]) -> list[dict[str, Any]]:
    """The newest ones, oldest first. ``i`` is the item's id, missing where the source is meant."""
    newest = list(found)[-MOST_HAPPENINGS:]
    return [
        {"t": _seconds(h.at), "k": h.kind.value, "w": h.words}
        | ({"i": h.item_id} if h.item_id is not None else {})
        | ({"c": h.counter, "v": h.value} if h.counter is not None else {})
        for h in newest
    ]


def _seconds(moment: datetime) -> int:
    return microseconds(moment) // 1_000_000
