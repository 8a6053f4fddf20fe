"""A process that counts its own file operations in the lake and kills itself at the n-th one.

Every operation is written to the trace the moment before it happens: what Python's audit hook tells
(opening, listing, linking, renaming, removing, making folders), each fsync, and each write, which
is cut in two so that a kill can fall into its middle. A write goes straight to the file, as it
would after the buffers of a real process were full.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WRITE, HALF = "write", "half of a write"
_PUBLISHING = ("os.link", "os.rename")
_EVENTS = {
    "open", "os.listdir", "os.scandir", "os.link", "os.rename", "os.remove", "os.mkdir", "os.rmdir",
}  # fmt: skip


@dataclass(frozen=True)
class Trace:
    """The operations of one process, in order. Where it was killed, the last one did not happen."""

    operations: Sequence[str]

    @classmethod
    def read(cls, path: Path) -> Trace:
        return cls(path.read_text().splitlines())

    def __len__(self) -> int:
        return len(self.operations)

    @property
    def first_byte(self) -> int:
        """How many operations there were up to the first half of the first write."""
        return next((n for n, what in enumerate(self.operations, 1) if what.startswith(HALF)), len(self) + 1)

    @property
    def last_publishing(self) -> int:
        """The place of the last link or rename."""
        return max((n for n, what in enumerate(self.operations, 1) if what.startswith(_PUBLISHING)), default=0)


def trace_into(path: Path, lake: Path, kill_at: int | None) -> None:
    """From now on trace this process; at operation ``kill_at`` (from 1) it dies of SIGKILL."""
    trace = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    root = f"{lake}{os.sep}"
    count = 0

    def tell(what: str, target: Any) -> None:
        nonlocal count
        name = os.fspath(target) if isinstance(target, str | os.PathLike) else ""
        if not str(name).startswith(root):
            return
        count += 1
        os.write(trace, f"{what} {str(name).removeprefix(root)}\n".encode())
        if count == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    real_open, real_fdopen, real_fsync = Path.open, os.fdopen, os.fsync

    def open_path(self: Path, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if "b" not in mode or mode == "rb":
            return real_open(self, mode, *args, **kwargs)
        return _TracedFile(self, mode.replace("b", ""), lambda what: tell(what, self))

    def open_descriptor(descriptor: int, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        target = _file_of(descriptor)
        if mode != "wb" or not target.startswith(root):
            return real_fdopen(descriptor, mode, *args, **kwargs)
        return _TracedFile(descriptor, "w", lambda what: tell(what, target))

    def fsync(descriptor: int) -> None:
        tell("fsync", _file_of(descriptor))
        real_fsync(descriptor)

    Path.open, os.fdopen, os.fsync = open_path, open_descriptor, fsync  # type: ignore[method-assign, assignment]

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _EVENTS:
            # A link is told by what it makes, everything else by what it touches.
            tell(event, arguments[1] if event in _PUBLISHING else arguments[0])

    sys.addaudithook(audit)


class _TracedFile(io.FileIO):
    """A file of the lake, unbuffered, whose writes happen in two halves."""

    def __init__(self, file: Path | int, mode: str, before: Callable[[str], None]) -> None:
        super().__init__(file, mode)
        self._before = before

    def write(self, content: Any, /) -> int:
        view = memoryview(content).cast("B")
        half = len(view) // 2
        self._before(HALF)
        written = super().write(view[:half])
        if written < half:
            return written
        self._before(WRITE)
        return written + super().write(view[half:])


def _file_of(descriptor: int) -> str:
    return str(Path(f"/proc/self/fd/{descriptor}").readlink())
