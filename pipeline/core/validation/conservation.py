"""The check of a delta: nothing is gained or lost on the way, previous + delta = current."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.core.model import Finding
from pipeline.core.text import counted
from pipeline.core.validation.expectations import SAMPLE, Breach, Expectation, breaches
from pipeline.core.validation.words import names, records, sentence

CHECK = "conserves_counts"
MISSING = -1  # no counter is negative
DESCRIPTION = "For every item and counter, the previous value plus the delta is the current value."


def conserves_counts(delta: pa.Table, current: pa.Table, previous: pa.Table | None, counters: Sequence[str]) -> Finding:
    """Judge a delta against the two snapshots it was made of, item by item, without the delta's own SQL.

    An item that counts from zero has no previous value; its delta is its value.
    """
    table = _side_by_side(delta, current, previous, counters)
    judged = {claim: counter for counter in counters for claim in _claims(table, counter)}
    frame = pd.DataFrame({claim.words: claim.holds.to_numpy(zero_copy_only=False) for claim in judged})
    expectations = {Expectation(claim.words, claim.words, _as_it_is): counter for claim, counter in judged.items()}
    broken = breaches(frame, list(expectations))
    facts = {"items_compared": len(table)}
    if not broken:
        return Finding(
            CHECK, True, f"{sentence(counted(len(table), 'item'))} Every count is accounted for.", facts=facts
        )
    named = [(breach, _rows(table, breach, expectations[breach.expectation])) for breach in broken]
    return Finding(
        CHECK,
        False,
        " ".join(f"{b.expectation.words} for {counted(b.failing, 'item')}: {names(rows)}." for b, rows in named),
        sum(b.failing for b in broken),
        tuple(row for _, rows in named for row in records(rows))[:SAMPLE],
        facts,
    )


def _side_by_side(delta: pa.Table, current: pa.Table, previous: pa.Table | None, counters: Sequence[str]) -> pa.Table:
    """The numbers of the delta, of the snapshot and of the one before, a row an item."""
    in_delta = delta.select(["item_id", *counters, *(f"{counter}_delta" for counter in counters)])
    in_delta = in_delta.rename_columns({counter: f"{counter}_in_delta" for counter in counters})
    observed = current.filter(pc.not_equal(current["status"], "carried")).select(["item_id", "title", *counters])
    table = in_delta.join(observed, "item_id", join_type="full outer").sort_by("item_id").combine_chunks()
    earlier = pa.table({"item_id": pa.array([], pa.string())}) if previous is None else previous
    places = pc.index_in(table["item_id"], value_set=earlier["item_id"].combine_chunks())
    for counter in counters:
        known = counter in earlier.column_names
        before = earlier[counter].take(places) if known else pa.nulls(len(table), pa.int64())
        table = table.append_column(f"{counter}_before", before)
    return table


@dataclass(frozen=True, eq=False)
class _Claim:
    """What has to be true of every item; ``words`` describe one of which it is not."""

    words: str
    holds: pa.ChunkedArray


def _claims(table: pa.Table, counter: str) -> Iterator[_Claim]:
    now, before = table[counter], table[f"{counter}_before"]
    told, delta = table[f"{counter}_in_delta"], table[f"{counter}_delta"]
    gained = pc.subtract(now, pc.fill_null(before, 0))
    yield _Claim(f"{counter} is not conserved", pc.fill_null(pc.equal(gained, delta), True))
    known_twice = pc.and_(pc.is_valid(now), pc.is_valid(before))
    yield _Claim(f"{counter} has no delta", pc.invert(pc.and_(known_twice, pc.is_null(delta))))
    same = pc.equal(pc.fill_null(now, MISSING), pc.fill_null(told, MISSING))
    yield _Claim(f"{counter} of the delta is not that of the snapshot", same)


def _as_it_is(column: pd.Series) -> pd.Series:
    return column


def _rows(table: pa.Table, breach: Breach, counter: str) -> pd.DataFrame:
    found = table.select(["item_id", "title", f"{counter}_before", f"{counter}_delta", counter])
    found = found.rename_columns(["item_id", "title", "before", "delta", "now"]).take(breach.rows.index.to_list())
    frame: pd.DataFrame = found.to_pandas(types_mapper=pd.ArrowDtype)
    frame.insert(0, "counter", counter)
    return frame
