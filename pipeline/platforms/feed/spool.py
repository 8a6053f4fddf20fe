"""Reading on in a spool: the bytes of its segments from where the last accepted capture ended.

The format is that of ratchet-points (points/README.md): a record is a line, its line break first. Of a segment that
somebody still writes, the last line is left for the next time unless its checksum is right.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from pipeline.core.errors import TransportFault
from pipeline.platforms.feed.pages import SEGMENT, Reach, Room, Stretch, end_page, judged_line, records_page
from pipeline.platforms.protocol import Page

PAGE_BYTES = 1024 * 1024


def tidy(folder: Path, positions: Mapping[str, int], before: datetime) -> None:
    """Remove segments that an accepted capture holds to their end, and that were last written before this time.

    A segment is locked while it is removed, so that no program takes it up again meanwhile.
    """
    for name, position in positions.items():
        path = folder / name
        with suppress(OSError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            found = os.fstat(file.fileno())
            # An empty one may be about to be locked by its writer.
            if 0 < found.st_size == position and found.st_mtime < before.timestamp():
                path.unlink()


def read_on(
    folder: Path,
    positions: Mapping[str, int],
    *,
    max_pages: int,
    max_bytes: int,
    now: Callable[[], datetime],
    suffix: str,
) -> Iterator[Page]:
    """Pages of records that no accepted capture holds, then the page of the end.

    ``suffix``: how the names of segments end. What does not fit into ``max_pages`` and ``max_bytes`` is left for the
    next capture. Raises TransportFault where the spool cannot be read.
    """
    places: dict[str, Reach] = {}
    room = Room(max_pages, max_bytes)
    for name in _segments(folder, suffix):
        reach = places[name] = _reach(folder / name, positions.get(name, 0))
        if room.is_full or reach.end <= reach.first:
            continue
        for stretch, body in _stretches(folder / name, reach):
            if not room.take(body):
                break
            reach.next = stretch.next
            yield records_page(SEGMENT, stretch, body, now())
    yield end_page(places, now())


def _segments(folder: Path, suffix: str) -> list[str]:
    """Their names in the order in which they were begun."""
    try:
        return sorted(name for name in os.listdir(folder) if name.endswith(suffix))  # noqa: PTH208
    except OSError as fault:
        raise TransportFault(f"the spool {folder} cannot be read: {fault.strerror}") from None


def _reach(path: Path, first: int) -> Reach:
    try:
        return Reach(first, first, path.stat().st_size)
    except FileNotFoundError:  # taken away between listing and looking
        return Reach(first, first, first)
    except OSError as fault:
        raise TransportFault(f"the spool's segment {path} cannot be read: {fault.strerror}") from None


def _stretches(path: Path, reach: Reach) -> Iterator[tuple[Stretch, bytes]]:
    """What is whole of a segment up to its present end, in stretches of whole lines of about PAGE_BYTES."""
    try:
        with path.open("rb", buffering=0) as file:
            # Asked before reading: what a process wrote last before it died is then certain to be seen.
            over = _is_over(file.fileno())
            at = reach.first
            file.seek(at)
            rest = b""
            while chunk := file.read(min(PAGE_BYTES, reach.end - at - len(rest))):
                rest += chunk
                cut = _cut(rest, at + len(rest) >= reach.end, over)
                if cut > 0:
                    yield Stretch(path.name, at, at + cut), rest[:cut]
                    at, rest = at + cut, rest[cut:]
    except FileNotFoundError:
        return
    except OSError as fault:
        raise TransportFault(f"the spool's segment {path} cannot be read: {fault.strerror}") from None


def _cut(rest: bytes, is_last: bool, over: bool) -> int:
    """How much of ``rest`` is whole lines, which may be all of it where nothing follows."""
    last = max(rest.rfind(b"\n"), 0)
    if is_last and (over or judged_line(rest[last + 1 :]) is None):
        return len(rest)
    # No record is as long as two pages: what is, is judged as what it is.
    return len(rest) if last == 0 and len(rest) > 2 * PAGE_BYTES else last


def _is_over(number: int) -> bool:
    """Whether no process writes this segment any longer: its writer holds a lock for as long as it does."""
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(number, fcntl.LOCK_UN)
    except OSError:
        return False
    return True
