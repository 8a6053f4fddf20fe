"""Rates per minute, judged on the minutes in which things happened: sixty in one of them are no one a minute.

A rule fires at the first minute above its threshold and is armed again by one below ``rearm_below``, which a minute
without any is. What was judged stays judged: events that arrive later for a minute that fired say nothing new.
The hourly report and the watcher between the hours both judge by this, with the same memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from pipeline.core.hours import format_time, parse_time
from pipeline.core.model import Rule
from pipeline.platforms.protocol import Minutes

Mark = Mapping[str, bool | str]
REMEMBERED = 60
"""Minutes after which it does not matter any longer that a minute fired."""


@dataclass(frozen=True)
class Edge:
    """The rate rose above the threshold in ``minute`` (from 1970) and was ``count``."""

    item_id: str
    minute: int
    count: int


def moment_of(minute: int) -> datetime:
    return datetime.fromtimestamp(minute * 60, UTC)


def minute_of(moment: datetime) -> int:
    return int(moment.timestamp()) // 60


def judge_minutes(
    rule: Rule, minutes: Minutes, marks: Mapping[str, Mark], now: datetime
) -> tuple[list[Edge], dict[str, Mark]]:
    """Every rise above the threshold, in order of items and time; and what to remember of each item.

    ``marks``: what was remembered before. ``{"firing": ..., "minute": ...}``: whether the rule is firing, and the
    last minute that said so. One that is older than REMEMBERED minutes is forgotten.
    """
    edges: list[Edge] = []
    after: dict[str, Mark] = {}
    oldest = minute_of(now) - REMEMBERED
    for item in sorted(minutes.keys() | marks.keys()):
        counts = minutes.get(item, {}).get(rule.counter, {})
        found, firing, last = _judged(rule, item, counts, marks.get(item, {}), minute_of(now))
        edges += found
        if last is not None and last >= oldest:
            after[item] = {"firing": firing, "minute": format_time(moment_of(last))}
    return edges, after


def _judged(
    rule: Rule, item: str, counts: Mapping[int, int], mark: Mark, present: int
) -> tuple[list[Edge], bool, int | None]:
    """``present``: the minute that is not over, whose count may still rise, so that it arms nothing."""
    threshold = rule.thresholds[0]
    rearm_below = threshold if rule.rearm_below is None else rule.rearm_below
    last = minute_of(parse_time(str(mark["minute"]))) if "minute" in mark else None
    firing = bool(mark.get("firing", False)) and last is not None
    edges: list[Edge] = []
    for minute in sorted(counts):
        count = counts[minute]
        if last is not None and minute <= last:
            continue
        if firing and last is not None and minute > last + 1:
            firing = rearm_below <= 0  # nothing happened in between
        if count > threshold:
            if not firing:
                edges.append(Edge(item, minute, count))
            firing, last = True, minute
        elif firing and count < rearm_below:
            firing = minute >= present
        elif firing:
            last = minute
    return edges, firing, last


def highest(edges: list[Edge]) -> list[Edge]:
    """Of each item its highest minute: a report tells of an item once. The highest come first."""
    best: dict[str, Edge] = {}
    for edge in edges:
        if edge.item_id not in best or edge.count > best[edge.item_id].count:
            best[edge.item_id] = edge
    return sorted(best.values(), key=lambda edge: (-edge.count, edge.item_id))
