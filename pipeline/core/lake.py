"""The lake: every path of Ratchet's files and the only code that writes, lists or moves them.

How a file is published, `publishing` says. A rebuilt hour is published as a new generation: the old
file is linked into ``superseded/`` first, then the new one takes its name in one atomic rename. The
files of a packed month lie in its archive (`archives`): they are listed and read as if they lay in
their place, and the month is unpacked before one of them is made again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from pipeline.core import archives
from pipeline.core.archives import PackedMonths
from pipeline.core.errors import LakeFault
from pipeline.core.files import lake_faults, listing, make_folder, safe_name, sync_folder
from pipeline.core.hours import KEY_LENGTH, Hour
from pipeline.core.small_records import CAPTURED_AT

RAW, VALIDATED, DELTA, QUARANTINE = "raw", "validated", "delta", "quarantine"
REPORT, REPORT_TEXT, SIGNALS = "report", "report text", "signals"
_FOLDER = {
    RAW: RAW,
    VALIDATED: VALIDATED,
    DELTA: DELTA,
    REPORT: REPORT,
    REPORT_TEXT: REPORT,
    QUARANTINE: QUARANTINE,
    SIGNALS: SIGNALS,
}
KINDS, FOLDERS = tuple(_FOLDER), tuple(dict.fromkeys(_FOLDER.values()))
"""The kinds of files of a month, and the folders in which they lie: a report and its text share one."""
_SUFFIX = {
    RAW: ".jsonl.zst",
    VALIDATED: ".parquet",
    DELTA: ".parquet",
    REPORT: ".json",
    REPORT_TEXT: ".md",
    QUARANTINE: ".json",
    SIGNALS: ".json",
}

PACKED = frozenset({RAW, VALIDATED, DELTA, REPORT, REPORT_TEXT, SIGNALS})
"""What the archive of a packed month holds. Findings of refused captures stay in their place."""

_BEFORE_ALL, _AFTER_ALL = "", "~"
"""Sort before and after the name of every hour."""
_PROJECT = "_project"
"""Begins as no name of a source does."""
_HOUR_NAME = re.compile(r"\d{4}-\d\d-\d\dT\d\d", re.ASCII)
_CAPTURE_NAME = re.compile(rf"{_HOUR_NAME.pattern}-\d{{8}}T\d{{12}}Z(~\d+)?", re.ASCII)
_SIGNALS_NAME = re.compile(rf"{_CAPTURE_NAME.pattern}|{_HOUR_NAME.pattern}", re.ASCII)
_NAME = dict.fromkeys(_FOLDER, _HOUR_NAME) | {RAW: _CAPTURE_NAME, QUARANTINE: _CAPTURE_NAME, SIGNALS: _SIGNALS_NAME}


def hour_in(name: str) -> Hour:
    """The hour of a file by its name, which is that of a capture or of the hour itself."""
    return Hour.parse(name[:KEY_LENGTH])


@dataclass(frozen=True, order=True)
class CaptureRef:
    """One stored capture. ``name`` is unique within its source and sorts by time."""

    hour: Hour
    name: str

    @classmethod
    def named(cls, name: str) -> CaptureRef:
        """The capture that a file's name tells of. Raises ValueError for a name that is not one of a capture."""
        return cls(hour_in(name), name)

    @property
    def captured_at(self) -> datetime:
        """When it began (UTC), to the microsecond, as its name says."""
        stamp = self.name[KEY_LENGTH + 1 :].partition("~")[0]
        return datetime.strptime(stamp, CAPTURED_AT).replace(tzinfo=UTC)


@dataclass(frozen=True)
class Lake:
    """All sources under one folder, usually ``data/lake``. ``archives``: other folders where archives may lie."""

    root: Path
    archives: tuple[Path, ...] = ()

    def source(self, name: str) -> SourceLake:
        """The files of the source called so, if there are any. Raises LakeFault where no folder can have the name."""
        return SourceLake(self.root / safe_name(name), name, self.archives)

    @property
    def project(self) -> SourceLake:
        """What concerns all sources together: incidents, their receipts, and notes about channels."""
        return SourceLake(self.root / _PROJECT, _PROJECT, self.archives)

    def senders(self) -> list[SourceLake]:
        """Everything under the root that can have sent a message: the project and its sources, former ones too."""
        names = sorted(name for name in listing(self.root) if (self.root / name).is_dir())
        return [SourceLake(self.root / name, name, self.archives) for name in names]


@dataclass(frozen=True)
class SourceLake(PackedMonths):
    """The files of one source.

    Months are written ``2026-11``. Whatever lists, reads or moves a file raises LakeFault where the disk refuses,
    or where something lies there that Ratchet did not write.
    """

    # Where things are ------------------------------------------------------------------------

    def path(self, kind: str, hour: Hour, name: str | None = None) -> Path:
        """The file of ``hour`` (or of the capture called ``name`` in it) in the folder ``kind``.

        One that is packed is taken out of its archive. Raises LakeFault where the archive is not there.
        """
        place = self.place(kind, hour, name)
        if not self._is_packed(kind, hour, name) or place.exists():
            return place
        return archives.taken_out(self.archive(hour.month), place.relative_to(self.root).as_posix())

    def place(self, kind: str, hour: Hour, name: str | None = None) -> Path:
        """Where this file has its place in the lake, packed or not."""
        return self.folder(kind, hour.month) / f"{name or hour.key}{_SUFFIX[kind]}"

    def folder(self, kind: str, month: str) -> Path:
        """Where the files of a kind lie that belong to a month, written ``2026-11``."""
        return self.root / _FOLDER[kind] / f"month={month}"

    def raw(self, capture: CaptureRef) -> Path:
        """The pages of the capture. Raises LakeFault where they are packed and their archive is not there."""
        return self.path(RAW, capture.hour, capture.name)

    def quarantine(self, capture: CaptureRef) -> Path:
        """The findings of the capture, where it was refused."""
        return self.path(QUARANTINE, capture.hour, capture.name)

    def refused_records(self, capture: CaptureRef) -> Path:
        """What a feed told in this capture that was refused record by record."""
        return self.root / "refused_records" / f"{capture.name}.json"

    def lost_path(self, capture: CaptureRef) -> Path:
        """That a raw capture is lost for good, as its owner knows."""
        return self.root / "lost" / f"{capture.name}.json"

    def exists(self, kind: str, hour: Hour, name: str | None = None) -> bool:
        """Whether there is such a file, in its place or packed. Raises LakeFault where the month's index is damaged."""
        return self.place(kind, hour, name).exists() or self._is_packed(kind, hour, name)

    def stamp(self, kind: str, hour: Hour) -> tuple[int, int, int] | None:
        """What changes where the file of the hour is made again, or moved: inode, nanoseconds of its change, bytes.

        None where there is none.
        """
        path = self.place(kind, hour)
        if self._is_packed(kind, hour) and not path.exists():
            path = archives.index_path(self.root, hour.month)
        try:
            found = path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _is_packed(self, kind: str, hour: Hour, name: str | None = None) -> bool:
        if kind not in PACKED:
            return False
        found = archives.packed(self.root, hour.month)
        return found is not None and found.holds(kind, name or hour.key)

    # What there is ---------------------------------------------------------------------------

    def captures(self, first: Hour | None = None, last: Hour | None = None) -> list[CaptureRef]:
        """Every stored capture of a stretch of hours, in order of time."""
        return [CaptureRef.named(name) for name in self._stretch(RAW, first, last)]

    def refused(self, first: Hour | None = None, last: Hour | None = None) -> list[CaptureRef]:
        """Every capture of a stretch of hours that has findings in quarantine, in order of time."""
        return [CaptureRef.named(name) for name in self._stretch(QUARANTINE, first, last)]

    def accepted_hours(self, first: Hour | None = None, last: Hour | None = None) -> list[Hour]:
        """Every hour of a stretch with an accepted snapshot, in order of time."""
        return [Hour.parse(name) for name in self._stretch(VALIDATED, first, last)]

    def signal_names(self, first: Hour | None = None, last: Hour | None = None) -> list[str]:
        """What was measured in a stretch of hours, in order of time: named as a capture, or as the hour of a delta."""
        return self._stretch(SIGNALS, first, last)

    def hours_with(self, kind: str, last: Hour | None = None) -> list[Hour]:
        """Every hour up to ``last`` that has its file of this kind, in order of time."""
        return [Hour.parse(name) for name in self._stretch(kind, None, last)]

    def last_capture(self, before: Hour | None = None) -> CaptureRef | None:
        """The newest capture, or the newest of an hour earlier than ``before``."""
        for month in reversed(self.months(RAW)):
            for name in reversed(self.names(RAW, month)):
                if before is None or name[:KEY_LENGTH] < before.key:
                    return CaptureRef.named(name)
        return None

    def first_capture(self) -> CaptureRef | None:
        """The oldest capture of all; None before the first. Raises LakeFault."""
        for month in self.months(RAW):
            for name in self.names(RAW, month):
                return CaptureRef.named(name)
        return None

    def last_accepted(self, before: Hour | None = None) -> Hour | None:
        """The newest accepted hour, or the newest earlier than ``before``."""
        if before is not None:  # as a rule the very hour before, and to ask for a few is cheaper than a month's folder
            for near in (before + -back for back in range(1, 13)):
                if self.exists(VALIDATED, near):
                    return near
        for month in reversed(self.months(VALIDATED)):
            if before is not None and month > before.month:
                continue
            for name in reversed(self.names(VALIDATED, month)):
                if before is None or name < before.key:
                    return Hour.parse(name)
        return None

    def _stretch(self, kind: str, first: Hour | None, last: Hour | None) -> list[str]:
        from_, to = first.key if first else _BEFORE_ALL, last.key if last else _AFTER_ALL
        return [
            name
            for month in self.months(kind)
            if from_[: len(month)] <= month <= to
            for name in self.names(kind, month)
            if from_ <= name[:KEY_LENGTH] <= to
        ]

    def months(self, kind: str) -> list[str]:
        """The months that have anything of this kind, in order of time."""
        found = {e.removeprefix("month=") for e in listing(self.root / _FOLDER[kind]) if e.startswith("month=")}
        return sorted(found.union(archives.packed_months(self.root) if kind in PACKED else ()))

    def names(self, kind: str, month: str) -> list[str]:
        """The names of one month, in order of time. Raises LakeFault for a file that is not of the lake."""
        suffix, folder = _SUFFIX[kind], self.folder(kind, month)
        names = {
            entry.removesuffix(suffix)
            for entry in listing(folder)
            if entry.endswith(suffix) and not entry.startswith(".")
        }
        in_archive = archives.packed(self.root, month) if kind in PACKED else None
        if in_archive is not None:
            names -= {month}  # the table of the month
            names |= in_archive.members.get(kind, frozenset())
        for name in names:
            if not _NAME[kind].fullmatch(name):
                raise LakeFault(
                    f"{folder / name}{suffix} is no file that Ratchet wrote.", "Move it out of the lake and run again."
                )
        return sorted(names)

    def kind_of(self, file: str) -> tuple[str, str] | None:
        """The kind and the name of a file by its path within the source; None for what has no place in a month."""
        folder, _, entry = file.rpartition("/")
        for kind, suffix in _SUFFIX.items():
            name = entry.removesuffix(suffix)
            if name != entry and _NAME[kind].fullmatch(name) and folder == f"{_FOLDER[kind]}/month={name[:7]}":
                return kind, name
        return None

    # Writing ---------------------------------------------------------------------------------

    @contextmanager
    def new_capture(self, hour: Hour, captured_at: datetime) -> Iterator[tuple[CaptureRef, BinaryIO]]:
        """Write a raw file that appears whole when the block ends without an error, and not otherwise.

        A second capture at the very same microsecond gets a name of its own (``~2``).
        """
        stem = f"{hour.key}-{captured_at.astimezone(UTC).strftime(CAPTURED_AT)}"
        name, n = stem, 1
        while self.exists(RAW, hour, name):
            n += 1
            name = f"{stem}~{n}"
        capture = CaptureRef(hour, name)
        with self.publishing(self.place(RAW, hour, name)) as file:
            yield capture, file

    def set_aside(self, file: str) -> Path:
        """Move a damaged file out of what readers see; its name in ``superseded/`` says ``damaged``."""
        path, folder = self.root / file, (self.root / "superseded" / file).parent
        stem, _, suffix = path.name.partition(".")
        number = sum(entry.startswith(f"{stem}.damaged.") for entry in listing(folder)) + 1
        target = folder / f"{stem}.damaged.{number}.{suffix}"
        with lake_faults(path):
            make_folder(folder)
            path.rename(target)
            sync_folder(folder)
            sync_folder(path.parent)
        return target

    def publish_generation(self, kind: str, hour: Hour, content: bytes) -> bool:
        """Make ``content`` the file of the hour. Returns False where it already is, byte for byte.

        The caller holds `writing`. A file that stood there stays in ``superseded/``; a packed month is unpacked before.
        """
        path = self.path(kind, hour)
        if not path.exists():
            return self.publish(path, content)
        with lake_faults(path):
            if path.read_bytes() == content:
                return False
        self._unpack_hour(kind, hour)
        self._link_into_superseded(kind, hour)
        self._replace(self.place(kind, hour), content)
        return True

    def supersede(self, kind: str, hour: Hour) -> bool:
        """Take the file of an hour out of what readers see; it stays in ``superseded/``. Returns whether there was one.

        The caller holds `writing`. A packed month is unpacked before.
        """
        if not self.exists(kind, hour):
            return False
        self._unpack_hour(kind, hour)
        path = self.place(kind, hour)
        self._link_into_superseded(kind, hour)
        with lake_faults(path):
            path.unlink()
            sync_folder(path.parent)
        return True

    def generations(self, kind: str, hour: Hour) -> int:
        """How often the file of this hour was superseded, 0 where it is the first."""
        numbered = re.compile(rf"{re.escape(hour.key)}\.(\d+){re.escape(_SUFFIX[kind])}")
        found = (numbered.fullmatch(entry) for entry in listing(self._superseded_folder(kind, hour)))
        return max((int(number[1]) for number in found if number), default=0)

    def superseded(self, kind: str, hour: Hour) -> list[Path]:
        """The former files of this hour, the first of all at the front: a message asks whether it is about news."""
        folder, done = self._superseded_folder(kind, hour), self.generations(kind, hour)
        return [folder / f"{hour.key}.{number}{_SUFFIX[kind]}" for number in range(1, done + 1)]

    def _superseded_folder(self, kind: str, hour: Hour) -> Path:
        return self.root / "superseded" / _FOLDER[kind] / f"month={hour.month}"

    def _link_into_superseded(self, kind: str, hour: Hour) -> None:
        path, folder = self.place(kind, hour), self._superseded_folder(kind, hour)
        done = self.generations(kind, hour)
        newest = folder / f"{hour.key}.{done}{_SUFFIX[kind]}"
        if newest.exists() and newest.samefile(path):
            return  # a kill between link and rename left this generation in both places
        with lake_faults(path):
            make_folder(folder)
            os.link(path, folder / f"{hour.key}.{done + 1}{_SUFFIX[kind]}")
            sync_folder(folder)

    def _unpack_hour(self, kind: str, hour: Hour) -> None:
        """Before the file of an hour is made again."""
        if self._is_packed(kind, hour):
            self.unpack(hour.month)
