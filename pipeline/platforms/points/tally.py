"""Counting: events in, cumulative counters of items out.

    item                              counters
    point:<name>                      events, errors, sum_<field>, distinct_<key>
    place:<file>:<line>:<function> <exception> @ <name>     errors_here
    conversion:<name>                 entered, converted
    reading                           read, malformed, duplicates, dropped, lost, behind

The counts so far come from the accepted snapshot before; an event counts once, by its source and id, and not before
all of it was judged. Everything here is a pure function of pages and of what was carried.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime

from pipeline.core.policy import LARGEST
from pipeline.platforms.feed.counting import MINUTES_KEPT, Refusals, columns
from pipeline.platforms.feed.pages import END, Record, Stretch, end_of, records, stretch_of
from pipeline.platforms.points.carried import Carried, Passage, carried, digest
from pipeline.platforms.points.event import Event, Refused, amounts, decoded
from pipeline.platforms.points.schema import broken_fields
from pipeline.platforms.points.settings import ConversionSpec, EventSpec, Settings
from pipeline.platforms.protocol import Counted, Folded, Page, Unreadable

READING = "reading"
DROPPED = "points.dropped"
_DAY_MS = 86_400_000
_NOTHING = EventSpec()
_KNOWN = (None, None)
"""The title and first time of an item that stands in the accepted snapshot, which they are taken from."""


def counted(
    settings: Settings,
    pages: Iterable[Page],
    before: Counted,
    state: bytes | None,
    *,
    counters: Iterable[str],
    captured_at: datetime,
    latest: datetime,
    by_minute: Collection[str] = (),
) -> Folded:
    """The items after these pages. ``latest``: an event of later than this is refused."""
    tally = _Tally(settings, before, carried(state), captured_at, latest, frozenset(by_minute))
    for number, page in enumerate(pages, 1):
        try:
            tally.add(page)
        except Unreadable as fault:
            tally.problems.append(f"page {number}: {fault}")
    return tally.finished(list(counters))


class _Tally:
    def __init__(
        self,
        settings: Settings,
        before: Counted,
        state: Carried,
        captured_at: datetime,
        latest: datetime,
        by_minute: frozenset[str],
    ) -> None:
        self._settings, self._state, self._now, self._latest = settings, state, captured_at, latest
        self._by_minute = by_minute
        state.forget_minutes(int(captured_at.timestamp()) // 60 - MINUTES_KEPT)
        self._counts: dict[str, dict[str, int]] = {item: dict(counts) for item, counts in before.items()}
        self._described: dict[str, tuple[str, datetime | None]] = {}
        self._passing: dict[str, list[tuple[int, bool, bool, bytes]]] = {name: [] for name in settings.conversions}
        self._refusals = Refusals()
        self.problems: list[str] = []
        self._reading = self._item(READING, "What was read", None)
        for name in settings.events:
            self._item(f"point:{name}", name, None).setdefault("events", 0)

    def _item(self, item: str, title: str, since: datetime | None) -> dict[str, int]:
        if item not in self._counts:
            self._counts[item] = {}
            self._described[item] = (title, since)
        elif since is not None and (known := self._described.get(item, _KNOWN)[1]) is not None and since < known:
            # New in this capture, which reads the segments of programs that ran at the same time one by one.
            self._described[item] = (title, since)
        return self._counts[item]

    # Pages -----------------------------------------------------------------------------------

    def add(self, page: Page) -> None:
        if page.request == END:
            self._end(page)
            return
        stretch = stretch_of(page)
        position = self._state.positions.get(stretch.place, 0)
        if stretch.next <= position:
            return  # an earlier capture holds it too
        if stretch.first > position and not _is_partition(stretch):
            raise Unreadable(f"{stretch.place} is missing between {position} and {stretch.first}")
        self._add_records(stretch, list(records(page, max(position, stretch.first))))
        self._state.positions[stretch.place] = stretch.next

    def _end(self, page: Page) -> None:
        end = end_of(page)
        for name, reach in end.places.items():
            if reach.end < reach.first:
                self.problems.append(f"{name} ends at {reach.end}, before {reach.first}, up to where it was read")
        self._add(self._reading, "lost", sum(reach.lost for reach in end.places.values()))
        self._reading["behind"] = end.behind
        self._state.positions = end.positions(self._state.positions)

    def _add_records(self, stretch: Stretch, found: list[Record]) -> None:
        pending: list[tuple[Record, Event]] = []
        for record in found:
            self._add(self._reading, "read", 1)
            try:
                if record.problem is not None:
                    raise Refused(record.problem)
                event = decoded(record.text, self._latest)
            except Refused as fault:
                self._refuse(stretch, record, str(fault))
                continue
            if self._state.is_new(event.source, event.id, self._now):
                pending.append((record, event))
            else:
                self._add(self._reading, "duplicates", 1)
        broken = self._broken([event for _, event in pending])
        for number, (record, event) in enumerate(pending):
            try:
                if number in broken:
                    raise Refused(broken[number])
                self._count(event)
            except Refused as fault:
                self._refuse(stretch, record, str(fault))

    def _broken(self, events: list[Event]) -> dict[int, str]:
        """By place in the list, what the declared schema of its point says against an event."""
        by_point: dict[str, list[int]] = {}
        for number, event in enumerate(events):
            spec = self._settings.events.get(event.name)
            if spec is not None and spec.fields:
                by_point.setdefault(event.name, []).append(number)
        found: dict[int, str] = {}
        for name, numbers in by_point.items():
            reasons = broken_fields(self._settings.events[name].fields, [events[n].data.attributes for n in numbers])
            found |= {numbers[place]: reason for place, reason in reasons.items()}
        return found

    def _refuse(self, stretch: Stretch, record: Record, reason: str) -> None:
        self._add(self._reading, "malformed", 1)
        self._refusals.add(stretch.place, record.position, reason, record.text)

    # Events ----------------------------------------------------------------------------------

    def _count(self, event: Event) -> None:
        """Raises Refused before anything of the event is counted."""
        spec = self._settings.events.get(event.name)
        if spec is None and self._settings.only_declared:
            return
        spec = spec or _NOTHING
        item, place = f"point:{event.name}", _place(event) if self._settings.errors_by_place else None
        sums = amounts(event.data.attributes, spec.sums) if spec.sums else {}
        self._require_room(item, place, sums)
        self._item(item, event.name, event.time).setdefault("errors", 0)
        self._gain(item, "events", 1, event)
        for name, amount in sums.items():
            self._gain(item, f"sum_{name}", amount, event)
        for key in spec.distinct:
            self._see(item, key, event.key(key))
        if event.is_error:
            self._gain(item, "errors", 1, event)
        if place is not None:
            self._item(place, _place_title(event), event.time)
            self._gain(place, "errors_here", 1, event)
        self._pass(event)
        if event.name == DROPPED and isinstance(number := event.data.attributes.get("count"), int) and number > 0:
            self._add(self._reading, "dropped", min(number, 2**40))

    def _require_room(self, item: str, place: str | None, sums: Mapping[str, int]) -> None:
        known = self._counts.get(item)
        if known is None or (place is not None and place not in self._counts):
            new = (known is None) + (place is not None and place not in self._counts)
            if len(self._counts) + new > self._settings.max_items:
                raise Refused(f"it would be one more than {self._settings.max_items:,} points and places")
        for name, amount in sums.items():
            if (known or {}).get(f"sum_{name}", 0) + amount > LARGEST:
                raise Refused("a sum would be larger than a counter can hold")

    def _gain(self, item: str, counter: str, amount: int, event: Event) -> None:
        self._add(self._counts[item], counter, amount)
        if counter in self._by_minute:
            minutes = self._state.minutes.setdefault(item, {}).setdefault(counter, {})
            minute = int(event.time.timestamp()) // 60
            minutes[minute] = minutes.get(minute, 0) + amount

    @staticmethod
    def _add(counts: dict[str, int], counter: str, amount: int) -> None:
        counts[counter] = counts.get(counter, 0) + amount

    def _see(self, item: str, key: str, value: str | None) -> None:
        seen = self._state.distinct.setdefault(item, {}).setdefault(key, set())
        if value is not None:
            seen.add(digest(value))

    def _pass(self, event: Event) -> None:
        for name, spec in self._settings.conversions.items():
            if event.name in (spec.first, spec.then) and (key := event.key(spec.by)) is not None:
                moment = int(event.time.timestamp() * 1000)
                self._passing[name].append((moment, event.name == spec.first, event.name == spec.then, digest(key)))

    # The end ---------------------------------------------------------------------------------

    def finished(self, counters: list[str]) -> Folded:
        for name, spec in self._settings.conversions.items():
            self._convert(name, spec)
        self._count_distinct()
        for counter in ("read", "malformed", "duplicates", "dropped", "lost", "behind"):
            self._reading.setdefault(counter, 0)
        self._state.forget(self._now)
        titles = {item: title for item, (title, _) in self._described.items()}
        published = {item: since for item, (_, since) in self._described.items()}
        return Folded(
            columns(self._counts, counters, titles, published),
            {READING: self._state.encoded()},
            self._refusals.rows,
            self._refusals.count,
            tuple(self.problems),
        )

    def _convert(self, name: str, spec: ConversionSpec) -> None:
        """In order of time: programs write into segments of their own, which are read one after the other."""
        passages = self._state.passages.setdefault(name, {})
        for moment, is_first, is_then, key in sorted(self._passing[name]):
            known = passages.get(key)
            if is_then and known is not None and not known.arrived and moment >= known.first:
                known.arrived = _counts_as_conversion(spec, known.first, moment)
            if is_first and (known is None or moment < known.first):
                passages[key] = Passage(moment, known is not None and known.arrived)
        self._within_bounds(f"the conversion {name}", len(passages))
        counts = self._item(f"conversion:{name}", f"{spec.first} → {spec.then}", None)
        counts["entered"] = len(passages)
        counts["converted"] = sum(passage.arrived for passage in passages.values())

    def _count_distinct(self) -> None:
        declared = {f"point:{name}": spec.distinct for name, spec in self._settings.events.items()}
        self._state.distinct = {
            item: {key: seen for key, seen in found.items() if key in declared[item]}
            for item, found in self._state.distinct.items()
            if item in declared
        }
        self._state.passages = {n: p for n, p in self._state.passages.items() if n in self._settings.conversions}
        for item, found in self._state.distinct.items():
            for key, seen in found.items():
                self._within_bounds(f"{key} of {item.partition(':')[2]}", len(seen))
                self._counts[item][f"distinct_{key}"] = len(seen)

    def _within_bounds(self, what: str, number: int) -> None:
        if number > self._settings.max_keys:
            self.problems.append(f"{what} has more than {self._settings.max_keys:,} different values: raise max_keys")


def _is_partition(stretch: Stretch) -> bool:
    """Offsets of a topic have holes: compaction, transactions, and what its retention takes away."""
    return "/" in stretch.place


def _place(event: Event) -> str | None:
    """Where an error was reported, as an item's name; None for what is no error, or has no place."""
    data = event.data
    if not event.is_error or not data.file:
        return None
    return f"place:{data.file[-500:]}:{data.line}:{data.function[:200]} {data.exception[:200]} @ {event.name}"


def _place_title(event: Event) -> str:
    """Below 200 characters, so that no message cuts off since when an error is known, and in which version."""
    data = event.data
    what, function = _end(data.exception or event.name, 50), _end(data.function, 40) or "?"
    file = _end("/".join(data.file.split("/")[-2:]), 40)
    since = f"{event.time.astimezone(UTC):%Y-%m-%d %H:%M} UTC" + (f" in {data.version}" if data.version else "")
    return f"{what} at {file}:{str(data.line)[:9]} in {function}, first seen {since[:50]}"


def _end(text: str, length: int) -> str:
    """The end of a text, where names of files, types and functions are most their own."""
    return text if len(text) <= length else f"…{text[1 - length :]}"


def _counts_as_conversion(spec: ConversionSpec, first: int, moment: int) -> bool:
    if spec.on_day is not None:
        return moment // _DAY_MS - first // _DAY_MS == spec.on_day
    return moment - first <= spec.within_days * _DAY_MS
