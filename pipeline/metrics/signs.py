"""The vital signs of one source, and of the project, as they stand in the lake.

`History` follows from files that do not change and is read again only where a folder of theirs did: once an hour as a
rule. `Present` is a handful of small files, read at each scrape.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import msgspec

from pipeline.core import archives
from pipeline.core.files import listing
from pipeline.core.hours import Hour
from pipeline.core.incidents.book import Book, Incident
from pipeline.core.incidents.notes import CHANNEL, Failing, read_note
from pipeline.core.lake import (
    DELTA,
    FOLDERS,
    QUARANTINE,
    RAW,
    REPORT,
    VALIDATED,
    CaptureRef,
    SourceLake,
)
from pipeline.core.ledger import read_ledger
from pipeline.core.lineage import read_lineage
from pipeline.core.model import HourState, Source
from pipeline.core.policy import Trend
from pipeline.core.records import Signals, decode
from pipeline.core.signals.drift import drifts
from pipeline.core.signals.series import WINDOW_HOURS, is_capture, measured, measured_before, read_signals
from pipeline.core.snapshots import read_table
from pipeline.core.text import legible
from pipeline.metrics.chosen import chosen
from pipeline.metrics.stamps import Kept, Sizes, Stamp, stamp, stamps


class _Crossed(msgspec.Struct, frozen=True):
    """Of a crossing in a report what is counted."""

    rule: str
    counter: str


class _Crossings(msgspec.Struct, frozen=True):
    crossings: tuple[_Crossed, ...]


@dataclass(frozen=True)
class Item:
    """An item of the newest accepted snapshot; a counter is missing where it is not known."""

    item_id: str
    title: str
    counts: Mapping[str, int]
    per_minute: Mapping[str, float]


@dataclass(frozen=True)
class History:
    """``captures``: by their verdict. ``signals``: of the newest capture and, after it, of the newest delta."""

    hours: Mapping[HourState, int]
    captures: Mapping[str, int]
    last_accepted_at: datetime | None
    credential_expires: datetime | None
    crossings: Mapping[_Crossed, int]
    items: Sequence[Item]
    left_out: int
    signals: Sequence[Signals]
    drifting: int


@dataclass(frozen=True)
class Present:
    """``sent``: messages by channel. ``failing``: by channel how often in a row it took none."""

    sent: Mapping[str, int]
    failing: Mapping[str, int]
    bytes: int


@dataclass
class SourceSigns:
    """Reads one source. ``most_items``: so many of its items at most, which `chosen` chooses."""

    lake: SourceLake
    most_items: int
    _history: Kept[History] = field(default_factory=Kept)
    _small: SmallSigns = field(init=False)
    _crossings: dict[str, MonthCrossings] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._small = SmallSigns(self.lake)

    def history(self, source: Source, now: datetime) -> History:
        """Raises LakeFault where a file is damaged."""
        folders = [self.lake.root / kind for kind in FOLDERS] + [self.lake.root / archives.FOLDER]
        key = (Hour.of(now), source.counter_names, source.end)
        return self._history.get(key, stamps(folders), lambda: self._read(source, now))

    def present(self) -> Present:
        """What changes between the hours. Raises LakeFault."""
        return self._small.read()

    def _read(self, source: Source, now: datetime) -> History:
        lake, last = self.lake, self.lake.last_accepted()
        ledger = read_ledger(lake, source, now)
        accepted, refused = self._count(VALIDATED), self._count(QUARANTINE)
        captures = {"accepted": accepted, "refused": refused}
        captures["unjudged"] = max(0, self._count(RAW) - accepted - refused)
        lineage = read_lineage(lake.path(VALIDATED, last)) if last is not None else None
        items, left_out = self._items(last, source) if last is not None else ([], 0)
        signals = self._signals()
        newest = measured(signals[0]) if signals and signals[0].volume is not None else None
        before = measured_before(lake, _capture(newest.signals)) if newest is not None else []
        return History(
            hours={state: ledger.count(state) for state in HourState},
            captures=captures,
            last_accepted_at=CaptureRef(last, lineage.capture).captured_at if last and lineage else None,
            credential_expires=lineage.credential_expires if lineage else None,
            crossings=self._count_crossings(),
            items=items,
            left_out=left_out,
            signals=signals,
            drifting=len(drifts(newest, before)) if newest is not None else 0,
        )

    def _count(self, kind: str) -> int:
        return sum(len(self.lake.names(kind, month)) for month in self.lake.months(kind))

    def _count_crossings(self) -> Counter[_Crossed]:
        total: Counter[_Crossed] = Counter()
        for month in self.lake.months(REPORT):
            kept, folder = self._crossings.setdefault(month, MonthCrossings()), self.lake.folder(REPORT, month)
            index = archives.index_path(self.lake.root, month)
            total.update(kept.read(self.lake, month, (stamp(folder), stamp(index))))
        return total

    def _items(self, hour: Hour, source: Source) -> tuple[list[Item], int]:
        snapshot = read_table(self.lake.path(VALIDATED, hour))
        counters = [name for name in source.counter_names if name in snapshot.column_names]
        rows = {row["item_id"]: row for row in snapshot.select(["item_id", "title", *counters]).to_pylist()}
        counts = {item: {name: row[name] for name in counters if row[name] is not None} for item, row in rows.items()}
        wanted = chosen(counts, source.counter_names, self.most_items)
        rates = self._rates(hour, source, set(wanted))
        items = [Item(item, legible(rows[item]["title"] or item), counts[item], rates.get(item, {})) for item in wanted]
        return items, len(rows) - len(items)

    def _rates(self, hour: Hour, source: Source, wanted: set[str]) -> dict[str, dict[str, float]]:
        """Of counters: what a value changed by is no gain."""
        if not self.lake.exists(DELTA, hour):
            return {}
        delta = read_table(self.lake.path(DELTA, hour))
        counters = (counter.name for counter in source.counters if counter.policy.trend is not Trend.GAUGE)
        names = [name for counter in counters if (name := f"{counter}_per_hour") in delta.column_names]
        rows = delta.select(["item_id", *names]).to_pylist()
        return {
            row["item_id"]: {name.removesuffix("_per_hour"): row[name] / 60 for name in names if row[name] is not None}
            for row in rows
            if row["item_id"] in wanted
        }

    def _signals(self) -> list[Signals]:
        last = self.lake.last_capture()
        names = self.lake.signal_names(last.hour + -WINDOW_HOURS) if last is not None else []
        captures = [name for name in names if is_capture(name)]
        deltas = [name for name in names if not is_capture(name)]
        return [read_signals(self.lake, name) for name in (*captures[-1:], *deltas[-1:])]


@dataclass
class MonthCrossings:
    """The crossings of one month: each report is decoded once, and once more where its hour was made again."""

    _of_hours: dict[str, tuple[object, Counter[_Crossed]]] = field(default_factory=dict)
    _kept: Kept[Counter[_Crossed]] = field(default_factory=Kept)

    def read(self, lake: SourceLake, month: str, folders: tuple[Stamp, ...]) -> Counter[_Crossed]:
        """How often each threshold was crossed, again only if ``folders`` changed. Raises LakeFault."""
        return self._kept.get(None, folders, lambda: self._count(lake, month))

    def _count(self, lake: SourceLake, month: str) -> Counter[_Crossed]:
        known, self._of_hours, total = self._of_hours, {}, Counter[_Crossed]()
        for name in lake.names(REPORT, month):
            hour = Hour.parse(name)
            now = lake.stamp(REPORT, hour)
            found = known.get(name)
            if found is None or found[0] != now:
                found = now, Counter(decode(lake.path(REPORT, hour), _Crossings).crossings)
            self._of_hours[name] = found
            total.update(found[1])
        return total


@dataclass
class SmallSigns:
    """The receipts, the failing channels and the size of one sender: a source, or the project."""

    lake: SourceLake
    _sent: Kept[Mapping[str, int]] = field(default_factory=Kept)
    _sizes: Sizes = field(default_factory=Sizes)

    def read(self) -> Present:
        """What stands there now. Raises LakeFault."""
        receipts: tuple[Stamp, ...] = (stamp(self.lake.root / "receipts"),)
        failing = {
            name.removeprefix(CHANNEL): note.times
            for name in self.lake.note_names(CHANNEL)
            if (note := _note(self.lake, name)) is not None
        }
        return Present(self._sent.get(None, receipts, self._count_sent), failing, self._sizes.of(self.lake.root))

    def _count_sent(self) -> Mapping[str, int]:
        names = (name for name in listing(self.lake.root / "receipts") if name.endswith(".json"))
        return Counter(name.removesuffix(".json").rpartition("--")[2] for name in names)


@dataclass
class OpenIncidents:
    """The incidents of all sources that are open."""

    lake: SourceLake
    _open: Kept[Sequence[Incident]] = field(default_factory=Kept)

    def read(self) -> Sequence[Incident]:
        """The incidents that are open now. Raises LakeFault."""
        folder: Path = self.lake.root / "incidents"
        return self._open.get(None, (stamp(folder),), Book(self.lake).open_incidents)


def _note(lake: SourceLake, name: str) -> Failing | None:
    """None where it is dropped just now: nobody holds a lock here."""
    return read_note(lake, name, Failing)


def _capture(signals: Signals) -> CaptureRef:
    return CaptureRef(Hour.parse(signals.hour), signals.capture)
