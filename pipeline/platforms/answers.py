"""What an answer means, decided for every platform alike, and how much of its body is read.

An answer that never arrived is a TransportFault and tried again where that can help; a session that the platform no
longer accepts is a DeadSession and never tried again; a body that arrived belongs to the capture, and what is wrong
inside it is for the checks.
"""

from __future__ import annotations

import errno
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

import httpx

from pipeline.core.errors import DeadSession, TransportFault
from pipeline.platforms.pacing import retry_after

_START = "Nothing was recorded. Start what should listen there (for the shipped demo: make dev), then try again."
PAGE_TIMEOUTS = 3
"""How many times the platform's timeout the body of one page may take to arrive, however steadily it drips."""
FAULT_BYTES = 65_536
"""How much is read of an answer that is no page: enough for its platform to say what is wrong."""
UNPACKED = ("", "identity", "gzip", "deflate")
"""Encodings of a body that are read, although none is asked for: a piece of the wire grows by a thousand at most.

Packed twice it grows by a million, before anybody can count what arrived.
"""

_LOGIN_PATH = re.compile(r"(?<![a-z])(log[-_]?in|sign[-_]?in|sessions?|o?auth)(?![a-z])", re.IGNORECASE)
_HTML_START = re.compile(rb"(\xef\xbb\xbf)?\s*<")


@dataclass
class Room:
    """The bytes that a capture may still have, shared by the pages that arrive at once."""

    left: int
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, size: int) -> bool:
        """False where that was more than there was."""
        with self._lock:
            self.left -= size
            return self.left >= 0


@contextmanager
def named_faults(where: str, timeout: float) -> Iterator[None]:
    """Names what went wrong on the wire. The cause is left out: it can quote what was sent."""
    try:
        yield
    except httpx.TimeoutException:
        raise TransportFault(f"{where} did not answer within {timeout:g} s") from None
    except httpx.ConnectError as error:
        what = f"{where} could not be reached: {error}"
        if f"[Errno {errno.ECONNREFUSED}]" in str(error) and _is_this_machine(error.request.url.host):
            raise TransportFault(what, _START) from None
        raise TransportFault(what) from None
    except httpx.RemoteProtocolError:
        raise TransportFault(f"{where} broke off before its answer was complete") from None
    except httpx.DecodingError:
        raise TransportFault(f"{where} sent a compressed body that does not unpack") from None
    except httpx.TransportError as error:
        raise TransportFault(f"{where} lost the connection ({type(error).__name__})") from None


def _is_this_machine(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")


def meaning(response: httpx.Response, where: str, login_hint: str, now: datetime) -> TransportFault | DeadSession:
    """What an answer without a page means, on any platform. ``login_hint``: what its owner is to do about a session."""
    status = response.status_code
    again = retry_after(response.headers, now)
    if status == 401:
        return DeadSession(
            f"{where} answered 401: the credential is missing, wrong or has expired",
            login_hint,
            status=status,
        )
    if status == 403 and again is None:
        return DeadSession(
            f"{where} answered 403: the credential is known and may not read this",
            login_hint,
            status=status,
        )
    if response.has_redirect_location and _is_login(response.headers["location"]):
        return DeadSession(
            f"{where} answered {status} with a redirect to its login page",
            login_hint,
            status=status,
        )
    words = httpx.codes.get_reason_phrase(status) or "a status without a name"
    if response.is_redirect:
        words = "a redirect, which is not followed"
    if status in (403, 429) and again is not None:
        words = f"its limit is used up for {again:.0f} s"
    return TransportFault(f"{where} answered {status} ({words})", status=status, retry_after=again)


def no_data(where: str, login_hint: str) -> DeadSession:
    """The fault of an HTML page that came as a success. ``where``: the request, without anything secret."""
    return DeadSession(
        f"{where} answered 200 with an HTML page where data was due, as platforms do without a session",
        login_hint,
        status=200,
    )


def read(response: httpx.Response, where: str, timeout: float, room: Room) -> tuple[bytes, bool]:
    """The body, or the beginning of it where it is longer than the room that is left, and whether it is whole."""
    if (encoding := _encoding(response)) not in UNPACKED:
        what = f"{where} sent a body in the encoding {encoding[:50]!r}, which was not asked for"
        raise TransportFault(what, status=response.status_code)
    body = bytearray()
    started, longest = time.monotonic(), PAGE_TIMEOUTS * timeout
    try:
        for chunk in response.iter_bytes():
            body += chunk
            if not room.take(len(chunk)):
                return bytes(body[: room.left]), False
            if time.monotonic() - started > longest:
                raise TransportFault(f"{where} did not finish its page within {longest:g} s")
    except (TransportFault, httpx.TransportError):
        room.take(-len(body))  # the page will be asked for again
        raise
    return bytes(body), True


def beginning(response: httpx.Response, timeout: float) -> bytes:
    """The first 64 KiB of a body, or what came of them within ``timeout`` seconds; nothing in an unknown coding."""
    body = bytearray()
    started = time.monotonic()
    for chunk in response.iter_bytes() if _encoding(response) in UNPACKED else ():
        body += chunk
        if len(body) >= FAULT_BYTES or time.monotonic() - started > timeout:
            break
    return bytes(body[:FAULT_BYTES])


def _encoding(response: httpx.Response) -> str:
    return str(response.headers.get("content-encoding", "")).strip().lower()


def is_html(response: httpx.Response, body: bytes) -> bool:
    """Whether the header says so, or what stands at the beginning of the body."""
    kind = str(response.headers.get("content-type", "")).strip().lower()
    return kind.startswith("text/html") or _HTML_START.match(body) is not None


def _is_login(location: str) -> bool:
    try:
        return _LOGIN_PATH.search(urlsplit(location).path) is not None
    except ValueError:
        return False
