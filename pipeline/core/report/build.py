"""The report of an hour as a record: movement of the catalogue, top movers, crossings, coverage.

It holds nothing that depends on when it was made, so a rebuilt report equals the first one
unless what it speaks of has changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.core.credential import days_left, runway_words
from pipeline.core.hours import Hour
from pipeline.core.model import Crossing, Source
from pipeline.core.records import Correction, Coverage, Items, Lineage, Movement, Mover, Report, Revision
from pipeline.core.revisions import REVISIONS_KEPT

TOP_MOVERS = 10


@dataclass(frozen=True)
class Observed:
    """One accepted hour with everything a report is made of.

    ``elapsed_seconds`` spans from the previous accepted capture, None for the first.
    """

    hour: Hour
    lineage: Lineage
    snapshot: pa.Table
    delta: pa.Table
    elapsed_seconds: float | None
    revisions: Sequence[Revision] = ()


def build_report(
    source: Source,
    observed: Observed,
    crossings: Sequence[Crossing],
    rule_state: Mapping[str, Mapping[str, Mapping[str, Any]]],
    coverage: dict[str, Coverage],
    corrections: Sequence[Correction],
) -> Report:
    """The report of an accepted hour, which says what was ``observed`` in it.

    ``rule_state``: by rule and item, what the next hour is judged with. ``coverage``: by window, as `WINDOWS` names it.
    ``corrections``: the decisions of the owner behind the snapshot.
    """
    counters = [c for c in observed.lineage.terms.counters if f"{c.name}_delta" in observed.delta.column_names]
    return Report(
        source=source.name,
        hour=observed.hour.key,
        captured_at=observed.snapshot["captured_at"][0].as_py(),
        origin=observed.lineage.origin,
        simulated=source.simulated,
        owner=source.owner,
        previous_hour=observed.lineage.previous_hour,
        elapsed_seconds=observed.elapsed_seconds,
        items=_items(observed),
        movement={c.name: _movement(observed, c.name) for c in counters},
        top_movers=tuple(mover for c in counters for mover in _top_movers(observed, c.name)),
        crossings=tuple(crossings),
        coverage=coverage,
        corrections=tuple(corrections),
        rule_state={
            rule: {item: dict(mark) for item, mark in sorted(items.items())} for rule, items in rule_state.items()
        },
        credential_expires=observed.lineage.credential_expires,
        warnings=tuple(_warnings(source, observed)),
        revisions=tuple(observed.revisions[:REVISIONS_KEPT]),
        revised=len(observed.revisions),
    )


def _warnings(source: Source, observed: Observed) -> Iterator[str]:
    expires = observed.lineage.credential_expires
    captured_at = observed.snapshot["captured_at"][0].as_py()
    if expires is not None and days_left(expires, captured_at) <= max(source.credential_days, default=0):
        yield f"{runway_words(expires, captured_at)} {source.platform.login_hint}"


def exact_sum(column: pa.ChunkedArray) -> int | None:
    """The sum of a column of integers, None where it holds none: Arrow's own sum of int64 wraps around silently."""
    total = pc.sum(column.cast(pa.decimal128(38, 0))).as_py()
    return None if total is None else int(total)


def _items(observed: Observed) -> Items:
    carried = pc.sum(pc.equal(observed.snapshot["status"], "carried")).as_py() or 0
    return Items(
        observed=len(observed.snapshot) - carried,
        carried=carried,
        first_seen=observed.delta["previous_captured_at"].null_count,
    )


def _movement(observed: Observed, counter: str) -> Movement:
    deltas = observed.delta[f"{counter}_delta"]
    delta = exact_sum(deltas)
    hours = (observed.elapsed_seconds or 0) / 3600
    return Movement(
        total=exact_sum(observed.snapshot[counter]) or 0,
        delta=delta,
        per_hour=delta / hours if delta is not None and hours else None,
        items_moved=pc.sum(pc.not_equal(deltas, 0)).as_py() or 0,
    )


def _top_movers(observed: Observed, counter: str) -> list[Mover]:
    grown = observed.delta.filter(pc.greater(observed.delta[f"{counter}_delta"], 0))
    order = [(f"{counter}_delta", "descending"), ("item_id", "ascending")]
    top = grown.take(pc.select_k_unstable(grown, TOP_MOVERS, order))
    described = {
        row["item_id"]: row
        for row in observed.snapshot.filter(pc.is_in(observed.snapshot["item_id"], top["item_id"]))
        .select(["item_id", "title", "url"])
        .to_pylist()
    }
    return [
        Mover(
            item_id=row["item_id"],
            title=described[row["item_id"]]["title"],
            url=described[row["item_id"]]["url"],
            counter=counter,
            value=row[counter],
            delta=row[f"{counter}_delta"],
            per_hour=row[f"{counter}_per_hour"],
        )
        for row in top.to_pylist()
    ]
