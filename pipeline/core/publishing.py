"""How a file of a source is published: whole or not at all, by one writer, never over another.

A file is written under ``.incoming/``, synced, its checksum is recorded, and a link that refuses to
replace gives it its name; then the folder is synced. All writers of a source hold its lock,
therefore a temporary file met under the lock is an orphan of a killed process and is swept.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from filelock import BaseFileLock, FileLock, Timeout

from pipeline.core import checksums
from pipeline.core.errors import LakeFault, SourceBusy
from pipeline.core.files import as_lake_fault, lake_faults, listing, make_folder, sync, sync_folder

_INCOMING = ".incoming"
WRITING, SENDING = "writing", "sending"


class _Taken(Exception):
    """The name that a new file was to have is another file's already."""


@dataclass(frozen=True)
class Publisher:
    """The folder of one source, and the only way in which files get into it."""

    root: Path
    name: str

    def publish(self, path: Path, content: bytes, by: str = WRITING) -> bool:
        """Publish a file that is never replaced. Returns False where there is one already.

        ``by``: the lock that the caller holds, WRITING or SENDING. Raises LakeFault where the disk refuses.
        """
        try:
            with self.publishing(path, by) as file:
                file.write(content)
        except _Taken:
            return False
        return True

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the source; sweeps what a killed writer left. Raises SourceBusy, never waits.

        May be entered again in the same thread.
        """
        with self._locked(WRITING):
            yield

    @contextmanager
    def sending(self, patience: float = 0) -> Iterator[None]:
        """Hold the source's messages. Raises SourceBusy, after ``patience`` seconds."""
        with self._locked(SENDING, patience):
            yield

    @contextmanager
    def _locked(self, what: str, patience: float = 0) -> Iterator[None]:
        with lake_faults(self.root):
            make_folder(self.root)
        lock: BaseFileLock = FileLock(self.root / f".{what}.lock", timeout=0, is_singleton=True)
        try:
            lock.acquire(timeout=patience)
        except Timeout:
            raise SourceBusy(
                f"Another process is {what} for the source '{self.name}'.",
                "Wait until it ends; a process that died holds no lock.",
            ) from None
        except OSError as fault:
            raise as_lake_fault(self.root, fault) from fault
        try:
            if lock.lock_counter == 1:
                self._sweep(what)
            yield
        finally:
            lock.release()

    @contextmanager
    def publishing(self, path: Path, by: str = WRITING) -> Iterator[BinaryIO]:
        """Write a new file that appears whole at ``path`` or not at all. Raises _Taken, LakeFault."""
        with self._temporary(path, by) as (temporary, file):
            yield file
            sync(file)
            if path.exists():
                raise _Taken
            make_folder(path.parent)
            with self._recorded(path, temporary):
                try:
                    os.link(temporary, path)
                except FileExistsError:
                    raise _Taken from None
            sync_folder(path.parent)

    def _replace(self, path: Path, content: bytes, by: str = WRITING, *, recorded: bool = True) -> None:
        """Give ``path`` this content in one step; ``recorded`` unless it is no published file."""
        with self._temporary(path, by) as (temporary, file):
            file.write(content)
            sync(file)
            make_folder(path.parent)
            with self._recorded(path, temporary, synced=True) if recorded else nullcontext():
                temporary.rename(path)
            sync_folder(path.parent)

    @contextmanager
    def _recorded(self, path: Path, temporary: Path, *, synced: bool = False) -> Iterator[None]:
        """Record the checksum ahead of the block that gives the file its name, and that it failed where it does."""
        checksums.record(self.root, path, checksums.digest_of(temporary), synced=synced)
        try:
            yield
        except _Taken:
            raise
        except BaseException:
            with suppress(LakeFault, OSError):
                checksums.withdraw(self.root, temporary)
            raise

    @contextmanager
    def _temporary(self, path: Path, by: str) -> Iterator[tuple[Path, BinaryIO]]:
        """A file for what will be ``path``. What the disk says to any write of its user is a LakeFault."""
        temporary = self.root / _INCOMING / by / path.name
        with lake_faults(path):
            make_folder(temporary.parent)
            file = temporary.open("xb")
            try:
                with file:
                    yield temporary, file
            finally:
                temporary.unlink(missing_ok=True)

    def _sweep(self, by: str) -> None:
        """Whoever holds the lock is the only writer, so what lies here was left by a killed one."""
        folder = self.root / _INCOMING / by
        with lake_faults(folder):
            for orphan in (folder / name for name in listing(folder)):
                if orphan.stat().st_nlink == 1:
                    checksums.withdraw(self.root, orphan)
                orphan.unlink(missing_ok=True)
