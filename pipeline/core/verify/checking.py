"""Verifying a source: month by month beside its writers, and what looks wrong once more while it is held.

Files can come and go while they are looked at. So nothing is called a fault before it was found a
second time under the source's locks, where what a killed process left has been swept as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pyarrow as pa

from pipeline.core import archives, checksums
from pipeline.core.errors import LakeFault
from pipeline.core.files import lake_faults, listing
from pipeline.core.history import read_report
from pipeline.core.hours import Hour
from pipeline.core.lake import (
    DELTA,
    KINDS,
    QUARANTINE,
    RAW,
    REPORT,
    REPORT_TEXT,
    SIGNALS,
    VALIDATED,
    CaptureRef,
    SourceLake,
    hour_in,
)
from pipeline.core.lineage import lineage_in
from pipeline.core.records import Quarantine, Signals, decode
from pipeline.core.unsettled import planned_rebuild
from pipeline.core.verify.contents import (
    Judged,
    capture_disagreement,
    not_conserving,
    read_parquet,
    report_disagreement,
    snapshot_disagreement,
)
from pipeline.core.verify.faults import Fault, Found, Remedy
from pipeline.core.verify.stored import fault_of, stored_month, stored_records


def months_to_verify(lake: SourceLake) -> list[str]:
    """Every month that has files, or of which any were recorded."""
    found = checksums.months(lake.root).union(archives.packed_months(lake.root))
    return sorted(found.union(*(lake.months(kind) for kind in KINDS)))


def verify(lake: SourceLake, done: Callable[[str], None] = lambda month: None) -> Found:
    """Everything of a source; ``done`` hears of every month.

    Raises SourceBusy where something looks wrong while another process works on the source, and LakeFault
    where the lake cannot be read at all.
    """
    found, suspects = Found(), list[str]()
    for month in months_to_verify(lake):
        seen = verify_month(lake, month)
        if seen.faults:
            suspects.append(month)
        else:
            found.add(seen)
        done(month)
    records = stored_records(lake)
    if suspects or records.faults:
        with lake.writing(), lake.sending():
            for month in suspects:
                found.add(verify_month(lake, month))
            records = stored_records(lake)
    found.add(records)
    return found


def verify_month(lake: SourceLake, month: str) -> Found:
    """One month of a source: its files as bytes, then what those of its hours say that are not packed.

    Raises LakeFault where the lake cannot be read at all.
    """
    found = stored_month(lake, month)
    _Month(lake, month, found).look()
    found.one_per_file()
    return found


@dataclass
class _Month:
    """The contents of a month's files that lie in their place."""

    lake: SourceLake
    month: str
    found: Found
    corrections: frozenset[str] = frozenset()
    unsettled: Hour | None = None
    """The first hour of a rebuild that was interrupted: from there on files need not fit each other yet."""
    names: dict[str, list[str]] = field(default_factory=dict)
    last: tuple[str, pa.Table] | None = None
    """The hour of the last snapshot that was read, and it: the next one's predecessor as a rule."""

    def look(self) -> None:
        self.names = {kind: list(self._in_place(kind)) for kind in KINDS}
        self.unsettled = planned_rebuild(self.lake)
        self.corrections = frozenset(path.stem.rpartition("-")[2] for path in self.lake.correction_paths())
        for name in self.names[RAW]:
            self._look_at_capture(CaptureRef.named(name))
        for name in self.names[QUARANTINE]:
            self._look_at_quarantine(CaptureRef.named(name))
        for name in self.names[SIGNALS]:
            self._look_at_signals(name)
        self._look_for_orphans()
        for hour, why in not_conserving(self._hours()):
            self._fault(DELTA, hour, why)

    def _in_place(self, kind: str) -> Iterator[str]:
        folder = self.lake.folder(kind, self.month)
        for entry in sorted(listing(folder)):
            kind_and_name = self.lake.kind_of((folder / entry).relative_to(self.lake.root).as_posix())
            if kind_and_name is not None and kind_and_name[0] == kind:
                yield kind_and_name[1]

    def _look_at_capture(self, capture: CaptureRef) -> None:
        try:
            wrong = capture_disagreement(self.lake, capture)
        except LakeFault as fault:
            wrong = fault.what
        if wrong:
            self._fault(RAW, capture.hour, wrong, capture.name)

    def _look_at_quarantine(self, capture: CaptureRef) -> None:
        try:
            record = decode(self.lake.quarantine(capture), Quarantine)
        except LakeFault as fault:
            self._fault(QUARANTINE, capture.hour, fault.what, capture.name)
            return
        if record.capture != capture.name:
            self._fault(QUARANTINE, capture.hour, "it is of another capture", capture.name)
        self._require_capture(capture)

    def _look_at_signals(self, name: str) -> None:
        hour = hour_in(name)
        try:
            record = decode(self.lake.path(SIGNALS, hour, name), Signals)
        except LakeFault as fault:
            self._fault(SIGNALS, hour, fault.what, name)
            return
        if name not in (record.capture, record.hour) or (name == record.hour) != (record.volume is None):
            self._fault(SIGNALS, hour, "it is of another capture", name)

    def _require_capture(self, capture: CaptureRef) -> None:
        there = self.lake.exists(RAW, capture.hour, capture.name)
        if self.lake.lost_path(capture).exists():
            if not there:
                self.found.notes.append(f"{capture.name}: the raw capture is lost, as was recorded.")
        elif not there:
            self._fault(RAW, capture.hour, "the capture that it was made from is not there", capture.name)

    def _look_for_orphans(self) -> None:
        accepted = set(self.names[VALIDATED])
        for kind in (DELTA, REPORT, REPORT_TEXT):
            for name in self.names[kind]:
                hour = Hour.parse(name)
                if name not in accepted and not self.lake.exists(VALIDATED, hour):
                    self._fault(VALIDATED, hour, f"the hour has its {kind} and not the snapshot that it was made from")

    def _hours(self) -> Iterator[Judged]:
        """The accepted hours whose snapshot and delta can be read, each after its own faults were told."""
        for name in self.names[VALIDATED]:
            hour = Hour.parse(name)
            judged = self._judged(hour)
            if judged is not None:
                yield judged

    def _judged(self, hour: Hour) -> Judged | None:
        path = self.lake.place(VALIDATED, hour)
        try:
            snapshot = read_parquet(path)
            lineage = lineage_in(snapshot.schema, path)
            wrong = snapshot_disagreement(hour, lineage, snapshot)
        except LakeFault as fault:
            wrong = fault.what
        if wrong:
            self._fault(VALIDATED, hour, wrong)
            return None
        if self.unsettled is not None and hour >= self.unsettled:
            self.found.notes.append(f"{hour.key} is being made again; the next start finishes it.")
            return None
        self._require_capture(CaptureRef(hour, lineage.capture))
        for missing in set(lineage.corrections) - self.corrections:
            self.found.faults.append(
                Fault(f"corrections/{missing}", f"{hour.key} was made by it and it is not there", Remedy.BACKUP)
            )
        previous = self._previous(lineage.previous_hour, hour)
        self.last = (hour.key, snapshot)
        if not all(self.lake.exists(kind, hour) for kind in (DELTA, REPORT, REPORT_TEXT)):
            self.found.notes.append(f"{hour.key} is not finished yet; the next start does it.")
            return None
        delta = self._delta(hour)
        if delta is None or (lineage.previous_hour and previous is None):
            return None
        judged = Judged(hour, lineage, snapshot, delta, previous)
        self._look_at_report(judged)
        return judged

    def _previous(self, previous_hour: str | None, hour: Hour) -> pa.Table | None:
        if previous_hour is None:
            return None
        if self.last is not None and self.last[0] == previous_hour:
            return self.last[1]
        previous = Hour.parse(previous_hour)
        try:
            if self.lake.exists(VALIDATED, previous):
                return read_parquet(self.lake.path(VALIDATED, previous))
        except LakeFault:
            return None  # told where that hour is looked at
        self._fault(VALIDATED, previous, f"{hour.key} follows it and it is not there")
        return None

    def _delta(self, hour: Hour) -> pa.Table | None:
        try:
            return read_parquet(self.lake.path(DELTA, hour))
        except LakeFault as fault:
            self._fault(DELTA, hour, fault.what)
            return None

    def _look_at_report(self, judged: Judged) -> None:
        try:
            wrong = report_disagreement(read_report(self.lake, judged.hour), judged)
        except KeyError as fault:
            wrong = f"it speaks of {fault}, which its snapshot or delta lacks"
        except LakeFault as fault:
            wrong = fault.what
        if wrong:
            self._fault(REPORT, judged.hour, wrong)
        text = self.lake.path(REPORT_TEXT, judged.hour)
        with lake_faults(text):
            content = text.read_bytes()
        try:
            content.decode()
        except UnicodeDecodeError as fault:
            self._fault(REPORT_TEXT, judged.hour, str(fault))

    def _fault(self, kind: str, hour: Hour, what: str, name: str | None = None) -> None:
        file = self.lake.place(kind, hour, name).relative_to(self.lake.root).as_posix()
        self.found.faults.append(fault_of(self.lake, file, what))
