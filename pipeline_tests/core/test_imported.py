"""Rows of a file as a stored page: what is kept, what it means, and what is left for the checks to refuse."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from pipeline.core.capture import read_head, read_pages, store_capture
from pipeline.core.history import verdict
from pipeline.core.imported import is_rows, read_imported, reader, rows_page
from pipeline.core.model import Origin
from pipeline.platforms.protocol import Page, Unreadable

from .account import Account, assert_accepted, assert_refused_by, page
from .snapshots import at

AT = datetime(2026, 3, 1, 23, 59, tzinfo=UTC)


def cells(**columns: Any) -> dict[str, list[Any]]:
    """One row of an item ``a``, with all three counters of the account."""
    given = {"item_id": "a", "views": "10", "likes": "2", "comments": "1"} | columns
    return {name: [cell] for name, cell in given.items()}


@pytest.mark.parametrize(
    ("cell", "meaning"),
    [
        ("12", 12),
        ("0", 0),
        ("", None),
        (None, None),
        ("-3", -3),
        (12, 12),
        (12.0, 12),
        ("12.0", 12),
        ("-3.00", -3),
        ("12.", "12."),
        ("1.50", "1.50"),
        (1.5, 1.5),
        ("1.5", "1.5"),
        (" 7", " 7"),
        ("１２", "１２"),
        ("9" * 5_000, "9" * 5_000),
        (True, True),
    ],
)
def test_a_cell_of_a_counter_means_what_it_says_and_nothing_is_zero_unless_it_says_so(cell: Any, meaning: Any) -> None:
    [read] = read_imported(rows_page("f.csv", AT, cells(views=cell)))["views"]
    assert read == meaning
    assert type(read) is type(meaning)


def test_the_cells_that_describe_an_item(account: Account) -> None:
    columns = cells(item_id=7, title="", url="https://x", published_at="2026-02-01T10:00:00+09:00")
    read = read_imported(rows_page("f.csv", AT, columns))
    assert (read["item_id"], read["title"], read["url"]) == (["7"], [None], ["https://x"])
    assert read["published_at"] == [datetime(2026, 2, 1, 1, tzinfo=UTC)]
    assert read_imported(rows_page("f.csv", AT, cells(published_at="soon")))["published_at"] == ["soon"]


def test_a_counter_that_is_told_per_day_is_told_of_the_captures_own_day() -> None:
    page = rows_page("f.csv", AT, {"item_id": ["a", "b"], "views": ["5", ""]})
    assert read_imported(page, {"views"})["views"] == [[(date(2026, 3, 1), 5)], None]


@pytest.mark.parametrize(
    "body",
    [
        *(b"{", b"[]", b'{"columns": {"views": [1]}}', b'{"columns":{"item_id":[1],"views":[]}}'),
        b'{"columns": {"item_id": [' + b"[" * 100_000,
    ],
    ids=["cut", "a list", "no items", "unlike lengths", "deep"],
)
def test_a_page_that_is_no_rows_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        read_imported(replace(rows_page("f.csv", AT, {}), body=body))


def stored(account: Account, *columns: dict[str, list[Any]], hours: float = 0) -> Any:
    pages = [rows_page("past.csv", at(hours), given) for given in columns]
    return store_capture(account.lake, account.source, Origin.IMPORT, at(hours), pages)[0]


def test_the_lake_keeps_the_cells_as_they_were_and_reads_them_without_the_adapter(account: Account) -> None:
    capture = stored(account, cells(views="0012"))
    assert read_head(account.lake, capture).origin is Origin.IMPORT
    [kept] = [part for part in read_pages(account.lake, capture) if isinstance(part, Page)]
    assert kept.request == "IMPORT past.csv"
    assert b'"0012"' in kept.body
    judged = verdict(account.lake, account.source, capture)
    assert_accepted(judged)
    assert judged.listing.items["views"].tolist() == [12]


@pytest.mark.parametrize(
    ("cell", "words"),
    [("", "missing"), ("1.5", "not a whole number"), ("abc", "not a whole number"), ("-3", "negative")],
)
def test_an_odd_cell_refuses_its_capture_and_names_the_item(account: Account, cell: str, words: str) -> None:
    judged = verdict(account.lake, account.source, stored(account, cells(views=cell)))
    assert_refused_by(judged, "required_fields", f"Views is {words}")
    [row] = next(finding for finding in judged.findings if not finding.passed).rows
    assert row["item_id"] == "a"


def test_what_a_platform_answered_is_read_by_its_adapter(account: Account) -> None:
    answer = page(b'{"data": {"note_stats": [{"key": "a", "read_count": 3}], "last_page": true}}')
    assert not is_rows(answer)
    assert reader(account.source.platform)(answer)["views"] == [3]
