"""Durable files: what every write of the lake is made of, and the words for what a disk refuses."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from pipeline.core.errors import LakeFault

_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,239}", re.ASCII)


def sync(file: BinaryIO) -> None:
    """Have what was written so far outlive a power cut (fsync(2)). Raises OSError."""
    file.flush()
    os.fsync(file.fileno())


def make_folder(folder: Path) -> None:
    """Make a folder and its parents so that they outlive a power cut."""
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for made in missing:
        sync_folder(made.parent)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder outlive a power cut: fsync(2) of a file leaves its entry out. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file for all to read that takes the name ``path`` in one step when the block ends without an error.

    Of what can be made again: nothing is synced. Raises OSError, and leaves nothing then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def listing(folder: Path) -> list[str]:
    """The names in a folder, none where it is not there. Raises LakeFault."""
    try:
        return os.listdir(folder)  # noqa: PTH208  a third of the time for a month of hours
    except FileNotFoundError:
        return []
    except OSError as fault:
        raise as_lake_fault(folder, fault) from fault


def room(path: Path) -> int:
    """Bytes that a file takes on the disk, in whole blocks; 0 where it is not there."""
    try:
        return path.stat().st_blocks * 512
    except OSError:
        return 0


def encode_json(content: Mapping[str, Any] | msgspec.Struct) -> bytes:
    """JSON as the lake writes it: two spaces, a final newline, the same bytes for the same content."""
    return msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"


def damaged(path: Path, what: str) -> LakeFault:
    """The error for a file whose content cannot be used. ``what`` says why, without a full stop."""
    return LakeFault(f"{path} is damaged: {what}", "Restore the file from a backup; nothing was changed.")


@contextmanager
def lake_faults(path: Path) -> Iterator[None]:
    """Turn what the disk says into LakeFault."""
    try:
        yield
    except OSError as fault:
        raise as_lake_fault(path, fault) from fault


def as_lake_fault(path: Path, fault: OSError) -> LakeFault:
    """The error for what the disk refused at ``path``, with the system's own words."""
    return LakeFault(
        f"The lake cannot be used at {path}: {fault.strerror or fault}",
        "Check the disk's space and the folder's owner; nothing accepted was changed.",
    )


def safe_name(name: str) -> str:
    """``name``, where it can be that of a file in the lake. Raises LakeFault where not."""
    if not _SAFE_NAME.fullmatch(name):
        raise LakeFault(
            f"{name[:100]!r} cannot be a file name in the lake.", "Use letters, digits, '.', '-' and '_', at most 240."
        )
    return name
