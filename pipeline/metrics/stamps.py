"""Noticing cheaply that folders of the lake changed, so that what was read of them need not be read again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from time import time
from typing import Generic, TypeVar

from pipeline.core.files import listing

_SETTLED_SECONDS = 2.0
"""A folder that changed less long ago may change again without another time of change: the clock of files is coarse."""
_APPENDED = "checksums"
"""Files here grow, which their folder's time of change does not tell."""
_PASSING = ".incoming"
Stamp = tuple[int, int] | None

ReadT = TypeVar("ReadT")


def stamp(folder: Path) -> Stamp:
    """Changes with every name that comes, goes or becomes another file's. None where there is no such folder."""
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def stamps(folders: Iterable[Path]) -> tuple[Stamp, ...]:
    """Of the folders and of those in them, one level deep."""
    inner = (folder / name for folder in folders for name in sorted(listing(folder)) if name.startswith("month="))
    return tuple(stamp(each) for each in (*folders, *inner))


@dataclass
class Kept(Generic[ReadT]):
    """Something that was read, and what it stands for: read again only where that changed."""

    _key: object = None
    _read: ReadT | None = None

    def get(self, key: object, folders: tuple[Stamp, ...], read: Callable[[], ReadT]) -> ReadT:
        """What was read, or what ``read`` gives where ``key`` or one of ``folders`` is not what it was."""
        if self._read is not None and self._key == (key, folders):
            return self._read
        found = read()
        newest = max((each[1] for each in folders if each is not None), default=0)
        settled = time() - newest / 1e9 > _SETTLED_SECONDS
        self._key, self._read = ((key, folders), found) if settled else (None, None)
        return found


@dataclass
class Sizes:
    """Bytes of all files under a folder; a folder is listed again only where it changed."""

    _known: dict[Path, tuple[Stamp, int, list[Path]]] = field(default_factory=dict)

    def of(self, folder: Path) -> int:
        """Bytes of its files' content, in the folders below it too; a file of a capture under way is none of them."""
        now = stamp(folder)
        known = self._known.get(folder)
        if known is None or known[0] != now:
            known = self._list(folder, now)
        return known[1] + sum(self.of(inner) for inner in known[2])

    def _list(self, folder: Path, now: Stamp) -> tuple[Stamp, int, list[Path]]:
        size, inner = 0, list[Path]()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if not entry.is_dir(follow_symlinks=False):
                        size += entry.stat(follow_symlinks=False).st_size
                    elif entry.name != _PASSING:
                        inner.append(folder / entry.name)
        except OSError:
            return now, size, inner  # it went away meanwhile; the next look sees
        found = now, size, inner
        if folder.name != _APPENDED and now is not None and time() - now[1] / 1e9 > _SETTLED_SECONDS:
            self._known[folder] = found
        return found
