"""From stored pages to one frame of items, without judging: odd values stay as they are for the checks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
import pyarrow as pa

from pipeline.core.capture import Ended
from pipeline.core.parquet import TIME_TYPE
from pipeline.core.readings import Shifted
from pipeline.platforms.protocol import ITEM_FIELDS, Columns, Found, Page, Unreadable, lists_items

CLOCK_SKEW = timedelta(minutes=5)
"""How far a platform's clock may be ahead of this one's."""


@dataclass(frozen=True)
class PageProblem:
    """One page that could not be used, counted from 1. ``page`` is None where the whole listing is meant."""

    page: int | None
    request: str | None
    problem: str


@dataclass(frozen=True)
class Listing:
    """The items of one capture in the order of the pages.

    ``items``: item_id, title, url, published_at and one column per counter; Arrow-backed where all
    values have the declared type, else of objects, so that a check can point at the odd ones.
    ``shifts``: why the listing was read again, once for each reading that is not used.
    ``credential_expires``: the earliest end of the credential that a page told of.
    ``written``: by column the key and the expression of the source's YAML that found its values, where one did.
    ``refused``: of a feed, evidence of the records that were refused one by one; ``refused_count`` says of how many.
    """

    captured_at: datetime
    items: pd.DataFrame
    problems: tuple[PageProblem, ...]
    pages: int
    shifts: tuple[str, ...] = ()
    credential_expires: datetime | None = None
    refused: tuple[Mapping[str, Any], ...] = ()
    refused_count: int = 0
    written: Mapping[str, str] = field(default_factory=dict)


def read_listing(
    read: Callable[[Page], Columns],
    stored: Iterable[Page | Shifted | Ended],
    counters: Sequence[str],
    captured_at: datetime,
) -> Listing:
    """Read every page with the adapter's ``read``. Never raises for what a platform sent."""
    pages = _Pages(read, counters)
    cut_short: list[PageProblem] = []
    shifts: list[str] = []
    for part in stored:
        if isinstance(part, Ended):
            cut_short = [PageProblem(None, None, part.reason)] if part.reason is not None else []
        elif isinstance(part, Shifted):
            shifts.append(part.reason)
            pages = _Pages(read, counters)
        else:
            pages.add(part)
    _fill_blanks(pages.listed, pages.described)
    return Listing(
        captured_at,
        items_frame(pages.listed, counters),
        (*pages.problems, *cut_short),
        pages.count,
        tuple(shifts),
        min(pages.expiries, default=None),
        written=pages.written,
    )


class _Pages:
    """What the pages of one reading hold."""

    def __init__(self, read: Callable[[Page], Columns], counters: Sequence[str]) -> None:
        self._read, self._counters = read, counters
        self.listed: Columns = {name: [] for name in (*ITEM_FIELDS, *counters)}
        self.described: dict[str, dict[str, Any]] = {}
        self.problems: list[PageProblem] = []
        self.expiries: list[datetime] = []
        self.written: Mapping[str, str] = {}
        self.count = 0

    def add(self, page: Page) -> None:
        self.count += 1
        if page.credential_expires is not None:
            self.expiries.append(page.credential_expires)
        try:
            columns = self._read(page)
        except Unreadable as fault:
            self.problems.append(PageProblem(self.count, page.request, str(fault)))
            return
        if isinstance(columns, Found):
            self.written = columns.written
        if lists_items(columns, self._counters):
            _append(self.listed, columns)
        else:
            _describe(self.described, columns)


def _append(listed: Columns, columns: Columns) -> None:
    length = len(columns["item_id"])
    for name, values in listed.items():
        values.extend(columns.get(name, [None] * length))


def _describe(described: dict[str, dict[str, Any]], columns: Columns) -> None:
    for position, item_id in enumerate(columns["item_id"]):
        if isinstance(item_id, str):
            known = described.setdefault(item_id, {})
            known.update({name: values[position] for name, values in columns.items() if name != "item_id"})


def _fill_blanks(listed: Columns, described: dict[str, dict[str, Any]]) -> None:
    told = {name for columns in described.values() for name in columns}
    for name in told & listed.keys():
        listed[name] = [
            described[item_id].get(name)
            if value is None and isinstance(item_id, str) and item_id in described
            else value
            for item_id, value in zip(listed["item_id"], listed[name], strict=True)
        ]


def items_frame(listed: Columns, counters: Sequence[str]) -> pd.DataFrame:
    """The columns of a listing, each of its declared type where all values have it. Takes ``listed`` apart."""
    types = {name: pa.string() for name in ITEM_FIELDS}
    types |= {"published_at": TIME_TYPE} | {counter: pa.int64() for counter in counters}
    return pd.DataFrame({name: series(listed.pop(name), types[name]) for name in list(listed)})


def series(values: list[Any], declared: pa.DataType) -> pd.Series:
    """A column of the declared type, or of objects where a value is of another family."""
    try:
        column = pa.array(values)  # inferred: a declared int64 would cut 2.5 down to 2 without a word
        same_family = column.type in (declared, pa.null()) or (
            pa.types.is_timestamp(column.type) and pa.types.is_timestamp(declared)
        )
        if same_family:
            return pd.Series(column.cast(declared), dtype=pd.ArrowDtype(declared))
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        pass
    return pd.Series(values, dtype=object)
