"""The one HTTP client: how pages are asked for, paced, tried again and bounded.

What an answer means, `answers` says for every platform alike; what pages hold is the adapters' subject.
"""

from __future__ import annotations

import hashlib
import http.cookiejar
import logging
import re
import ssl
import threading
from collections.abc import Callable, Container, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from http import HTTPStatus
from urllib.parse import urlsplit

import httpx
import stamina
import stamina.instrumentation

from pipeline.core.errors import ConfigError, TransportFault
from pipeline.platforms.answers import Room, beginning, is_html, meaning, named_faults, no_data, read
from pipeline.platforms.pacing import LONGEST_WAIT_SECONDS, TokenBucket, bucket_of, exhausted_for, retry_after
from pipeline.platforms.protocol import CutShort, Page, Platform, Request, Unreadable

ATTEMPTS = 4

_KEPT_HEADERS = re.compile(
    r"content-type|date|etag|last-modified|link|retry-after|total-count"
    r"|(x-)?rate-?limit(-[a-z]+)?|rate-(limit|remaining|reset)"
)

_log = logging.getLogger(__name__)
# At level DEBUG httpcore writes every header that arrives, a renewed session cookie among them.
logging.getLogger("httpcore").setLevel(logging.INFO)
# At level INFO httpx writes every address with its parameters, and a key can be one of them.
logging.getLogger("httpx").setLevel(logging.WARNING)


def _log_retry(details: stamina.instrumentation.RetryDetails) -> None:
    reason = getattr(details.caused_by, "what", type(details.caused_by).__name__)
    _log.warning("%s; trying again in %.1f s", reason, details.wait_for)


# Left to itself stamina writes through structlog to standard output, where --json prints one object.
stamina.instrumentation.set_on_retry_hooks([_log_retry])
_retrying = stamina.RetryingCaller(attempts=ATTEMPTS, timeout=None, wait_initial=1.0, wait_max=30.0, wait_jitter=1.0)

Remembered = Callable[[str], Page | None]
"""The last stored page of a request line, for platforms that can say that it still stands."""


def fetch_pages(
    platform: Platform,
    known: Container[str],
    *,
    max_pages: int,
    max_bytes: int,
    now: Callable[[], datetime],
    remembered: Remembered = lambda request: None,
    retry: bool = True,
) -> Iterator[Page]:
    """Every page of one capture, in the order in which the platform's adapter asks for them.

    ``known`` is handed to `Platform.ask`. ``now`` stamps the pages and measures a Retry-After
    that is given as a date. ``retry``: whether a fault of transport is tried again here.

    Raises CutShort after the pages that arrived when the capture has more than ``max_pages``, is
    larger than ``max_bytes`` (the last page is cut there), repeats a page, or is unreadable.
    Raises TransportFault or DeadSession when a page never arrives: then the pages before it are
    no capture either. Raises ConfigError when the credential cannot be sent at all.
    """
    with (
        _connect(platform, now, remembered, Room(max_bytes), retry) as connection,
        closing(platform.ask(known)) as asking,
    ):
        seen: set[tuple[str, bytes]] = set()
        pages: list[Page] | None = None
        arrived = 0
        while True:
            try:
                requests = next(asking) if pages is None else asking.send(pages)
            except StopIteration:
                return
            except Unreadable as error:
                raise CutShort(str(error)) from error
            pages = []
            for request, (page, whole) in connection.fetch_all(requests[: max_pages - arrived]):
                yield page
                pages.append(page)
                arrived += 1
                if not whole:
                    raise CutShort(f"the capture is larger than {max_bytes:,} bytes, which is the bound")
                digest = request.listing, hashlib.sha256(page.body).digest()
                if digest in seen and page.status == HTTPStatus.OK:
                    raise CutShort(f"{page.request} repeats an earlier page byte for byte")
                seen.add(digest)
            if len(pages) < len(requests):
                raise CutShort(f"the listing goes on after {max_pages:,} pages, which is the bound")


@contextmanager
def _connect(
    platform: Platform, now: Callable[[], datetime], remembered: Remembered, room: Room, retry: bool
) -> Iterator[_Connection]:
    headers = {
        "User-Agent": "ratchet/0.1",
        # The stored bytes are the platform's own, and a small reply cannot unpack into a huge one.
        "Accept-Encoding": "identity",
        # On a kept connection what follows an answer would be taken for the next one, of another page.
        "Connection": "close",
        **platform.headers(),
    }
    for name, value in headers.items():
        # httpx and h11 would refuse these too, and quote the value in their errors.
        if not _can_be_sent(value):
            raise ConfigError(
                f"the credential for {urlsplit(platform.base_url).hostname} cannot be sent in the header {name}",
                "It holds a line break, an outer blank or a character outside ASCII; copy it again.",
            )
    # Every request carries the configured credential and nothing that an earlier reply has set.
    no_cookies = http.cookiejar.CookieJar(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
    bucket = bucket_of(urlsplit(platform.base_url).netloc, platform.requests_per_second, platform.concurrency)
    with httpx.Client(
        base_url=_base(platform),
        headers=headers,
        cookies=no_cookies,
        timeout=platform.timeout,
        verify=_trusted(),
        trust_env=False,
        follow_redirects=False,
    ) as client:
        yield _Connection(client, platform, now, remembered, room, bucket, retry)


def _can_be_sent(value: str) -> bool:
    return value.isascii() and value.isprintable() and value == value.strip()


def _base(platform: Platform) -> httpx.URL:
    """The address of the platform. Raises ConfigError for a host that no resolver would take."""
    try:
        address = httpx.URL(platform.base_url)
        address.host.encode("idna")  # as the socket will; a label of a name has 1 to 63 characters
    except (httpx.InvalidURL, UnicodeError):
        host = platform.base_url.partition("//")[2]
        raise ConfigError(f"'{host[:100]}' is no name of a host", "Mend the base_url of the source.") from None
    return address


@cache
def _trusted() -> ssl.SSLContext:
    """The certificates that are trusted. Reading them takes longer than a capture on loopback."""
    return httpx.create_ssl_context(trust_env=False)


@dataclass(frozen=True)
class _Connection:
    client: httpx.Client
    platform: Platform
    now: Callable[[], datetime]
    remembered: Remembered
    room: Room
    bucket: TokenBucket
    retry: bool
    abandoned: threading.Event = field(default_factory=threading.Event)

    def fetch_all(self, requests: Sequence[Request]) -> Iterator[tuple[Request, tuple[Page, bool]]]:
        """Each request with its page, and whether that is all of it, in the order of the requests."""
        if self.platform.concurrency == 1 or len(requests) == 1:
            yield from ((request, self._fetch(request)) for request in requests)
            return
        workers = ThreadPoolExecutor(self.platform.concurrency, "page")
        try:
            yield from zip(requests, workers.map(self._fetch, requests), strict=True)
        except BaseException:
            self.abandoned.set()  # the pages that are still under way are of no use
            raise
        finally:
            workers.shutdown(wait=False, cancel_futures=True)

    def _fetch(self, request: Request) -> tuple[Page, bool]:
        return _retrying(self._wait_before_retry, self._attempt, request)

    def _wait_before_retry(self, error: Exception) -> bool | float:
        return self.retry and not self.abandoned.is_set() and _wait_before_retry(error)

    def _attempt(self, request: Request) -> tuple[Page, bool]:
        sent = self._addressed(request)
        target = sent.url.raw_path.decode("ascii")
        host = sent.url.netloc.decode("ascii")
        where = host + target.partition("?")[0]
        old = self.remembered(f"GET {target}") if self.platform.conditional else None
        if old is not None and (etag := old.headers.get("etag")) and _can_be_sent(etag):
            sent.headers["If-None-Match"] = etag
        if secret := self.platform.secret_params():
            sent.url = sent.url.copy_merge_params(secret)
        self.bucket.take(host)
        with named_faults(where, self.platform.timeout):
            response = self.client.send(sent, stream=True)
            with closing(response):
                return self._page(response, request, where, f"GET {target}", old)

    def _addressed(self, request: Request) -> httpx.Request:
        try:
            return self.client.build_request("GET", request.path, params=request.params)
        except httpx.InvalidURL as error:
            raise CutShort(
                f"what follows {request.path[:200]} asks for an address that cannot be sent: {error}"
            ) from None

    def _page(
        self, response: httpx.Response, request: Request, where: str, line: str, old: Page | None
    ) -> tuple[Page, bool]:
        """What an answer is: a page and whether it is whole, or the error that it means."""
        now, status = self.now(), response.status_code
        headers = {name: value for name, value in response.headers.items() if _KEPT_HEADERS.fullmatch(name)}
        expires = self.platform.expiry([(name.lower(), value) for name, value in response.headers.multi_items()], now)
        self._heed_limits(headers, now)
        if status == HTTPStatus.NOT_MODIFIED and old is not None:
            standing = old.unchanged_since or old.fetched_at
            still = replace(old, headers={**old.headers, **headers}, fetched_at=now, credential_expires=expires)
            return replace(still, unchanged_since=standing), self.room.take(len(old.body))
        is_page = status == HTTPStatus.OK or (request.optional and status == HTTPStatus.NOT_FOUND)
        timeout = self.platform.timeout
        body, whole = read(response, where, timeout, self.room) if is_page else (beginning(response, timeout), True)
        page = Page(line, status, headers, now, body, credential_expires=expires)
        if (fault := self.platform.fault(page)) is not None:
            raise fault
        if not is_page:
            raise meaning(response, where, self.platform.login_hint, now)
        if status == HTTPStatus.OK and is_html(response, body):
            raise no_data(where, self.platform.login_hint)
        return page, whole

    def _heed_limits(self, headers: dict[str, str], now: datetime) -> None:
        """A limit that this answer used up, or that it names, holds for whatever is asked next of this host."""
        pause = retry_after(headers, now) if "retry-after" in headers else exhausted_for(headers, now)
        if pause is not None:
            self.bucket.shut(pause)


def _wait_before_retry(error: Exception) -> bool | float:
    """What stamina asks after a failure: False is no retry, True its own back-off, a number seconds."""
    if not isinstance(error, TransportFault):
        return False
    if error.retry_after is not None:
        # The bucket is shut that long already, for every request to this host.
        return 0.0 if error.retry_after <= LONGEST_WAIT_SECONDS else False
    return error.status is None or error.status == 429 or error.status >= 500
