"""The vital signs as metric families, made anew at each scrape. docs/metrics.md lists them.

One source that cannot be read takes no other with it: `ratchet_scrape_fault` says so, and what is known of it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from time import perf_counter

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pipeline.core.credential import days_left
from pipeline.core.errors import RatchetError
from pipeline.core.incidents.notes import place
from pipeline.core.model import Source
from pipeline.core.project import Project
from pipeline.metrics.chosen import chosen
from pipeline.metrics.live import LiveCounts
from pipeline.metrics.signs import History, OpenIncidents, Present, SmallSigns, SourceSigns
from pipeline.metrics.sources import KnownSources

GAUGES = {
    "hours": ("Hours of the ledger by their state.", ["source", "state"]),
    "captures": ("Captures in the lake by their verdict.", ["source", "result"]),
    "awaited": ("Whether the present hour should bring a capture.", ["source"]),
    "last_accepted_timestamp_seconds": ("When the last accepted capture began.", ["source"]),
    "last_accepted_age_seconds": ("How long ago the last accepted capture began.", ["source"]),
    "capture_duration_seconds": ("From the first request of the newest capture to its last reply.", ["source"]),
    "capture_late_seconds": ("How long after the source's minute the newest capture began.", ["source"]),
    "capture_items": ("Items that the newest capture held.", ["source"]),
    "missing_share": ("Share of the items of the newest capture that lack a field.", ["source", "column"]),
    "check_passed": ("Whether the check passed, in the newest capture or delta.", ["source", "check"]),
    "check_failing_items": ("Items that the check named, whether it passed or not.", ["source", "check"]),
    "check_duration_seconds": ("How long the check took.", ["source", "check"]),
    "drifts": ("What the newest capture measures unlike earlier ones.", ["source"]),
    "credential_days": ("Days until the credential ends.", ["source"]),
    "messages": (
        "Messages that a channel took, or attempts in a row that failed.",
        ["source", "channel", "result"],
    ),
    "incidents_open": ("Incidents that are open.", ["subject", "cause"]),
    "lake_bytes": ("Bytes of the files of the lake.", ["source"]),
    "spool_dropped_events": ("Events that programs could not write into their spool.", ["source"]),
    "count": ("The last known value of a counter.", ["source", "item", "counter"]),
    "count_per_minute": ("What a counter gained by the minute, over the last delta.", ["source", "item", "counter"]),
    "count_last_minute": ("What a counter gained in the last whole minute.", ["source", "item", "counter"]),
    "item_info": ("The title of an item.", ["source", "item", "title"]),
    "items_left_out": ("Items whose counters are not given here.", ["source"]),
    "scrape_fault": ("Whether something of the source could not be read.", ["source"]),
}


class Families:
    """The gauges and counters of one scrape, by their names without the prefix."""

    def __init__(self) -> None:
        self.crossings = CounterMetricFamily(
            "ratchet_crossings", "Thresholds that were crossed.", labels=["source", "counter", "rule"]
        )
        self._gauges = {
            name: GaugeMetricFamily(f"ratchet_{name}", words, labels=labels) for name, (words, labels) in GAUGES.items()
        }

    def set(self, name: str, value: float | None, *labels: str) -> None:
        """Add a sample. ``labels``: the values, in the order of GAUGES; None is no sample."""
        if value is not None:
            self._gauges[name].add_metric(labels, value)

    def all(self) -> Iterator[Metric]:
        """The gauges that have a sample, and the crossings, even where there are none."""
        yield from (family for family in self._gauges.values() if family.samples)
        yield self.crossings


@dataclass(eq=False)
class VitalSigns(Collector):
    """What a scrape asks for. ``say`` hears of what could not be read, in plain words and once each time it changes."""

    project: Project
    now: Callable[[], datetime]
    most_items: int = 1_000
    say: Callable[[str], None] = lambda words: None
    _signs: dict[str, SourceSigns] = field(default_factory=dict)
    _live: dict[str, LiveCounts] = field(default_factory=dict)
    _said: dict[str, str] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self._sources = KnownSources(self.project)
        self._incidents = OpenIncidents(self.project.lake.project)
        self._of_project = SmallSigns(self.project.lake.project)

    def describe(self) -> Iterable[Metric]:
        """Nothing is read before the first scrape."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """One scrape: what cannot be read makes ``ratchet_scrape_fault`` of it, and takes nothing else away."""
        begun, families = perf_counter(), Families()
        with self._lock:
            sources, broken = self._sources.read()
            for name in broken:
                families.set("scrape_fault", 1, name)
            for source in sources:
                self._collect(source, families)
            self._reading("_project", families, lambda: self._collect_project(families))
        yield from families.all()
        yield GaugeMetricFamily("ratchet_scrape_seconds", "How long this scrape took.", perf_counter() - begun)

    def _collect(self, source: Source, families: Families) -> None:
        now = self.now()
        families.set("awaited", source.is_awaited(now), source.name)
        steps = (
            lambda: _add_history(families, source, self._of(source).history(source, now), now),
            lambda: _add_present(families, source.name, self._of(source).present()),
            lambda: self._add_live(families, source),
        )
        faults = [self._fault_of(step) for step in steps]
        self._told(source.name, families, " ".join(fault for fault in faults if fault))

    def _reading(self, subject: str, families: Families, step: Callable[[], None]) -> None:
        self._told(subject, families, self._fault_of(step))

    @staticmethod
    def _fault_of(step: Callable[[], None]) -> str:
        try:
            step()
        except RatchetError as fault:
            return f"{fault.what} {fault.next_step}"
        except Exception as fault:  # told by its place: its words can quote what came from outside
            return f"{place(fault)} Please report it."
        return ""

    def _told(self, subject: str, families: Families, fault: str) -> None:
        families.set("scrape_fault", bool(fault), subject)
        if fault and fault != self._said.get(subject):
            self.say(f"{subject}: {fault}")
        self._said[subject] = fault

    def _of(self, source: Source) -> SourceSigns:
        return self._signs.setdefault(source.name, SourceSigns(self.project.lake.source(source.name), self.most_items))

    def _add_live(self, families: Families, source: Source) -> None:
        if not LiveCounts.has(source):
            return
        live = self._live.get(source.name)
        if live is None or live.source != source:
            live = self._live[source.name] = LiveCounts(self.project.lake.source(source.name), source, self.now)
        counts, lately = live.look()
        for item in chosen(counts, source.counter_names, self.most_items):
            for counter, value in counts[item].items():
                families.set("count", value, source.name, item, counter)
            for counter, gained in lately.get(item, {}).items():
                families.set("count_last_minute", gained, source.name, item, counter)
        families.set("spool_dropped_events", counts.get("reading", {}).get("dropped"), source.name)

    def _collect_project(self, families: Families) -> None:
        for incident in self._incidents.read():
            families.set("incidents_open", 1, incident.subject, incident.cause)
        _add_present(families, "_project", self._of_project.read())


def _add_history(families: Families, source: Source, found: History, now: datetime) -> None:
    name = source.name
    for state, hours in found.hours.items():
        families.set("hours", hours, name, state)
    for result, count in found.captures.items():
        families.set("captures", count, name, result)
    if found.last_accepted_at is not None:
        families.set("last_accepted_timestamp_seconds", found.last_accepted_at.timestamp(), name)
        families.set("last_accepted_age_seconds", (now - found.last_accepted_at).total_seconds(), name)
    if found.credential_expires is not None:
        families.set("credential_days", days_left(found.credential_expires, now), name)
    for crossed, times in found.crossings.items():
        families.crossings.add_metric([name, crossed.counter, crossed.rule], times)
    _add_signals(families, name, found)
    for item in found.items:
        families.set("item_info", 1, name, item.item_id, item.title)
        for counter, value in item.counts.items() if not LiveCounts.has(source) else ():
            families.set("count", value, name, item.item_id, counter)
        for counter, rate in item.per_minute.items():
            families.set("count_per_minute", rate, name, item.item_id, counter)
    families.set("items_left_out", found.left_out, name)


def _add_signals(families: Families, name: str, found: History) -> None:
    for signals in found.signals:
        families.set("capture_duration_seconds", signals.capture_seconds, name)
        families.set("capture_late_seconds", signals.late_seconds, name)
        if signals.volume is not None:
            families.set("capture_items", signals.volume.items, name)
            for column, missing in signals.volume.nulls.items():
                families.set("missing_share", missing / max(1, signals.volume.items), name, column)
            families.set("drifts", found.drifting, name)
        for check in signals.checks:
            families.set("check_passed", check.passed, name, check.check)
            families.set("check_failing_items", check.failing, name, check.check)
            families.set("check_duration_seconds", check.seconds, name, check.check)


def _add_present(families: Families, name: str, found: Present) -> None:
    for channel in sorted({*found.sent, *found.failing}):
        families.set("messages", found.sent.get(channel, 0), name, channel, "sent")
        families.set("messages", found.failing.get(channel, 0), name, channel, "failing")
    families.set("lake_bytes", found.bytes, name)
