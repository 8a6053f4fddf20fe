"""Replies: decoded, trimmed, and their texts told apart from times and numbers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from pipeline.platforms.protocol import Page, Unreadable
from pipeline.platforms.replies import Kept, decode, keep, number_or_text, time_or_text
from pipeline_tests.platforms.accounts.account import NOW

KEPT: Kept = {"id": None, "inner": {"count": None}}


def page(body: bytes, status: int = 200) -> Page:
    return Page("GET /x", status, {}, NOW, body)


def test_what_is_kept_stands_byte_for_byte_and_what_is_not_is_named() -> None:
    kept = keep(page(b'[{"id": 1.50, "secret": "x", "inner": {"count": 99999999999999999999 , "mail": "x"}}]'), KEPT)
    assert kept.body == b'[{"id":1.50,"inner":{"count":99999999999999999999}}]'
    assert kept.dropped == ("inner.mail", "secret")
    assert keep(kept, KEPT) == kept


@pytest.mark.parametrize(
    "body",
    [b'{"id": 1, "inner": null}', b"[]", b'"text"', b"null", b"7", b'[1, {"id": 2}]', b"", b'{"id"', b"[" * 100_000],
)
def test_a_page_without_anything_to_drop_stays_as_it_came(body: bytes) -> None:
    assert keep(page(body), KEPT) == page(body)


def test_an_answer_that_is_no_page_stays_as_it_came() -> None:
    assert keep(page(b'{"other": 1}', 404), KEPT).dropped == ()


@pytest.mark.parametrize(("body", "words"), [(b"[", "not JSON"), (b"\xff", "not JSON"), (b"{}", "shape")])
def test_a_body_of_another_shape_is_unreadable(body: bytes, words: str) -> None:
    with pytest.raises(Unreadable, match=f"GET /x is .*{words}"):
        decode(page(body), list[int])


@pytest.mark.parametrize("charset", ["utf-8", "shift_jis", "utf-16", "made-up"])
def test_a_body_is_utf_8_whatever_charset_is_claimed(charset: str) -> None:
    claimed = {"content-type": f"application/json; charset={charset}"}
    assert decode(replace(page('["題"]'.encode()), headers=claimed), list[str]) == ["題"]
    for other in ('["題"]'.encode("shift_jis"), '["題"]'.encode("utf-16"), '["é"]'.encode("latin-1")):
        with pytest.raises(Unreadable, match="is not JSON"):
            decode(replace(page(other), headers=claimed), list[str])


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("17", 17),
        ("0", 0),
        ("007", 7),
        ("", ""),
        ("-1", "-1"),
        ("1.0", "1.0"),
        (" 1", " 1"),
        ("1,000", "1,000"),
        ("１", "１"),
        ("9" * 18, int("9" * 18)),
        ("9" * 5000, "9" * 5000),
        (17, 17),
        (True, True),
        (None, None),
    ],
)
def test_a_number_is_read_from_plain_digits_only(sent: Any, read: Any) -> None:
    assert number_or_text(sent) == read
    assert type(number_or_text(sent)) is type(read)


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("2026-11-01T08:00:00+09:00", datetime(2026, 10, 31, 23, tzinfo=UTC)),
        ("2026-11-01T08:00:00.000Z", datetime(2026, 11, 1, 8, tzinfo=UTC)),
        ("2026-11-01T08:00:00", "2026-11-01T08:00:00"),
        ("", ""),
        ("0001-01-01T00:00:00+09:00", "0001-01-01T00:00:00+09:00"),
        (17, 17),
        (None, None),
    ],
)
def test_a_time_is_read_with_its_offset_only(sent: Any, read: Any) -> None:
    assert time_or_text(sent) == read
