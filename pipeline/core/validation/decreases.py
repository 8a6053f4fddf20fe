"""The check that counters keep their policy against what was accepted last, and do not fall en masse."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from pipeline.core.model import Counter, Finding
from pipeline.core.policy import Trend
from pipeline.core.refusals import DECREASES
from pipeline.core.text import counted
from pipeline.core.validation.evidence import Evidence, allowed
from pipeline.core.validation.expectations import SAMPLE, Breach, Expectation, breaches
from pipeline.core.validation.words import NAMED, called, records


def non_decreasing_counts(evidence: Evidence) -> Finding:
    """Refuses what falls further than the policy of its counter lets it, and too many falls at once.

    The first capture passes: there is nothing to compare with.
    """
    if evidence.previous is None:
        return Finding(DECREASES, True, "The first snapshot: there is nothing to compare with.")
    moved = _all_moved(evidence)
    facts = {"items_compared": len(evidence.pairs)} | {f"{m.name}_fell": m.fell_count for m in moved}
    problems = _problems(moved)
    if problems:
        return Finding(
            DECREASES,
            False,
            " ".join(problem.reason for problem in problems),
            sum(problem.failing for problem in problems),
            tuple(row for problem in problems for row in problem.rows)[:SAMPLE],
            facts,
        )
    tolerated = sum(m.fell_count for m in moved)
    reason = f"{counted(len(evidence.pairs), 'item')} compared; {tolerated or 'no'} counts fell within their policy."
    return Finding(DECREASES, True, reason, facts=facts)


def fallen_items(evidence: Evidence) -> frozenset[str]:
    """The ids of the items of which a counter fell, whether or not its policy allows it."""
    if evidence.previous is None:
        return frozenset()
    return frozenset(str(item) for moved in _all_moved(evidence) for item in moved.items.loc[moved.fell, "item_id"])


@dataclass(frozen=True)
class _Moved:
    """One counter of every item that was accepted before, in three columns of one order.

    ``shortfall``: how far below what the policy allows. ``allowed``: how many items may fall at
    once, whatever the policy. ``lowered``: the items whose fall the owner answers for; no rule counts it.
    """

    counter: Counter
    items: pd.DataFrame
    before: pd.Series
    now: pd.Series
    shortfall: pd.Series
    allowed: int
    lowered: pd.Series

    @property
    def name(self) -> str:
        return self.counter.name

    @cached_property
    def fell(self) -> pd.Series:
        return (self.before > self.now).fillna(False).astype(bool) & ~self.lowered

    @cached_property
    def fell_count(self) -> int:
        return int(self.fell.sum())

    def rows(self, which: pd.Series | pd.Index) -> pd.DataFrame:
        """item_id, title, before, now and fell_by of some of the items."""
        frame = self.items[["item_id", "title"]].assign(
            before=self.before, now=self.now, fell_by=self.before - self.now
        )
        return frame.loc[which]


@dataclass(frozen=True)
class _Problem:
    reason: str
    failing: int
    rows: list[dict[str, Any]]


def _all_moved(evidence: Evidence) -> list[_Moved]:
    return [_moved(evidence, c) for c in evidence.counters if f"{c.name}_before" in evidence.pairs]


def _moved(evidence: Evidence, counter: Counter) -> _Moved:
    pairs, bounds = evidence.pairs, evidence.bounds
    before = _last_known(pairs, counter)
    is_value = counter.policy.trend is Trend.GAUGE
    most = len(pairs) if is_value else allowed(bounds.fallen_items, bounds.fallen_share, len(pairs))
    lowered = pairs["item_id"].isin(evidence.lowered).fillna(False).astype(bool)
    shortfall = _shortfall(pairs, counter, before).mask(lowered, 0)
    return _Moved(counter, pairs, before, pairs[counter.name], shortfall, most, lowered)


def _last_known(pairs: pd.DataFrame, counter: Counter) -> pd.Series:
    """The last accepted value. Of a counter that was missing last time: the highest, if it must not fall."""
    before = pairs[f"{counter.name}_before"]
    kept = {Trend.NEVER_DECREASES: "_max", Trend.TOLERANCE: "_peak"}.get(counter.policy.trend)
    if kept is not None and f"{counter.name}{kept}" in pairs:
        return before.fillna(pairs[f"{counter.name}{kept}"])
    return before


def _shortfall(pairs: pd.DataFrame, counter: Counter, before: pd.Series) -> pd.Series:
    """How far each item is below what its policy allows, in counts; 0 or less is allowed."""
    now = pairs[counter.name]
    if counter.policy.trend in (Trend.MAY_DECREASE, Trend.GAUGE):
        return pd.Series(0, index=pairs.index)
    if counter.policy.trend is Trend.NEVER_DECREASES:
        return before - now
    peak_column = f"{counter.name}_peak"
    peak = pairs[peak_column].fillna(before) if peak_column in pairs else before
    return (peak - now) - peak * counter.policy.tolerance


def _problems(moved: list[_Moved]) -> list[_Problem]:
    """Two calls of Pandera for all counters: a column each, of the items and of how many fell."""
    shortfalls = pd.DataFrame({m.name: m.shortfall for m in moved})
    excess = pd.DataFrame({m.name: [m.fell_count - m.allowed] for m in moved})
    expected = [Expectation(m.name, f"{m.name} fell", _not_above_zero) for m in moved]
    below, masses = _by_counter(breaches(shortfalls, expected)), _by_counter(breaches(excess, expected))
    problems = []
    for m in moved:
        if m.name in below:
            problems.append(_policy_broken(m, below[m.name]))
        if m.name in masses:
            problems.append(_fell_en_masse(m, named=m.name in below))
    return problems


def _not_above_zero(column: pd.Series) -> pd.Series:
    return ~(column > 0).fillna(False).astype(bool)


def _by_counter(broken: Iterable[Breach]) -> dict[str, Breach]:
    return {breach.expectation.column: breach for breach in broken}


def _policy_broken(m: _Moved, breach: Breach) -> _Problem:
    rows = m.rows(breach.rows.index)
    reason = f"{m.name} fell for {counted(breach.failing, 'item')}: {_moves(rows)}; {_policy_words(m.counter)}."
    return _Problem(reason, breach.failing, _rows(m.name, rows))


def _fell_en_masse(m: _Moved, *, named: bool) -> _Problem:
    """``named``: the items stand in the findings already, since they broke their policy too."""
    reason = (
        f"{m.name} fell for {m.fell_count} of {counted(len(m.items), 'item')} at once;"
        f" more than {m.allowed} is taken for a broken capture."
    )
    return _Problem(reason, 0 if named else m.fell_count, [] if named else _rows(m.name, m.rows(m.fell).head(SAMPLE)))


def _policy_words(counter: Counter) -> str:
    if counter.policy.trend is Trend.TOLERANCE:
        return f"it may fall by {counter.policy.tolerance:.1%} of its highest value at most"
    return "it may never decrease"


def _moves(rows: pd.DataFrame) -> str:
    moves = [f"{called(row)} from {row['before']:,} to {row['now']:,}" for row in records(rows.head(NAMED))]
    return ", ".join(moves) + (" and more" if len(rows) > NAMED else "")


def _rows(counter: str, rows: pd.DataFrame) -> list[dict[str, Any]]:
    return [{"counter": counter, **row} for row in records(rows[["item_id", "title", "before", "now", "fell_by"]])]
