"""Delivery: one message, once per channel, with a receipt in the lake. The only module that imports apprise.

A receipt is written after the channel took the message. Whoever is killed between the two sends
the message again the next time, and so does a channel that took it but answered too late:
delivery is at least once there, exactly once otherwise. That two processes do not send at the
same time is the caller's part (the lock of the source).

A mail holds the picture of its message; a chat takes it as a second message, as apprise would send it
anyway. So a chat that refuses the picture has the words and their receipt, and is not told again.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

from pipeline.core.records import Receipt
from pipeline.core.text import as_data
from pipeline.notify.wording import Message

if TYPE_CHECKING:
    from apprise import AppriseResult

PATIENCE_SECONDS = 30.0
"""How long one channel may take in all. Within it apprise waits 4 s for a connection and 4 s for
each answer, unless the address says otherwise (``?cto=`` and ``?rto=``)."""

_DATA = frozenset({"JSON", "XML", "Form"})
"""Webhooks of a program: it gets a message as data, unless its address asks for a form that is rendered."""
_IN_ONE = frozenset({"E-Mail"})
_BEHIND = frozenset({"Discord", "Telegram", "Matrix", "Signal API", "ntfy"})
"""Services of apprise that show a picture. To others, such as gateways for short messages, it would only cost;
Slack's webhooks take none."""

_SCHEME = re.compile(r"([a-z][a-z0-9]{1,19})://")
_HTTP_STATUS = re.compile(r"\berror=(\d{3})\b")


class Receipts(Protocol):
    """What was delivered to whom; the lake keeps it as ``receipts/<key>.json``."""

    def has(self, key: str) -> bool:
        """Whether there is one of the name."""

    def put(self, key: str, receipt: Mapping[str, Any]) -> None:
        """Publish atomically. Refuses to replace a receipt."""
        ...


@dataclass(frozen=True)
class Channel:
    """One place that takes messages, known by an address that holds its secrets.

    ``address`` is an apprise URL (``discord://...``) or the webhook URL that the service itself
    shows (``https://discord.com/api/webhooks/...``). ``id`` is all that is ever shown or stored
    of it: the scheme and 32 bits of a scrypt digest of the address. So many addresses share each
    value that none can be read back from it, and scrypt makes trying a list of passwords against
    a receipt slow. Another address, a new token for example, is another channel.
    """

    address: str = field(repr=False)
    id: str = field(init=False)

    def __post_init__(self) -> None:
        scheme = _SCHEME.match(self.address.lower())
        object.__setattr__(self, "id", f"{scheme[1] if scheme else 'unreadable'}-{_digest(self.address)}")


@lru_cache(maxsize=256)
def _digest(address: str) -> str:
    """Slow on purpose, and asked for every channel at every look of the sensors."""
    return hashlib.scrypt(
        address.encode("utf-8", "surrogatepass"), salt=b"ratchet channel", n=2**14, r=8, p=1, dklen=4
    ).hex()


@dataclass(frozen=True)
class Delivery:
    """What became of one message at one channel. ``detail`` says in plain words why it failed, or what it lacked.

    ``waiting``: the channel failed lately and is not tried yet (see `channels`).
    """

    channel: str
    result: Literal["sent", "already", "failed", "waiting"]
    detail: str = ""

    @property
    def words(self) -> str:
        """One line for people, as the command line prints it."""
        return f"{self.channel}: {self.result}. {self.detail}".rstrip()


def deliver(
    message: Message,
    channels: Sequence[str],
    *,
    key: str,
    receipts: Receipts,
    now: Callable[[], datetime],
) -> list[Delivery]:
    """Send ``message`` to each address in ``channels`` that has no receipt for ``key``.

    Channels are tried one after the other and each is bounded by PATIENCE_SECONDS; one that fails
    holds back no other, and the next call with the same ``key`` sends only where no receipt is.
    The caller has to look for ``failed`` in the result, which has one Delivery per channel in
    order. ``key`` names the occasion (``2026-11-22T14-crossings``); a receipt's own key is
    ``<key>--<channel id>``. What ``receipts`` raises goes through: nothing more is sent while
    receipts can't be written.
    """
    return [_deliver_to(Channel(address), message, key, receipts, now) for address in channels]


def send_once(message: Message, address: str) -> Delivery:
    """Send ``message`` without a receipt: for a message that may be repeated, such as a test."""
    channel = Channel(address)
    fault, lacked = _send(message, channel)
    return Delivery(channel.id, "sent", lacked) if fault is None else Delivery(channel.id, "failed", fault)


def is_understood(address: str) -> bool:
    """Whether apprise can make a channel of the address at all. Asks nobody."""
    _keep_addresses_out_of_logs()
    return _service(address) is not None


def receipt_key(key: str, channel: Channel) -> str:
    """Names the receipt of the occasion ``key`` at one channel."""
    return f"{key}--{channel.id}"


def _deliver_to(
    channel: Channel, message: Message, key: str, receipts: Receipts, now: Callable[[], datetime]
) -> Delivery:
    name = receipt_key(key, channel)
    if receipts.has(name):
        return Delivery(channel.id, "already")
    tried = send_once(message, channel.address)
    if tried.result == "failed":
        return tried
    receipt = Receipt(key, channel.id, now().astimezone(UTC), message.title, message.crossings)
    receipts.put(name, msgspec.to_builtins(receipt))
    return tried


def _send(message: Message, channel: Channel) -> tuple[str | None, str]:
    """Hand ``message`` to the channel: None when it took it, else why not, without any secret; and what it lacked."""
    from apprise import Apprise, NotifyFormat, NotifyType

    _keep_addresses_out_of_logs()
    service = _service(channel.address)
    if service is None:
        return (
            "Its address is not one that apprise understands. Compare it with the form that "
            "https://appriseit.com/services/ gives for the service."
        ), ""
    # An address may say ?optional=yes, which makes apprise report a failure as success.
    service.optional = False
    # TEXT, said out loud, makes apprise escape for channels that render HTML or Markdown, and keeps
    # its Slack plugin from building <!channel> out of the text.
    whole, behind = _attachments(message, service)
    title, body = message.title, message.body
    if str(service.service_name) in _DATA and service.resolve_format(NotifyFormat.TEXT) is NotifyFormat.TEXT:
        title, body = as_data(title), as_data(body)
    apprise, tone = Apprise(service, asset=service.asset), NotifyType(message.tone)
    with apprise.notify(body, title=title, notify_type=tone, body_format=NotifyFormat.TEXT, attach=whole) as result:
        fault = None if result else _why_not(result)
    if fault is not None or behind is None:
        return fault, ""
    with apprise.notify("", attach=behind) as result:
        return None, "" if result else f"Its picture was not taken: {_why_not(result, again=False)}"


def _service(address: str) -> Any:
    """What apprise makes of an address; None where it understands none."""
    from apprise import Apprise, AppriseAsset

    asset = AppriseAsset(
        app_id="Ratchet",
        app_desc="Ratchet",
        # Apprise would add its own pictures, by address, to messages.
        image_url_mask="",
        image_url_logo="",
        # A redirected POST arrives as a GET without the message, and its 200 would look like success.
        http_redirects=False,
        service_timeout=PATIENCE_SECONDS,
    )
    return Apprise.instantiate(address, asset=asset)


def _attachments(message: Message, service: Any) -> tuple[Any, Any]:
    """The picture as a part of the message, or behind it, where the service shows pictures at all."""
    if message.picture is None or not service.attachment_support:
        return None, None
    from apprise.attachment.memory import AttachMemory

    picture = AttachMemory(  # type: ignore[no-untyped-call]
        content=message.picture, name="chart.png", mimetype="image/png"
    )
    name = str(service.service_name)
    return (picture if name in _IN_ONE else None), (picture if name in _BEHIND else None)


def _why_not(result: AppriseResult, again: bool = True) -> str:
    from apprise.result import AppriseResultStatus

    if result.status == AppriseResultStatus.TIMEOUT:
        what = f"It did not take the message within {PATIENCE_SECONDS:g} seconds."
    elif statuses := [found[1] for entry in result.logs() if (found := _HTTP_STATUS.search(entry.message))]:
        what = f"It answered with HTTP status {statuses[-1]}."
    else:
        what = "It could not be reached, did not answer in time, or refused the message."
    more = " The next delivery tries it again; if it lasts, check its address and the service behind it."
    return what + (more if again else "")


def _keep_addresses_out_of_logs() -> None:
    """Apprise and urllib3 log whole addresses, tokens included, at several levels.

    They are silenced for the life of the process, not only while sending: a worker that apprise
    stopped waiting for may log later.
    """
    logging.getLogger("apprise").addFilter(_reduce_to_status)
    logging.getLogger("urllib3").setLevel(logging.CRITICAL + 1)


def _reduce_to_status(record: logging.LogRecord) -> bool:
    """Leave nothing of an apprise record but the HTTP status that a channel answered with."""
    status = _HTTP_STATUS.search(record.getMessage())
    record.msg, record.args = (status[0] if status else ""), ()
    return status is not None
