"""Which failures are tried again, how long is waited, and how they are told apart."""

from __future__ import annotations

import gzip
import resource
import socket
import zlib
from collections.abc import Iterator

import httpx
import pytest
import stamina

from pipeline.core.errors import ConfigError, DeadSession, TransportFault
from pipeline.platforms import answers, client
from pipeline.platforms.note import Note
from pipeline.sandbox.faults import (
    HTML_PAGE,
    LOGIN_REDIRECT,
    OTHER_REDIRECT,
    Drip,
    Drop,
    DropInBody,
    Fault,
    Hang,
    Reply,
)
from pipeline.sandbox.server import NoteSandbox
from pipeline_tests.platforms.conftest import Clock, Fetch

PASSING: list[Fault] = [Drop(), DropInBody(), Hang(), Reply(429), Reply(500), Reply(502), Reply(503)]


@pytest.mark.parametrize("fault", PASSING, ids=repr)
def test_a_fault_that_may_pass_is_tried_four_times(sandbox: NoteSandbox, fetch: Fetch, fault: Fault) -> None:
    sandbox.fail_next(*[fault] * 4)
    with pytest.raises(TransportFault) as failure:
        fetch(timeout=0.1 if fault == Hang() else 5.0)
    assert len(sandbox.requests) == client.ATTEMPTS == 4
    assert failure.value.status == (fault.status if isinstance(fault, Reply) else None)
    assert f"{sandbox.url.removeprefix('http://')}/api/v1/stats/pv" in failure.value.what
    assert "filter=all" not in str(failure.value)


@pytest.mark.parametrize("fault", PASSING, ids=repr)
def test_a_fault_that_passed_leaves_a_whole_capture(sandbox: NoteSandbox, fetch: Fetch, fault: Fault) -> None:
    sandbox.fail_next(fault, fault)
    assert len(fetch(timeout=0.1 if fault == Hang() else 5.0)) == 2
    assert len(sandbox.requests) == 4


def test_a_platform_that_cannot_be_reached_is_a_transport_fault(note: Note, sandbox: NoteSandbox, fetch: Fetch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(TransportFault, match=f"127.0.0.1:{port}/api/v1/stats/pv could not be reached.*\n.*make dev"):
        fetch(note.model_copy(update={"base_url": f"http://127.0.0.1:{port}"}))
    with pytest.raises(TransportFault, match=r"could not be reached.*\n.*status page"):
        fetch(note.model_copy(update={"base_url": sandbox.url.replace("http:", "https:")}))
    with pytest.raises(TransportFault, match=r"could not be reached.*\n.*status page"):
        fetch(note.model_copy(update={"base_url": "http://ratchet.invalid"}))


@pytest.mark.parametrize("address", ["http://256.1.1.1", "http://blog..example", f"http://{'long' * 20}.example"])
def test_a_host_that_can_be_none_is_a_mistake_in_the_yaml(note: Note, fetch: Fetch, address: str) -> None:
    with pytest.raises(ConfigError, match="is no name of a host"):
        fetch(note.model_copy(update={"base_url": address}))


def test_a_page_that_drips_for_ever_is_given_up(
    sandbox: NoteSandbox, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "time", Clock(step=answers.PAGE_TIMEOUTS * 5 + 1))
    sandbox.fail_next(*[Drip(pause=0.001)] * 4)
    with pytest.raises(TransportFault, match="did not finish its page within 15 s"):
        fetch()
    assert len(sandbox.requests) == 4


def test_waits_between_attempts_grow_and_vary(sandbox: NoteSandbox, fetch: Fetch, clock: Clock) -> None:
    sandbox.fail_next(*[Reply(500)] * 4)
    with pytest.raises(TransportFault):
        fetch()
    back_off = [wait for wait in clock.waits if wait > 0.5]
    for wait, least in zip(back_off, (1, 2, 4), strict=True):
        assert least < wait < least + 1


@pytest.mark.parametrize(("header", "seconds"), [("30", 30.0), ("Sun, 22 Nov 2026 14:17:45 GMT", 45.0), ("120", 120.0)])
@pytest.mark.parametrize("status", [429, 503])
def test_the_platform_says_how_long_to_wait(
    sandbox: NoteSandbox, fetch: Fetch, clock: Clock, header: str, seconds: float, status: int
) -> None:
    sandbox.fail_next(Reply(status, {"Retry-After": header}))
    assert len(fetch()) == 2
    assert seconds in clock.waits


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("121", 121.0), ("Sun, 22 Nov 2026 15:17:00 GMT", 3600.0), ("999999999", 999999999.0)],
)
def test_too_long_a_wait_is_reported_and_not_waited_for(
    sandbox: NoteSandbox, fetch: Fetch, clock: Clock, header: str, seconds: float
) -> None:
    sandbox.fail_next(Reply(429, {"Retry-After": header}))
    with pytest.raises(TransportFault) as failure:
        fetch()
    assert (failure.value.status, failure.value.retry_after) == (429, seconds)
    assert len(sandbox.requests) == 1
    assert clock.waits == []


@pytest.mark.parametrize("header", ["soon", "-5", "nan", "9" * 400, "Sun, 99 Nov 2026 15:17:00 GMT"])
def test_a_retry_after_that_says_nothing_is_left_to_the_back_off(
    sandbox: NoteSandbox, fetch: Fetch, clock: Clock, header: str
) -> None:
    sandbox.fail_next(Reply(429, {"Retry-After": header}))
    assert len(fetch()) == 2
    assert 1 < max(clock.waits) < 2


def test_a_date_that_has_passed_asks_for_no_wait(sandbox: NoteSandbox, fetch: Fetch) -> None:
    sandbox.fail_next(*[Reply(503, {"Retry-After": "Sun, 22 Nov 2026 14:00:00 GMT"})] * 4)
    with pytest.raises(TransportFault) as failure:
        fetch()
    assert failure.value.retry_after == 0.0


@pytest.mark.parametrize("status", [400, 404, 410, 204, 206])
def test_an_answer_that_will_not_change_is_not_tried_again(sandbox: NoteSandbox, fetch: Fetch, status: int) -> None:
    sandbox.fail_next(Reply(status))
    with pytest.raises(TransportFault, match=f"answered {status}") as failure:
        fetch()
    assert failure.value.status == status
    assert len(sandbox.requests) == 1


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Reply(401), "answered 401: the credential is missing, wrong or has expired"),
        (Reply(403), "answered 403: the credential is known and may not read this"),
        (LOGIN_REDIRECT, "answered 302 with a redirect to its login page"),
        (Reply(303, {"Location": "https://id.example/users/sign_in"}), "redirect to its login page"),
        (Reply(307, {"Location": "/oauth/authorize"}), "redirect to its login page"),
        (HTML_PAGE, "answered 200 with an HTML page"),
        (Reply(200, {"Content-Type": "application/json"}, b"\xef\xbb\xbf \n<html>"), "an HTML page"),
        (Reply(200, {"Content-Type": "Text/HTML"}, b'{"data": {}}'), "an HTML page"),
    ],
)
def test_a_dead_session_is_asked_once_and_says_what_to_do(
    sandbox: NoteSandbox, fetch: Fetch, fault: Reply, words: str
) -> None:
    sandbox.fail_next(fault)
    with pytest.raises(DeadSession) as failure:
        fetch()
    assert words in failure.value.what
    assert failure.value.next_step == Note.login_hint
    assert failure.value.status == fault.status
    assert len(sandbox.requests) == 1


def test_a_wrong_cookie_is_a_dead_session(note: Note, fetch: Fetch) -> None:
    with pytest.raises(DeadSession, match="401"):
        fetch(Note.model_validate({**note.model_dump(), "session_cookie": "of-another"}))


@pytest.mark.parametrize(("step", "size"), [(0.0, answers.FAULT_BYTES), (6.0, 1_000)], ids=["in bytes", "in time"])
def test_of_an_answer_that_is_no_page_only_the_beginning_is_read(
    monkeypatch: pytest.MonkeyPatch, step: float, size: int
) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(100):
            yield b"x" * 1_000
        pytest.fail("it is read on and on")

    monkeypatch.setattr(answers, "time", Clock(step=step))
    assert answers.beginning(httpx.Response(500, content=endless()), 5.0) == b"x" * size


def packed_twice(size: int) -> bytes:
    packing = zlib.compressobj(9, zlib.DEFLATED, 31)
    once = b"".join(packing.compress(bytes(1_000_000)) for _ in range(size // 1_000_000)) + packing.flush()
    return gzip.compress(once)


@pytest.mark.parametrize("encoding", ["gzip, gzip", "br", "made-up"])
def test_a_body_in_an_encoding_that_can_hide_gigabytes_is_not_unpacked(
    sandbox: NoteSandbox, fetch: Fetch, encoding: str
) -> None:
    bomb = packed_twice(500_000_000)
    assert len(bomb) < 10_000
    sandbox.fail_next(Reply(headers={"Content-Encoding": encoding}, body=bomb))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(TransportFault, match=f"in the encoding '{encoding}', which was not asked for"):
        fetch()
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 100  # MiB
    assert len(sandbox.requests) == 1


def test_a_refusal_in_such_an_encoding_means_what_its_status_says(sandbox: NoteSandbox, fetch: Fetch) -> None:
    sandbox.fail_next(Reply(401, {"Content-Encoding": "gzip, gzip"}, packed_twice(500_000_000)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DeadSession, match="answered 401"):
        fetch()
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 100  # MiB


@pytest.mark.parametrize(
    "fault",
    [
        OTHER_REDIRECT,
        Reply(302, {"Location": "/authors?back=/login"}),
        Reply(302, {"Location": "http://["}),
        Reply(302),
    ],
)
def test_another_redirect_is_neither_followed_nor_tried_again(sandbox: NoteSandbox, fetch: Fetch, fault: Reply) -> None:
    sandbox.fail_next(fault)
    with pytest.raises(TransportFault, match="a redirect, which is not followed") as failure:
        fetch()
    assert failure.value.status == fault.status
    assert len(sandbox.requests) == 1


@pytest.mark.parametrize(
    "target",
    ["https://elsewhere.example/api", "http://blog.example/api", "/api/v1/stats/pv?filter=all&page=1&sort=pv"],
    ids=["another host", "plain HTTP", "itself"],
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_takes_the_credential_along(
    note: Note, fetch: Fetch, monkeypatch: pytest.MonkeyPatch, status: int, target: str
) -> None:
    asked = []

    def answer(_: object, request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(status, headers={"Location": target}, content=b"")

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", answer)
    with pytest.raises(TransportFault, match="a redirect, which is not followed"):
        fetch(note.model_copy(update={"base_url": "https://blog.example"}))
    assert asked == ["https://blog.example/api/v1/stats/pv?filter=all&page=1&sort=pv"]


@pytest.mark.parametrize("length", ["-1", "9" * 30, "10, 20", "ten"])
def test_a_length_that_is_none_is_no_answer(sandbox: NoteSandbox, fetch: Fetch, length: str) -> None:
    sandbox.fail_next(*[Reply(headers={"Content-Length": length}, body=b"{}")] * 4)
    with pytest.raises(TransportFault, match="broke off before its answer was complete"):
        fetch()
    assert len(sandbox.requests) == 4


def test_a_capture_is_whole_or_nothing(sandbox: NoteSandbox, note: Note) -> None:
    arrived = []
    pages = client.fetch_pages(note, (), max_pages=9, max_bytes=99_999, now=lambda: pytest.fail("no page arrives"))
    sandbox.fail_next(*[Drop()] * 4)
    with stamina.set_testing(True, attempts=2), pytest.raises(TransportFault, match="broke off"):
        arrived += list(pages)
    assert arrived == []
