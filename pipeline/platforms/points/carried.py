"""What is remembered from one accepted capture to the next, beside the counts themselves.

It stands in the accepted snapshot as one value, so that where reading goes on and what was counted
are one file: a crash leaves both or neither. The same content gives the same bytes.

What was seen is kept exactly and small: the SDK numbers the events of a process, so of each process
the stretches of numbers are kept, as a rule one. Of any other id its digest is. A process is forgotten
after SEEN_DAYS without an event, and beyond MOST_RUNS those that were silent longest.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from datetime import datetime
from hashlib import blake2b

import msgspec

from pipeline.platforms.feed.carried import Minutes, Paired, encoder, paired, remembered, since, unpaired

SEEN_DAYS = 8
MOST_RUNS = 50_000
_MOST_STRETCHES = 2_000
_DIGEST = 8
_NUMBERED = re.compile(r"(.+)-(\d{1,15})", re.ASCII | re.DOTALL)


def digest(text: str) -> bytes:
    """Eight bytes for any id that does not number its events."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_DIGEST).digest()


class Run(msgspec.Struct, array_like=True):
    """One process. ``stretches``: first and last number of each stretch, flat and rising."""

    last_seen: int
    stretches: list[int]

    def add(self, number: int) -> bool:
        """False where the number was there already."""
        ends = self.stretches
        if ends and ends[-1] + 1 == number:
            ends[-1] = number
            return True
        at = bisect_right(ends, number)
        if at % 2 or (at and ends[at - 1] == number):
            return False
        joins_before, joins_after = bool(at) and ends[at - 1] == number - 1, at < len(ends) and ends[at] == number + 1
        if joins_before and joins_after:
            del ends[at - 1 : at + 1]
        elif joins_before:
            ends[at - 1] = number
        elif joins_after:
            ends[at] = number
        else:
            ends[at:at] = [number, number]
        del ends[: max(0, len(ends) - 2 * _MOST_STRETCHES)]
        return True


class Passage(msgspec.Struct, array_like=True):
    """One key on its way. ``first``: when it was at the first point, in milliseconds since 1970."""

    first: int
    arrived: bool = False


class Carried(msgspec.Struct):
    """``positions``: by segment, or by topic and partition, where reading goes on.

    ``runs``: by digest of source and run, those seen longest ago at the front.
    ``distinct``: by item and key, the digests of the values. ``passages``: by conversion and digest.
    ``minutes``: by item and counter, how many there were in each of the last minutes of event time.
    """

    positions: dict[str, int] = {}
    runs: dict[bytes, Run] = {}
    distinct: dict[str, dict[str, set[bytes]]] = {}
    passages: dict[str, dict[bytes, Passage]] = {}
    minutes: Minutes[int] = {}

    def is_new(self, source: str, identifier: str, now: datetime) -> bool:
        """Whether this event was not seen before, which it then was."""
        numbered = _NUMBERED.fullmatch(identifier)
        run, number = (numbered[1], int(numbered[2])) if numbered else (identifier, 0)
        key, hour = digest(f"{source}\0{run}"), int(now.timestamp()) // 3600
        known = self.runs.get(key)
        if known is None:
            self.runs[key] = Run(hour, [number, number])
            return True
        if known.last_seen != hour:
            known.last_seen = hour
            self.runs[key] = self.runs.pop(key)
        return known.add(number)

    def forget(self, now: datetime) -> None:
        """Forget processes that have been silent for long."""
        oldest = int(now.timestamp()) // 3600 - 24 * SEEN_DAYS
        surplus = len(self.runs) - MOST_RUNS
        for place, (key, run) in enumerate(list(self.runs.items())):
            if place >= surplus and run.last_seen >= oldest:
                break
            del self.runs[key]

    def forget_minutes(self, before: int) -> None:
        """Forget the counts of minutes before this one; events that arrive later still begin at nothing there."""
        self.minutes = since(self.minutes, before)

    def encoded(self) -> bytes:
        """What is a list here is in order: that of ``runs`` says something."""
        return encoder.encode(
            [
                self.positions,
                list(self.runs.items()),
                {item: {key: b"".join(sorted(seen[key])) for key in seen} for item, seen in self.distinct.items()},
                {name: sorted(found.items()) for name, found in self.passages.items()},
                paired(self.minutes),
            ]
        )


_Stored = tuple[
    dict[str, int],
    list[tuple[bytes, Run]],
    dict[str, dict[str, bytes]],
    dict[str, list[tuple[bytes, Passage]]],
    Paired[int],
]
_decoder = msgspec.msgpack.Decoder(_Stored)


def carried(stored: bytes | None) -> Carried:
    """What an accepted snapshot holds; nothing yet where there is none. Raises LakeFault."""
    if not stored:
        return Carried()
    positions, runs, distinct, passages, minutes = remembered(_decoder, stored, "points")
    return Carried(
        positions,
        dict(runs),
        {item: {key: set(_cut(joined)) for key, joined in found.items()} for item, found in distinct.items()},
        {name: dict(found) for name, found in passages.items()},
        unpaired(minutes),
    )


def _cut(joined: bytes) -> list[bytes]:
    return [joined[at : at + _DIGEST] for at in range(0, len(joined), _DIGEST)]
