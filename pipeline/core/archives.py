"""Packed months: an archive of every hour's files as they were published, and the index that says so.

A month is packed while ``archives/<month>.json`` stands: it names the archive and every file in it.
The archive is an ordinary zip whose members have the paths that the files had, so unpacking it in the
source's folder by hand gives them back. It may lie in another folder, where it is looked for by name.

Where a packed hour is asked for by itself, its file is taken out into a folder of this process, which
goes away with it.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path, PurePosixPath

import msgspec

from pipeline.core.errors import LakeFault
from pipeline.core.files import damaged, lake_faults, listing, make_folder, replacing, sync_folder
from pipeline.core.small_records import SmallRecords

FOLDER = "archives"
_INDEX_SUFFIX = ".json"


class Index(msgspec.Struct, frozen=True):
    """What stands in ``archives/<month>.json``. ``names``: of the files in the archive by their kind, in order.

    ``tables``: the files of the month that are made for reading, by their path, with their SHA-256.
    """

    month: str
    archive: str
    bytes: int
    sha256: str
    names: Mapping[str, tuple[str, ...]]
    tables: Mapping[str, str]


@dataclass(frozen=True)
class Packed:
    """A packed month: its index, and the names in it as sets."""

    index: Index
    members: Mapping[str, Set[str]]

    def holds(self, kind: str, name: str) -> bool:
        """Whether the archive has the file of that kind. ``name``: of the capture, or the key of the hour."""
        return name in self.members.get(kind, ())


def index_path(root: Path, month: str) -> Path:
    """Where the index of a packed month stands. ``root``: the source's folder; ``month``: written ``2026-11``."""
    return root / FOLDER / f"{month}{_INDEX_SUFFIX}"


def packed_months(root: Path) -> list[str]:
    """Every packed month, in order of time."""
    return sorted(n.removesuffix(_INDEX_SUFFIX) for n in listing(root / FOLDER) if n.endswith(_INDEX_SUFFIX))


def packed(root: Path, month: str) -> Packed | None:
    """The packed month, None where it is not. Raises LakeFault where its index is damaged."""
    path = index_path(root, month)
    try:
        found = os.stat(path)  # noqa: PTH116  asked for every path of every hour
    except (FileNotFoundError, NotADirectoryError):
        return None
    return _packed(path, found.st_ino, found.st_mtime_ns)


@lru_cache(maxsize=240)
def _packed(path: Path, inode: int, written_at: int) -> Packed:
    """Decoded once: another index under the name is another file."""
    with lake_faults(path):
        content = path.read_bytes()
    try:
        index = msgspec.json.decode(content, type=Index)
    except ValueError as fault:
        raise damaged(path, str(fault)) from fault
    return Packed(index, {kind: frozenset(names) for kind, names in index.names.items()})


def find_archive(root: Path, elsewhere: Sequence[Path], index: Index) -> Path:
    """Where the archive lies: in the source's folder, or in one of ``elsewhere``. Raises LakeFault where nowhere."""
    folders = [root / FOLDER, *elsewhere]
    for folder in folders:
        path = folder / index.archive
        if path.exists():
            if path.stat().st_size != index.bytes:
                raise damaged(path, f"it has {path.stat().st_size:,} bytes instead of {index.bytes:,}")
            return path
    raise LakeFault(
        f"The archive {index.archive} is needed and lies in none of {', '.join(map(str, folders))}.",
        "Put it back, or name the folder where it is: RATCHET_ARCHIVES=/path/to/archives",
    )


def members(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Every file in an archive by its path within the source, and its bytes. Raises LakeFault where it is damaged."""
    with reading_archive(archive), zipfile.ZipFile(archive) as opened:
        for path in map(PurePosixPath, opened.namelist()):
            if path.is_absolute() or ".." in path.parts:
                raise damaged(archive, f"it holds '{path}', whose place is outside of the source")
        for name in opened.namelist():
            yield name, opened.read(name)


def read_member(archive: Path, name: str) -> bytes:
    """One file of an archive. Raises LakeFault where it is damaged."""
    with reading_archive(archive):
        found = archive.stat()
        return _opened(archive, found.st_ino, found.st_mtime_ns).read(name)


@lru_cache(maxsize=4)
def _opened(archive: Path, inode: int, written_at: int) -> zipfile.ZipFile:
    """Kept open: reading the list of its members is most of the work."""
    return zipfile.ZipFile(archive)


def taken_out(archive: Path, name: str) -> Path:
    """A file of an archive as a file of its own, which stays as long as this process. Raises LakeFault."""
    with lake_faults(archive):
        found = archive.stat()
    path = _own_folder() / f"{found.st_ino}-{found.st_mtime_ns}" / name
    if not path.exists():
        content = read_member(archive, name)
        with lake_faults(path), replacing(path) as file:
            file.write(content)
    return path


@cache
def _own_folder() -> Path:
    with lake_faults(Path(tempfile.gettempdir())):
        folder = tempfile.mkdtemp(prefix="ratchet-archives-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


@dataclass(frozen=True)
class PackedMonths(SmallRecords):
    """The months of a source that lie in archives. ``archives``: other folders where these may be."""

    archives: tuple[Path, ...] = ()

    def archive(self, month: str) -> Path:
        """Where the archive of a packed month lies. Raises LakeFault where it is not found."""
        found = packed(self.root, month)
        if found is None:
            raise LakeFault(f"{month} of {self.name} is not packed.", "Run it again; it was unpacked meanwhile.")
        return find_archive(self.root, self.archives, found.index)

    def unpack(self, month: str) -> int:
        """Give every file of a packed month its place back, byte for byte; how many there were.

        The index goes last, so that what a kill interrupts is gone on with. Raises LakeFault.
        """
        found = packed(self.root, month)
        if found is None:
            return 0
        archive, count = self.archive(month), 0
        with lake_faults(self.packing(month)):
            make_folder(self.packing(month))  # says that the month is half packed
            for table in found.index.tables:
                (self.root / table).unlink(missing_ok=True)
        for name, content in members(archive):
            place = self.root / name
            if not self.publish(place, content) and place.read_bytes() != content:
                raise damaged(place, f"it is not the file that {archive} holds")
            count += 1
        index = index_path(self.root, month)
        with lake_faults(index):
            index.unlink()
            sync_folder(index.parent)
            if archive.parent == index.parent:
                archive.unlink()
            shutil.rmtree(self.packing(month), ignore_errors=True)
        return count

    def packing(self, month: str) -> Path:
        """Where the files of a month wait that is being packed."""
        return self.root / ".packing" / month


@contextmanager
def reading_archive(archive: Path) -> Iterator[None]:
    """Turn what a damaged archive makes Python say into LakeFault."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, KeyError, EOFError, NotImplementedError, OSError) as fault:
        raise damaged(archive, str(fault)) from fault
