"""Rates per minute, judged on the minutes in which things happened: sixty in one of them are no one a minute.

Values are judged on every look that was taken at them, minute by minute.

A rule fires at the first minute above its threshold and is armed again by one below ``rearm_below``, which a minute
without any is. What was judged stays judged: events that arrive later for a minute that fired say nothing new.
A value fires when it comes to stand beyond its threshold, and is armed again by a minute on the right side all along.
The hourly report and the watcher between the hours both judge by this, with the same memory.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from pipeline.core.hours import format_time, parse_time
from pipeline.core.model import Rule, RuleKind
from pipeline.platforms.protocol import Levels, Minutes

Mark = Mapping[str, bool | str]
REMEMBERED = 60
"""Minutes after which it does not matter any longer that a minute fired."""


@dataclass(frozen=True)
class ByMinute:
    """What a feed tells by the minute: gains of its counters, and of its values, ``level_counters``, how they stood."""

    gains: Minutes
    levels: Levels
    level_counters: Collection[str]

    def judges(self, rule: Rule) -> bool:
        """Whether a rule is judged on these minutes."""
        return rule.by_minute or is_level(rule, self.level_counters)

    def judge(self, rule: Rule, marks: Mapping[str, Mark], now: datetime) -> tuple[list[Edge], dict[str, Mark]]:
        """`judge_levels` or `judge_minutes`."""
        if is_level(rule, self.level_counters):
            return judge_levels(rule, self.levels, marks, now)
        return judge_minutes(rule, self.gains, marks, now)


@dataclass(frozen=True)
class Edge:
    """The rate rose above the threshold in ``minute`` (from 1970) and was ``count``; or a value came to stand there."""

    item_id: str
    minute: int
    count: int


def is_level(rule: Rule, level_counters: Collection[str]) -> bool:
    """Whether a rule is about a value of which a feed tells how it stood in each minute."""
    return rule.kind in (RuleKind.ABOVE, RuleKind.BELOW) and rule.counter in level_counters


def moment_of(minute: int) -> datetime:
    """The first instant (UTC) of a minute, counted from 1970."""
    return datetime.fromtimestamp(minute * 60, UTC)


def minute_of(moment: datetime) -> int:
    """The minute, counted from 1970, in which a moment lies."""
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


def judge_levels(
    rule: Rule, levels: Levels, marks: Mapping[str, Mark], now: datetime
) -> tuple[list[Edge], dict[str, Mark]]:
    """Every time that a value came to stand beyond the threshold; and what to remember of each item.

    ``marks``: ``{"firing": ..., "minute": ...}``, the last minute that was judged, and ``"fired_at"`` within a
    cool-down. A minute without a look says nothing, so nothing is forgotten while the rule is firing.
    """
    edges: list[Edge] = []
    after: dict[str, Mark] = {}
    for item in sorted(levels.keys() | marks.keys()):
        mark = marks.get(item, {})
        last = minute_of(parse_time(str(mark["minute"]))) if "minute" in mark else None
        fired_at = parse_time(str(mark["fired_at"])) if "fired_at" in mark else None
        firing = bool(mark.get("firing", False))
        for minute, (low, high) in sorted(levels.get(item, {}).get(rule.counter, {}).items()):
            if last is not None and minute < last:
                continue
            is_beyond, is_back = _sides(rule, low, high)
            if is_beyond and not firing:
                moment = moment_of(minute)
                if fired_at is None or moment - fired_at >= rule.cooldown:
                    edges.append(Edge(item, minute, high if rule.kind is RuleKind.ABOVE else low))
                    fired_at = moment
                firing = True
            elif is_back and minute < minute_of(now):  # the present minute is not over
                firing = False
            last = minute
        cooling = fired_at is not None and now - fired_at < rule.cooldown
        if firing or cooling or (last is not None and last >= minute_of(now) - REMEMBERED):
            after[item] = _level_mark(firing, last, fired_at if cooling else None)
    return edges, after


def _sides(rule: Rule, low: int, high: int) -> tuple[bool, bool]:
    """Whether a minute saw a value beyond the threshold, and whether it saw it on the right side only."""
    threshold = rule.thresholds[0]
    if rule.kind is RuleKind.ABOVE:
        return high > threshold, high <= threshold
    return low < threshold, low >= threshold


def _level_mark(firing: bool, last: int | None, fired_at: datetime | None) -> Mark:
    mark: dict[str, bool | str] = {"firing": firing}
    mark |= {"minute": format_time(moment_of(last))} if last is not None else {}
    return mark | ({"fired_at": format_time(fired_at)} if fired_at is not None else {})


def highest(edges: list[Edge], rule: Rule) -> list[Edge]:
    """Of each item its highest minute, or lowest where that is worse: a report tells of an item once."""
    sign = -1 if rule.kind is RuleKind.BELOW else 1
    best: dict[str, Edge] = {}
    for edge in edges:
        if edge.item_id not in best or sign * edge.count > sign * best[edge.item_id].count:
            best[edge.item_id] = edge
    return sorted(best.values(), key=lambda edge: (-sign * edge.count, edge.item_id))
