"""Pages that are asked for at once, limits that hold for all of them, and pages that still stand."""

from __future__ import annotations

import json
import threading
from collections.abc import Container, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from http.server import ThreadingHTTPServer
from typing import Any

import pytest

from pipeline.core.errors import DeadSession, TransportFault
from pipeline.core.hours import format_time
from pipeline.platforms.client import fetch_pages
from pipeline.platforms.protocol import Columns, CutShort, Page, Platform, Request
from pipeline_tests import loopback

from .conftest import NOW, Clock

Answer = tuple[int, Mapping[str, str], bytes]


class Shelf(Platform, frozen=True):
    """A platform of numbered pages that are all asked for together."""

    kind: str = "shelf"
    pages: int = 8
    login_hint = "Log in."

    @property
    def credential(self) -> str:
        return "planted-secret"

    def headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.credential}"}

    def ask(self, known: Container[str]) -> Generator[Sequence[Request], Sequence[Page], None]:
        yield [Request("/page", {"n": str(number)}) for number in range(self.pages)]

    def read(self, page: Page) -> Columns:
        columns: Columns = json.loads(page.body)
        return columns


class Served:
    """What a page is answered with, and how many requests were under way at once at most."""

    def __init__(self, together: int) -> None:
        self.url = ""
        self.headers: list[Mapping[str, str]] = []
        self.most = 0
        self._under_way = 0
        self._lock = threading.Lock()
        self._together = threading.Barrier(together)
        self.answers: dict[str, list[Answer]] = {}
        self.meet = together > 1

    def answer(self, path: str, headers: Mapping[str, str]) -> Answer:
        with self._lock:
            self.headers.append(dict(headers))
            self._under_way += 1
            self.most = max(self.most, self._under_way)
        try:
            if self.meet:
                self._together.wait(timeout=30)
            prepared = self.answers.get(path)
            return prepared.pop(0) if prepared else (200, {}, json.dumps({"page": path}).encode())
        finally:
            with self._lock:
                self._under_way -= 1


@contextmanager
def serving(together: int = 1) -> Iterator[Served]:
    class Handler(loopback.Quiet):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, headers, body = served.answer(self.path, {k.lower(): v for k, v in self.headers.items()})
            self.send_response(status)
            length = {} if status == 304 else {"Content-Length": str(len(body))}
            for name, value in {"Content-Type": "application/json", **length, **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body if status != 304 else b"")

    served = Served(together)

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """A client that gives up a page is what some tests are about."""

    with loopback.serving(Handler, Server) as port:
        served.url = f"http://127.0.0.1:{port}"
        yield served


def shelf(served: Served, **settings: Any) -> Shelf:
    return Shelf.model_validate({"base_url": served.url, "requests_per_second": 10_000, **settings})


def fetch(platform: Platform, **more: Any) -> list[Page]:
    bounds: dict[str, Any] = {"max_pages": 100, "max_bytes": 1_000_000, "now": lambda: NOW}
    return list(fetch_pages(platform, (), **bounds | more))


def test_as_many_pages_as_allowed_are_asked_for_at_once_and_come_in_order() -> None:
    with serving(together=4) as served:
        pages = fetch(shelf(served, concurrency=4))
    assert [page.request for page in pages] == [f"GET /page?n={number}" for number in range(8)]
    assert served.most == 4


def test_what_follows_an_answer_on_its_connection_is_not_the_answer_to_the_next_request() -> None:
    planted = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\nplanted"
    with serving() as served:
        length = {"Content-Length": "2", "Connection": "keep-alive"}
        served.answers["/page?n=0"] = [(200, length, b"{}" + planted)]
        pages = fetch(shelf(served, pages=2))
    assert [page.body for page in pages] == [b"{}", b'{"page": "/page?n=1"}']


def test_without_leave_pages_are_asked_for_one_by_one() -> None:
    with serving() as served:
        fetch(shelf(served))
    assert served.most == 1


def test_one_page_that_never_arrives_leaves_no_capture() -> None:
    with serving() as served:
        served.answers["/page?n=3"] = [(401, {}, b"{}")]
        with pytest.raises(DeadSession):
            fetch(shelf(served, concurrency=4))


def test_pages_that_arrive_at_once_share_the_room_of_the_capture() -> None:
    with serving() as served:
        for number in range(8):
            served.answers[f"/page?n={number}"] = [(200, {}, json.dumps([number] * 400).encode())]
        with pytest.raises(CutShort, match="larger than 3,000 bytes"):
            fetch(shelf(served, concurrency=4), max_bytes=3_000)


def test_more_pages_than_the_bound_are_not_even_asked_for() -> None:
    with serving() as served, pytest.raises(CutShort, match="goes on after 5 pages"):
        fetch(shelf(served, concurrency=4), max_pages=5)
    assert len(served.headers) == 5


def test_the_request_after_the_last_of_a_limit_waits_until_it_begins_anew(clock: Clock) -> None:
    reset = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(NOW.timestamp()) + 45)}
    with serving() as served:
        served.answers["/page?n=0"] = [(200, reset, b"{}")]
        assert len(fetch(shelf(served, pages=2))) == 2
    assert max(clock.waits) == pytest.approx(45, abs=0.1)


def test_403_with_a_limit_that_is_used_up_is_no_dead_session(clock: Clock) -> None:
    reset = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(NOW.timestamp()) + 3600)}
    with serving() as served:
        served.answers["/page?n=0"] = [(403, reset, b'{"message":"API rate limit exceeded"}')]
        with pytest.raises(TransportFault, match="its limit is used up for 3600 s") as caught:
            fetch(shelf(served))
    assert (caught.value.status, caught.value.retry_after) == (403, 3600)
    assert len(served.headers) == 1


def test_403_with_retry_after_is_waited_for_and_asked_again(clock: Clock) -> None:
    with serving() as served:
        served.answers["/page?n=0"] = [(403, {"Retry-After": "20"}, b"{}")]
        assert len(fetch(shelf(served, pages=1))) == 1
    assert 20.0 in clock.waits


def test_a_page_that_still_stands_is_not_sent_again() -> None:
    with serving() as served:
        platform = shelf(served, pages=1, conditional=True)
        served.answers["/page?n=0"] = [
            (200, {"ETag": '"v1"', "Link": "<next>"}, b'{"a":1}'),
            (304, {"ETag": '"v1"'}, b""),
        ]
        [first] = fetch(platform)
        [again] = fetch(platform, remembered={first.request: first}.get)
    assert [sent.get("if-none-match") for sent in served.headers] == [None, '"v1"']
    assert (again.body, again.status, again.headers["link"]) == (first.body, 200, "<next>")
    assert again.unchanged_since == first.fetched_at == NOW


def test_a_platform_that_does_not_say_so_is_not_asked_with_an_etag() -> None:
    with serving() as served:
        served.answers["/page?n=0"] = [(200, {"ETag": '"v1"'}, b"{}")] * 2
        [first] = fetch(shelf(served, pages=1))
        fetch(shelf(served, pages=1), remembered={first.request: first}.get)
    assert all("if-none-match" not in sent for sent in served.headers)


@pytest.mark.parametrize("etag", ['"a\r\nCookie: planted"', '"é"', '"v1" ', '"\x00"', ""])
def test_an_etag_that_no_header_can_hold_is_not_sent(etag: str) -> None:
    with serving() as served:
        platform = shelf(served, pages=1, conditional=True)
        [first] = fetch(platform)
        stored = replace(first, headers={**first.headers, "etag": etag})
        [again] = fetch(platform, remembered={first.request: stored}.get)
    assert again.body == first.body
    assert [{"if-none-match", "cookie"} & sent.keys() for sent in served.headers] == [set(), set()]


def test_304_that_nobody_asked_for_is_a_fault() -> None:
    with serving() as served:
        served.answers["/page?n=0"] = [(304, {}, b"")]
        with pytest.raises(TransportFault, match="answered 304"):
            fetch(shelf(served, conditional=True))


def test_the_end_of_the_session_is_read_from_the_cookie_that_was_sent() -> None:
    class WithCookie(Shelf, frozen=True):
        def expiry(self, headers: Sequence[tuple[str, str]], now: Any) -> Any:
            from pipeline.platforms.credentials import cookie_expiry

            return cookie_expiry(headers, {"session": "mine"}, now)

    with serving() as served:
        cookie = "session=mine; Path=/; Expires=Wed, 02 Dec 2026 10:00:00 GMT; HttpOnly"
        served.answers["/page?n=0"] = [(200, {"Set-Cookie": cookie}, b"{}")]
        platform = WithCookie.model_validate({"base_url": served.url, "requests_per_second": 10_000, "pages": 1})
        [page] = fetch(platform)
    assert page.credential_expires is not None
    assert format_time(page.credential_expires) == "2026-12-02T10:00:00Z"
    assert "set-cookie" not in page.headers
