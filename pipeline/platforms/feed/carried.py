"""What a feed remembers from one accepted capture to the next stands in the snapshot as one value, in msgpack.

The same content gives the same bytes: maps in order of their keys, minutes as pairs in order.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from pipeline.core.errors import LakeFault

_T = TypeVar("_T")
Minutes = dict[str, dict[str, dict[int, _T]]]
"""By item, counter and minute since 1970."""
Paired = dict[str, dict[str, list[tuple[int, _T]]]]
"""The same as it is stored: msgpack has no other keys than those that every reader knows."""

encoder = msgspec.msgpack.Encoder(order="deterministic")


def paired(minutes: Minutes[_T]) -> Paired[_T]:
    """By item and counter, pairs of a minute and what stands there, in order: the same bytes for the same content."""
    return {item: {name: sorted(of.items()) for name, of in found.items()} for item, found in minutes.items()}


def unpaired(minutes: Paired[_T]) -> Minutes[_T]:
    """What `paired` was made of."""
    return {item: {name: dict(of) for name, of in found.items()} for item, found in minutes.items()}


def since(minutes: Minutes[_T], before: int) -> Minutes[_T]:
    """Without the minutes before this one, and without what has none left."""
    kept = {
        item: {name: {m: value for m, value in of.items() if m >= before} for name, of in found.items()}
        for item, found in minutes.items()
    }
    kept = {item: {name: of for name, of in found.items() if of} for item, found in kept.items()}
    return {item: found for item, found in kept.items() if found}


def remembered(decoder: msgspec.msgpack.Decoder[_T], stored: bytes, what: str) -> _T:
    """A state as it was stored. It is written by Ratchet alone: one that cannot be read is a damaged lake.

    Raises LakeFault.
    """
    try:
        return decoder.decode(stored)
    except msgspec.DecodeError as fault:
        raise LakeFault(
            f"What the last accepted snapshot remembers of its {what} cannot be read: {fault}",
            "Restore the file from a backup, or run: ratchet verify",
        ) from None
