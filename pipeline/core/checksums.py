"""Checksums recorded at publication: append-only lists beside the files, in the form of ``sha256sum``.

A line is written just before its file appears, so a published file always has one. A file that is
made again has several, and any of them is right: a kill may have left the former generation. A line
whose file never appeared is known by the orphan that the kill left, which is written down under
``.incoming/`` when it is swept. Only the line of a file that takes another's place is synced: a power
cut can cost the last lines of new files, which then count as not recorded, never as damaged.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path

from pipeline.core.files import lake_faults, listing

FOLDER = "checksums"
RECORDS = "records"
"""The list of the files that belong to no month."""
_WITHDRAWN = ".incoming/"
_SUFFIX = ".sha256"
_LINE = re.compile(r"([0-9a-f]{64})  (\S+)", re.ASCII)
_MONTH = re.compile(r"month=(\d{4}-\d\d)/", re.ASCII)
_NAMED_MONTH = re.compile(r"\d{4}-\d\d(?=-\d\dT)", re.ASCII)


@dataclass(frozen=True)
class Recorded:
    """``digests``: by path within the source, the oldest first. ``withdrawn``: of what never appeared."""

    digests: Mapping[str, tuple[str, ...]]
    withdrawn: Set[str]


def digest_of(path: Path) -> str:
    """SHA-256 of a file as hex. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def record(root: Path, path: Path, digest: str, *, synced: bool = False) -> None:
    """Write down that ``path`` is about to appear with this content. Raises LakeFault."""
    name = path.relative_to(root).as_posix()
    month = _MONTH.search(name)
    _append(root / FOLDER / f"{month[1] if month else RECORDS}{_SUFFIX}", f"{digest}  {name}\n", synced)


def withdraw(root: Path, orphan: Path) -> None:
    """Write down that the content of ``orphan`` never appeared under its name. Raises LakeFault."""
    month = _NAMED_MONTH.match(orphan.name)
    with lake_faults(orphan):
        line = f"{digest_of(orphan)}  {_WITHDRAWN}{orphan.name}\n"
    _append(root / FOLDER / f"{month[0] if month else RECORDS}{_SUFFIX}", line)


def read(root: Path, month: str) -> Recorded:
    """What was recorded for a month, or as ``RECORDS``; torn lines do not count. Raises LakeFault."""
    path = root / FOLDER / f"{month}{_SUFFIX}"
    digests: dict[str, tuple[str, ...]] = {}
    withdrawn = set()
    with lake_faults(path):
        lines = path.read_bytes().decode(errors="replace").splitlines() if path.exists() else []
    for line in lines:
        found = _LINE.fullmatch(line)
        if found and found[2].startswith(_WITHDRAWN):
            withdrawn.add(found[1])
        elif found:
            digests[found[2]] = (*digests.get(found[2], ()), found[1])
    return Recorded(digests, withdrawn)


def months(root: Path) -> set[str]:
    """The months of which anything was recorded."""
    return {name.removesuffix(_SUFFIX) for name in listing(root / FOLDER) if name.endswith(_SUFFIX)} - {RECORDS}


def _append(path: Path, line: str, synced: bool = False) -> None:
    with lake_faults(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            end = os.fstat(descriptor).st_size
            torn = end > 0 and os.pread(descriptor, 1, end - 1) != b"\n"
            content = (b"\n" if torn else b"") + line.encode()
            if os.write(descriptor, content) < len(content):
                raise OSError("the checksum could not be written whole")
            if synced:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
