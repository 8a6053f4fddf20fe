"""The digest: what a source did in a whole day or week of its owner's, as one message through the same delivery.

Gains are those of the page, measured up to the newest capture of the stretch. A stretch in which nothing was
observed has its digest too, which says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from textwrap import shorten
from zoneinfo import ZoneInfo

from pipeline.core.analysis.gains import Gain, standings, total_gain
from pipeline.core.analysis.happenings import Happening, Kind, happenings
from pipeline.core.analysis.spikes import Spike, before_words, size_words, spikes
from pipeline.core.analysis.watched import Watched, read_watched
from pipeline.core.errors import NothingAccepted
from pipeline.core.hours import Hour, microseconds
from pipeline.core.lake import SourceLake
from pipeline.core.ledger import read_ledger
from pipeline.core.model import HourState, Period, Source
from pipeline.core.text import counted, link, listed, plain
from pipeline.notify.channels import deliver_patiently
from pipeline.notify.delivery import Channel, Delivery, receipt_key
from pipeline.notify.sending import HOURS_WORTH_TELLING, all_sent
from pipeline.notify.wording import Message

MOST_MOVERS, MOST_SPIKES, MOST_PUBLISHED = 5, 4, 3
_MAX_BODY = 1_800
_WINDOWS = {Period.DAILY: "24h", Period.WEEKLY: "7d"}
_BEFORE = {Period.DAILY: "the day before", Period.WEEKLY: "the week before"}
_DAYS = {Period.DAILY: 1, Period.WEEKLY: 7}


@dataclass(frozen=True)
class Stretch:
    """Whole days of the owner's, ``first`` and ``last`` included; ``begin`` and ``end`` are their edges."""

    period: Period
    first: date
    last: date
    begin: datetime
    end: datetime

    @property
    def key(self) -> str:
        """Names the occasion in receipts, by the hour in which the stretch ends."""
        return f"{Hour.of(self.end - timedelta(seconds=1)).key}-digest-{self.period}"

    @property
    def words(self) -> str:
        """The day, or the first and the last one, in English."""
        if self.period is Period.DAILY:
            return f"{self.first:%A, %-d %B %Y}"
        return f"{self.first:%-d %B} to {self.last:%-d %B %Y}"


def last_stretch(period: Period, now: datetime, timezone: str) -> Stretch:
    """The last day (midnight to midnight) or week (Monday to Sunday) in ``timezone`` that is over."""
    zone = ZoneInfo(timezone)
    today = now.astimezone(zone).date()
    after = today if period is Period.DAILY else today - timedelta(days=today.weekday())
    return stretch_before(period, after, timezone)


def stretch_before(period: Period, after: date, timezone: str) -> Stretch:
    """The day or the seven days before ``after``, from midnight to midnight in ``timezone``.

    Raises ZoneInfoNotFoundError for a name that is none of the IANA time zones.
    """
    zone, first = ZoneInfo(timezone), after - timedelta(days=_DAYS[period])
    begin, end = (datetime.combine(day, time(), zone) for day in (first, after))
    return Stretch(period, first, after - timedelta(days=1), begin, end)


def untold(lake: SourceLake, source: Source, stretch: Stretch, now: datetime) -> list[str]:
    """The addresses that were not sent the digest; none when it is too old to be news.

    That is HOURS_WORTH_TELLING after its end.
    """
    if now - stretch.end > timedelta(hours=HOURS_WORTH_TELLING):
        return []
    return [address for address in source.notify if not lake.has(receipt_key(stretch.key, Channel(address)))]


def send_digest(
    lake: SourceLake, source: Source, stretch: Stretch, now: Callable[[], datetime], cache: Path | None = None
) -> list[Delivery]:
    """Send the digest to each channel that has no receipt for it.

    Raises ChannelFault after all channels were tried, where one did not take it, SourceBusy
    while another process is sending, and LakeFault.
    """
    if not untold(lake, source, stretch, now()):
        return []
    message = digest_message(lake, source, stretch, now(), cache)
    with lake.sending():
        # Looked up again under the lock: another process may have sent in between.
        addresses = untold(lake, source, stretch, now())
        sent = [deliver_patiently(message, each, key=stretch.key, lake=lake, now=now) for each in addresses]
    return all_sent(source.name, sent)


def digest_message(
    lake: SourceLake, source: Source, stretch: Stretch, now: datetime, cache: Path | None = None
) -> Message:
    """The digest in words. ``cache``: see `read_watched`."""
    label = "SIMULATED " if source.simulated else ""
    title = f"{label}{source.name}, {stretch.words}"
    try:
        history = read_watched(lake, cache)
    except NothingAccepted:
        return Message(title, "Nothing was ever accepted.")
    lines = [*_told(lake, history, stretch), _coverage(lake, source, stretch, now)]
    if source.simulated:
        lines.insert(0, "These numbers are simulated; there is no real account behind them.")
    body = ""
    for line in lines:
        if len(body) + len(line) < _MAX_BODY:
            body += f"{line}\n"
    return Message(title, body.rstrip())


def _told(lake: SourceLake, history: Watched, stretch: Stretch) -> Iterator[str]:
    watched = history.until(stretch.end)
    if watched is None or watched.captured_at[-1] < microseconds(stretch.begin):
        yield "Not one hour was observed."
        return
    yield from _totals(watched, history.until(stretch.begin), stretch.period)
    counter, window = watched.counters[0], _WINDOWS[stretch.period]
    yield from _movers(watched, counter, window)
    happened = [h for h in happenings(lake, watched) if h.at < stretch.end]
    lately = [h for h in happened if h.at >= stretch.begin]
    yield from _published(lately)
    yield from _crossed(lately)
    found = [spike for spike in spikes(watched, counter, happened) if spike.ended >= stretch.begin]
    yield from _spikes(found, counter, stretch)


def _totals(watched: Watched, before: Watched | None, period: Period) -> Iterator[str]:
    for counter in watched.counters:
        gain = total_gain(watched, counter, _WINDOWS[period])
        if gain.value is None:
            yield f"{counter}: what they gained is not known ({gain.note})."
            continue
        former = total_gain(before, counter, _WINDOWS[period]) if before is not None else Gain(None, "")
        compared = "" if former.value is None else f"; {_BEFORE[period]} {former.value:+,}"
        yield f"{counter} {gain.value:+,} {gain.note}{compared}"


def _movers(watched: Watched, counter: str, window: str) -> Iterator[str]:
    gains = [standing.gains[window] for standing in standings(watched, counter)]
    order = sorted(range(len(gains)), key=lambda place: -(gains[place].value or 0))
    moved = [place for place in order if (gains[place].value or 0) > 0]
    if moved:
        yield f"Most gained, of {len(moved):,} items that moved:"
    for place in moved[:MOST_MOVERS]:
        item = watched.items[place]
        address = link(item.url)
        yield f"- {gains[place].value:+,} {counter}: “{plain(item.title, 80)}”" + (f" {address}" if address else "")


def _published(lately: Sequence[Happening]) -> Iterator[str]:
    titles = [f"“{plain(h.words, 80)}”" for h in lately if h.kind is Kind.PUBLISHED]
    if titles:
        yield f"Published: {listed(titles[:MOST_PUBLISHED], len(titles))}."


def _crossed(lately: Sequence[Happening]) -> Iterator[str]:
    items = {h.item_id for h in lately if h.kind is Kind.CROSSED}
    if items:
        yield f"{counted(len(items), 'item')} passed a mark."


def _spikes(found: Sequence[Spike], counter: str, stretch: Stretch) -> Iterator[str]:
    if found:
        yield "Spikes, and what came before them (which need not be why):"
    largest = sorted(found, key=lambda spike: -spike.gained)[:MOST_SPIKES]
    for spike in sorted(largest, key=lambda spike: spike.began):
        began = spike.began.astimezone(stretch.end.tzinfo)
        what = "all items" if spike.item is None else f"“{plain(spike.item.title, 60)}”"
        words = plain(before_words(spike), 200)
        yield f"- {began:%a %H:%M}: {counter} {size_words(spike)}: {what}. Before it: {words}."


def _coverage(lake: SourceLake, source: Source, stretch: Stretch, now: datetime) -> str:
    ledger = read_ledger(lake, source, now)
    states = [state for hour, state in ledger.hours.items() if stretch.begin <= hour.start < stretch.end]
    if not states:
        return "None of its hours lies in that time."
    counts = {state: states.count(state) for state in HourState}
    words = f"{counts[HourState.OBSERVED]} of {len(states)} hours observed"
    missing = [f"{counts[state]} {state}" for state in (HourState.QUARANTINED, HourState.UNFINISHED) if counts[state]]
    if counts[HourState.GAP]:
        missing.insert(0, f"{counts[HourState.GAP]} missing")
    return shorten(", ".join([words, *missing]), 200) + "."
