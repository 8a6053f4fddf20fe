"""The lake: every path of Ratchet's files and the only code that writes, lists or moves them.

A file is published by writing it under ``.incoming/``, fsync, a link that refuses to replace, and
fsync of the folder, so a reader sees a whole file or none and nothing accepted is overwritten.
A rebuilt hour is published as a new generation: the old file is linked into ``superseded/`` first,
then the new one takes its name in one atomic rename.

All writers of a source hold its lock, therefore a temporary file met under the lock is an orphan
of a killed process and is swept. Receipts are written under a lock of their own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from filelock import BaseFileLock, FileLock, Timeout

from pipeline.core.errors import LakeFault, SourceBusy
from pipeline.core.hours import Hour

RAW, VALIDATED, DELTA, QUARANTINE = "raw", "validated", "delta", "quarantine"
REPORT, REPORT_TEXT = "report", "report text"
_FOLDER = {
    RAW: RAW,
    VALIDATED: VALIDATED,
    DELTA: DELTA,
    REPORT: REPORT,
    REPORT_TEXT: REPORT,
    QUARANTINE: QUARANTINE,
}
_SUFFIX = {
    RAW: ".jsonl.zst",
    VALIDATED: ".parquet",
    DELTA: ".parquet",
    REPORT: ".json",
    REPORT_TEXT: ".md",
    QUARANTINE: ".json",
}

_CAPTURED_AT = "%Y%m%dT%H%M%S%fZ"
_HOUR_LENGTH = len("2026-11-22T14")
_INCOMING = ".incoming"
_WRITING, _SENDING = "writing", "sending"
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]*")
_HOUR_NAME = re.compile(r"\d{4}-\d\d-\d\dT\d\d", re.ASCII)
_CAPTURE_NAME = re.compile(rf"{_HOUR_NAME.pattern}-\d{{8}}T\d{{12}}Z(~\d+)?", re.ASCII)
_NAME = dict.fromkeys(_FOLDER, _HOUR_NAME) | {RAW: _CAPTURE_NAME, QUARANTINE: _CAPTURE_NAME}


class _Taken(Exception):
    """The name that a new file was to have is another file's already."""


@dataclass(frozen=True, order=True)
class CaptureRef:
    """One stored capture. ``name`` is unique within its source and sorts by time."""

    hour: Hour
    name: str

    @property
    def captured_at(self) -> datetime:
        stamp = self.name[_HOUR_LENGTH + 1 :].partition("~")[0]
        return datetime.strptime(stamp, _CAPTURED_AT).replace(tzinfo=UTC)


@dataclass(frozen=True)
class Lake:
    """All sources under one folder, usually ``data/lake``."""

    root: Path

    def source(self, name: str) -> SourceLake:
        return SourceLake(self.root / _safe(name), name)


@dataclass(frozen=True)
class SourceLake:
    """The files of one source."""

    root: Path
    name: str

    # Where things are ------------------------------------------------------------------------

    def path(self, kind: str, hour: Hour, name: str | None = None) -> Path:
        """The file of ``hour`` (or of the capture called ``name`` in it) in the folder ``kind``."""
        return self.root / _FOLDER[kind] / f"month={hour.month}" / f"{name or hour.key}{_SUFFIX[kind]}"

    def raw(self, capture: CaptureRef) -> Path:
        return self.path(RAW, capture.hour, capture.name)

    def quarantine(self, capture: CaptureRef) -> Path:
        return self.path(QUARANTINE, capture.hour, capture.name)

    def exists(self, kind: str, hour: Hour) -> bool:
        return self.path(kind, hour).exists()

    # What there is ---------------------------------------------------------------------------

    def captures(self, first: Hour | None = None, last: Hour | None = None) -> list[CaptureRef]:
        """Every stored capture of a stretch of hours, in order of time."""
        return [CaptureRef(Hour.parse(name[:_HOUR_LENGTH]), name) for name in self._stretch(RAW, first, last)]

    def refused(self, first: Hour | None = None, last: Hour | None = None) -> list[CaptureRef]:
        """Every capture of a stretch of hours that has findings in quarantine, in order of time."""
        return [CaptureRef(Hour.parse(name[:_HOUR_LENGTH]), name) for name in self._stretch(QUARANTINE, first, last)]

    def accepted_hours(self, first: Hour | None = None, last: Hour | None = None) -> list[Hour]:
        """Every hour of a stretch with an accepted snapshot, in order of time."""
        return [Hour.parse(name) for name in self._stretch(VALIDATED, first, last)]

    def hours_with(self, kind: str, last: Hour | None = None) -> list[Hour]:
        """Every hour up to ``last`` that has its file of this kind, in order of time."""
        return [Hour.parse(name) for name in self._stretch(kind, None, last)]

    def last_capture(self, before: Hour | None = None) -> CaptureRef | None:
        """The newest capture, or the newest of an hour earlier than ``before``."""
        for month in reversed(self._months(RAW)):
            for name in reversed(self._names(RAW, month)):
                if before is None or name[:_HOUR_LENGTH] < before.key:
                    return CaptureRef(Hour.parse(name[:_HOUR_LENGTH]), name)
        return None

    def first_capture(self) -> CaptureRef | None:
        for month in self._months(RAW):
            for name in self._names(RAW, month):
                return CaptureRef(Hour.parse(name[:_HOUR_LENGTH]), name)
        return None

    def last_accepted(self, before: Hour | None = None) -> Hour | None:
        """The newest accepted hour, or the newest earlier than ``before``: looks into one folder as a rule."""
        for month in reversed(self._months(VALIDATED)):
            if before is not None and month > before.month:
                continue
            for name in reversed(self._names(VALIDATED, month)):
                if before is None or name < before.key:
                    return Hour.parse(name)
        return None

    def _stretch(self, kind: str, first: Hour | None, last: Hour | None) -> list[str]:
        return [
            name
            for month in self._months(kind)
            if (first is None or month >= first.month) and (last is None or month <= last.month)
            for name in self._names(kind, month)
            if (first is None or name[:_HOUR_LENGTH] >= first.key) and (last is None or name[:_HOUR_LENGTH] <= last.key)
        ]

    def _months(self, kind: str) -> list[str]:
        return sorted(entry.removeprefix("month=") for entry in _listing(self.root / _FOLDER[kind]) if "=" in entry)

    def _names(self, kind: str, month: str) -> list[str]:
        """The names in one folder, in order of time. Raises LakeFault for a file that is not of the lake."""
        suffix, folder = _SUFFIX[kind], self.root / _FOLDER[kind] / f"month={month}"
        names = sorted(
            entry.removesuffix(suffix)
            for entry in _listing(folder)
            if entry.endswith(suffix) and not entry.startswith(".")
        )
        for name in names:
            if not _NAME[kind].fullmatch(name):
                raise LakeFault(
                    f"{folder / name}{suffix} is no file that Ratchet wrote.", "Move it out of the lake and run again."
                )
        return names

    # Writing ---------------------------------------------------------------------------------

    @contextmanager
    def new_capture(self, hour: Hour, captured_at: datetime) -> Iterator[tuple[CaptureRef, BinaryIO]]:
        """Write a raw file that appears whole when the block ends without an error, and not otherwise.

        A second capture at the very same microsecond gets a name of its own (``~2``).
        """
        stem = f"{hour.key}-{captured_at.astimezone(UTC).strftime(_CAPTURED_AT)}"
        name, n = stem, 1
        while self.path(RAW, hour, name).exists():
            n += 1
            name = f"{stem}~{n}"
        capture = CaptureRef(hour, name)
        with self._publishing(self.raw(capture)) as file:
            yield capture, file

    def publish_generation(self, kind: str, hour: Hour, content: bytes) -> bool:
        """Make ``content`` the file of the hour. Returns False where it already is, byte for byte."""
        path = self.path(kind, hour)
        if not path.exists():
            return self.publish(path, content)
        with _lake_faults(path):
            if path.read_bytes() == content:
                return False
        self._link_into_superseded(kind, hour)
        self._replace(path, content)
        return True

    def supersede(self, kind: str, hour: Hour) -> bool:
        """Take the file of an hour out of what readers see; it stays in ``superseded/``."""
        path = self.path(kind, hour)
        if not path.exists():
            return False
        self._link_into_superseded(kind, hour)
        with _lake_faults(path):
            path.unlink()
            _sync_folder(path.parent)
        return True

    def generations(self, kind: str, hour: Hour) -> int:
        """How often the file of this hour was superseded."""
        numbered = re.compile(rf"{re.escape(hour.key)}\.(\d+){re.escape(_SUFFIX[kind])}")
        found = (numbered.fullmatch(entry) for entry in _listing(self._superseded_folder(kind, hour)))
        return max((int(number[1]) for number in found if number), default=0)

    def _superseded_folder(self, kind: str, hour: Hour) -> Path:
        return self.root / "superseded" / _FOLDER[kind] / f"month={hour.month}"

    def _link_into_superseded(self, kind: str, hour: Hour) -> None:
        path, folder = self.path(kind, hour), self._superseded_folder(kind, hour)
        done = self.generations(kind, hour)
        newest = folder / f"{hour.key}.{done}{_SUFFIX[kind]}"
        if newest.exists() and newest.samefile(path):
            return  # a kill between link and rename left this generation in both places
        with _lake_faults(path):
            _make_folder(folder)
            os.link(path, folder / f"{hour.key}.{done + 1}{_SUFFIX[kind]}")
            _sync_folder(folder)

    def publish(self, path: Path, content: bytes, by: str = _WRITING) -> bool:
        """Publish a file that is never replaced. Returns False where there is one already."""
        try:
            with self._publishing(path, by) as file:
                file.write(content)
        except _Taken:
            return False
        return True

    # Small records ---------------------------------------------------------------------------

    def correction_paths(self) -> list[Path]:
        """The owner's signed decisions in the order in which they were made."""
        folder = self.root / "corrections"
        return [folder / name for name in sorted(_listing(folder)) if name.endswith(".json")]

    def correction_path(self, made_at: datetime, identifier: str) -> Path:
        stamp = made_at.astimezone(UTC).strftime(_CAPTURED_AT)
        return self.root / "corrections" / f"{stamp}-{_safe(identifier)}.json"

    def note(self, name: str) -> Path:
        """A small mutable mark about the present (a dead session, a rebuild under way), never about the past."""
        return self.root / "notes" / f"{_safe(name)}.json"

    def read_note(self, name: str) -> dict[str, Any] | None:
        path = self.note(name)
        return read_json(path) if path.exists() else None

    def write_note(self, name: str, content: Mapping[str, Any]) -> None:
        self._replace(self.note(name), encode_json(content))

    def drop_note(self, name: str) -> None:
        with _lake_faults(self.note(name)):
            self.note(name).unlink(missing_ok=True)

    # Receipts: see notify.delivery.Receipts ----------------------------------------------------

    def has(self, key: str) -> bool:
        return self._receipt(key).exists()

    def put(self, key: str, receipt: Mapping[str, Any]) -> None:
        self.publish(self._receipt(key), encode_json(receipt), by=_SENDING)

    def receipts(self, first: Hour, channel: str) -> list[Path]:
        """The receipts of one channel for the hours from ``first`` on, found by their names, in order of time."""
        folder, ending = self.root / "receipts", f"--{channel}.json"
        names = sorted(name for name in _listing(folder) if name.endswith(ending))
        return [folder / name for name in names if name[:_HOUR_LENGTH] >= first.key]

    def superseded(self, kind: str, hour: Hour) -> list[Path]:
        """The former files of this hour, the first of all at the front: a message asks whether it is about news."""
        folder, done = self._superseded_folder(kind, hour), self.generations(kind, hour)
        return [folder / f"{hour.key}.{number}{_SUFFIX[kind]}" for number in range(1, done + 1)]

    def _receipt(self, key: str) -> Path:
        return self.root / "receipts" / f"{_safe(key)}.json"

    # One writer ------------------------------------------------------------------------------

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the source; sweeps what a killed writer left. Raises SourceBusy, never waits.

        May be entered again in the same thread.
        """
        with self._locked(_WRITING):
            yield

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Hold the source's messages. Raises SourceBusy, never waits."""
        with self._locked(_SENDING):
            yield

    @contextmanager
    def _locked(self, what: str) -> Iterator[None]:
        with _lake_faults(self.root):
            _make_folder(self.root)
        lock: BaseFileLock = FileLock(self.root / f".{what}.lock", timeout=0, is_singleton=True)
        try:
            lock.acquire()
        except Timeout:
            raise SourceBusy(
                f"Another process is {what} for the source '{self.name}'.",
                "Wait until it ends; a process that died holds no lock.",
            ) from None
        except OSError as fault:
            raise _as_lake_fault(self.root, fault) from fault
        try:
            if lock.lock_counter == 1:
                self._sweep(what)
            yield
        finally:
            lock.release()

    @contextmanager
    def _publishing(self, path: Path, by: str = _WRITING) -> Iterator[BinaryIO]:
        """Write a new file that appears whole at ``path`` or not at all. Raises _Taken, LakeFault."""
        with self._temporary(path, by) as (temporary, file):
            yield file
            _sync(file)
            _make_folder(path.parent)
            try:
                os.link(temporary, path)
            except FileExistsError:
                raise _Taken from None
            _sync_folder(path.parent)

    def _replace(self, path: Path, content: bytes) -> None:
        with self._temporary(path, _WRITING) as (temporary, file):
            file.write(content)
            _sync(file)
            _make_folder(path.parent)
            temporary.rename(path)
            _sync_folder(path.parent)

    @contextmanager
    def _temporary(self, path: Path, by: str) -> Iterator[tuple[Path, BinaryIO]]:
        """A file for what will be ``path``. What the disk says to any write of its user is a LakeFault."""
        temporary = self.root / _INCOMING / by / path.name
        with _lake_faults(path):
            _make_folder(temporary.parent)
            file = temporary.open("xb")
            try:
                with file:
                    yield temporary, file
            finally:
                temporary.unlink(missing_ok=True)

    def _sweep(self, by: str) -> None:
        """Whoever holds the lock is the only writer, so what lies here was left by a killed one."""
        folder = self.root / _INCOMING / by
        with _lake_faults(folder):
            for orphan in _listing(folder):
                (folder / orphan).unlink(missing_ok=True)


def encode_json(content: Mapping[str, Any] | msgspec.Struct) -> bytes:
    """JSON as the lake writes it: two spaces, a final newline, the same bytes for the same content."""
    return msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object of the lake. Raises LakeFault where the file is damaged or unreadable."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except ValueError as fault:
        raise damaged(path, str(fault)) from fault
    except OSError as fault:
        raise _as_lake_fault(path, fault) from fault


def damaged(path: Path, what: str) -> LakeFault:
    return LakeFault(f"{path} is damaged: {what}", "Restore the file from a backup; nothing was changed.")


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _make_folder(folder: Path) -> None:
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for made in missing:
        _sync_folder(made.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _listing(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208  a third of the time for a month of hours
    except FileNotFoundError:
        return []
    except OSError as fault:
        raise _as_lake_fault(folder, fault) from fault


def _safe(name: str) -> str:
    if not _SAFE_NAME.fullmatch(name):
        raise LakeFault(f"{name!r} cannot be a file name in the lake.", "Use letters, digits, '.', '-' and '_'.")
    return name


@contextmanager
def _lake_faults(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as fault:
        raise _as_lake_fault(path, fault) from fault


def _as_lake_fault(path: Path, fault: OSError) -> LakeFault:
    return LakeFault(
        f"The lake cannot be used at {path}: {fault.strerror or fault}",
        "Check the disk's space and the folder's owner; nothing accepted was changed.",
    )
