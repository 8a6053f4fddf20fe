"""Appending events to the spool: one write to the kernel for each, whatever the host does to the process meanwhile."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import threading
import time
from os import write

from ratchet_points.descriptors import lock, out_of_the_way, private
from ratchet_points.spool import SUFFIX, held

FULL = "the spool has reached its limit"
CANNOT_OPEN = "the spool cannot be written"
CANNOT_WRITE = "the disk is full or failing"
UNWRITTEN = frozenset((FULL, CANNOT_OPEN, CANNOT_WRITE))
"""The reasons that say something of the disk, not of the event."""
_RETRY_SECONDS = 1.0
_LOOKED_AT = 2000
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
# A segment that was closed behind our back, is on a server that forgot it, or may not grow any more: try another one.
_NEEDS_ANOTHER = frozenset((errno.EBADF, errno.EFBIG, errno.ESTALE, errno.EPIPE, errno.EINVAL))


class SegmentWriter:
    """Appends to a segment of this process, and begins the next one when it is full.

    The file descriptor keeps its number from segment to segment, so a thread that is about to write never holds the
    number of a closed file. No call waits for a lock: whoever finds another thread, or the code that its own signal
    interrupted, at work on the segment writes into a segment of its own for that one event.
    """

    def __init__(self, folder: str, *, segment_bytes: int, spool_bytes: int, shared: bool = False) -> None:
        """``folder`` is absolute. It is made, for its owner alone, if it is not there.

        ``shared`` is for processes that live for one event: they append to a segment that all of them share for a day,
        instead of leaving a file each.
        """
        self.folder = folder
        self._shared = shared
        self._segment_bytes, self._spool_bytes = segment_bytes, spool_bytes
        self._reset()

    def _reset(self) -> None:
        self._number = -1
        self._file: tuple[int, int] | None = None
        self._size = 0
        self._lock = threading.Lock()
        self._stem = f"{_now()}-{os.getpid()}-{os.urandom(5).hex()}"
        self._begun = itertools.count(1)
        self._not_before = 0.0
        self._why = CANNOT_OPEN

    def append(self, line: bytes) -> str | None:
        """Append one framed event. None, or the reason why it could not be appended. Raises nothing."""
        try:
            written = write(self._number, line)
        except OSError as error:
            return self._append_elsewhere(line, error)
        if written != len(line):
            # The rest is never written later: another thread's line may have followed, and would be destroyed.
            return CANNOT_WRITE
        self._size += written
        if self._size >= self._segment_bytes:
            self._begin_next()
        return None

    def _append_elsewhere(self, line: bytes, error: OSError) -> str | None:
        if error.errno not in _NEEDS_ANOTHER:
            return CANNOT_WRITE
        if self._begin_next():
            with contextlib.suppress(OSError):
                if write(self._number, line) == len(line):
                    self._size += len(line)
                    return None
            return CANNOT_WRITE
        return self._append_apart(line)

    def _append_apart(self, line: bytes) -> str | None:
        """Write one event into a segment of its own."""
        number = -1
        if time.monotonic() >= self._not_before:
            number = self._create()
        if number < 0:
            return self._why
        try:
            return None if write(number, line) == len(line) else CANNOT_WRITE
        except OSError:
            return CANNOT_WRITE
        finally:
            os.close(number)

    def check(self) -> None:
        """Notice that the segment was deleted, or its descriptor closed or given to another file. Once a second."""
        if self._file is not None and not self._is_ours():
            self._begin_next()

    def abandon(self) -> None:
        """Leave the segment to the parent: this is a forked child, and the lock may be held for ever."""
        self._give_back()
        self._reset()

    def close(self) -> None:
        """End the segment. A later event begins another one."""
        self._give_back()
        self._number, self._file = -1, None

    def _give_back(self) -> None:
        if self._is_ours(deleted_too=True):
            with contextlib.suppress(OSError):
                os.close(self._number)

    def _is_ours(self, *, deleted_too: bool = False) -> bool:
        """Whether the descriptor is still the segment, and the segment still in the spool."""
        if self._file is None:
            return False
        try:
            status = os.fstat(self._number)
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self._file and (deleted_too or status.st_nlink > 0)

    def _begin_next(self) -> bool:
        """Go on in a new segment. False if that is impossible, or somebody else is at it."""
        if not self._lock.acquire(blocking=False):
            return False
        try:
            if time.monotonic() < self._not_before:
                return False
            number = self._create()
            if number < 0:
                if self._why == FULL:
                    self.close()
                return False
            self._take(number)
            return True
        except OSError:
            self._put_off(CANNOT_OPEN)
            return False
        finally:
            self._lock.release()

    def _take(self, number: int) -> None:
        """Make ``number`` the segment: under the old number if that is still ours, else under a high one."""
        status = os.fstat(number)
        if self._is_ours(deleted_too=True):
            os.dup2(number, self._number, inheritable=False)
            os.close(number)
        else:
            self._number = out_of_the_way(number)
        self._file, self._size = (status.st_dev, status.st_ino), 0

    def _create(self) -> int:
        """A new segment's descriptor, or -1 and ``_why``."""
        try:
            os.makedirs(self.folder, mode=0o700, exist_ok=True)
            if held(self.folder, most=_LOOKED_AT) >= self._spool_bytes:
                return self._put_off(FULL)
            number = self._join() if self._shared else self._found()
        except OSError:
            return self._put_off(CANNOT_OPEN)
        if number < 0:
            return self._put_off(CANNOT_OPEN)
        self._why = CANNOT_OPEN
        return number

    def _found(self) -> int:
        """A new file that is this process's alone, locked; or -1. Raises OSError."""
        for _ in range(3):
            name = f"{self._stem}-{next(self._begun):06d}{SUFFIX}"
            number = private(os.path.join(self.folder, name), _FLAGS | os.O_EXCL)
            if _locked(number):
                return number
            os.close(number)
        return -1

    def _join(self) -> int:
        """The file that short processes share today, locked together with the others; or -1. Raises OSError."""
        for attempt in range(10_000):
            day = time.strftime("%Y%m%d", time.gmtime())
            name = f"{day}T000000Z-shared-{attempt:06d}{SUFFIX}"
            number = private(os.path.join(self.folder, name), _FLAGS)
            with contextlib.suppress(OSError):
                lock(number, shared=True)
            status = os.fstat(number)
            # Somebody may have taken it away between opening and locking it.
            if status.st_nlink and status.st_size < self._segment_bytes:
                return number
            os.close(number)
        return -1

    def _put_off(self, why: str) -> int:
        self._why, self._not_before = why, time.monotonic() + _RETRY_SECONDS
        return -1


def _now() -> str:
    """The time in microseconds, so that the segments of a process sort as they were begun."""
    now = time.time_ns()
    return f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime(now // 10**9))}{now % 10**9 // 1000:06d}Z"


def _locked(number: int) -> bool:
    """Lock the segment, so that readers know that it is still written. False if a reader was asking just then."""
    try:
        lock(number)
    except BlockingIOError:
        return False
    except OSError:
        pass  # A file system without locks: its readers wait for whole lines for ever, and lose none.
    return True
