"""Files as bytes: those that are there, those that ought to be, and the checksums recorded of both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from pipeline.core import archives, checksums
from pipeline.core.errors import LakeFault
from pipeline.core.files import lake_faults, listing
from pipeline.core.hours import Hour
from pipeline.core.lake import (
    FOLDERS,
    PACKED,
    QUARANTINE,
    RAW,
    SIGNALS,
    CaptureRef,
    SourceLake,
    hour_in,
)
from pipeline.core.verify.faults import Fault, Found, Remedy

_RECORDS = ("corrections", "marks", "receipts", "lost", "incidents", "refused_records")
_IMMUTABLE = ("corrections/", "marks/", "receipts/", "lost/")
_CHANGED = "its bytes are not those that were recorded when it was published"
_MISSING = "it was published and is not there"


def stored_month(lake: SourceLake, month: str) -> Found:
    """The files of the hours of one month, their former generations, and its archive."""
    found, recorded = Found(), checksums.read(lake.root, month)
    for folder in FOLDERS:
        for entry in sorted(listing(lake.folder(folder, month))):
            _look_at(lake, f"{folder}/month={month}/{entry}", recorded, found)
    for folder in FOLDERS:
        _look_at_superseded(lake, f"{folder}/month={month}", recorded, found)
    found.faults += _missing(lake, recorded)
    _look_at_archive(lake, month, found)
    return found


def stored_records(lake: SourceLake) -> Found:
    """Corrections, marks, receipts, incidents and losses: whether each is a record, and the one that was published."""
    found, recorded = Found(), checksums.read(lake.root, checksums.RECORDS)
    for folder in _RECORDS:
        for entry in sorted(listing(lake.root / folder)):
            file = f"{folder}/{entry}"
            found.files += 1
            known = recorded.digests.get(file)
            with lake_faults(lake.root / file):
                content = (lake.root / file).read_bytes()
            if known is not None and checksums.digest_of(lake.root / file) not in known:
                found.faults.append(Fault(file, _CHANGED, Remedy.BACKUP))
            elif not _is_json(content):
                found.faults.append(Fault(file, "it is no JSON object", Remedy.BACKUP))
            elif known is None:
                found.unrecorded.append(file)
    for file, digests in recorded.digests.items():
        gone = file.startswith(_IMMUTABLE) and not (lake.root / file).exists()
        if gone and any(digest not in recorded.withdrawn for digest in digests):
            found.faults.append(Fault(file, _MISSING, Remedy.BACKUP))
    return found


def fault_of(lake: SourceLake, file: str, what: str) -> Fault:
    """The fault of a file of an hour, with what can be done about it."""
    kind_and_name = lake.kind_of(file)
    if kind_and_name is None:
        return Fault(file, what, Remedy.MOVE)
    kind, name = kind_and_name
    remedy = Remedy.LOSS if kind == RAW else Remedy.REMAKE
    return Fault(file, what, remedy, kind, hour_in(name))


def _look_at(lake: SourceLake, file: str, recorded: checksums.Recorded, found: Found) -> None:
    if file.rpartition("/")[2].startswith(".") or _is_table(lake, file):
        return
    found.files += 1
    if lake.kind_of(file) is None:
        found.faults.append(fault_of(lake, file, "it is no file that Ratchet wrote"))
        return
    known = recorded.digests.get(file)
    if known is None:
        found.unrecorded.append(file)
        return
    with lake_faults(lake.root / file):
        digest = checksums.digest_of(lake.root / file)
    if digest not in known:
        found.faults.append(fault_of(lake, file, _CHANGED))


def _look_at_superseded(lake: SourceLake, folder: str, recorded: checksums.Recorded, found: Found) -> None:
    for entry in sorted(listing(lake.root / "superseded" / folder)):
        name, _, rest = entry.partition(".")
        number, _, suffix = rest.partition(".")
        known = recorded.digests.get(f"{folder}/{name}.{suffix}")
        if number == "damaged" or known is None:
            continue
        found.files += 1
        path = lake.root / "superseded" / folder / entry
        with lake_faults(path):
            digest = checksums.digest_of(path)
        if digest not in known:
            found.faults.append(Fault(f"superseded/{folder}/{entry}", _CHANGED, Remedy.BACKUP))


def _missing(lake: SourceLake, recorded: checksums.Recorded) -> Iterator[Fault]:
    """What was published and is neither in its place nor packed nor superseded nor known to be lost."""
    for file, digests in recorded.digests.items():
        kind_and_name = lake.kind_of(file)
        if kind_and_name is None or (lake.root / file).exists():
            continue
        kind, name = kind_and_name
        hour = hour_in(name)
        appeared = [digest for digest in digests if digest not in recorded.withdrawn]
        if not appeared or lake.exists(kind, hour, name) or _is_known_to_be_lost(lake, kind, hour, name):
            continue
        if kind in (RAW, QUARANTINE, SIGNALS) or appeared[-1] not in _superseded_digests(lake, kind, hour):
            yield fault_of(lake, file, _MISSING)


def _superseded_digests(lake: SourceLake, kind: str, hour: Hour) -> set[str]:
    with lake_faults(lake.root):
        return {checksums.digest_of(path) for path in lake.superseded(kind, hour)}


def _is_known_to_be_lost(lake: SourceLake, kind: str, hour: Hour, name: str) -> bool:
    """A capture whose loss was recorded; or what was made of it, where the hour has no other."""
    if kind in (RAW, QUARANTINE) or (kind == SIGNALS and name != hour.key):
        return lake.lost_path(CaptureRef(hour, name)).exists()
    return any(loss.startswith(f"{hour.key}-") for loss in listing(lake.root / "lost")) and not lake.captures(
        hour, hour
    )


def _is_table(lake: SourceLake, file: str) -> bool:
    month = file.rpartition("month=")[2].partition("/")[0]
    packed = archives.packed(lake.root, month)
    return packed is not None and file in packed.index.tables


def _look_at_archive(lake: SourceLake, month: str, found: Found) -> None:
    try:
        packed = archives.packed(lake.root, month)
        if packed is None:
            return
        archive = lake.archive(month)
        with lake_faults(archive):
            digest = checksums.digest_of(archive)
    except LakeFault as fault:
        found.faults.append(Fault(f"{archives.FOLDER}/{month}", fault.what, Remedy.BACKUP))
        return
    found.files += sum(len(packed.members.get(kind, ())) for kind in PACKED)
    if digest != packed.index.sha256:
        found.faults.append(Fault(f"{archives.FOLDER}/{packed.index.archive}", _CHANGED, Remedy.BACKUP))
        return
    if lake.packing(month).exists():
        found.notes.append(f"{month} is half packed; nothing is lost. Run: ratchet compact {lake.name}")
        return
    for table, digest in packed.index.tables.items():
        found.files += 1
        if not _holds(lake.root / table, digest):
            found.faults.append(Fault(table, "it is not the table that was made of the archive", Remedy.TABLE))


def _holds(path: Path, digest: str) -> bool:
    with lake_faults(path):
        return path.exists() and checksums.digest_of(path) == digest


def _is_json(content: bytes) -> bool:
    try:
        return isinstance(msgspec.json.decode(content), dict)
    except ValueError:
        return False
