"""The names of the fields that a platform sends, so that a new or a lost one is noticed.

Names are dotted (``user.name``), and a list stands for what is in it. They are those of pages as they are stored and
of what the adapter dropped from them. An object with many keys, or with keys that are no words, holds data, not fields.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from pipeline.platforms.protocol import Page

LOOKED_AT = 1_000_000
"""Bytes of a capture that are looked at, or its first page where that alone is larger."""
_LARGEST_PAGE = 8_000_000
_MOST_KEYS, _MOST_FIELDS, _DEEPEST = 60, 400, 6
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,59}", re.ASCII)
_DOTTED = re.compile(rf"{_WORD.pattern}(\.{_WORD.pattern})*", re.ASCII)


def field_names(pages: Sequence[Page]) -> tuple[str, ...]:
    """Every name, in order; the first ones where there are very many. Never raises for what a platform sent."""
    found = {name for page in pages for name in page.dropped if _DOTTED.fullmatch(name)}
    for page in pages:
        try:
            body = msgspec.json.decode(page.body) if len(page.body) <= _LARGEST_PAGE else None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue  # the checks name it
        found.update(_names(body, "", _DEEPEST))
    return tuple(sorted(found)[:_MOST_FIELDS])


def _names(value: Any, above: str, deeper: int) -> Iterator[str]:
    if isinstance(value, list):
        for each in value:
            yield from _names(each, above, deeper)
    elif isinstance(value, dict) and len(value) <= _MOST_KEYS and all(map(_WORD.fullmatch, value)):
        for name, inner in value.items():
            yield above + name
            if deeper and isinstance(inner, dict | list):
                yield from _names(inner, f"{above}{name}.", deeper - 1)
