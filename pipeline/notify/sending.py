"""Which reports have something to say, and saying it: the same code for the sensor and for `ratchet collect`.

Only news is told. A report is news when a live run made it of a capture that passed at once, and
no later hour was reported before it. What a correction or a late capture works into the history
is never told, nor what follows from it in the hours after.

A milestone is told to a channel once, also where a rejected capture lets a later one pass it
again: its receipts of the last REMEMBERED_HOURS say what it was told. Receipts are looked for by
name and read only where a message is about to go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from pipeline.core.analysis.gains import lately
from pipeline.core.analysis.watched import read_recent
from pipeline.core.errors import ChannelFault, LakeFault
from pipeline.core.history import read_report
from pipeline.core.hours import Hour
from pipeline.core.lake import REPORT, VALIDATED, CaptureRef, SourceLake
from pipeline.core.lineage import read_lineage
from pipeline.core.model import Origin, RuleKind, Source
from pipeline.core.records import Receipt, Report, decode
from pipeline.core.text import counted
from pipeline.notify.channels import deliver_patiently
from pipeline.notify.delivery import Channel, Delivery, receipt_key
from pipeline.notify.picture import DAYS, crossings_picture
from pipeline.notify.watching import told_between_hours
from pipeline.notify.wording import Message, crossing_name, crossings_message

HOURS_WORTH_TELLING = 48
REMEMBERED_HOURS = 31 * 24


class _Making(msgspec.Struct, frozen=True):
    """What a report, the first of its hour or a later one, says of how it was made."""

    captured_at: datetime
    previous_hour: str | None


def unsent(lake: SourceLake, source: Source, first: Hour) -> list[Hour]:
    """Hours from ``first`` on whose report has something that a channel was not told, oldest first.

    Raises LakeFault where a report or a receipt is damaged.
    """
    return [hour for hour in lake.accepted_hours(first) if _pending(lake, source, hour)]


def send_unsent(lake: SourceLake, source: Source, now: Callable[[], datetime]) -> list[Delivery]:
    """Send every report of the last two days that has something unsent.

    Raises as `send_report` does, after all of them were tried.
    """
    recent = Hour.of(now()) + -HOURS_WORTH_TELLING
    deliveries = [
        delivery for hour in unsent(lake, source, recent) for delivery in _deliver_report(lake, source, hour, now)
    ]
    return all_sent(source.name, deliveries)


def send_report(lake: SourceLake, source: Source, hour: Hour, now: Callable[[], datetime]) -> list[Delivery]:
    """One grouped message to each channel that has no receipt for this report; nothing for a quiet hour.

    Raises ChannelFault after all channels were tried, where one did not take it, SourceBusy
    while another process is sending, and LakeFault.
    """
    return all_sent(source.name, _deliver_report(lake, source, hour, now))


def _deliver_report(lake: SourceLake, source: Source, hour: Hour, now: Callable[[], datetime]) -> list[Delivery]:
    if not _pending(lake, source, hour):
        return []
    with lake.sending():
        # Looked up again under the lock: another process may have sent in between.
        return [
            deliver_patiently(_message(lake, hour, content), address, key=_key(lake, hour), lake=lake, now=now)
            for address, content in _pending(lake, source, hour)
        ]


def _message(lake: SourceLake, hour: Hour, content: dict[str, Any]) -> Message:
    """With what the items gained and a picture; without both where an earlier file of the lake cannot be read."""
    crossings = content["crossings"]
    try:
        recent = read_recent(lake, hour, sorted({crossing["item_id"] for crossing in crossings}), DAYS)
    except LakeFault:
        return crossings_message(content)  # `ratchet verify` tells of the file; the news does not wait for it
    gains = {
        (crossing["item_id"], crossing["counter"]): lately(recent, crossing["counter"], place)
        for crossing in crossings
        if (place := recent.place(crossing["item_id"])) is not None and crossing["counter"] in recent.counters
    }
    return replace(crossings_message(content, gains), picture=crossings_picture(crossings, recent))


def all_sent(what: str, deliveries: list[Delivery]) -> list[Delivery]:
    """Raises ChannelFault where a channel did not take a message of ``what``, or is not tried yet."""
    failed = [delivery for delivery in deliveries if delivery.result in ("failed", "waiting")]
    if not failed:
        return deliveries
    details = {delivery.channel: delivery.detail for delivery in failed}
    counts = Counter(delivery.channel for delivery in failed)
    raise ChannelFault(
        " ".join(
            f"{counted(count, 'message')} of {what} did not reach {channel}: {details[channel]}"
            for channel, count in counts.items()
        ),
        "All other messages and channels were tried. Check the address of the channel in .env; "
        f"what was not sent is tried again for {HOURS_WORTH_TELLING} hours.",
    )


def _pending(lake: SourceLake, source: Source, hour: Hour) -> list[tuple[str, dict[str, Any]]]:
    """Each address that has to be told of the hour, with the report as it is told there."""
    if not source.notify or not lake.exists(REPORT, hour):
        return []
    key = _key(lake, hour)
    without = [address for address in source.notify if not lake.has(receipt_key(key, Channel(address)))]
    if not without:
        return []
    report = read_report(lake, hour)
    if not report.crossings or not _is_news(lake, hour, report):
        return []
    content: dict[str, Any] = msgspec.to_builtins(report)
    pending = []
    for address in without:
        told = _milestones_told(lake, hour, Channel(address), content["crossings"])
        told |= told_between_hours(lake, Channel(address), report)
        left = [crossing for crossing in content["crossings"] if crossing_name(crossing) not in told]
        if left:
            pending.append((address, {**content, "crossings": left}))
    return pending


def _milestones_told(lake: SourceLake, hour: Hour, channel: Channel, crossings: Sequence[dict[str, Any]]) -> set[str]:
    """Those of the hour's milestones that a receipt of the channel names; other rules may speak again."""
    milestones = {crossing_name(crossing) for crossing in crossings if crossing["kind"] == RuleKind.CROSSES}
    if not milestones:
        return set()
    receipts = lake.receipts(hour + -REMEMBERED_HOURS, channel.id)
    return milestones & {name for path in receipts for name in decode(path, Receipt).crossings}


def _is_news(lake: SourceLake, hour: Hour, report: Report) -> bool:
    """Whether a live run made the report in its turn, not a rebuild, a replay or an import."""
    if report.origin is not Origin.LIVE or report.corrections:
        return False
    capture = CaptureRef(hour, read_lineage(lake.path(VALIDATED, hour)).capture)
    if lake.quarantine(capture).exists():
        return False  # refused in its turn; a correction elsewhere let it pass
    former = (decode(path, _Making) for path in lake.superseded(REPORT, hour))
    if any(making.captured_at == report.captured_at for making in former):
        return False  # the same capture was reported before; that of another one was rejected
    later = lake.accepted_hours(hour + 1, hour + HOURS_WORTH_TELLING)
    return not any(_was_made_without(lake, each, hour) for each in later if lake.exists(REPORT, each))


def _was_made_without(lake: SourceLake, later: Hour, hour: Hour) -> bool:
    """Whether the first report of a later hour did not know of this one, which then was worked in behind it."""
    path: Path = next(iter(lake.superseded(REPORT, later)), lake.path(REPORT, later))
    previous = decode(path, _Making).previous_hour
    return previous is None or previous < hour.key


def _key(lake: SourceLake, hour: Hour) -> str:
    """Names the occasion: the hour, and which of its captures where the owner rejected those before."""
    former = {decode(path, _Making).captured_at for path in lake.superseded(REPORT, hour)}
    others = len(former - {decode(lake.path(REPORT, hour), _Making).captured_at}) if former else 0
    return f"{hour.key}-crossings" + (f"-{others + 1}" if others else "")
