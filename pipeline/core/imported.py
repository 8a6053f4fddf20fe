"""Captures that somebody else recorded: how their rows are kept in the lake, and how they are read again.

An imported capture is a raw capture like any other. Where the file held raw replies of the
platform, its page is such a reply and its adapter reads it. Where it held rows, the page is of
Ratchet's own form, told by its request line: the cells of the rows as the file had them, one list a column.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import msgspec

from pipeline.core.hours import parse_time
from pipeline.platforms.protocol import ITEM_FIELDS, Columns, Page, Platform, Unreadable
from pipeline.platforms.replies import id_text

_METHOD = "IMPORT "
_WHOLE_NUMBER = re.compile(r"([+-]?\d{1,30})(\.0+)?", re.ASCII)


class _Rows(msgspec.Struct):
    columns: dict[str, list[Any]]


def rows_page(file: str, captured_at: datetime, columns: Mapping[str, Sequence[Any]]) -> Page:
    """The rows of one capture as a page. ``file`` is the name alone of the file that held them."""
    body = msgspec.json.encode({"columns": columns}, enc_hook=str)
    return Page(f"{_METHOD}{file}", HTTPStatus.OK, {"content-type": "application/json"}, captured_at, body)


def is_rows(page: Page) -> bool:
    """Whether the page holds rows of a file. What a platform answered begins with ``GET``."""
    return page.request.startswith(_METHOD)


def reader(platform: Platform) -> Callable[[Page], Columns]:
    """How the pages of a source are read, live or imported."""

    def read(page: Page) -> Columns:
        return read_imported(page, platform.windows) if is_rows(page) else platform.read(page)

    return read


def read_imported(page: Page, windows: Collection[str] = ()) -> Columns:
    """The items of a page of rows. Raises Unreadable where it is none.

    An empty cell is missing, never zero. A cell that is no whole number stays as it is, for the
    check `required_fields` to name. The cell of a counter in ``windows``, which the platform tells
    per day, is the number of the capture's own day (UTC) so far.
    """
    try:
        columns = msgspec.json.decode(page.body, type=_Rows).columns
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise Unreadable(f"{page.request} is not the rows of a file: {fault}") from None
    if "item_id" not in columns or len({len(cells) for cells in columns.values()}) > 1:
        raise Unreadable(f"{page.request} holds no items, or columns of unlike lengths")
    day = page.fetched_at.astimezone(UTC).date()
    return {name: [_VALUE.get(name, _number)(cell) for cell in cells] for name, cells in columns.items()} | {
        name: [None if (number := _number(cell)) is None else [(day, number)] for cell in columns[name]]
        for name in columns
        if name in windows
    }


def _text(cell: Any) -> Any:
    return None if cell == "" else cell


def _name(cell: Any) -> Any:
    return id_text(_text(cell))


def _time(cell: Any) -> Any:
    """A time where the cell is one with its offset."""
    try:
        return parse_time(cell) if isinstance(cell, str) and cell else _text(cell)
    except (ValueError, OverflowError):
        return cell


def _number(cell: Any) -> Any:
    """A whole number where the cell is one. Tools that know no missing whole number write 12.0 for 12."""
    if isinstance(cell, str) and (whole := _WHOLE_NUMBER.fullmatch(cell)):
        return int(whole[1])
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 2**53:
        return int(cell)
    return _text(cell)


_VALUE: dict[str, Callable[[Any], Any]] = dict(zip(ITEM_FIELDS, (_name, _text, _text, _time), strict=True))
