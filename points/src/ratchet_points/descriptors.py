"""Open files by their descriptors: private ones, locks by which processes know each other, numbers out of the way."""

from __future__ import annotations

import os

try:
    import fcntl
    import resource
except ImportError:  # pragma: no cover - a system without POSIX locks
    fcntl = None  # type: ignore[assignment]


def private(path: str, flags: int) -> int:
    """Open a file, as ``open()`` asks its opener to; a new one is for its owner and readers of its group alone."""
    return os.open(path, flags, 0o640)


def lock(number: int, *, shared: bool = False) -> bool:
    """Lock an open file until it is closed. False where the system has no locks.

    Raises BlockingIOError if another process holds it, unless ``shared``: that waits. Raises OSError where the file
    system has no locks.
    """
    if fcntl is None:
        return False
    fcntl.flock(number, fcntl.LOCK_SH if shared else fcntl.LOCK_EX | fcntl.LOCK_NB)
    return True


def out_of_the_way(number: int) -> int:
    """The same file under a high number.

    The kernel gives a new file the lowest free number. A host that closes all its descriptors, as programs do that go
    into the background, would get ours for its next socket, and our next event would go there.
    """
    if fcntl is None:
        return number
    try:
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        floor = 900 if soft in (resource.RLIM_INFINITY, -1) else min(900, soft * 3 // 4)
        high = fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, floor)
    except OSError:
        return number
    os.close(number)
    return high
