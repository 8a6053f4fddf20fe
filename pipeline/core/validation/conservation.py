"""The check of a delta: nothing is gained or lost on the way, previous + delta = current."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from pipeline.core.model import Finding
from pipeline.core.validation.expectations import SAMPLE, Breach, Expectation, breaches
from pipeline.core.validation.words import items, names, records, sentence

CHECK = "conserves_counts"
MISSING = -1  # no counter is negative
DESCRIPTION = "For every item and counter, the previous value plus the delta is the current value."


def conserves_counts(
    delta: pd.DataFrame, current: pd.DataFrame, previous: pd.DataFrame | None, counters: Sequence[str]
) -> Finding:
    """Judge a delta against the two snapshots it was made of, item by item, without the delta's own SQL.

    An item that counts from zero has no previous value; its delta is its value.
    """
    frame = _side_by_side(delta, current, previous, counters)
    expectations = {expectation: counter for counter in counters for expectation in _expect(frame, counter)}
    broken = breaches(frame, list(expectations))
    facts = {"items_compared": len(frame)}
    if not broken:
        return Finding(CHECK, True, f"{sentence(items(len(frame)))} Every count is accounted for.", facts=facts)
    return Finding(
        CHECK,
        False,
        " ".join(f"{b.expectation.words} for {items(b.failing)}: {names(b.rows)}." for b in broken),
        sum(b.failing for b in broken),
        tuple(row for b in broken for row in _rows(b, expectations[b.expectation]))[:SAMPLE],
        facts,
    )


def _side_by_side(
    delta: pd.DataFrame, current: pd.DataFrame, previous: pd.DataFrame | None, counters: Sequence[str]
) -> pd.DataFrame:
    told = delta[["item_id", *counters, *(f"{counter}_delta" for counter in counters)]]
    observed = current.loc[current["status"] != "carried", ["item_id", "title", *counters]]
    frame = told.merge(observed, on="item_id", how="outer", suffixes=("_in_delta", ""))
    known = [] if previous is None else [counter for counter in counters if counter in previous]
    if previous is not None:
        before = previous[["item_id", *known]].rename(columns={counter: f"{counter}_before" for counter in known})
        frame = frame.merge(before, on="item_id", how="left")
    never = pd.Series(pd.NA, index=frame.index, dtype="int64[pyarrow]")
    return frame.assign(**{f"{counter}_before": never for counter in counters if counter not in known})


def _expect(frame: pd.DataFrame, counter: str) -> Iterator[Expectation]:
    """Adds what is to be judged to the frame, a column for each expectation."""
    now, before = frame[counter], frame[f"{counter}_before"]
    told, delta = frame[f"{counter}_in_delta"], frame[f"{counter}_delta"]
    unaccounted, untold, misread = (f"{counter} {what}" for what in ("unaccounted", "untold", "misread"))
    frame[unaccounted] = (now - before.fillna(0) - delta).fillna(0)
    frame[untold] = now.notna() & before.notna() & delta.isna()
    frame[misread] = now.fillna(MISSING) - told.fillna(MISSING)
    yield Expectation(unaccounted, f"{counter} is not conserved", lambda column: column == 0)
    yield Expectation(untold, f"{counter} has no delta", lambda column: ~column)
    yield Expectation(misread, f"{counter} of the delta is not that of the snapshot", lambda column: column == 0)


def _rows(broken: Breach, counter: str) -> Iterator[dict[str, Any]]:
    found = broken.rows[["item_id", "title", f"{counter}_before", f"{counter}_delta", counter]]
    for row in records(found.set_axis(["item_id", "title", "before", "delta", "now"], axis=1)):
        yield {"counter": counter, **row}
