"""When a credential ends: JSON Web Tokens, cookies, and the owner's own word."""

from __future__ import annotations

import base64
import json
from datetime import UTC, date, datetime, timedelta

import pytest

from pipeline.platforms.credentials import cookie_expiry, jwt_expiry
from pipeline.platforms.note import Note

from .conftest import NOW


def token(claims: object) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJIUzI1NiJ9.{body}.c2lnbmF0dXJl"


def test_the_claim_exp_of_a_token_is_its_end() -> None:
    assert jwt_expiry(token({"exp": 1_796_000_000})) == datetime.fromtimestamp(1_796_000_000, UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain-api-key",
        "a.b.c",
        "....",
        token({}),
        token([]),
        token({"exp": "soon"}),
        token({"exp": 1e300}),
        token({"exp": None}),
        "e.é.f",
        f"e.{base64.urlsafe_b64encode(b'[' * 100_000).decode()}.f",
    ],
)
def test_what_is_no_token_with_an_end_tells_nothing(text: str) -> None:
    assert jwt_expiry(text) is None


@pytest.mark.parametrize(
    "value",
    [
        "s=1; Expires=Wed, 25 Nov 2026 14:17:00 GMT",
        "s=1; expires=Wed, 25-Nov-2026 14:17:00 GMT; HttpOnly",
        "s=1; Max-Age=259200; Path=/",
        "s=1; Max-Age=259200; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
    ],
)
def test_the_end_of_a_cookie_stands_in_either_attribute(value: str) -> None:
    assert cookie_expiry([("set-cookie", value)], {"s": "1"}, NOW) == NOW + timedelta(days=3)


@pytest.mark.parametrize(
    "header",
    [
        ("set-cookie", "other=1; Max-Age=5"),
        ("set-cookie", "s=renewed; Max-Age=5"),
        ("set-cookie", "s=1"),
        ("set-cookie", "s=1; Expires=never"),
        ("set-cookie", ""),
        ("set-cookie", f"s=1; Max-Age={'9' * 5_000}"),
        ("set-cookie", 's=1; Max-Age="²"'),
        ("set-cookie", 's=1; Expires="Fri, 31 Dec 99999999999999999999 23:59:59 GMT"'),
        ("set-cookie", 's=1; Expires="Fri, 31 Dec 9999 23:59:59 EST"'),
        ("x-cookie", "s=1; Max-Age=5"),
    ],
)
def test_another_cookie_or_one_without_an_end_tells_nothing(header: tuple[str, str]) -> None:
    assert cookie_expiry([header], {"s": "1"}, NOW) is None


def test_of_all_that_is_known_the_earliest_counts() -> None:
    settings = {"session_cookie": token({"exp": int(NOW.timestamp()) + 86_400 * 9}), "expires_on": date(2026, 11, 30)}
    note = Note.model_validate(settings)
    assert note.expiry([], NOW) == datetime(2026, 11, 30, 23, 59, 59, 999999, UTC)
    cookie = [("set-cookie", f"_note_session_v5={note.credential}; Max-Age=60")]
    assert note.expiry(cookie, NOW) == NOW + timedelta(seconds=60)
    assert Note.model_validate({"session_cookie": "opaque"}).expiry([], NOW) is None
