"""The check that every item of a capture has its fields, of the declared types and with values that can be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pandas as pd

from pipeline.core.listing import CLOCK_SKEW
from pipeline.core.model import Counter, Finding
from pipeline.core.policy import LARGEST
from pipeline.core.text import counted
from pipeline.core.validation.evidence import Evidence, is_name
from pipeline.core.validation.expectations import SAMPLE, Breach, Expectation, breaches
from pipeline.core.validation.words import cell, names, sentence
from pipeline.core.windows import MalformedWindow
from pipeline.core.withheld import without_filled

CHECK = "required_fields"


def required_fields(evidence: Evidence) -> Finding:
    """Refuses items without an id or a counter that is not optional, and values of another type or out of range."""
    expectations = [
        Expectation("item_id", "item_id is missing or not a text", is_name),
        Expectation("title", "title is not a text", _is_text_or_missing),
        Expectation("url", "url is not a text", _is_text_or_missing),
        Expectation("published_at", "published_at is not a time with an offset", _is_time_or_missing),
        Expectation("published_at", "published_at lies in the future", _not_after(evidence)),
    ]
    for counter in evidence.counters:
        expectations += _number_expectations(counter, evidence.items[counter.name])
    broken = breaches(evidence.items, expectations)
    if not broken:
        return Finding(CHECK, True, "Every item has its fields, with sound types and values.")
    return Finding(
        CHECK,
        False,
        sentence("; ".join(_told(breach, evidence.listing.written) for breach in broken)),
        sum(breach.failing for breach in broken),
        _field_rows(broken),
        {b.expectation.words: b.failing for b in broken},
    )


def _told(breach: Breach, written: Mapping[str, str]) -> str:
    """How many items; of what an expression found also which, and the expression, for whoever has to mend it."""
    told = f"{breach.expectation.words} in {counted(breach.failing, 'item')}"
    if breach.expectation.column not in written:
        return told
    found_by = without_filled(written[breach.expectation.column])
    return f"{told} ({names(breach.rows, breach.failing)}; {found_by})"


def _number_expectations(counter: Counter, column: pd.Series) -> list[Expectation]:
    name = counter.name
    expectations = [
        Expectation(name, f"{name} is not a whole number", _is_whole_or_missing),
        Expectation(name, f"{name} is negative", _is_not_negative),
    ]
    expectations += [
        Expectation(name, f"{name} {problem}", _is_no_window_that(problem)) for problem in _windows(column)
    ]
    if not counter.optional:
        expectations.insert(0, Expectation(name, f"{name} is missing", pd.Series.notna))
    return expectations


def _windows(column: pd.Series) -> list[str]:
    """What is wrong with the windows that no total could be made of."""
    if column.dtype != object:
        return []
    return sorted({value.problem for value in column if isinstance(value, MalformedWindow)})


def _is_no_window_that(problem: str) -> Callable[[pd.Series], pd.Series]:
    def sound(value: Any) -> bool:
        return not (isinstance(value, MalformedWindow) and value.problem == problem)

    return lambda column: _of_objects(column, sound)


def _of_objects(column: pd.Series, sound: Callable[[Any], bool]) -> pd.Series:
    """Judge value by value, which only columns of mixed types need: others hold their declared type."""
    return column.map(sound).astype(bool) if column.dtype == object else pd.Series(True, index=column.index)


def _is_text_or_missing(column: pd.Series) -> pd.Series:
    return _of_objects(column, lambda value: value is None or isinstance(value, str))


def _is_time_or_missing(column: pd.Series) -> pd.Series:
    return _of_objects(column, lambda value: value is None or getattr(value, "tzinfo", None) is not None)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST


def _is_whole_or_missing(column: pd.Series) -> pd.Series:
    return _of_objects(column, lambda value: value is None or _is_whole(value) or isinstance(value, MalformedWindow))


def _is_not_negative(column: pd.Series) -> pd.Series:
    if column.dtype == object:
        return _of_objects(column, lambda value: not _is_whole(value) or value >= 0)
    return (column >= 0).fillna(True).astype(bool)


def _not_after(evidence: Evidence) -> Callable[[pd.Series], pd.Series]:
    limit = evidence.listing.captured_at + CLOCK_SKEW

    def sound(column: pd.Series) -> pd.Series:
        if column.dtype == object:
            return _of_objects(column, lambda value: getattr(value, "tzinfo", None) is None or value <= limit)
        return (column <= pd.Timestamp(limit)).fillna(True).astype(bool)

    return sound


def _field_rows(broken: Iterable[Breach]) -> tuple[Mapping[str, Any], ...]:
    rows = [
        {
            "item_id": cell(row["item_id"]),
            "title": cell(row["title"]),
            "field": breach.expectation.column,
            "value": cell(row[breach.expectation.column]),
            "problem": breach.expectation.words,
        }
        for breach in broken
        for _, row in breach.rows.iterrows()
    ]
    return tuple(rows[:SAMPLE])
