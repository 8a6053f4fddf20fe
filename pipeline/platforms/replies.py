"""What adapters do with a reply alike: decode it, keep a part of it, tell times and numbers from text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from http import HTTPStatus
from typing import Any, TypeVar

import msgspec

from pipeline.core.hours import parse_time
from pipeline.platforms.protocol import Page, Unreadable

NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_WHOLE_NUMBER = re.compile(r"[0-9]{1,18}")
_ShapeT = TypeVar("_ShapeT")

Kept = Mapping[str, "Kept | None"]
"""Fields of an object that are kept: whole (None), or of the objects in them only what stands there."""


def decode(page: Page, shape: type[_ShapeT]) -> _ShapeT:
    """What a page holds. Raises Unreadable where it is no JSON, or not of the declared shape."""
    try:
        return msgspec.json.decode(page.body, type=shape)
    except msgspec.ValidationError as fault:
        raise Unreadable(f"{page.request} is not of the shape that its platform documents: {fault}") from None
    except NOT_JSON as fault:
        raise Unreadable(f"{page.request} is not JSON: {fault}") from None


def told(page: Page, shape: type[_ShapeT]) -> _ShapeT | None:
    """The same of an answer that may be something else; then None."""
    try:
        return decode(page, shape)
    except Unreadable:
        return None


def keep(page: Page, kept: Kept) -> Page:
    """The page with nothing but the ``kept`` fields of its object, or of each object of its list.

    What is kept stands byte for byte as it came; ``dropped`` names the rest, nested names with dots.
    A page that is no JSON stays as it is, which is evidence for the checks.
    """
    if page.status != HTTPStatus.OK:
        return page
    dropped: set[str] = set()
    try:
        body = msgspec.json.encode(_part(msgspec.Raw(page.body), kept, "", dropped))
    except NOT_JSON:
        return page
    return replace(page, body=body, dropped=tuple(sorted(dropped))) if dropped else page


def _part(value: msgspec.Raw, kept: Kept, above: str, dropped: set[str]) -> Any:
    start = bytes(value).lstrip()[:1]
    if start == b"[":
        return [_part(each, kept, above, dropped) for each in msgspec.json.decode(value, type=list[msgspec.Raw])]
    if start != b"{":
        return value
    fields = msgspec.json.decode(value, type=dict[str, msgspec.Raw])
    dropped.update(above + name for name in fields.keys() - kept.keys())
    return {
        name: field if (inner := kept[name]) is None else _part(field, inner, f"{above}{name}.", dropped)
        for name, field in fields.items()
        if name in kept
    }


def time_or_text(value: Any) -> datetime | Any:
    """A time where ``value`` is the text of one with its offset, else ``value`` as it was sent."""
    if not isinstance(value, str):
        return value
    try:
        return parse_time(value)
    except (ValueError, OverflowError):
        return value


def id_text(value: Any) -> str | Any:
    """The text of an id that is a whole number, which is what the lake keeps; else ``value`` as it was sent."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def number_or_text(value: Any) -> int | Any:
    """A number where ``value`` is the text of a whole one in plain digits, else ``value`` as it was sent."""
    return int(value) if isinstance(value, str) and _WHOLE_NUMBER.fullmatch(value) else value
