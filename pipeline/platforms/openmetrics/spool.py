"""The spool of a collector: what it scraped between the captures, a record each, for the capture and the watcher.

A record is a line, its line break first: a CRC-32 of eight digits, a space, and JSON. That is the format in which
ratchet-points keeps events, so what a ``kill -9`` leaves is read by `feed.spool` and judged by `feed.pages`.
Segments are named by the time at which they were begun, never twice. Nothing is synced: a power cut costs the last
scrapes, and the numbers in them stand in the next one too.
"""

from __future__ import annotations

import base64
import fcntl
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from pipeline.core.errors import LakeFault, SourceBusy
from pipeline.platforms.feed.pages import RECORD_LIMIT, line_of, lines
from pipeline.platforms.protocol import Page, Unreadable
from pipeline.platforms.replies import NOT_JSON

SUFFIX = ".scrapes"
SEGMENT_BYTES = 4 * 1024 * 1024
_SPELLED_OUT = 256 * 1024
"""Longer bodies are packed: the lake packs short ones better as they are, next to each other."""
_LARGEST_BODY = 64 * 1024 * 1024


class Record(msgspec.Struct, omit_defaults=True):
    """One scrape: its ``body``, or ``packed`` with zlib and in base64; or why there was none.

    ``failed``: in what way nobody answered. ``dropped``: how many records were removed before a capture held them.
    """

    at: datetime
    type: str = ""
    body: str | None = None
    packed: str | None = None
    failed: str | None = None
    dropped: int = 0

    @property
    def content(self) -> bytes:
        """The bytes of the answer. Raises Unreadable where they do not unpack, or are more than 64 MiB."""
        if self.body is not None:
            return self.body.encode("utf-8", "surrogatepass")
        try:
            unpacking = zlib.decompressobj()
            content = unpacking.decompress(base64.b64decode(self.packed or "", validate=True), _LARGEST_BODY)
        except (ValueError, zlib.error):
            raise Unreadable("the spool holds a body that does not unpack") from None
        if unpacking.unconsumed_tail or not unpacking.eof:
            raise Unreadable("the spool holds a body that is not whole, or too large")
        return content


_decoder = msgspec.json.Decoder(Record)


def decoded(text: bytes) -> Record:
    """The record on a line, without its checksum. Raises Unreadable for any other text, and for a naive time."""
    try:
        record = _decoder.decode(text)
    except NOT_JSON:
        raise Unreadable("it is no record of a scrape") from None
    if record.at.tzinfo is None:
        raise Unreadable("it is a record whose time has no offset")
    return record


def record_of(page: Page) -> Record:
    """The answer as a record: short text as it is, anything else packed with zlib, in base64."""
    kind = page.headers.get("content-type", "")
    if len(page.body) <= _SPELLED_OUT:
        with suppress(UnicodeDecodeError):
            return Record(page.fetched_at, kind, body=page.body.decode())
    return Record(page.fetched_at, kind, packed=base64.b64encode(zlib.compress(page.body)).decode())


@contextmanager
def scraping(folder: Path) -> Iterator[None]:
    """While one process scrapes and keeps the answer nobody else scrapes, so that answers stand in their order."""
    with _locked(folder / ".scraping", fcntl.LOCK_EX):
        yield


@contextmanager
def collecting(folder: Path) -> Iterator[None]:
    """One collector a spool. Raises SourceBusy for a second."""
    try:
        with _locked(folder / ".collecting", fcntl.LOCK_EX | fcntl.LOCK_NB):
            yield
    except BlockingIOError:
        raise SourceBusy(
            f"Another collector scrapes into {folder}.", "Stop it first, or let it do its work: one is enough."
        ) from None


@contextmanager
def _locked(path: Path, how: int) -> Iterator[None]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as fault:
        raise _fault(path.parent, fault) from None
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)


def _fault(folder: Path, fault: OSError) -> LakeFault:
    return LakeFault(
        f"The spool {folder} cannot be used: {fault.strerror or fault}",
        "Check the disk's space and the folder's owner.",
    )


@dataclass
class SpoolWriter:
    """Appends records. The spool stays below ``most_bytes``: the oldest segments go, and how much that was is written.

    The segment that is written is locked for as long as it is, which tells its readers that more may come.
    """

    folder: Path
    most_bytes: int
    _segment: int | None = None

    def append(self, record: Record) -> None:
        """One write, so that a kill leaves all of a record or a torn one. Raises LakeFault."""
        text = msgspec.json.encode(record)
        if len(text) > RECORD_LIMIT:
            words = f"an answer of {len(text):,} bytes does not fit into the spool, which takes {RECORD_LIMIT:,}"
            text = msgspec.json.encode(Record(record.at, failed=words))
        try:
            segment = self._room_for(record.at)
            line = line_of(text)
            before = os.fstat(segment).st_size
            if os.write(segment, line) < len(line):
                os.ftruncate(segment, before)
                raise OSError(None, "no space is left")
        except OSError as fault:
            raise _fault(self.folder, fault) from None

    def close(self) -> None:
        """Let the segment go, so that its readers know that no more comes."""
        if self._segment is not None:
            os.close(self._segment)
            self._segment = None

    def _room_for(self, now: datetime) -> int:
        if self._segment is not None and os.fstat(self._segment).st_size >= SEGMENT_BYTES:
            self.close()
        if self._segment is None:
            self._segment = self._begun(now)
            if lost := self._drop_oldest():
                self.append(Record(now, dropped=lost))
        return self._segment

    def _segments(self) -> list[Path]:
        return sorted(self.folder.glob(f"*{SUFFIX}"))

    def _begun(self, now: datetime) -> int:
        """A new segment, named later than all that are there, whatever the clock says."""
        stamp = int(now.astimezone(UTC).strftime("%Y%m%d%H%M%S%f"))
        for path in self._segments()[-1:]:
            with suppress(ValueError):
                stamp = max(stamp, int(path.stem) + 1)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        descriptor = os.open(self.folder / f"{stamp:020d}{SUFFIX}", flags, 0o666)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return descriptor

    def _drop_oldest(self) -> int:
        """How many records went so that there is room for one more segment."""
        sizes = {path: path.stat().st_size for path in self._segments()}
        surplus, lost = sum(sizes.values()) + SEGMENT_BYTES - self.most_bytes, 0
        for path, size in list(sizes.items())[:-1]:
            if surplus <= 0:
                break
            lost += sum(_scrapes(found.text) for found in lines(path.read_bytes(), 0))
            path.unlink()
            surplus -= size
        return lost


def _scrapes(text: bytes) -> int:
    """How many scrapes a record of a segment stands for: one, or those that went before it."""
    with suppress(Unreadable):
        return decoded(text).dropped or 1
    return 1
