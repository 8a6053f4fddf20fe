"""How what was read is kept in a capture: pages of records, each telling where its records stand, and one of the end.

    READ <place> <from> <to>     records of one place: a segment of a spool, or a partition of a topic
    READ end                     every place that there was, up to where it was read and how far it reached

A place's positions are bytes of a segment or offsets of a partition. A page of a segment holds its bytes as they
are; one of a partition holds a line of JSON for each message: its offset and its text, or its bytes in base64.
"""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec

from pipeline.platforms.protocol import Page, Unreadable

RECORD_LIMIT = 1024 * 1024
"""The largest record in bytes. The SDK of points writes none above 256 KiB."""
SEGMENT, MESSAGES, END = "application/x-points-segment", "application/x-points-messages", "READ end"
_REQUEST = re.compile(r"READ (\S+) (\d{1,18}) (\d{1,18})", re.ASCII)
_CHECKSUM = 9  # eight digits and a space
_message = msgspec.json.Decoder(list[Any])


class Stretch(NamedTuple):
    """Where the records of a page stand: those from ``first`` on and before ``next``."""

    place: str
    first: int
    next: int


class Record(NamedTuple):
    """One record: its text, or what is wrong with it, and where it stands."""

    position: int
    text: bytes
    problem: str | None = None


class Reach(msgspec.Struct):
    """One place at the end of a capture: read from ``first`` on and before ``next``; it reaches to ``end``.

    ``lost``: how many of its messages were gone before anybody read them.
    """

    first: int
    next: int
    end: int
    lost: int = 0


class End(msgspec.Struct):
    """The page of the end: by place, where reading goes on and how far it reached."""

    places: dict[str, Reach]

    @property
    def behind(self) -> int:
        """How much of all places did not fit into the capture."""
        return sum(max(0, reach.end - reach.next) for reach in self.places.values())

    def positions(self, known: Mapping[str, int]) -> dict[str, int]:
        """Where reading goes on. A place that is gone never comes back: names of segments are never given twice."""
        return {name: max(known.get(name, 0), reach.next) for name, reach in self.places.items()}


class Room:
    """How much a capture may still hold, beside the page of its end.

    One page of records always fits: under a bound that is smaller than a page reading would else never go on.
    """

    def __init__(self, max_pages: int, max_bytes: int) -> None:
        self._pages, self._bytes = max(1, max_pages - 1), max_bytes
        self._is_empty = True

    @property
    def is_full(self) -> bool:
        """Whether no further page of records goes in, by their number or by their bytes."""
        return self._pages <= 0 or self._bytes <= 0

    def take(self, body: bytes) -> bool:
        """False if it does not fit; nothing does from then on, so that records stay in order."""
        if self.is_full or (len(body) > self._bytes and not self._is_empty):
            self._bytes = 0
            return False
        self._pages, self._bytes, self._is_empty = self._pages - 1, self._bytes - len(body), False
        return True


def records_page(kind: str, stretch: Stretch, body: bytes, now: datetime) -> Page:
    """A page of records as the capture keeps it. ``kind``: its content type, which says how the records stand in it."""
    return Page(
        f"READ {stretch.place} {stretch.first} {stretch.next}", HTTPStatus.OK, {"content-type": kind}, now, body
    )


def end_page(places: Mapping[str, Reach], now: datetime) -> Page:
    """The page of the end. ``places``: every place that there was; the same for the same ones, in whatever order."""
    body = msgspec.json.encode(End(dict(sorted(places.items()))))
    return Page(END, HTTPStatus.OK, {"content-type": "application/json"}, now, body)


def end_of(page: Page) -> End:
    """What a page of the end says. Raises Unreadable where it does not."""
    try:
        return msgspec.json.decode(page.body, type=End)
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise Unreadable(f"it does not say where reading ended: {fault}") from None


def stretch_of(page: Page) -> Stretch:
    """Where the records of a page stand, as its request says. Raises Unreadable where it does not."""
    found = _REQUEST.fullmatch(page.request)
    if found is None:
        raise Unreadable("it does not say where its records stand")
    return Stretch(found[1], int(found[2]), int(found[3]))


def records(page: Page, position: int) -> Iterator[Record]:
    """The records of a page from ``position`` on, in order. Raises Unreadable."""
    stretch = stretch_of(page)
    if page.headers.get("content-type") == MESSAGES:
        return (record for record in _messages(page.body) if record.position >= position)
    if len(page.body) != stretch.next - stretch.first:
        raise Unreadable("it holds more or fewer bytes than it says")
    return lines(page.body[position - stretch.first :], position)


def line_of(text: bytes) -> bytes:
    """A record as a line of a segment, its line break first."""
    return b"\n%08x %b" % (zlib.crc32(text), text)


def judged_line(line: bytes) -> str | None:
    """What is wrong with one line of a segment, without its line break; None where its checksum is right."""
    text = line[_CHECKSUM:]
    if len(text) > RECORD_LIMIT:
        return "it is larger than an event can be"
    return None if text and line[:_CHECKSUM] == b"%08x " % zlib.crc32(text) else "its checksum is wrong: it was torn"


def lines(body: bytes, at: int) -> Iterator[Record]:
    """The records of a segment's bytes, which stand in it from ``at`` on."""
    before, *rest = body.split(b"\n")
    if before:
        yield Record(at, before, "it does not begin with a line break")
    at += len(before)
    for line in rest:
        problem = judged_line(line)
        yield Record(at, line[_CHECKSUM:] if problem is None else line, problem)
        at += 1 + len(line)


def message_line(offset: int, value: bytes) -> bytes:
    """A message as a page of messages holds it."""
    try:
        return msgspec.json.encode([offset, value.decode()]) + b"\n"
    except UnicodeDecodeError:
        return msgspec.json.encode([offset, None, base64.b64encode(value).decode()]) + b"\n"


def _messages(body: bytes) -> Iterator[Record]:
    for line in body.splitlines():
        try:
            offset, text, *coded = _message.decode(line)
            value = text.encode() if isinstance(text, str) else base64.b64decode(coded[0])
        except (msgspec.DecodeError, UnicodeDecodeError, ValueError, IndexError, TypeError):
            raise Unreadable("it holds a line that is no message") from None
        if not isinstance(offset, int):
            raise Unreadable("it holds a message without its offset")
        yield Record(offset, value, None if len(value) <= RECORD_LIMIT else "it is larger than an event can be")
