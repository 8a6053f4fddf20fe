"""Secrets do not leave the program."""

from __future__ import annotations

import time
from typing import Any, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ratchet_points as points
from ratchet_points.redaction import cleaned, names_secret, suspicious

# Put together here, so that no scanner takes them for real ones.
AWS = "AKIA" + "IOSFODNN7EXAMPLE"
JWT = "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxMjM0In0" + ".dozjgNryP4J3jVmNHl0w5N"
GITHUB = "ghp_" + "a1B2" * 9
STRIPE = "sk_" + "live_" + "4eC39HqLyjWDarjtT1zdp7dc"
CARD = "4111 1111 1111 1111"
KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n-----END RSA PRIVATE KEY-----"

KEYS = [
    "password", "db_password", "userPassword", "PASSWD", "passphrase", "token", "access_token", "accessToken", "secret",
    "client-secret", "Authorization", "cookie", "Set-Cookie", "api_key", "apiKey", "X-API-Key", "private_key",
    "session_id", "sessionid", "csrf", "card_number", "cvv", "auth", "user.auth", "pin", "jwt", "credentials",
]  # fmt: skip
HARMLESS_KEYS = [
    "author", "tokens", "tokens_used", "passed", "passenger", "compass", "session", "pinned", "spin", "key", "keyboard",
    "amount", "authority", "monkey", "sessions", "design", "path",
]  # fmt: skip
VALUES = [
    (f"Bearer {'abc123' * 4}", "abc123"),
    ("basic dXNlcjpwYXNzd29yZA==", "dXNlcjp"),
    (f"got {JWT} back", "eyJ"),
    (f"key {AWS}.", AWS),
    (GITHUB, GITHUB),
    (STRIPE, STRIPE),
    (f"paid with {CARD}", " 1111"),
    ("378282246310005", "378282"),
    ("5555-5555-5555-4444", "-4444"),
    (KEY, "MIIE"),
    ("postgres://shop:hunter2@db/orders", "hunter2"),
    ("https://x.example/?a=1&token=hunter2abc&b=2", "hunter2abc"),
    ("host=db user=shop password=hunter2 port=5", "hunter2"),
    ('{"password": "hunter2", "a": 1}', "hunter2"),
    ("{'api_key': 'hunter2'}", "hunter2"),
    (r'{"password": "a\"hunter2"}', "hunter2"),
    ('{"password": "hunter2 cut', "hunter2"),
    (r'"{\"password\": \"hunter2\"}"', "hunter2"),
    ("secret: hunter2", "hunter2"),
    ("xoxb-" + "abcdefghij-klmnop", "abcdefghij"),
    ("AIza" + "SyD" * 11, "SyD"),
    ("glpat-" + "abcdefghijklmnopqrst", "abcdefg"),
    ("pypi-" + "AgEIcHlwaS5vcmcabcdefg", "AgEIc"),
    ("npm_" + "abcdefghijklmnopqrstuvwxyz", "abcdefg"),
    ("sk-" + "abcdefghijklmnopqrstuvwxyz", "abcdefg"),
]
HARMLESS = [
    "alice", "/checkout/basket/42", "0b5e0d6e-74bb-4b0f-9a46-2f5f0c1a9c5d", "https://example.org/a?b=c", "a=b",
    "4111 1111 1111 1112", "1763805600000", "2026-11-22T14:00:00.123456Z", "high_score", "basic training", "ratio: 4.5",
    "tokens: 512", "the bearer of news", "1.4111111111111111",
]  # fmt: skip


@pytest.mark.parametrize("key", KEYS)
def test_keys_that_name_a_secret(begin: Callable[..., Any], key: str) -> None:
    lake = begin()
    written: list[dict[str, Any]] = [{key: "hunter2", "nested": {key: "hunter2"}}, {key: 1234567}]
    for _ in range(2):
        for attributes in written:
            points.track("a", **attributes)
    first, number, second, _ = lake.events()
    assert first["data"]["attributes"] == {key: "[redacted]", "nested": {key: "[redacted]"}}
    assert second["data"]["attributes"] == first["data"]["attributes"]
    assert number["data"]["attributes"] == {key: "[redacted]"}


@pytest.mark.parametrize("key", HARMLESS_KEYS)
def test_keys_that_only_look_like_it(key: str) -> None:
    assert not names_secret(key, frozenset())


@pytest.mark.parametrize(("value", "secret"), VALUES)
def test_values_that_look_like_a_secret(begin: Callable[..., Any], value: str, secret: str) -> None:
    lake = begin()
    for _ in range(2):
        points.track("a", note=value, listed=[value], who=value)
    with points.bind(where=value):
        points.error("b", ValueError(value))
    points.track("long", note="x" * 4090 + " " + value)
    assert secret not in lake.text()
    assert "[redacted]" in lake.text()


@pytest.mark.parametrize("value", HARMLESS)
def test_harmless_values_stay(value: str) -> None:
    assert cleaned(value) == value


def test_pairs_of_a_name_and_its_value(begin: Callable[..., Any]) -> None:
    """As headers are handed about where their order matters."""
    lake = begin(redact=["shoe_size"])
    points.track("a", headers=[("Host", "shop"), ("Authorization", "hunter2"), ["shoe_size", 43], ("pin", "a", "b")])
    (one,) = lake.events()
    told = [["Host", "shop"], ["Authorization", "[redacted]"], ["shoe_size", "[redacted]"], ["pin", "a", "b"]]
    assert one["data"]["attributes"]["headers"] == told


def test_a_card_as_a_number(begin: Callable[..., Any]) -> None:
    lake = begin()
    points.track("a", card=4111111111111111, order=4111111111111112, at=1763805600000)
    assert lake.events()[0]["data"]["attributes"] == {
        "card": "[redacted]",
        "order": 4111111111111112,
        "at": 1763805600000,
    }


def test_whether_there_is_a_secret_is_none(begin: Callable[..., Any]) -> None:
    lake = begin()
    points.track("a", password=None, token=True)
    assert lake.events()[0]["data"]["attributes"] == {"password": None, "token": True}


def test_further_keys_and_none_at_all(begin: Callable[..., Any]) -> None:
    lake = begin(redact=["Shoe_Size"])
    points.track("a", shoe_size=43, password="x")
    begin(redact=False)
    points.track("b", shoe_size=43, password="x")
    first, second = lake.events()
    assert first["data"]["attributes"] == {"shoe_size": "[redacted]", "password": "[redacted]"}
    assert second["data"]["attributes"] == {"shoe_size": 43, "password": "x"}


pieces = st.sampled_from([value for value, _ in VALUES] + HARMLESS + KEYS) | st.text(max_size=12)


@settings(max_examples=200, deadline=None)
@given(st.lists(pieces, max_size=4).map(" ".join) | st.lists(pieces, max_size=4).map("".join))
def test_the_quick_look_overlooks_nothing(value: str) -> None:
    assert suspicious(value) or cleaned(value) == value


@pytest.mark.parametrize(
    "piece",
    [
        "eyJ-",
        "eyJa.",
        "Bearer ",
        "a://",
        "password",
        "token=",
        "1234 ",
        "1234-5678",
        "-----BEGIN PRIVATE KEY-----",
        "sk-",
        "a@",
    ],
)
def test_no_text_takes_long(piece: str) -> None:
    """A pattern that looked at every rest of a text from every place in it would take seconds for the longer one."""
    spent = []
    for length in (4_000, 16_000):
        began = time.process_time()
        for _ in range(3):
            cleaned((piece * length)[:length])
        spent.append(time.process_time() - began)
    assert spent[1] < 10 * spent[0] + 0.1
