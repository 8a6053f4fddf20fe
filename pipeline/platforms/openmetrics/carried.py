"""What is remembered from one accepted capture to the next, beside the totals themselves, as one value."""

from __future__ import annotations

from typing import TypeVar

import msgspec

_T = TypeVar("_T")
Minute = tuple[int, int]
"""Of a value: its lowest and its highest in a minute."""


class Series(msgspec.Struct, array_like=True):
    """A cumulative series as it was told last: its number, and when its epoch began, where it tells.

    ``seen`` and ``created`` are microseconds since 1970.
    """

    number: int
    created: int | None
    seen: int


class Carried(msgspec.Struct):
    """``positions``: by segment of the spool, where reading goes on. ``last``: when it was scraped last.

    ``bounded``: items whose totals are lower bounds. ``gains``: by item and counter, what it gained in each of the
    last minutes. ``levels``: by item and counter, between what it stood in each of them.
    """

    positions: dict[str, int] = {}
    last: int | None = None
    series: dict[str, Series] = {}
    bounded: set[str] = set()
    gains: dict[str, dict[str, dict[int, int]]] = {}
    levels: dict[str, dict[str, dict[int, Minute]]] = {}

    def forget_minutes(self, before: int) -> None:
        self.gains = _since(self.gains, before)
        self.levels = _since(self.levels, before)

    def encoded(self) -> bytes:
        """The same bytes for the same content: names in order, minutes as pairs in order."""
        return _encoder.encode(
            [self.positions, self.last, self.series, self.bounded, _paired(self.gains), _paired(self.levels)]
        )


_Stored = tuple[
    dict[str, int],
    int | None,
    dict[str, Series],
    set[str],
    dict[str, dict[str, list[tuple[int, int]]]],
    dict[str, dict[str, list[tuple[int, Minute]]]],
]
_encoder = msgspec.msgpack.Encoder(order="deterministic")
_decoder = msgspec.msgpack.Decoder(_Stored)


def carried(stored: bytes | None) -> Carried:
    """What an accepted snapshot holds; nothing yet where there is none. Raises msgspec.DecodeError."""
    if not stored:
        return Carried()
    positions, last, series, bounded, gains, levels = _decoder.decode(stored)
    return Carried(positions, last, series, bounded, _unpaired(gains), _unpaired(levels))


def _paired(told: dict[str, dict[str, dict[int, _T]]]) -> dict[str, dict[str, list[tuple[int, _T]]]]:
    return {item: {name: sorted(of.items()) for name, of in found.items()} for item, found in told.items()}


def _unpaired(told: dict[str, dict[str, list[tuple[int, _T]]]]) -> dict[str, dict[str, dict[int, _T]]]:
    return {item: {name: dict(of) for name, of in found.items()} for item, found in told.items()}


def _since(told: dict[str, dict[str, dict[int, _T]]], before: int) -> dict[str, dict[str, dict[int, _T]]]:
    kept = {
        item: {name: {m: value for m, value in minutes.items() if m >= before} for name, minutes in found.items()}
        for item, found in told.items()
    }
    kept = {item: {name: minutes for name, minutes in found.items() if minutes} for item, found in kept.items()}
    return {item: found for item, found in kept.items() if found}
