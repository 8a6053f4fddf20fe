"""The spool: what its files hold, and how to read them. Writing is ``segment.py``'s.

A spool is a folder. Each process appends to segments of its own, ``<began>-<pid>-<random>-<number>.points``; only
processes that live for one event share one, ``<day>T000000Z-shared-<number>.points``. An event is one line, and its
line break comes first::

    \\n<CRC-32 of the JSON, eight hexadecimal digits> <JSON, one line, ASCII>

Whatever a killed process or a full disk leaves behind is therefore a line of its own that fails its checksum: it
harms no event before or after it. An event's place is its segment and the offset of its line break.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import time
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Union

from ratchet_points.descriptors import lock

SUFFIX = ".points"
REFUSED_PREFIX = "refused-"
EVENT_LIMIT = 256 * 1024
_CHUNK = 1024 * 1024
_LONGEST = 4 * EVENT_LIMIT
_CHECKSUM = 9  # eight digits and a space


class Event(NamedTuple):
    """A verified event. ``offset`` is where its line begins, ``next_offset`` where reading goes on, both in bytes."""

    segment: str
    offset: int
    next_offset: int
    text: bytes

    def decode(self) -> dict[str, Any]:
        """The event as an object."""
        decoded: dict[str, Any] = json.loads(self.text)
        return decoded


class Damaged(NamedTuple):
    """A line that is no event: torn by a kill or a full disk, or changed later. ``length`` is in bytes."""

    segment: str
    offset: int
    next_offset: int
    length: int


Line = Union[Event, Damaged]


def framed(text: bytes) -> bytes:
    """An event's line, as it is appended to a segment."""
    return b"\n%08x %b" % (zlib.crc32(text), text)


def unframed(line: bytes) -> bytes:
    """The event in a line that ``framed`` made."""
    return line[1 + _CHECKSUM :]


def segments(folder: str | os.PathLike[str]) -> list[str]:
    """The names of the spool's segments, in the order in which they were begun. Empty if there is no such folder."""
    try:
        return sorted(name for name in os.listdir(folder) if name.endswith(SUFFIX))
    except FileNotFoundError:
        return []


def read(folder: str | os.PathLike[str], positions: Mapping[str, int] | None = None) -> Iterator[Line]:
    """Every event and every damaged line of a spool, one segment after the other.

    ``positions`` are the offsets to go on from, by segment; a segment that it does not name is read from its start.
    The caller keeps ``next_offset`` of the last line that it has dealt with, and finds every later one next time.
    """
    for name in segments(folder):
        try:
            yield from read_segment(folder, name, (positions or {}).get(name, 0))
        except FileNotFoundError:
            continue


def read_segment(folder: str | os.PathLike[str], name: str, offset: int = 0) -> Iterator[Line]:
    """The lines of one segment from ``offset`` on, in order.

    The last line of a segment is left for the next time unless its checksum is right: it may still be being written.
    Once something follows it, or nobody writes the segment any longer, it is damaged. Raises FileNotFoundError.
    """
    path = os.path.join(folder, name)
    with open(path, "rb", buffering=0) as file:
        # Asked before reading: what a process wrote last before it died is then certain to be seen.
        over = abandoned(path)
        file.seek(offset)
        at, rest = offset, b""
        while chunk := file.read(_CHUNK):
            before, *lines = (rest + chunk).split(b"\n")
            if before and (lines or len(before) > _LONGEST):
                yield Damaged(name, at, at + len(before), len(before))
                at, before = at + len(before), b""
            for line in lines[:-1]:
                yield _judged(name, at, line)
                at += 1 + len(line)
            rest = b"\n" + lines[-1] if lines else before
            if len(rest) > _LONGEST:
                yield Damaged(name, at, at + len(rest), len(rest))
                at, rest = at + len(rest), b""
        if rest and (over or isinstance(_judged(name, at, rest[1:]), Event)):
            yield _judged(name, at, rest[1:])


def _judged(name: str, at: int, line: bytes) -> Line:
    """What one line is, without its line break, which stands at ``at``."""
    end = at + 1 + len(line)
    text = line[_CHECKSUM:]
    if text and line[:_CHECKSUM] == b"%08x " % zlib.crc32(text):
        return Event(name, at, end, text)
    return Damaged(name, at, end, len(line))


def abandoned(path: str) -> bool:
    """Whether no process writes this segment any longer: its writer holds a lock until it ends or goes on to the next.

    Where the system has no such locks, or the lock cannot be asked for, the answer is no.
    """
    with _taken_over(path) as number:
        return number is not None


def remove_finished(path: str, size: int, young_seconds: float) -> bool:
    """Remove a segment that nobody writes any longer, if it still is ``size`` bytes long. Whether it was removed.

    It is locked meanwhile, so that no process takes it up again between the look and the removal. An empty one is left
    for ``young_seconds`` at least: its writer may not have locked it yet.
    """
    with _taken_over(path) as number, contextlib.suppress(OSError):
        if number is not None:
            status = os.fstat(number)
            if status.st_size == size and (size or time.time() - status.st_mtime >= max(young_seconds, 1.0)):
                os.unlink(path)
                return True
    return False


@contextlib.contextmanager
def _taken_over(path: str) -> Iterator[int | None]:
    """The descriptor of a segment that no process writes, locked meanwhile; None of one that cannot be had so."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        yield None
        return
    try:
        locked = False
        with contextlib.suppress(OSError):
            locked = lock(number)
        yield number if locked else None
    finally:
        os.close(number)


def held(folder: str, suffix: str = "", *, most: int | None = None) -> int:
    """The bytes of the spool's files that end so. Of a folder with very many only ``most`` are looked at, to be quick.

    Raises OSError.
    """
    size = 0
    with os.scandir(folder) as entries:
        for entry in itertools.islice(entries, most):
            if entry.name.endswith(suffix):
                with contextlib.suppress(FileNotFoundError):
                    size += entry.stat(follow_symlinks=False).st_size
    return size
