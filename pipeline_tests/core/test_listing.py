"""What pages say of items: those that list them, and those that tell more of items listed elsewhere."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import pytest

from pipeline.core.capture import Ended
from pipeline.core.listing import read_listing
from pipeline.platforms.protocol import ITEM_FIELDS, Columns, Details, Page, lists_items

from .account import page
from .snapshots import at

COUNTERS = ("views", "likes")


def listed(**views: int | None) -> Columns:
    blank: Columns = {name: [None] * len(views) for name in (*ITEM_FIELDS, *COUNTERS)}
    return blank | {"item_id": list(views), "views": list(views.values())}


def rows(*pages: Columns, counters: tuple[str, ...] = COUNTERS) -> dict[Any, dict[Hashable, Any]]:
    arriving = iter(pages)
    stored: list[Page | Ended] = [*(page(b"") for _ in pages), Ended(len(pages), 0, None)]
    listing = read_listing(lambda _: next(arriving), stored, counters, at(0))
    assert listing.problems == ()
    return {row["item_id"]: row for row in listing.items.astype(object).to_dict("records")}


@pytest.mark.parametrize("details_first", [True, False])
def test_details_fill_what_the_listing_left_blank(details_first: bool) -> None:
    details = Details({"item_id": ["a"], "likes": [7], "title": ["A"]})
    pages = [listed(a=1, b=2), details]
    found = rows(*(reversed(pages) if details_first else pages))
    assert (found["a"]["title"], found["a"]["views"], found["a"]["likes"]) == ("A", 1, 7)
    assert found["b"]["views"] == 2
    assert found.keys() == {"a", "b"}


def test_details_replace_nothing_that_was_listed_and_list_nothing() -> None:
    found = rows(listed(a=1), Details({"item_id": ["a", "c", 7], "views": [9, 9, 9], "unknown": [1, 1, 1]}))
    assert found.keys() == {"a"}
    assert found["a"]["views"] == 1


def test_several_pages_of_details_add_up() -> None:
    found = rows(listed(a=None), Details({"item_id": ["a"], "views": [3]}), Details({"item_id": ["a"], "likes": [4]}))
    assert (found["a"]["views"], found["a"]["likes"]) == (3, 4)


def test_what_has_none_of_the_sources_counters_is_no_item() -> None:
    assert rows(listed(a=1), {"item_id": ["b"], "downloads": [3]}).keys() == {"a"}
    assert not lists_items({"item_id": ["b"], "downloads": [3]}, COUNTERS)
    assert lists_items({"item_id": ["b"], "likes": [3]}, COUNTERS)
    assert not lists_items(Details({"item_id": ["b"], "likes": [3]}), COUNTERS)
