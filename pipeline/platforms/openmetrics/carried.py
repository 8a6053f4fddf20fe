"""What is remembered from one accepted capture to the next, beside the totals themselves, as one value."""

from __future__ import annotations

import msgspec

from pipeline.platforms.feed.carried import Minutes, Paired, encoder, paired, remembered, since, unpaired

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
    gains: Minutes[int] = {}
    levels: Minutes[Minute] = {}

    def forget_minutes(self, before: int) -> None:
        """Drop what was counted or kept by a minute earlier than ``before`` (from 1970)."""
        self.gains = since(self.gains, before)
        self.levels = since(self.levels, before)

    def encoded(self) -> bytes:
        """As msgpack: the same for the same content."""
        return encoder.encode(
            [self.positions, self.last, self.series, self.bounded, paired(self.gains), paired(self.levels)]
        )


_Stored = tuple[
    dict[str, int],
    int | None,
    dict[str, Series],
    set[str],
    Paired[int],
    Paired[Minute],
]
_decoder = msgspec.msgpack.Decoder(_Stored)


def carried(stored: bytes | None) -> Carried:
    """What an accepted snapshot holds; nothing yet where there is none. Raises LakeFault."""
    if not stored:
        return Carried()
    positions, last, series, bounded, gains, levels = remembered(_decoder, stored, "series")
    return Carried(positions, last, series, bounded, unpaired(gains), unpaired(levels))
