"""How a reply is bent: as bytes, or in its JSON at a place of hypothesis's choosing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

DEEP = 50_000
ODD_TEXTS = (
    *("", " ", "12", "-3", "1e3", "0x10", "\uff11\uff12", "null", "NaN"),
    *("\ud800", "a\x00b", "\u202eabc", "=1+1", "<b>", "x" * 5_000),
)
ODD_TIMES = ("9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "2026-11-22", "2026-02-30T00:00:00Z", "1e18")
ODD_NUMBERS = (0, -1, 1.5, -0.0, 2**63 - 1, 2**63, -(2**63) - 1, 10**40, 1e308)
RAW = ("1e999", "NaN", "-Infinity", "[" * DEEP, '{"a":' * DEEP, "9" * 5_000, '"\\ud800"', "01", "tru")
"""What no encoder writes: it stands in the bytes as it is."""

_HOLE = "0f9c4f1e-a-place-that-is-filled-with-raw-bytes"
Bend = Callable[[bytes], bytes]

odd_values = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(ODD_NUMBERS),
    st.sampled_from(ODD_TEXTS),
    st.sampled_from(ODD_TIMES),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.just([]),
    st.just({}),
    st.lists(st.integers(), max_size=2),
)


@st.composite
def bends(draw: st.DrawFn) -> Bend:
    """One or two ways to bend one reply, one after the other; most leave it JSON."""
    steps = draw(st.lists(st.one_of(of_json(), of_json(), of_json(), of_bytes()), min_size=1, max_size=2))

    def bend(body: bytes) -> bytes:
        for step in steps:
            body = step(body)
        return body

    return bend


@st.composite
def of_json(draw: st.DrawFn) -> Bend:
    where = draw(st.floats(0, 1, exclude_max=True))
    change = draw(st.sampled_from(_CHANGES))
    value = draw(odd_values)
    raw = draw(st.sampled_from(RAW))

    def bend(body: bytes) -> bytes:
        try:
            root = json.loads(body)
        except (ValueError, RecursionError):
            return body
        holder = [root]
        places = list(_places(holder))
        change(*places[int(where * len(places))], value)
        return json.dumps(holder[0]).replace(f'"{_HOLE}"', raw).encode("utf-8", "surrogatepass")

    return bend


@st.composite
def of_bytes(draw: st.DrawFn) -> Bend:
    start, end = sorted(draw(st.tuples(st.floats(0, 1), st.floats(0, 1))))
    put = draw(st.sampled_from([b"", b"\xff", b"\x00", b"\xef\xbb\xbf", b"<!DOCTYPE html>", b",", b"}", b"9" * 30]))
    whole = draw(st.sampled_from(["cut", "replace", "repeat", "empty"]))

    def bend(body: bytes) -> bytes:
        first, last = int(start * len(body)), int(end * len(body))
        match whole:
            case "cut":
                return body[:first]
            case "replace":
                return body[:first] + put + body[last:]
            case "repeat":
                return body[:last] + body[first:last] + body[last:]
            case _:
                return b""

    return bend


def _places(root: list[Any]) -> Iterator[tuple[Any, Any]]:
    """Every container of the document with every key of it, the document itself first."""
    stack: list[Any] = [root]
    while stack:
        place = stack.pop()
        for key in list(place) if isinstance(place, dict) else range(len(place)):
            yield place, key
            if isinstance(place[key], dict | list):
                stack.append(place[key])


def _drop(place: Any, key: Any, value: Any) -> None:
    del place[key]
    if isinstance(place, list) and not place:
        place.append(value)  # the document itself


def _swap(place: Any, key: Any, value: Any) -> None:
    place[key] = value


def _repeat(place: Any, key: Any, value: Any) -> None:
    if isinstance(place, list):
        place.insert(0, deepcopy(place[key]))
    else:
        place[f"{key}2"] = deepcopy(place[key])


def _nest(place: Any, key: Any, value: Any) -> None:
    place[key] = {"data": place[key]} if isinstance(value, bool) else [place[key]]


def _rename(place: Any, key: Any, value: Any) -> None:
    if isinstance(place, dict):
        place[str(value)] = place.pop(key)


def _as_text(place: Any, key: Any, value: Any) -> None:
    place[key] = str(place[key])


def _turn(place: Any, key: Any, value: Any) -> None:
    if isinstance(place, list):
        place.reverse()


def _hole(place: Any, key: Any, value: Any) -> None:
    place[key] = _HOLE


_CHANGES = (_drop, _swap, _swap, _repeat, _nest, _rename, _as_text, _turn, _hole)
