"""Repairing what verifying found, from what is still sound: raw captures, corrections and archives.

A damaged file is set aside under ``superseded/`` and its hour is settled again, by the terms of its
time. Where the file comes out as it was published, by its checksum, no other hour is touched; where
not, every hour after it is settled as well. A raw capture is nobody's to make again: its loss is
recorded, and what was accepted of it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from pipeline.core import checksums, history
from pipeline.core.compact import compact
from pipeline.core.errors import LakeFault, NothingAccepted
from pipeline.core.files import encode_json
from pipeline.core.hours import Hour, format_time
from pipeline.core.lake import DELTA, REPORT, REPORT_TEXT, SIGNALS, VALIDATED, CaptureRef, SourceLake, hour_in
from pipeline.core.lineage import read_lineage
from pipeline.core.model import Source
from pipeline.core.records import Terms
from pipeline.core.unsettled import REBUILD, plan_rebuild, planned_rebuild, unsettled_from
from pipeline.core.untold import remember_untold
from pipeline.core.verify.checking import verify
from pipeline.core.verify.faults import Fault, Found, Remedy

_MADE_OF_SNAPSHOT = {DELTA, REPORT, REPORT_TEXT}


def repair(lake: SourceLake, source: Source, now: datetime, done: Callable[[str], None] = lambda what: None) -> Found:
    """Make again what can be, and verify once more; the caller holds `SourceLake.writing` and `sending`.

    Returns what was found at first. Where that is no fault, what an interrupted run left is finished. Checksums that
    nobody recorded are recorded where all else is sound.
    """
    found = verify(lake, done)
    for fault in found.faults:
        if fault.remedy is Remedy.LOSS:
            _record_loss(lake, fault, now)
    tables = {fault.file.rpartition("month=")[2][:7] for fault in found.faults if fault.remedy is Remedy.TABLE}
    for month in sorted(tables):
        lake.unpack(month)
        compact(lake, month)
    to_remake = [fault for fault in found.faults if fault.remedy is Remedy.REMAKE]
    _remake(lake, source, [fault for fault in to_remake if fault.kind != SIGNALS])
    for fault in to_remake:
        if fault.kind == SIGNALS:
            _remake_signals(lake, source, fault)
    _take_out_what_is_lost(lake, source, found.faults)
    if not found.faults:
        found.finished_from = _finish(lake, source)
    doubtful = {fault.file for fault in found.faults}
    for file in found.unrecorded:
        if file not in doubtful and (lake.root / file).exists():
            checksums.record(lake.root, lake.root / file, checksums.digest_of(lake.root / file))
    return found


def _finish(lake: SourceLake, source: Source) -> Hour | None:
    left = unsettled_from(lake)
    if left is not None:
        remember_untold(lake, history.finish_interrupted(lake, source))
    return left


def _record_loss(lake: SourceLake, fault: Fault, now: datetime) -> None:
    name = fault.file.rpartition("/")[2].partition(".")[0]
    capture = CaptureRef.named(name)
    loss = {"capture": name, "hour": capture.hour.key, "what": fault.what, "recorded_at": format_time(now)}
    lake.publish(lake.lost_path(capture), encode_json(loss))
    if (lake.root / fault.file).exists():
        lake.set_aside(fault.file)


def _remake(lake: SourceLake, source: Source, faults: Iterable[Fault]) -> None:
    by_hour: dict[Hour, list[Fault]] = {}
    for fault in faults:
        if fault.hour is not None:
            by_hour.setdefault(fault.hour, []).append(fault)
    if not by_hour:
        return
    planned = planned_rebuild(lake)
    plan_rebuild(lake, min(by_hour))
    changed = [hour for hour, of_hour in sorted(by_hour.items()) if not _remake_hour(lake, source, hour, of_hour)]
    if changed:
        for _ in history.settle(lake, source, min([*changed, *([planned] if planned else [])])):
            pass
    elif planned is None:
        lake.drop_note(REBUILD)


def _remake_hour(lake: SourceLake, source: Source, hour: Hour, faults: list[Fault]) -> bool:
    """Make an hour's files again; whether each came out as it was published, so that no later hour is concerned."""
    recorded = checksums.read(lake.root, hour.month).digests
    of_the_time = _terms(lake, hour)
    for fault in faults:
        if (lake.root / fault.file).exists():
            lake.set_aside(fault.file)
    if {fault.kind for fault in faults} <= _MADE_OF_SNAPSHOT:
        history.publish_delta(lake, hour)
        history.publish_report(lake, source, hour)
    elif of_the_time is not None:
        then = replace(source, counters=of_the_time.counters, bounds=of_the_time.bounds, rules=of_the_time.rules)
        history.settle_hour(lake, then, hour)
    else:
        history.settle_hour(lake, source, hour)
    return all(
        (lake.root / fault.file).exists()
        and checksums.digest_of(lake.root / fault.file) in recorded.get(fault.file, ())
        for fault in faults
    )


def _remake_signals(lake: SourceLake, source: Source, fault: Fault) -> None:
    """Measure again what can be measured again: the durations are gone, and so is all of a capture that is lost."""
    if (lake.root / fault.file).exists():
        lake.set_aside(fault.file)
    name = fault.file.rpartition("/")[2].removesuffix(".json")
    hour = hour_in(name)
    with suppress(LakeFault, NothingAccepted):
        history.measure_again(lake, source, hour, name)


def _terms(lake: SourceLake, hour: Hour) -> Terms | None:
    """The terms of an hour whose snapshot is damaged: from its own footer, else those of its nearest neighbour."""
    accepted = lake.accepted_hours()
    near = sorted(accepted, key=lambda other: (abs(other - hour), other))
    for other in near[:20]:
        try:
            return read_lineage(lake.path(VALIDATED, other)).terms
        except LakeFault:
            continue
    return None


def _take_out_what_is_lost(lake: SourceLake, source: Source, faults: Iterable[Fault]) -> None:
    """An hour whose snapshot is damaged and whose raw capture is lost becomes a gap, which concerns those after it."""
    hours = {fault.hour for fault in faults if fault.kind == VALIDATED and fault.hour is not None}
    gone = sorted(hour for hour in hours if not lake.exists(VALIDATED, hour) and not lake.captures(hour, hour))
    for hour in gone:
        plan_rebuild(lake, hour)
        for kind in (REPORT_TEXT, REPORT, DELTA):
            lake.supersede(kind, hour)
    if gone:
        for _ in history.settle(lake, source, gone[0]):
            pass
