"""Attributes of any type become sound JSON."""

from __future__ import annotations

import datetime
import decimal
import enum
import json
import pathlib
import uuid
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ratchet_points.values import ATTRIBUTES, Encoder


class Colour(enum.Enum):
    RED = "red"


def encoded(**attributes: Any) -> dict[str, Any]:
    text = f"{{{Encoder().attributes(attributes)}}}"
    assert text.isascii()
    decoded: dict[str, Any] = json.loads(text)
    return decoded


def test_plain_values_stay_what_they_are() -> None:
    given = {"a": 1, "b": -2.5, "c": True, "d": None, "e": "größe", "f": [1, {"g": ()}], "h": 2**62, "i": False}
    assert encoded(**given) == {**given, "f": [1, {"g": []}]}


def test_other_values_become_texts() -> None:
    day = datetime.datetime(2026, 11, 22, 14, tzinfo=datetime.timezone.utc)
    assert encoded(
        a=day,
        b=decimal.Decimal("1.10"),
        c=uuid.UUID(int=1),
        d=Colour.RED,
        e=b"abc",
        f=float("nan"),
        g=2**70,
        h={3},
        i=pathlib.Path("/a"),
    ) == {
        "a": "2026-11-22T14:00:00+00:00",
        "b": "1.10",
        "c": "00000000-0000-0000-0000-000000000001",
        "d": "red",
        "e": "3 bytes",
        "f": "nan",
        "g": hex(2**70),
        "h": [3],
        "i": "/a",
    }


def test_everything_is_bounded() -> None:
    endless: list[Any] = []
    endless.append(endless)
    many = encoded(**{f"k{number}": number for number in range(500)})
    assert len(many) == ATTRIBUTES + 1
    assert many["points.attributes_omitted"] == 500 - ATTRIBUTES
    wide = encoded(a="x" * 100_000, b=list(range(100_000)), c=endless, d={str(n): n for n in range(10_000)}, e=10**5000)
    assert len(json.dumps(wide)) < 20_000


def test_a_lone_surrogate_is_no_text() -> None:
    assert encoded(a="\ud800x") == {"a": "\\ud800x"}


class _Repr:
    def __repr__(self) -> str:
        return "secret thing"


def test_objects_show_their_representation() -> None:
    assert encoded(a=_Repr()) == {"a": "secret thing"}


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=80, deadline=None)
@given(st.dictionaries(st.text(max_size=12), json_like, max_size=6))
def test_whatever_comes_in_valid_json_comes_out(attributes: dict[str, Any]) -> None:
    encoder = Encoder()
    once = encoder.attributes(attributes)
    decoded = json.loads(f"{{{once}}}")
    assert len(decoded) == len({key.encode("utf-8", "backslashreplace") for key in attributes})
    assert encoder.attributes(attributes) == once
