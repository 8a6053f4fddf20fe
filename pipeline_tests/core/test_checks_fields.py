"""The checks of a capture by itself: fields and pages, and whatever else a platform may send."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pandera.pandas as pandera
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandera.errors import SchemaErrors

from pipeline.core import history
from pipeline.core.hours import format_time
from pipeline.core.listing import read_listing
from pipeline.core.model import Bounds, Counter
from pipeline.core.policy import Policy, Trend
from pipeline.core.validation.checks import judge
from pipeline.core.validation.evidence import Evidence
from pipeline.platforms.note import Note

from .account import (
    CHECKS,
    COOKIE,
    LIKES,
    VIEWS,
    Account,
    Row,
    assert_accepted,
    assert_refused_by,
    failed,
    finding,
    hour,
    many,
    page,
    pages,
    row,
    rows,
)
from .snapshots import at

# required_fields --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "Views is missing in 1 item"),
        ("10", "Views is not a whole number in 1 item"),
        (10.0, "Views is not a whole number in 1 item"),
        (10.5, "Views is not a whole number in 1 item"),
        (True, "Views is not a whole number in 1 item"),
        ([10], "Views is not a whole number in 1 item"),
        (2**63, "Views is not a whole number in 1 item"),
        (10**300, "Views is not a whole number in 1 item"),
        (-1, "Views is negative in 1 item"),
    ],
)
def test_a_count_that_is_none_is_pointed_at(account: Account, value: Any, words: str) -> None:
    account.tell(0, rows(a=1, b=2))
    judged = account.judge(1, [row("a", value), row("b", 2)])
    assert failed(judged.findings) == ["required_fields"]
    assert words in judged.reason
    [told] = finding(judged, "required_fields").rows
    assert (told["item_id"], told["field"]) == ("a", "views")
    # Numbers that are none cannot be compared; what can be judged still is.
    skipped = [found.check for found in judged.findings if not found.facts.get("judged", True)]
    assert skipped == ["non_decreasing_counts"]


def test_the_largest_number_of_the_lake_is_a_number(account: Account) -> None:
    account.tell(0, rows(a=2**63 - 1))
    assert_accepted(account.judge(1, rows(a=2**63 - 1)))


def test_a_tolerated_counter_that_was_missing_is_measured_from_what_it_was_before(account: Account) -> None:
    account.change(counters=(Counter("views", Policy(Trend.TOLERANCE, 0.1), optional=True),), rules=())
    account.tell(0, [row("a", views=100)])
    account.tell(1, [row("a", views=None)])
    judged = account.judge(2, [row("a", views=50)])
    assert_refused_by(judged, "non_decreasing_counts", "from 100 to 50")
    assert_accepted(account.judge(2, [row("a", views=95)]))


def test_an_optional_counter_may_be_missing_and_must_be_a_number_where_it_is_not(account: Account) -> None:
    account.change(
        counters=(
            VIEWS,
            Counter("likes", LIKES.policy, optional=True),
        ),
        rules=(),
    )
    account.tell(0, [row("a", 1, None), row("b", 2, 5)])
    assert_accepted(account.judge(1, [row("a", 1, 7), row("b", 2, None)]))
    judged = account.judge(2, [row("a", 1, "7"), row("b", 2, None)])
    assert failed(judged.findings) == ["required_fields"]
    assert "Likes is not a whole number in 1 item" in judged.reason


@pytest.mark.parametrize("key", [None, "", 7, True, 1.5, ["a"], {"a": 1}])
def test_an_item_without_a_name_is_refused_and_what_else_is_wrong_is_told_too(account: Account, key: Any) -> None:
    account.tell(0, rows(a=1, b=2))
    judged = account.judge(1, [row(key, 5), row("b", 2), row("b", 2)], published={"b": "2026-10-01T00:00:00Z"})
    assert failed(judged.findings) == ["required_fields", "unique_items"]
    assert "Item_id is missing or not a text in 1 item" in judged.reason
    assert "Title of b [b]. Missing instead: Title of a [a]" in judged.reason


@pytest.mark.parametrize("field", ["name", "user"])
@pytest.mark.parametrize("value", [7, ["x"], {"urlname": 7}])
def test_a_title_that_is_no_text_is_refused_and_an_address_is_made_without_it(
    account: Account, field: str, value: Any
) -> None:
    judged = account.judge(0, [row("a", 1, **{field: value})])
    assert failed(judged.findings) == (["required_fields"] if field == "name" else [])


@pytest.mark.parametrize(
    "publish_at",
    ["2026-10-01T00:00:00", "2026-10-01", "yesterday", "", 1_700_000_000, "9999-12-31T23:59:59-12:00", ["2026"]],
)
def test_a_time_without_an_offset_or_that_cannot_be_read_is_refused(account: Account, publish_at: Any) -> None:
    judged = account.judge(0, rows(a=1, b=2), published={"a": publish_at, "b": "2026-10-01T00:00:00Z"})
    assert_refused_by(judged, "required_fields", "Published_at is not a time with an offset in 1 item")


def test_a_time_in_the_future_is_refused_beyond_what_clocks_differ_by(account: Account) -> None:
    assert_accepted(account.judge(0, rows(a=1), published={"a": format_time(at(5 / 60))}))
    judged = account.judge(0.1, rows(a=1), published={"a": format_time(at(0.1 + 6 / 60))})
    assert_refused_by(judged, "required_fields", "Published_at lies in the future in 1 item")


def test_an_unknown_time_of_publication_is_no_fault(account: Account) -> None:
    assert_accepted(account.judge(0, rows(a=1, b=2), published={"b": "2026-10-01T00:00:00+09:00"}))


# readable_listing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "is not JSON"),
        (b"<oops", "is not JSON"),
        (pages(rows(a=1))[0].body[:40], "is not JSON"),
        (b'{"error": {}}', "answered with an error"),
        (b"{}", "answered without data"),
        (b'{"data": {"note_stats": {}, "last_page": true}}', "is not of the shape"),
        (b"\xff\xfe", "is not JSON"),
        (b"[" * 100_000, "is not"),
    ],
)
def test_a_page_that_cannot_be_read_is_named_and_nothing_else_is_judged(
    account: Account, body: bytes, words: str
) -> None:
    account.tell(0, many(20))
    judged = account.judge(1, [*pages(many(20)), page(body)])
    assert failed(judged.findings) == ["readable_listing"]
    assert "Page 2: " in judged.reason
    assert words in judged.reason
    others = [f for f in judged.findings if f.check not in ("readable_listing", "credential_runway")]
    assert {found.reason for found in others} == {"Not judged, since readable_listing failed."}


def test_a_listing_that_was_cut_short_is_refused_although_each_page_is_sound(account: Account) -> None:
    judged = account.judge(0, pages(many(40)), cut="the listing goes on after 2 pages, which is the bound")
    assert failed(judged.findings) == ["readable_listing"]
    assert judged.reason == "The listing goes on after 2 pages, which is the bound."
    assert finding(judged, "readable_listing").facts["pages"] == 2


# The judge is Pandera -----------------------------------------------------------------------------------

REFUSED: dict[str, tuple[list[Any], list[Row]]] = {
    "readable_listing": ([page(b"{")], []),
    "required_fields": ([row("a", None), row("b", 2)], rows(a=1, b=2)),
    "unique_items": ([row("a", 1), row("a", 1)], rows(a=1)),
    "complete_listing": (many(10), many(20)),
    "non_decreasing_counts": (rows(a=9), rows(a=10)),
}


@pytest.mark.parametrize("check", REFUSED)
def test_what_refuses_is_panderas_schema(account: Account, check: str, monkeypatch: pytest.MonkeyPatch) -> None:
    listing, before = REFUSED[check]
    if before:
        account.tell(0, before)
    capture = account.capture(1, listing)
    validate, raised = pandera.DataFrameSchema.validate, list[SchemaErrors]()

    def listening(schema: pandera.DataFrameSchema, frame: pd.DataFrame, **options: Any) -> Any:
        try:
            return validate(schema, frame, **options)
        except SchemaErrors as errors:
            raised.append(errors)
            raise

    monkeypatch.setattr(pandera.DataFrameSchema, "validate", listening)
    assert failed(history.verdict(account.lake, account.source, capture).findings) == [check]
    assert raised
    assert all(len(errors.failure_cases) > 0 for errors in raised)

    monkeypatch.setattr(pandera.DataFrameSchema, "validate", lambda schema, frame, **options: frame)
    assert failed(history.verdict(account.lake, account.source, capture).findings) == []


# Whatever a platform sends --------------------------------------------------------------------------------

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=5),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.sampled_from(["urlname", "x"]), st.text(max_size=3), max_size=2),
)
ROWS = st.fixed_dictionaries(
    {},
    optional={
        "key": st.sampled_from("abc") | VALUES,
        "name": VALUES,
        "user": VALUES,
        "read_count": st.integers(0, 30) | VALUES,
        "like_count": st.integers(0, 30) | VALUES,
        "comment_count": st.integers(0, 30) | VALUES,
    },
)
PUBLISHED = st.dictionaries(st.sampled_from("abc"), st.just("2026-10-01T00:00:00Z") | VALUES, max_size=2)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.lists(ROWS, max_size=4), PUBLISHED)
def test_whatever_a_platform_sends_is_judged_and_never_a_crash(listing: list[Row], published: dict[str, Any]) -> None:
    note = Note.model_validate({"session_cookie": COOKIE})
    counters = (VIEWS, LIKES, Counter("comments", Policy(Trend.TOLERANCE, 0.1), optional=True))
    before = read_listing(note.read, pages(rows(a=10, b=20)), [c.name for c in counters], at(0))
    previous = before.items.assign(
        status="observed", last_observed_at=pd.Timestamp(at(0)), views_max=before.items["views"]
    )
    found = read_listing(note.read, pages(listing, published), [c.name for c in counters], at(1))
    judged = judge(Evidence(counters, Bounds(), found, previous))
    assert [result.check for result in judged] == CHECKS
    if all(result.passed for result in judged):
        assert found.items["item_id"].is_unique
        assert all(isinstance(value, int) and value >= 0 for value in found.items["views"])
    else:
        assert all(result.reason.endswith(".") for result in judged if not result.passed)


def test_a_title_is_part_of_the_line_of_a_finding_without_its_escapes(account: Account) -> None:
    """Where markup or mentions would take effect, whoever shows the finding disguises them."""
    title = "a_b [free] \x1b[31m\n\u202eagain"
    account.tell(0, [row("a", 10, name=title)])
    judged = account.judge(1, [row("a", 9, name=title)])
    assert_refused_by(judged, "non_decreasing_counts")
    assert judged.reason == "views fell for 1 item: a_b [free] [31m again [a] from 10 to 9; it may never decrease."
    assert hour(1).key == judged.capture.hour.key
