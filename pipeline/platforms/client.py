"""The one HTTP client: how pages are asked for, paced, retried, bounded and told apart.

What a failing answer means is decided here for every platform alike. An answer that never
arrived is a TransportFault and tried again where that can help; a session that the platform no
longer accepts is a DeadSession and never tried again; a body that arrived belongs to the capture,
and what is wrong inside it is for the checks. What pages hold is the adapters' subject.
"""

from __future__ import annotations

import hashlib
import http.cookiejar
import logging
import re
import ssl
import time
from collections.abc import Callable, Container, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from http import HTTPStatus
from typing import NoReturn
from urllib.parse import urlsplit

import httpx
import stamina
import stamina.instrumentation

from pipeline.core.errors import ConfigError, DeadSession, TransportFault
from pipeline.platforms.protocol import CutShort, Page, Platform, Request, Unreadable

ATTEMPTS = 4
PAGE_SECONDS = 60.0
"""How long the body of one page may take to arrive, however steadily it drips."""
LONGEST_WAIT_SECONDS = 120.0
"""A platform that asks for more patience than this is reported instead of waited for."""

_KEPT_HEADERS = re.compile(
    r"content-type|date|etag|last-modified|retry-after|(x-)?rate-?limit(-[a-z]+)?|rate-(remaining|reset)"
)
_LOGIN_PATH = re.compile(r"(?<![a-z])(log[-_]?in|sign[-_]?in|sessions?|o?auth)(?![a-z])", re.IGNORECASE)
_HTML_START = re.compile(rb"(\xef\xbb\xbf)?\s*<")
_SECONDS = re.compile(r"\d{1,9}")

_log = logging.getLogger(__name__)
# At level DEBUG httpcore writes every header that arrives, a renewed session cookie among them.
logging.getLogger("httpcore").setLevel(logging.INFO)


def _log_retry(details: stamina.instrumentation.RetryDetails) -> None:
    reason = getattr(details.caused_by, "what", type(details.caused_by).__name__)
    _log.warning("%s; trying again in %.1f s", reason, details.wait_for)


# Left to itself stamina writes through structlog to standard output, where --json prints one object.
stamina.instrumentation.set_on_retry_hooks([_log_retry])
_retrying = stamina.RetryingCaller(attempts=ATTEMPTS, timeout=None, wait_initial=1.0, wait_max=30.0, wait_jitter=1.0)


def fetch_pages(
    platform: Platform,
    known: Container[str],
    *,
    max_pages: int,
    max_bytes: int,
    now: Callable[[], datetime],
    timeout: float = 20.0,
) -> Iterator[Page]:
    """Every page of one capture, in the order in which the platform's adapter asks for them.

    ``known`` is handed to `Platform.ask`. ``now`` stamps the pages and measures a Retry-After
    that is given as a date. ``timeout`` is in seconds, for connecting and for each silence.

    Raises CutShort after the pages that arrived when the listing is longer than ``max_pages``,
    larger than ``max_bytes`` (the last page is cut there), repeats a page, or is unreadable.
    Raises TransportFault or DeadSession when a page never arrives: then the pages before it are
    no capture either. Raises ConfigError when the credential cannot be sent at all.
    """
    with _connect(platform, now, timeout) as connection, closing(platform.ask(known)) as asking:
        seen: set[bytes] = set()
        room = max_bytes
        page: Page | None = None
        while True:
            try:
                request = next(asking) if page is None else asking.send(page)
            except StopIteration:
                return
            except Unreadable as error:
                raise CutShort(str(error)) from error
            if len(seen) == max_pages:
                raise CutShort(f"the listing goes on after {max_pages:,} pages, which is the bound")
            page, whole = connection.fetch(request, room)
            yield page
            if not whole:
                raise CutShort(f"the capture is larger than {max_bytes:,} bytes, which is the bound")
            room -= len(page.body)
            digest = hashlib.sha256(page.body).digest()
            if digest in seen and page.status == HTTPStatus.OK:
                raise CutShort(f"{page.request} repeats an earlier page byte for byte")
            seen.add(digest)


@contextmanager
def _connect(platform: Platform, now: Callable[[], datetime], timeout: float) -> Iterator[_Connection]:
    headers = {
        "User-Agent": "ratchet/0.1",
        # The stored bytes are the platform's own, and a small reply cannot unpack into a huge one.
        "Accept-Encoding": "identity",
        **platform.headers(),
    }
    for name, value in headers.items():
        # httpx and h11 would refuse these too, and quote the value in their errors.
        if not value.isascii() or not value.isprintable() or value != value.strip():
            raise ConfigError(
                f"the credential for {urlsplit(platform.base_url).hostname} cannot be sent in the header {name}",
                "It holds a line break, an outer blank or a character outside ASCII; copy it again.",
            )
    # Every request carries the configured credential and nothing that an earlier reply has set.
    no_cookies = http.cookiejar.CookieJar(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
    with httpx.Client(
        base_url=platform.base_url,
        headers=headers,
        cookies=no_cookies,
        timeout=timeout,
        verify=_trusted(),
        trust_env=False,
        follow_redirects=False,
    ) as client:
        yield _Connection(client, platform, now, timeout, _Pace(1 / platform.requests_per_second))


@cache
def _trusted() -> ssl.SSLContext:
    """The certificates that are trusted. Reading them takes longer than a capture on loopback."""
    return httpx.create_ssl_context(trust_env=False)


@dataclass
class _Pace:
    """Lets one request start every ``interval`` seconds, retries included."""

    interval: float
    _next: float = float("-inf")

    def wait(self) -> None:
        pause = self._next - time.monotonic()
        if pause > 0:
            time.sleep(pause)
        self._next = time.monotonic() + self.interval


@dataclass(frozen=True)
class _Connection:
    client: httpx.Client
    platform: Platform
    now: Callable[[], datetime]
    timeout: float
    pace: _Pace

    def fetch(self, request: Request, room: int) -> tuple[Page, bool]:
        """One page of at most ``room`` bytes, and whether that is all of it."""
        return _retrying(_wait_before_retry, self._attempt, request, room)

    def _attempt(self, request: Request, room: int) -> tuple[Page, bool]:
        sent = self.client.build_request("GET", request.path, params=request.params)
        target = sent.url.raw_path.decode("ascii")
        where = sent.url.netloc.decode("ascii") + target.partition("?")[0]
        self.pace.wait()
        with self._named_faults(where):
            response = self.client.send(sent, stream=True)
            with closing(response):
                if not (request.optional and response.status_code == HTTPStatus.NOT_FOUND):
                    self._judge(response, where)
                body = self._read(response, where, room)
        if response.status_code == HTTPStatus.OK and _HTML_START.match(body):
            self._html(where)
        headers = {name: value for name, value in response.headers.items() if _KEPT_HEADERS.fullmatch(name)}
        page = Page(f"GET {target}", response.status_code, headers, self.now(), body[:room])
        return page, len(body) <= room

    @contextmanager
    def _named_faults(self, where: str) -> Iterator[None]:
        """Names what went wrong on the wire. The cause is left out: it can quote what was sent."""
        try:
            yield
        except httpx.TimeoutException:
            raise TransportFault(f"{where} did not answer within {self.timeout:g} s") from None
        except httpx.ConnectError as error:
            raise TransportFault(f"{where} could not be reached: {error}") from None
        except httpx.RemoteProtocolError:
            raise TransportFault(f"{where} broke off before its answer was complete") from None
        except httpx.DecodingError:
            raise TransportFault(f"{where} sent a compressed body that does not unpack") from None
        except httpx.TransportError as error:
            raise TransportFault(f"{where} lost the connection ({type(error).__name__})") from None

    def _judge(self, response: httpx.Response, where: str) -> None:
        """Raises for every status but 200, and for HTML."""
        status = response.status_code
        if status == 401:
            raise DeadSession(
                f"{where} answered 401: the credential is missing, wrong or has expired",
                self.platform.login_hint,
                status=status,
            )
        if status == 403:
            raise DeadSession(
                f"{where} answered 403: the credential is known and may not read this",
                self.platform.login_hint,
                status=status,
            )
        if response.has_redirect_location and _is_login(response.headers["location"]):
            raise DeadSession(
                f"{where} answered {status} with a redirect to its login page",
                self.platform.login_hint,
                status=status,
            )
        if status != 200:
            words = (
                "a redirect, which is not followed" if response.is_redirect else httpx.codes.get_reason_phrase(status)
            )
            raise TransportFault(
                f"{where} answered {status} ({words or 'a status without a name'})",
                status=status,
                retry_after=_retry_after(response.headers.get("retry-after", ""), self.now()),
            )
        if response.headers.get("content-type", "").strip().lower().startswith("text/html"):
            self._html(where)

    def _html(self, where: str) -> NoReturn:
        raise DeadSession(
            f"{where} answered 200 with an HTML page where JSON was due, as platforms do without a session",
            self.platform.login_hint,
            status=200,
        )

    def _read(self, response: httpx.Response, where: str, room: int) -> bytes:
        """The body, or the beginning of it that shows that it is longer than ``room``."""
        body = bytearray()
        started = time.monotonic()
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > room:
                break
            if time.monotonic() - started > PAGE_SECONDS:
                raise TransportFault(f"{where} did not finish its page within {PAGE_SECONDS:g} s")
        return bytes(body)


def _is_login(location: str) -> bool:
    try:
        return _LOGIN_PATH.search(urlsplit(location).path) is not None
    except ValueError:
        return False


def _retry_after(header: str, now: datetime) -> float | None:
    """Seconds from now, from either form of RFC 9110, section 10.2.3; None where it is neither."""
    if _SECONDS.fullmatch(header):
        return float(header)
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())


def _wait_before_retry(error: Exception) -> bool | float:
    """stamina's question after a failure: False is no retry, True its own back-off, a number seconds."""
    if not isinstance(error, TransportFault):
        return False
    if error.status is not None and error.status != 429 and error.status < 500:
        return False
    if error.retry_after is None:
        return True
    return error.retry_after if error.retry_after <= LONGEST_WAIT_SECONDS else False
