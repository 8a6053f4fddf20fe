"""Counting: scrapes in, cumulative totals of items out, however often the program began anew in between.

    item                          counters
    <name>{<label>="<value>"}     total, resets, presumed_resets: of a cumulative series
                                  value, and the gauges that the YAML names: of any other
    sum:<name>                    <name>: what the series that the YAML names gained together
    scraping                      scrapes, refused, failed, dropped, series, rounded_down, left_out, behind

What a series gained follows from two scrapes after each other and the beginnings of its epochs (`gains`), and from
nothing else. Everything here is a pure function of pages and of what was carried.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pipeline.core.hours import microseconds
from pipeline.core.policy import LARGEST
from pipeline.core.text import legible
from pipeline.platforms.feed.counting import MINUTES_KEPT, Refusals, columns
from pipeline.platforms.feed.pages import END, Record, end_of, records, stretch_of
from pipeline.platforms.openmetrics.carried import Carried, Series, carried
from pipeline.platforms.openmetrics.exposition import Sample, scaled
from pipeline.platforms.openmetrics.gains import Gain, gained
from pipeline.platforms.openmetrics.settings import Settings
from pipeline.platforms.openmetrics.spool import decoded
from pipeline.platforms.protocol import Counted, Folded, Page, Unreadable

SCRAPING = "scraping"
SUM = "sum:"
_JITTER = 1_000_000
_MINUTE = 60_000_000


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
    """The items after these pages.

    The last of them, where it is an answer of the program itself, is the one that the capture stands for: what is
    wrong with it refuses the capture. What is wrong with an earlier one is named and leaves out that one alone.
    """
    tally = _Tally(settings, before, carried(state), captured_at, latest, frozenset(by_minute))
    for page, is_last in _with_last(pages):
        try:
            tally.add(page, is_last)
        except Unreadable as fault:
            tally.problems.append(str(fault))
    return tally.finished(list(counters))


def _with_last(pages: Iterable[Page]) -> Iterator[tuple[Page, bool]]:
    waiting: Page | None = None
    for page in pages:
        if waiting is not None:
            yield waiting, False
        waiting = page
    if waiting is not None:
        yield waiting, True


@dataclass
class _Scrape:
    """One sound answer, judged and not yet counted. Values by item; None where one cannot be kept."""

    at: int
    numbers: dict[str, tuple[Sample, int, Gain]] = field(default_factory=dict)
    values: dict[str, tuple[Sample, int]] = field(default_factory=dict)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    rounded_down: int = 0


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
        self._settings, self._state, self._by_minute = settings, state, by_minute
        self._latest = microseconds(latest)
        # The minute of the last scrape was not over when it was judged.
        kept = microseconds(captured_at) // _MINUTE - MINUTES_KEPT
        state.forget_minutes(kept if state.last is None else min(kept, state.last // _MINUTE))
        self._counts: dict[str, dict[str, int]] = {item: dict(counts) for item, counts in before.items()}
        self._gauges = {"value", *settings.gauges}
        self._valued = {item for item, counts in before.items() if not self._gauges.isdisjoint(counts)}
        self._began: dict[str, datetime] = {}
        self._summed: dict[str, set[str]] = {name: set() for name in settings.counters}
        self._refusals = Refusals()
        self.problems: list[str] = []
        self._scraping = self._counts.setdefault(SCRAPING, {})

    # Pages -----------------------------------------------------------------------------------

    def add(self, page: Page, is_last: bool) -> None:
        if page.request == END:
            self._end(page)
        elif page.request.startswith("READ "):
            self._add_spooled(page)
        else:
            self._add_answer(page, is_last)

    def _add_answer(self, page: Page, is_last: bool) -> None:
        kind = page.headers.get("content-type", "")
        try:
            scrape = self._judged(page.body, kind, microseconds(page.fetched_at))
            if not is_last:
                self._require_no_fall(scrape)
        except Unreadable as fault:
            if is_last:
                raise
            self._refuse("a capture that was refused", 0, str(fault), page.body, microseconds(page.fetched_at))
            return
        if is_last:
            for item, reason in scrape.left_out:
                self._refusals.add("the answer", 0, reason, item.encode("utf-8", "backslashreplace"))
        self._count(scrape)

    def _add_spooled(self, page: Page) -> None:
        stretch = stretch_of(page)
        position = self._state.positions.get(stretch.place, 0)
        if stretch.next <= position:
            return  # an earlier capture holds it too
        for record in records(page, max(position, stretch.first)):
            self._add_record(stretch.place, record)
        self._state.positions[stretch.place] = stretch.next

    def _add_record(self, place: str, found: Record) -> None:
        body, at = found.text, self._state.last or 0
        try:
            if found.problem is not None:
                raise Unreadable(found.problem)
            record = decoded(found.text)
            at = microseconds(record.at)
            if record.dropped:
                self._scraping["dropped"] = self._scraping.get("dropped", 0) + min(max(record.dropped, 0), 2**40)
            elif record.failed is not None:
                self._gain(SCRAPING, "failed", 1, at, at)
            elif self._state.last is None or at > self._state.last:  # else a later one was counted already
                body = record.content
                scrape = self._judged(body, record.type, at)
                self._require_no_fall(scrape)
                self._count(scrape)
        except Unreadable as fault:
            self._refuse(place, found.position, str(fault), body, at)

    def _end(self, page: Page) -> None:
        end = end_of(page)
        self._scraping["behind"] = end.behind
        self._state.positions = end.positions(self._state.positions)

    def _refuse(self, place: str, position: int, reason: str, body: bytes, at: int) -> None:
        self._gain(SCRAPING, "refused", 1, at, at)
        self._refusals.add(place, position, reason, body)

    # One answer ------------------------------------------------------------------------------

    def _judged(self, body: bytes, content_type: str, at: int) -> _Scrape:
        """Raises Unreadable where the answer cannot be believed as a whole."""
        scrape = _Scrape(at)
        room = self._settings.max_items - len(self._counts)
        for sample in self._settings.samples(body, content_type):
            if sample.created is not None and sample.created > self._latest:
                raise Unreadable(f"the epoch of {legible(sample.item, 200)} begins in the future")
            decimals = self._settings.decimals.get(sample.name, 0)
            item = f"{sample.item} in 1e-{decimals}" if decimals else sample.item
            number = scaled(sample.value, decimals)
            if item not in self._counts:
                room -= 1
            if room < 0 and item not in self._counts:
                scrape.left_out.append((item, f"it would be one more than {self._settings.max_items:,} series"))
            elif sample.cumulative:
                if number is None:
                    raise Unreadable(f"{legible(item, 200)} is larger than a counter can hold")
                gain = gained(self._state.series.get(item), number[0], sample.created, self._state.last)
                scrape.numbers[item] = sample, number[0], gain
            elif number is None or number[0] < 0:
                why = "it is NaN, infinite or too large" if number is None else "it is negative"
                scrape.left_out.append((item, f"{why}, and cannot be kept"))
            else:
                scrape.values[item] = sample, number[0]
            scrape.rounded_down += number is not None and not number[1]
        return scrape

    @staticmethod
    def _require_no_fall(scrape: _Scrape) -> None:
        fallen = [item for item, (_, _, gain) in scrape.numbers.items() if gain.fell]
        if fallen:
            more = f", and {len(fallen) - 1:,} more" if len(fallen) > 1 else ""
            raise Unreadable(f"{legible(fallen[0], 200)} fell within one epoch{more}")

    def _count(self, scrape: _Scrape) -> None:
        """A fall is counted as one here, so that the check of counters refuses the capture and names the item."""
        together: dict[str, tuple[int, int]] = {}
        for item, (sample, number, gain) in scrape.numbers.items():
            self._count_series(item, sample, number, gain, scrape.at)
            for name in self._settings.sums_of(sample.name, sample.labels):
                self._summed[name].add(item)
                if gain.amount:
                    amount, since = together.get(name, (0, gain.since))
                    together[name] = amount + gain.amount, min(since, gain.since)
                if gain.bounded and f"{SUM}{name}" in self._counts:
                    self._state.bounded.add(f"{SUM}{name}")
        for name, (amount, since) in together.items():
            if name in self._counts.get(f"{SUM}{name}", {}):
                self._gain(f"{SUM}{name}", name, amount, since, scrape.at)
            else:
                self._by_the_minute(f"{SUM}{name}", name, amount, since, scrape.at)
        for name, items in self._summed.items():
            if name not in self._counts.get(f"{SUM}{name}", {}):
                # What they have at first is no gain: it is where the sum begins, with nothing where there are none.
                begins = sum(self._counts[item]["total"] for item in items)
                self._counts.setdefault(f"{SUM}{name}", {})[name] = min(begins, LARGEST)
        self._keep_values(scrape)
        self._gain(SCRAPING, "scrapes", 1, scrape.at, scrape.at)
        told = len(scrape.numbers) + len(scrape.values)
        self._scraping |= {"series": told, "left_out": len(scrape.left_out), "rounded_down": scrape.rounded_down}
        self._state.last = max(scrape.at, self._state.last or 0)

    def _count_series(self, item: str, sample: Sample, number: int, gain: Gain, at: int) -> None:
        counts = self._counts.setdefault(item, {})
        if "total" not in counts:
            counts |= {"total": 0 if gain.amount is not None else number, "resets": 0, "presumed_resets": 0}
            if gain.amount is not None:
                self._began[item] = datetime.fromtimestamp(gain.since / 1_000_000, UTC)
        if gain.amount:
            self._gain(item, "total", gain.amount, gain.since, at)
        counts["resets"] += gain.reset
        counts["presumed_resets"] += gain.presumed
        known = self._state.series.get(item)
        if gain.bounded and known is not None:
            self._state.bounded.add(item)
        epoch = sample.created if sample.created is not None or known is None or gain.presumed else known.created
        self._state.series[item] = Series(number, epoch, at)

    def _keep_values(self, scrape: _Scrape) -> None:
        """A value that is not told any longer is missing, and not what it was."""
        for item in self._valued:
            for name in self._gauges:
                self._counts[item].pop(name, None)
        self._valued = set(scrape.values)
        minute = scrape.at // _MINUTE
        for item, (sample, value) in scrape.values.items():
            counts = self._counts.setdefault(item, {})
            for name in ("value", *self._settings.gauges_of(sample.name, sample.labels)):
                counts[name] = value
                if name in self._by_minute:
                    minutes = self._state.levels.setdefault(item, {}).setdefault(name, {})
                    low, high = minutes.get(minute, (value, value))
                    minutes[minute] = min(low, value), max(high, value)

    # Gains -----------------------------------------------------------------------------------

    def _gain(self, item: str, counter: str, amount: int, since: int, at: int) -> None:
        counts = self._counts[item]
        counts[counter] = counts.get(counter, 0) + amount
        self._by_the_minute(item, counter, amount, since, at)

    def _by_the_minute(self, item: str, counter: str, amount: int, since: int, at: int) -> None:
        """What came within a minute counts in that of the scrape.

        Of a longer stretch nobody knows when in it things happened: its busiest minute had at least its share.
        """
        if counter not in self._by_minute or amount <= 0:
            return
        minutes = self._state.gains.setdefault(item, {}).setdefault(counter, {})
        stretches = -(-(at - since - _JITTER) // _MINUTE)
        if stretches <= 1:
            minutes[at // _MINUTE] = minutes.get(at // _MINUTE, 0) + amount
        else:
            before = at // _MINUTE - 1
            minutes[before] = max(minutes.get(before, 0), -(-amount // stretches))

    # The end ---------------------------------------------------------------------------------

    def finished(self, counters: list[str]) -> Folded:
        for counter in ("scrapes", "refused", "failed", "dropped", "series", "rounded_down", "left_out", "behind"):
            self._scraping.setdefault(counter, 0)
        over = [item for item, counts in self._counts.items() if any(n > LARGEST for n in counts.values())]
        self.problems += [f"{legible(item, 200)} is larger than a counter can hold" for item in over[:1]]
        return Folded(
            columns(self._counts, counters, {item: self._title(item) for item in self._counts}, self._began),
            {SCRAPING: self._state.encoded()},
            self._refusals.rows,
            self._refusals.count,
            tuple(self.problems),
        )

    def _title(self, item: str) -> str:
        if item == SCRAPING:
            return "What was scraped"
        title = self._settings.title_of_sum(item.removeprefix(SUM)) if item.startswith(SUM) else item
        return f"{title} (lower bound)" if item in self._state.bounded else title
