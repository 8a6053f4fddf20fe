"""Patience with channels: one that fails is tried again after a minute, then after two, four, up to fifty.

Each sender keeps its own count, as a note in its lake: a source for its reports, the project for
incidents. So a channel that is down delays what it is to be told and nothing else. What a channel
asks for in Retry-After does not reach us: apprise gives the status of an answer and no headers.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from pipeline.core.incidents.notes import CHANNEL, Failing, failing_again, read_note
from pipeline.core.lake import SourceLake
from pipeline.core.publishing import SENDING
from pipeline.notify.delivery import Channel, Delivery, deliver
from pipeline.notify.wording import Message

FIRST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(minutes=50)
"""Less than the hour between two lines of cron."""
_PATIENCE_SECONDS = 60


def deliver_patiently(
    message: Message, address: str, *, key: str, lake: SourceLake, now: Callable[[], datetime]
) -> Delivery:
    """`deliver` to one channel, unless it failed too lately. The caller holds ``lake.sending``.

    What a channel does is in the Delivery; raises LakeFault alone, where the receipt or the note cannot be written.
    """
    channel = Channel(address)
    failing = _failing(lake, channel.id)
    if failing is not None and now() < next_attempt(failing):
        again = f"It is tried again at {next_attempt(failing):%H:%M} UTC."
        return Delivery(channel.id, "waiting", f"{failing.detail} {again}")
    (delivery,) = deliver(message, [address], key=key, receipts=lake, now=now)
    if delivery.result == "failed":
        lake.write_note(CHANNEL + channel.id, failing_again(failing, delivery.detail, now()), by=SENDING)
    elif failing is not None and delivery.result == "sent":
        lake.drop_note(CHANNEL + channel.id)
    return delivery


def forgive(lake: SourceLake, channel: str) -> None:
    """The channel works again, as a test message showed: what waits for it is tried at once.

    Raises SourceBusy where another process goes on sending, and LakeFault.
    """
    if _failing(lake, channel) is not None:
        with lake.sending(_PATIENCE_SECONDS):
            lake.drop_note(CHANNEL + channel)


def attempts(lake: SourceLake, channel: str, now: datetime) -> int | None:
    """How often in a row the channel failed; None while it is not to be tried. Raises LakeFault."""
    failing = _failing(lake, channel)
    if failing is None:
        return 0
    return failing.times if next_attempt(failing) <= now else None


def next_attempt(failing: Failing) -> datetime:
    """When it is tried again (UTC): after 1, 2, 4 and at most 50 minutes."""
    return failing.at + min(FIRST_WAIT * (1 << min(failing.times - 1, 10)), LONGEST_WAIT)


def _failing(lake: SourceLake, channel: str) -> Failing | None:
    return read_note(lake, CHANNEL + channel, Failing)
