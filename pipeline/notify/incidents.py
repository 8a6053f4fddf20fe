"""Telling of incidents: once when one opens, again after 6 hours, 24 hours and then daily, and once when it is over.

What is to be told follows from the book of incidents; receipts say what was. So a message survives
the process that was to send it, nothing repeats after a restart, and a channel that was down is told
the present state of an incident, not each reminder that it missed. A kill between a channel's answer
and the receipt sends twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

import msgspec

from pipeline.core.credential import days_left
from pipeline.core.errors import LakeFault
from pipeline.core.incidents.book import Book, Incident
from pipeline.core.incidents.review import Key, Watch, review
from pipeline.core.incidents.troubles import BLOCKING, Trouble
from pipeline.core.lake import Lake
from pipeline.core.model import Cause, Source
from pipeline.core.project import Project
from pipeline.core.records import Receipt
from pipeline.core.sources import sound_sources
from pipeline.notify.channels import attempts, deliver_patiently
from pipeline.notify.delivery import Channel, Delivery, receipt_key, send_once
from pipeline.notify.incident_wording import Told, incident_message, lake_message
from pipeline.notify.sending import HOURS_WORTH_TELLING, all_sent

FIRST_REMINDER = timedelta(hours=6)
DAILY = timedelta(hours=24)
TOGETHER = timedelta(hours=1)
"""How long the end of an incident waits for those that opened with it, to be told with them."""
_PATIENCE_SECONDS = 120
_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Occasion:
    """Something to be told of one incident; ``key`` names it in receipts."""

    key: str
    told: Told
    addresses: tuple[str, ...]


@dataclass(frozen=True)
class Pending:
    """One message to one channel."""

    address: str
    occasions: tuple[Occasion, ...]


def watched(project: Project, only: Source | None = None) -> Watch:
    """All sources of the project and their channels, or ``only`` one, for which nobody tries again in this hour."""
    if only is not None:
        return Watch([only], {}, _ids([only]), finished={only.name})
    sources, errors = sound_sources(project)
    folders = {error.file.parent.name: error for error in errors if error.file}
    broken = {folder: error for folder, error in folders.items() if _NAME.fullmatch(folder)}
    return Watch(sources, broken, _ids(sources))


def pending_messages(lake: Lake, watch: Watch, now: datetime) -> list[Pending]:
    """Bring the book up to date; what channels were not told yet. The caller holds the project's sending lock.

    Raises LakeFault where the book cannot be read or written.
    """
    standing = review(lake, watch, now)
    occasions = [*_opened(lake, watch, standing, now), *_ended(lake, watch, now)]
    addresses = sorted({address for occasion in occasions for address in occasion.addresses})
    return [pending for address in addresses for pending in _for_channel(lake, address, occasions)]


def attempt_keys(lake: Lake, pending: Sequence[Pending], now: datetime) -> list[str]:
    """What may be sent now, without channels that wait; each named by its occasion, channel and attempt."""
    keys = []
    for each in pending:
        channel = Channel(each.address).id
        attempt = attempts(lake.project, channel, now)
        if attempt is not None:
            keys += [f"{receipt_key(occasion.key, Channel(each.address))} {attempt}" for occasion in each.occasions]
    return sorted(keys)


def tell_incidents(lake: Lake, watch: Watch, now: Callable[[], datetime]) -> list[Delivery]:
    """Tell each channel of what it was not told yet.

    Raises ChannelFault after all channels were tried, where one did not take its message, and
    SourceBusy where another process goes on telling for minutes.
    """
    try:
        with lake.project.sending(_PATIENCE_SECONDS):
            deliveries = [_send(lake, each, now) for each in pending_messages(lake, watch, now())]
    except LakeFault as fault:
        # Without a lake there are no receipts either: better twice than not at all.
        message = lake_message(fault.what, fault.next_step)
        addresses = dict.fromkeys(address for source in watch.sources for address in source.notify)
        deliveries = [send_once(message, address) for address in addresses]
    return all_sent("the incidents", deliveries)


def _send(lake: Lake, pending: Pending, now: Callable[[], datetime]) -> Delivery:
    message = incident_message([occasion.told for occasion in pending.occasions], now())
    first, *others = pending.occasions
    delivery = deliver_patiently(message, pending.address, key=first.key, lake=lake.project, now=now)
    if delivery.result == "sent":
        channel = Channel(pending.address)
        for occasion in others:
            receipt = Receipt(occasion.key, channel.id, now(), message.title, ())
            lake.project.put(receipt_key(occasion.key, channel), msgspec.to_builtins(receipt))
    return delivery


# What there is to tell ----------------------------------------------------------------------------


def _opened(lake: Lake, watch: Watch, standing: dict[Key, Trouble], now: datetime) -> Iterator[Occasion]:
    for incident in Book(lake.project).open_incidents():
        if incident.subject not in watch.subjects:
            continue
        trouble = standing.get(incident.key)
        stage = _stage(incident, watch, now)
        if trouble is None and stage and incident.cause in BLOCKING:
            continue  # another cause stands in the way now, and reminds of itself
        yield Occasion(
            f"incident-{incident.id}-{stage}",
            Told(_as_it_stands(incident, trouble), _source(watch, incident), again=stage > 0),
            _addresses(watch, incident),
        )


def _as_it_stands(incident: Incident, trouble: Trouble | None) -> Incident:
    if trouble is None:
        return incident
    return msgspec.structs.replace(incident, what=trouble.what, next_step=trouble.next_step, rows=trouble.rows)


def _stage(incident: Incident, watch: Watch, now: datetime) -> int:
    """0 for the first message, then the number of the reminder that is due."""
    source = _source(watch, incident)
    if incident.cause is Cause.CREDENTIAL_ENDING and incident.ends is not None and source is not None:
        passed = [mark for mark in source.credential_days if days_left(incident.ends, now) <= mark]
        return max(len(passed) - 1, 0)
    age = now - incident.opened_at
    return 0 if age < FIRST_REMINDER else 1 + age // DAILY


def _ended(lake: Lake, watch: Watch, now: datetime) -> Iterator[Occasion]:
    book = Book(lake.project)
    still_open = [(incident.opened_at, incident.cause) for incident in book.open_incidents()]
    for incident, over in book.ended(now - timedelta(hours=HOURS_WORTH_TELLING)):
        if over.recovered_at is None or incident.subject not in watch.subjects:
            continue
        if (incident.opened_at, incident.cause) in still_open and now < over.over_at + TOGETHER:
            continue
        yield Occasion(
            f"incident-{incident.id}-over",
            Told(incident, _source(watch, incident), over=over),
            _addresses(watch, incident),
        )


def _for_channel(lake: Lake, address: str, occasions: Sequence[Occasion]) -> Iterator[Pending]:
    """The messages that a channel was not sent: one for each cause, the openings and reminders before the ends."""
    channel = Channel(address)
    untold = [
        occasion
        for occasion in occasions
        if address in occasion.addresses and not lake.project.has(receipt_key(occasion.key, channel))
    ]

    def sort(occasion: Occasion) -> tuple[bool, str, bool]:
        return occasion.told.over is not None, occasion.told.incident.cause, occasion.told.again

    for _, group in groupby(sorted(untold, key=sort), key=sort):
        yield Pending(address, tuple(group))


def _addresses(watch: Watch, incident: Incident) -> tuple[str, ...]:
    """The channels of its source; of what has none of its own, those of all sources but the one that fails."""
    source = _source(watch, incident)
    if source is not None:
        return source.notify
    everywhere = dict.fromkeys(address for each in watch.sources for address in each.notify)
    return tuple(address for address in everywhere if Channel(address).id != incident.subject)


def _source(watch: Watch, incident: Incident) -> Source | None:
    return next((source for source in watch.sources if source.name == incident.subject), None)


def _ids(sources: Sequence[Source]) -> frozenset[str]:
    return frozenset(Channel(address).id for source in sources for address in source.notify)
