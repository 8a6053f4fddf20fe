"""The checks against the last accepted snapshot: each refuses for its own reason while its neighbours pass."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pipeline.core.model import Bounds, Counter

from .account import COMMENTS, LIKES, VIEWS, Account, Row, assert_accepted, assert_refused_by, finding, many, row, rows


def lowered(listing: Sequence[Row], count: int, field: str, by: int = 1) -> list[Row]:
    """The first ``count`` rows with less of a field."""
    return [item | {field: item[field] - by} if n < count else item for n, item in enumerate(listing)]


def test_a_sound_listing_passes_every_check(account: Account) -> None:
    account.tell(0, rows(a=10, b=20))
    judged = account.judge(1, rows(a=11, b=20, c=0), published={"c": "2026-11-01T01:00:00Z"})
    assert_accepted(judged)
    assert {found.failing for found in judged.findings} == {0}


# non_decreasing_counts ------------------------------------------------------------------------------


def test_a_counter_that_never_decreases_may_stand_still_and_must_not_fall(account: Account) -> None:
    account.tell(0, rows(a=10, b=20))
    assert_accepted(account.judge(1, rows(a=10, b=20)))
    judged = account.judge(2, rows(a=9, b=20))
    assert_refused_by(
        judged, "non_decreasing_counts", "views fell for 1 item: Title of a [a] from 10 to 9", "never decrease"
    )
    found = finding(judged, "non_decreasing_counts")
    assert found.failing == 1
    assert found.rows == (
        {"counter": "views", "item_id": "a", "title": "Title of a", "before": 10, "now": 9, "fell_by": 1},
    )


def test_a_counter_that_may_decrease_may_fall_to_nothing(account: Account) -> None:
    account.tell(0, [row("a", 1, likes=100)])
    assert_accepted(account.judge(1, [row("a", 1, likes=0)]))


def test_a_tolerance_is_a_share_of_the_highest_accepted_value(account: Account) -> None:
    account.tell(0, [row("a", comments=1000)])
    assert_accepted(account.judge(1, [row("a", comments=900)]))
    judged = account.judge(1.1, [row("a", comments=899)])
    assert_refused_by(judged, "non_decreasing_counts", "comments fell", "from 1,000 to 899", "10.0% of its highest")


def test_a_tolerance_cannot_creep(account: Account) -> None:
    for hours, comments in enumerate((1000, 960, 930, 900)):
        assert account.tell(hours, [row("a", comments=comments)])
    judged = account.judge(4, [row("a", comments=899)])
    assert_refused_by(judged, "non_decreasing_counts", "from 900 to 899")


def test_an_item_that_returns_is_held_to_what_it_had(account: Account) -> None:
    account.tell(0, rows(a=10, b=20))
    account.tell(1, rows(b=20))
    assert_refused_by(account.judge(2, rows(a=9, b=20)), "non_decreasing_counts", "Title of a [a] from 10 to 9")
    assert_accepted(account.judge(2.1, rows(a=10, b=20)))


def test_a_counter_missing_for_an_hour_is_held_to_what_it_had(account: Account) -> None:
    account.change(counters=(Counter("views", VIEWS.policy, optional=True),), rules=())
    account.tell(0, rows(a=10))
    assert account.tell(1, [row("a", None)])
    assert_refused_by(account.judge(2, rows(a=9)), "non_decreasing_counts", "from 10 to 9")
    assert_accepted(account.judge(2.1, rows(a=10)))


def test_a_counter_that_joins_the_source_has_nothing_to_be_compared_with(account: Account) -> None:
    account.change(counters=(VIEWS,))
    account.tell(0, [row("a", 5, likes=9)])
    account.change(counters=(VIEWS, LIKES))
    assert_accepted(account.judge(1, [row("a", 5, likes=0)]))


# The mass rule ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("counter", "field"), [(LIKES, "like_count"), (COMMENTS, "comment_count")])
def test_no_more_than_a_fifth_may_fall_at_once_even_where_each_may(
    account: Account, counter: Counter, field: str
) -> None:
    listing = many(40)
    account.tell(0, listing)
    assert_accepted(account.judge(1, lowered(listing, 8, field)))
    judged = account.judge(1.1, lowered(listing, 9, field))
    assert_refused_by(judged, "non_decreasing_counts", f"{counter.name} fell for 9 of 40 items at once; more than 8")
    assert finding(judged, "non_decreasing_counts").failing == 9


def test_a_mass_fall_of_what_never_decreases_says_both_and_counts_each_item_once(account: Account) -> None:
    listing = many(40)
    account.tell(0, listing)
    judged = account.judge(1, lowered(listing, 9, "read_count"))
    assert_refused_by(judged, "non_decreasing_counts", "views fell for 9 items", "views fell for 9 of 40 items at once")
    assert finding(judged, "non_decreasing_counts").failing == 9


def test_of_a_few_items_five_may_fall(account: Account) -> None:
    listing = many(6)
    account.tell(0, listing)
    assert_accepted(account.judge(1, lowered(listing, 5, "like_count")))
    assert_refused_by(account.judge(1.1, lowered(listing, 6, "like_count")), "non_decreasing_counts", "6 of 6 items")


def test_the_bounds_of_a_mass_fall_are_the_sources_own(account: Account) -> None:
    account.change(bounds=Bounds(fallen_items=0, fallen_share=0.5))
    listing = many(6)
    account.tell(0, listing)
    assert_accepted(account.judge(1, lowered(listing, 3, "like_count")))
    assert_refused_by(account.judge(1.1, lowered(listing, 4, "like_count")), "non_decreasing_counts", "more than 3")


# complete_listing -------------------------------------------------------------------------------------


def test_an_empty_listing_is_refused_the_first_one_included(account: Account) -> None:
    assert_refused_by(account.judge(0, []), "complete_listing", "The listing is empty.")
    account.tell(1, rows(a=1))
    assert_refused_by(account.judge(2, []), "complete_listing", "The listing is empty.")


def test_up_to_a_fifth_of_the_items_may_be_gone_and_is_named_as_a_warning(account: Account) -> None:
    listing = many(40)
    account.tell(0, listing)
    judged = account.judge(1, listing[8:])
    assert_accepted(judged)
    warning = finding(judged, "complete_listing")
    assert (warning.passed, warning.failing) == (True, 8)
    assert "Title of n0000 [n0000]" in warning.reason
    assert "and 5 more" in warning.reason
    assert [item["item_id"] for item in warning.rows] == [f"n{n:04}" for n in range(8)]
    judged = account.judge(1.1, listing[9:])
    assert_refused_by(judged, "complete_listing", "Title of n0000", "(9 of 40)", "More than 8 at once")
    assert finding(judged, "complete_listing").failing == 9


def test_of_a_few_items_five_may_be_gone(account: Account) -> None:
    listing = many(7)
    account.tell(0, listing)
    assert_accepted(account.judge(1, listing[5:]))
    assert_refused_by(account.judge(1.1, listing[6:]), "complete_listing", "(6 of 7)", "More than 5")


def test_the_bounds_of_what_may_be_gone_are_the_sources_own(account: Account) -> None:
    account.change(bounds=Bounds(gone_items=0, gone_share=0.0))
    account.tell(0, rows(a=1, b=2))
    assert_refused_by(account.judge(1, rows(a=1)), "complete_listing", "Title of b [b]", "More than 0")


def test_what_was_gone_before_is_not_gone_again(account: Account) -> None:
    account.change(bounds=Bounds(gone_items=1, gone_share=0.0))
    account.tell(0, rows(a=1, b=2, c=3))
    account.tell(1, rows(b=2, c=3))
    judged = account.judge(2, rows(c=3))
    assert_accepted(judged)
    assert "[b] (1 of 2)" in finding(judged, "complete_listing").reason


# unique_items -----------------------------------------------------------------------------------------


def test_an_item_listed_twice_is_named_beside_the_one_that_vanished(account: Account) -> None:
    account.tell(0, rows(a=10, b=20, c=30))
    judged = account.judge(1, [row("a", 10), row("b", 20), row("b", 20)])
    assert_refused_by(judged, "unique_items", "more than once: Title of b [b]", "Missing instead: Title of c [c]")
    assert [(item["item_id"], item["occurrences"]) for item in finding(judged, "unique_items").rows] == [
        ("b", 2),
        ("c", 0),
    ]


def test_an_item_listed_twice_in_a_first_capture_is_refused_as_well(account: Account) -> None:
    assert_refused_by(account.judge(0, [row("a", 10), row("a", 11)]), "unique_items", "Title of a [a]")
