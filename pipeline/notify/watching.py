"""Watching a feed between the hours: a rate per minute, or a value beyond its threshold, is told within seconds.

It is judged by the rules of the hourly report. The watcher counts on from the last accepted snapshot as the next
capture will, and forgets its own counts as soon as there is a newer one. It writes nothing but receipts. What it told
the hourly message leaves out, and what a report tells, it knows from the report: both judge with the same memory
(`core.minutes`) and send under the same lock.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import msgspec

from pipeline.core.errors import ConfigError
from pipeline.core.feeds import by_minute, known, told_by_minute
from pipeline.core.history import read_report
from pipeline.core.hours import Hour, format_time, parse_time
from pipeline.core.lake import REPORT, VALIDATED, SourceLake
from pipeline.core.listing import CLOCK_SKEW
from pipeline.core.minutes import Edge, Mark, is_level, minute_of, moment_of
from pipeline.core.model import Crossing, Rule, RuleKind, Source
from pipeline.core.records import Receipt, Report, decode
from pipeline.core.snapshots import read_frame
from pipeline.notify.channels import deliver_patiently
from pipeline.notify.delivery import Channel, Delivery
from pipeline.notify.wording import crossing_name, crossings_message
from pipeline.platforms.protocol import Carried, Feed, Folded

PAGES_AT_ONCE = 64
WORTH_TELLING = 15
"""Minutes after which a rise is left to the hourly report."""
_PATIENCE_SECONDS = 30
_MINUTE = "-minute-"

Stamp = tuple[str, tuple[int, int, int] | None]


def watched_rules(source: Source) -> list[Rule]:
    """The rules that can be judged between the hours."""
    if not isinstance(source.platform, Feed):
        return []
    levels = source.platform.level_counters
    return [rule for rule in source.rules if rule.by_minute or is_level(rule, levels)]


@dataclass
class Watcher:
    """One source that is a feed, has rules per minute or about values, and somebody to tell.

    Raises ConfigError where it has not. ``refused``: evidence of what the last look refused record by record.
    ``needs_rules``: False for a collector, which looks whether anything is to be told or not.
    """

    lake: SourceLake
    source: Source
    now: Callable[[], datetime]
    refused: Sequence[Mapping[str, Any]] = ()
    needs_rules: bool = True
    _since: Stamp | None = None
    _counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    _titles: dict[str, str | None] = field(default_factory=dict)
    _carried: Carried = field(default_factory=dict)
    _marks: dict[str, Mapping[str, Mark]] = field(default_factory=dict)
    _untold: list[tuple[Rule, Edge]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._rules = watched_rules(self.source)
        if not isinstance(self.source.platform, Feed) or (self.needs_rules and not self._rules):
            raise ConfigError(
                f"{self.source.name} has nothing to watch between the hours.",
                "Watch a source of points or openmetrics with a rule such as:"
                " {counter: errors, rate_above: 50, per: minute}",
            )
        if self.needs_rules and not self.source.notify:
            raise ConfigError(
                f"{self.source.name} has nobody whom the watcher could tell.",
                "Name an address under 'notify' in its YAML.",
            )
        self._feed = self.source.platform

    def look(self) -> list[Delivery]:
        """Read what is new, and tell every channel of each rise that it was not told of.

        Raises TransportFault, DeadSession, LakeFault, and SourceBusy while others send for long.
        """
        if not self._is_current() and not self._begin_anew():
            return []
        self._count()
        return self._tell() if self._untold else []

    def _newest(self) -> Stamp:
        hour = self.lake.last_accepted()
        return ("", None) if hour is None else (hour.key, self.lake.stamp(VALIDATED, hour))

    def _is_current(self) -> bool:
        return self._since is not None and self._since == self._newest()

    def _begin_anew(self) -> bool:
        """Take up the last accepted snapshot and what its report remembers. False while that report is not there."""
        newest = self._newest()
        hour = Hour.parse(newest[0]) if newest[0] else None
        if hour is not None and not self.lake.exists(REPORT, hour):
            return False
        before = read_frame(self.lake.path(VALIDATED, hour)) if hour is not None else None
        self._counts, self._carried = known(before)
        self._titles = {} if before is None else dict(zip(before["item_id"], before["title"], strict=True))
        self._marks = dict(read_report(self.lake, hour).rule_state) if hour is not None else {}
        self._untold, self._since = [], newest
        return True

    def _count(self) -> None:
        now = self.now()
        pages = self._feed.read_between(
            self._carried, max_pages=PAGES_AT_ONCE, max_bytes=self.source.bounds.max_bytes, now=self.now
        )
        folded = self._feed.fold(
            pages,
            self._counts,
            self._carried,
            captured_at=now,
            latest=now + CLOCK_SKEW,
            by_minute=by_minute(self._feed, self._rules),
        )
        self.refused = folded.refused
        self._counts, self._carried = _counts(folded, self.source.counter_names), folded.carried
        self._titles |= {
            item: title
            for item, title in zip(folded.columns["item_id"], folded.columns["title"], strict=True)
            if title is not None
        }
        minutes = told_by_minute(self._feed, self._carried)
        for rule in self._rules:
            edges, self._marks[rule.name] = minutes.judge(rule, self._marks.get(rule.name, {}), now)
            self._untold += [(rule, edge) for edge in edges if edge.minute >= minute_of(now) - WORTH_TELLING]

    def _tell(self) -> list[Delivery]:
        deliveries: list[Delivery] = []
        with self.lake.sending(_PATIENCE_SECONDS):
            if not self._is_current():
                return []  # a report of what was seen here is on its way
            for address in self.source.notify:
                told = names_told(self.lake, Channel(address), Hour.of(self.now()) + -1)
                crossings = {self._name(rule, edge): self._crossing(rule, edge) for rule, edge in self._untold}
                left = {name: crossing for name, crossing in crossings.items() if name not in told}
                if left:
                    deliveries.append(self._deliver(address, left))
        if all(delivery.result in ("sent", "already") for delivery in deliveries):
            self._untold = []
        return deliveries

    def _deliver(self, address: str, crossings: Mapping[str, Crossing]) -> Delivery:
        now = self.now()
        content: dict[str, Any] = {
            "source": self.source.name,
            "hour": Hour.of(now).key,
            "captured_at": format_time(now),
            "simulated": self.source.simulated,
            "elapsed_seconds": None,
            "movement": {},
            "crossings": [msgspec.to_builtins(crossing) for crossing in crossings.values()],
        }
        message = replace(crossings_message(content), crossings=tuple(crossings))
        digest = hashlib.sha256("\n".join(sorted(crossings)).encode("utf-8", "surrogatepass")).hexdigest()[:12]
        key = f"{Hour.of(now).key}{_MINUTE}{digest}"
        return deliver_patiently(message, address, key=key, lake=self.lake, now=self.now)

    def _crossing(self, rule: Rule, edge: Edge) -> Crossing:
        return Crossing(
            rule=rule.name,
            kind=rule.kind,
            counter=rule.counter,
            item_id=edge.item_id,
            title=self._titles.get(edge.item_id),
            url=None,
            threshold=rule.thresholds[0],
            value=float(edge.count),
            previous_value=None,
            hour=Hour.of(moment_of(edge.minute)).key,
        )

    def _name(self, rule: Rule, edge: Edge) -> str:
        crossing = msgspec.to_builtins(self._crossing(rule, edge))
        return f"{crossing_name(crossing)}|{format_time(moment_of(edge.minute))}"


def _counts(folded: Folded, counters: Sequence[str]) -> dict[str, dict[str, int]]:
    columns = folded.columns
    return {
        item: {name: columns[name][at] for name in counters if name in columns and columns[name][at] is not None}
        for at, item in enumerate(columns["item_id"])
    }


def names_told(lake: SourceLake, channel: Channel, first: Hour) -> set[str]:
    """What the watcher told a channel since ``first``: the names of crossings, with the minute behind them.

    Raises LakeFault where a receipt is damaged.
    """
    paths = (path for path in lake.receipts(first, channel.id) if _MINUTE in path.name)
    return {name for path in paths for name in decode(path, Receipt).crossings}


def told_between_hours(lake: SourceLake, channel: Channel, report: Report) -> set[str]:
    """Of the crossings of a report those whose rise the watcher told the channel, since the report before."""
    names = {crossing_name(msgspec.to_builtins(crossing)) for crossing in report.crossings if _by_minute(crossing)}
    if not names:
        return set()
    told = names_told(lake, channel, Hour.parse(report.previous_hour or report.hour) + -1)
    return {name for name, moment in map(_parted, told) if name in names and moment in _span(report)}


def _by_minute(crossing: Crossing) -> bool:
    return crossing.rule.endswith("/minute") or crossing.kind in (RuleKind.ABOVE, RuleKind.BELOW)


def _parted(told: str) -> tuple[str, datetime]:
    name, _, moment = told.rpartition("|")
    return name, parse_time(moment)


@dataclass(frozen=True)
class _Span:
    """The minutes that a report judged, the one in which the capture before it lay included."""

    first: int | None
    last: int

    def __contains__(self, moment: datetime) -> bool:
        minute = minute_of(moment)
        return (self.first is None or minute >= self.first) and minute <= self.last


def _span(report: Report) -> _Span:
    if report.elapsed_seconds is None:
        return _Span(None, minute_of(report.captured_at))
    at = report.captured_at.timestamp()
    return _Span(int(at - report.elapsed_seconds) // 60, int(at) // 60)
