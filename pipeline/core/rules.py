"""Rules: which items crossed which thresholds in one hour.

Each kind of rule is one query over the hour's delta, ``sql/rule_<kind>.sql``; only milestones look into
the snapshots as well, for the highest accepted values. What a rule has to remember of an item from
hour to hour goes in and comes out as ``RuleState``; nothing here reads a clock or keeps anything.

Only observed items can fire: a carried item has no row in the delta, and keeps its state.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from pipeline.core.engine import cursor, named, reading_lake, render
from pipeline.core.hours import Hour, format_time, parse_time
from pipeline.core.minutes import ByMinute, Mark, highest
from pipeline.core.model import Crossing, Rule, RuleKind

RuleState = Mapping[str, Mapping[str, Mark]]
"""Rule name to item_id to mark, ready for JSON. Sparse: what could fire has no entry.

A mark is ``{"firing": True}`` while a rate is above its threshold, with its last minute where it is judged by the
minute; ``{"fired_at": time}`` during a cool-down.
"""

_Firing = tuple[str, float, float, float | None]
"""item_id, threshold, value, previous value."""


def evaluate(
    rules: Sequence[Rule],
    current: Path,
    previous: Path | None,
    delta: pa.Table,
    state: RuleState,
    captured_at: datetime,
    minutes: ByMinute | None = None,
) -> tuple[list[Crossing], RuleState]:
    """The crossings of the hour of ``captured_at``, and the state that the next hour starts from.

    ``delta`` is ``hour_delta(current, previous, ...)`` and holds the counter of every rule. Crossings
    come in the order of the rules, then by threshold, by falling value and by item_id. The value of
    a crossing is the counter's, before and now; for ``rate_above`` it is the rate per
    ``per_seconds`` and has no value before. Cool-downs run from capture to capture.
    A rule that is no longer asked leaves the state. ``minutes``: of a feed, what was counted by the minute, on
    which its rates per minute are judged, and its values; the value of such a crossing is the highest minute that
    began one.

    Raises LakeFault where a snapshot cannot be read.
    """
    with reading_lake(), cursor() as connection:
        connection.register("delta", delta)
        fired: list[tuple[Rule, _Firing]] = []
        after: dict[str, Mapping[str, Mark]] = {}
        for rule in rules:
            if minutes is not None and minutes.judges(rule):
                edges, remembered = minutes.judge(rule, state.get(rule.name, {}), captured_at)
                fired += ((rule, (e.item_id, rule.thresholds[0], e.count, None)) for e in highest(edges, rule))
                after |= {rule.name: remembered} if remembered else {}
                continue
            silent = _silent(rule, state.get(rule.name, {}), captured_at)
            connection.register("silent", _ids(silent))
            firings = _fire(connection, rule, current, previous)
            fired += ((rule, firing) for firing in firings)
            marks = _remember(connection, rule, silent, firings, captured_at)
            if marks:
                after[rule.name] = marks
        items = _titles(connection, current, {firing[0] for _, firing in fired})
    hour = Hour.of(captured_at)
    return [_crossing(rule, firing, items, hour) for rule, firing in fired], after


def _silent(rule: Rule, marks: Mapping[str, Mark], captured_at: datetime) -> Mapping[str, Mark]:
    """The items for which the rule cannot fire now: firing already, or not yet cooled down."""
    if rule.kind is RuleKind.RATE_ABOVE:
        return marks
    return {
        item: mark for item, mark in marks.items() if captured_at - parse_time(str(mark["fired_at"])) < rule.cooldown
    }


def _fire(connection: duckdb.DuckDBPyConnection, rule: Rule, current: Path, previous: Path | None) -> list[_Firing]:
    parameters: dict[str, Any]
    if rule.kind is RuleKind.CROSSES:
        if previous is None:  # nobody saw the first snapshot's items below any milestone
            return []
        parameters = {
            "current": named(current),
            "previous": named(previous),
            "thresholds": [float(threshold) for threshold in rule.thresholds],
        }
    elif rule.kind is RuleKind.RATE_ABOVE:
        parameters = {"threshold": float(rule.thresholds[0]), "per_seconds": float(rule.per_seconds)}
    else:
        parameters = {"threshold": float(rule.thresholds[0])}
    query = render(f"rule_{rule.kind}.sql", [rule.counter], share=rule.share)
    return connection.execute(query, parameters).fetchall()


def _remember(
    connection: duckdb.DuckDBPyConnection,
    rule: Rule,
    silent: Mapping[str, Mark],
    firings: Sequence[_Firing],
    captured_at: datetime,
) -> Mapping[str, Mark]:
    if rule.kind is RuleKind.RATE_ABOVE:
        rearmed = _rearmed(connection, rule) if silent else set()
        firing = (silent.keys() - rearmed) | {item for item, *_ in firings}
        return {item: {"firing": True} for item in sorted(firing)}
    if rule.cooldown:
        return {**silent, **{item: {"fired_at": format_time(captured_at)} for item, *_ in firings}}
    return {}


def _rearmed(connection: duckdb.DuckDBPyConnection, rule: Rule) -> set[str]:
    query = render("rule_rate_rearmed.sql", [rule.counter])
    rearm_below = rule.thresholds[0] if rule.rearm_below is None else rule.rearm_below
    parameters = {"per_seconds": float(rule.per_seconds), "rearm_below": float(rearm_below)}
    return {item for (item,) in connection.execute(query, parameters).fetchall()}


def _titles(
    connection: duckdb.DuckDBPyConnection, current: Path, items: Collection[str]
) -> dict[str, tuple[str | None, str | None]]:
    if not items:
        return {}
    connection.register("fired", _ids(items))
    rows = connection.execute(render("titles.sql", []), {"current": named(current)}).fetchall()
    return {item: (title, url) for item, title, url in rows}


def _ids(items: Collection[str]) -> pa.Table:
    return pa.table({"item_id": pa.array(items, pa.string())})


def _crossing(rule: Rule, firing: _Firing, items: Mapping[str, tuple[str | None, str | None]], hour: Hour) -> Crossing:
    item_id, threshold, value, previous_value = firing
    title, url = items[item_id]
    return Crossing(
        rule=rule.name,
        kind=rule.kind,
        counter=rule.counter,
        item_id=item_id,
        title=title,
        url=url,
        threshold=float(threshold),
        value=float(value),
        previous_value=None if previous_value is None else float(previous_value),
        hour=hour.key,
    )
