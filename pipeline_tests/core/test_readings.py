"""A listing that moves while it is read is read again, a bounded number of times, and every reading is kept."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import pytest

from pipeline.core import history
from pipeline.core.capture import read_pages, store_capture
from pipeline.core.model import Origin
from pipeline.core.readings import READINGS, Shifted, read_until_still
from pipeline.platforms.note import Note
from pipeline.platforms.protocol import CutShort, Page
from pipeline.sandbox.article import Article
from pipeline.sandbox.server import NoteSandbox

from .account import COOKIE, Account, failed, finding, page, pages, row
from .snapshots import at
from .test_observe import Observed

READ = Note.model_validate({"session_cookie": "x"}).read
Reading = Sequence[str]


def told(readings: Sequence[Reading], expected: str = "", size: int = 2) -> list[Page | Shifted]:
    """What is kept where the listing shows each of ``readings`` in turn, items as letters in pages of ``size``."""
    turns = iter(readings)

    def read_once() -> Iterator[Page]:
        yield from pages([row(key) for key in next(turns)], size=size)

    return list(read_until_still(read_once, READ, ["views"], set(expected)))


def shifts(parts: Sequence[Page | Shifted]) -> list[str]:
    return [part.reason for part in parts if isinstance(part, Shifted)]


def test_a_listing_that_stands_still_is_read_once() -> None:
    parts = told(["abcd"], expected="abcd")
    assert (len(parts), shifts(parts)) == (2, [])


def test_an_item_that_stands_twice_makes_it_read_again() -> None:
    assert shifts(told(["abbc", "abcd"], expected="abcd")) == ["'b' stood more than once"]


def test_an_item_that_is_gone_without_another_twice_makes_it_read_again_once() -> None:
    # A shrinking listing loses an item without a trace; a deleted one is gone from the second reading as well.
    assert shifts(told(["abd", "abcd"], expected="abcd")) == ["'c' was not listed"]
    assert shifts(told(["abd", "abd"], expected="abcd")) == ["'c' was not listed"]


def test_a_listing_that_lacks_other_items_each_time_is_read_to_the_bound() -> None:
    assert len(shifts(told(["abd", "abc", "abd"], expected="abcd"))) == READINGS - 1


def test_a_single_page_cannot_have_moved() -> None:
    assert shifts(told(["ab"], expected="abcd")) == []


def test_a_listing_that_never_stands_still_is_left_to_the_checks() -> None:
    parts = told(["abba"] * READINGS)
    assert len(shifts(parts)) == READINGS - 1
    assert not isinstance(parts[-1], Shifted)


def test_long_ids_and_many_of_them_make_a_short_reason() -> None:
    keys = [f"{number}" * 500 for number in range(9)]
    turns = iter([[*keys, *keys], keys])
    parts = list(read_until_still(lambda: iter(pages([row(k) for k in next(turns)])), READ, ["views"], set()))
    [reason] = shifts(parts)
    assert reason.endswith(" and 6 more stood more than once")
    assert len(reason) < 400


def test_a_page_that_cannot_be_read_is_kept_and_counts_for_nothing() -> None:
    assert shifts(list(read_until_still(lambda: iter([page(b"<")]), READ, ["views"], {"a"}))) == []


def test_a_listing_that_is_cut_short_is_not_read_again() -> None:
    def endless() -> Iterator[Page]:
        yield from pages([row("a"), row("a")])
        raise CutShort("the bound")

    with pytest.raises(CutShort):
        list(read_until_still(endless, READ, ["views"], set()))


def test_only_the_last_reading_is_judged_and_all_are_kept(account: Account) -> None:
    torn, sound = [row("a", 1), row("a", 1)], [row("a", 1), row("b", 2)]
    capture = account.capture(0, [*pages(torn, size=1)])
    assert failed(history.verdict(account.lake, account.source, capture).findings) == ["unique_items"]

    stream: list[Page | Shifted] = [*pages(torn, size=1), Shifted("'a' stood more than once"), *pages(sound, size=1)]
    capture, ended = store_capture(account.lake, account.source, Origin.LIVE, at(1), stream)
    judged = history.verdict(account.lake, account.source, capture)
    assert judged.accepted
    assert list(judged.listing.items["item_id"]) == ["a", "b"]
    assert ended.pages == 4
    assert list(read_pages(account.lake, capture)) == [*stream, ended]
    assert finding(judged, "readable_listing").facts["read_again"] == ["'a' stood more than once"]


def test_a_shifting_account_is_read_again_over_http(account: Account) -> None:
    published = at(-100)
    first, second, third = (Article(key, key, published, views, 1, 1) for key, views in (("a", 3), ("b", 2), ("c", 1)))
    # Sorted by views: while page 1 is read, c overtakes a and b, so page 2 begins with b again and c is lost.
    shown = iter([[first, second, third], [third, first, second]])

    def listing() -> list[Article]:
        return next(shown, [third, first, second])

    with NoteSandbox(listing, cookie=COOKIE, page_size=2) as sandbox:
        observed = Observed(account, sandbox)
        observed.use()
        seen = observed.at(0)
    kept = [json.loads(part.body) for part in read_pages(account.lake, seen.capture) if isinstance(part, Page)]
    listed = [
        [article["key"] for article in part["data"]["note_stats"]] for part in kept if "note_stats" in part["data"]
    ]
    assert listed == [["a", "b"], ["b"], ["c", "a"], ["b"]]
    assert history.verdict(account.lake, account.source, seen.capture).accepted
