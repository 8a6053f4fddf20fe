"""What arrives, what is kept of it, how fast it is asked for, and where a listing is left."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from pipeline.core.errors import ConfigError, DeadSession, RatchetError
from pipeline.platforms import client
from pipeline.platforms.client import fetch_pages
from pipeline.platforms.note import Note
from pipeline.platforms.protocol import CutShort, Page
from pipeline.sandbox.faults import Drip, DropInBody, Reply, TruncatedJson
from pipeline.sandbox.server import NoteSandbox
from pipeline_tests.platforms.conftest import COOKIE, NOW, Clock, Fetch, article

LIST = "/api/v1/stats/pv?filter=all&page={}&sort=pv"
JSON = {"Content-Type": "application/json"}


def arrived_and_reason(pages: Iterator[Page]) -> tuple[list[Page], str]:
    """The pages of a capture that is cut short, and why it was."""
    arrived: list[Page] = []
    with pytest.raises(CutShort) as cut:
        arrived.extend(pages)
    return arrived, str(cut.value)


def limited(note: Note, *, max_pages: int = 100, max_bytes: int = 1_000_000) -> tuple[list[Page], str]:
    arrived: list[Page] = []

    def each() -> Iterator[Page]:
        for page in fetch_pages(note, (), max_pages=max_pages, max_bytes=max_bytes, now=lambda: NOW):
            arrived.append(page)
            yield page

    _, reason = arrived_and_reason(each())
    return arrived, reason


def test_pages_are_kept_exactly_as_they_were_sent(sandbox: NoteSandbox, fetch: Fetch) -> None:
    pages = fetch()
    assert [page.request for page in pages] == [f"GET {LIST.format(1)}", f"GET {LIST.format(2)}"]
    for page in pages:
        target = page.request.removeprefix("GET ")
        assert page.body == sandbox.answer(target, f"_note_session_v5={COOKIE}").body
        assert (page.status, page.fetched_at) == (200, NOW)


def test_pages_come_one_by_one_as_they_arrive(sandbox: NoteSandbox, note: Note) -> None:
    pages = fetch_pages(note, (), max_pages=9, max_bytes=99_999, now=lambda: NOW)
    next(pages)
    assert len(sandbox.requests) == 1
    assert len(list(pages)) == 4


def test_only_harmless_headers_are_kept(sandbox: NoteSandbox, fetch: Fetch) -> None:
    body = sandbox.answer(LIST.format(2), f"_note_session_v5={COOKIE}").body
    kept = {"Content-Type": "application/json", "ETag": '"1"', "Last-Modified": "x", "Retry-After": "1"}
    limits = {"X-RateLimit-Remaining": "9", "RateLimit-Reset": "1", "Rate-Remaining": "8", "Rate-Limit": "9"}
    others = {"Set-Cookie": f"a={COOKIE}", "X-Request-Token": COOKIE, "Server": "x", "Location": "/y"}
    sandbox.fail_next(Reply(200, {**kept, **limits, **others}, body))
    page = fetch()[0]
    assert set(page.headers) == {name.lower() for name in (*kept, *limits)} | {"date"}


def test_a_cookie_that_the_platform_sets_is_not_sent_back(sandbox: NoteSandbox, note: Note, fetch: Fetch) -> None:
    class WithoutCookie(Note, frozen=True):
        def headers(self) -> Mapping[str, str]:
            return {}

    body = sandbox.answer(LIST.format(1), f"_note_session_v5={COOKIE}").body
    sandbox.fail_next(Reply(200, {**JSON, "Set-Cookie": f"_note_session_v5={COOKIE}; path=/"}, body))
    with pytest.raises(DeadSession, match="401"):
        fetch(WithoutCookie.model_validate(note.model_dump()))
    assert len(sandbox.requests) == 2


def test_the_secret_is_in_no_page_no_error_and_no_log(
    sandbox: NoteSandbox, note: Note, fetch: Fetch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    told = [repr(note), *map(repr, fetch())]
    login = Reply(302, {"Location": f"/login?{COOKIE}"})
    for faults in ([Reply(401)], [Reply(500)] * 4, [login], [DropInBody()] * 4):
        sandbox.fail_next(*faults)
        with pytest.raises(RatchetError) as failure:
            fetch()
        told += [str(failure.value), repr(failure.value)]
    assert "trying again" in caplog.text
    assert COOKIE not in caplog.text + "".join(told)


@pytest.mark.parametrize("secret", ["two\nlines", "end-in-space ", "é"])
def test_a_credential_that_no_header_can_carry_is_named_without_its_value(
    sandbox: NoteSandbox, note: Note, fetch: Fetch, secret: str
) -> None:
    broken = Note.model_validate({**note.model_dump(), "session_cookie": secret})
    with pytest.raises(ConfigError, match="cannot be sent in the header Cookie") as failure:
        fetch(broken)
    assert secret.strip() not in str(failure.value)
    assert sandbox.requests == []


def test_requests_keep_the_pace_of_the_platform(note: Note, fetch: Fetch, clock: Clock) -> None:
    fetch(note.model_copy(update={"requests_per_second": 0.5}), known=())
    assert clock.waits == [2.0] * 4


def test_what_the_environment_says_of_proxies_and_passwords_is_not_heard(
    sandbox: NoteSandbox, fetch: Fetch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy would be sent the credential; ``.netrc`` would send another one."""
    netrc = tmp_path / "netrc"
    netrc.write_text("default login planted password planted\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.setblocking(False)
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.getsockname()[1]}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        assert len(fetch(timeout=0.5)) == len(sandbox.requests) == 2
        with pytest.raises(BlockingIOError):
            proxy.accept()


def test_the_environment_adds_no_certificate_to_the_trusted_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    assert client._trusted.__wrapped__().cert_store_stats()["x509_ca"] > 0


def test_a_slow_page_that_ends_in_time_is_whole(sandbox: NoteSandbox, fetch: Fetch) -> None:
    sandbox.fail_next(Drip(pause=0.0))
    assert len(fetch()) == 2


def test_a_listing_of_exactly_the_bound_is_whole(fetch: Fetch) -> None:
    size = sum(len(page.body) for page in fetch())
    assert len(fetch(max_pages=2, max_bytes=size)) == 2


def test_a_page_beyond_the_bytes_is_cut_there_and_kept(sandbox: NoteSandbox, note: Note) -> None:
    first = sandbox.answer(LIST.format(1), f"_note_session_v5={COOKIE}").body
    arrived, reason = limited(note, max_bytes=len(first) + 10)
    assert [len(page.body) for page in arrived] == [len(first), 10]
    assert "larger than" in reason


def test_a_page_is_cut_even_where_a_piece_of_it_ends_at_the_bound(sandbox: NoteSandbox, note: Note) -> None:
    sandbox.fail_next(Drip(pause=0.0001))
    arrived, reason = limited(note, max_bytes=50)
    assert [len(page.body) for page in arrived] == [50]
    assert "larger than" in reason


def test_of_a_body_that_is_longer_than_it_was_said_to_be_no_more_is_kept(sandbox: NoteSandbox, note: Note) -> None:
    body = sandbox.answer(LIST.format(1), f"_note_session_v5={COOKIE}").body
    sandbox.fail_next(Reply(200, {**JSON, "Content-Length": "10"}, body))
    arrived, reason = limited(note)
    assert [page.body for page in arrived] == [body[:10]]
    assert "page=1&sort=pv is not JSON" in reason


def test_endless_pages_are_left_at_the_bound(note: Note) -> None:
    with NoteSandbox(lambda: [article(n) for n in range(500)], cookie=COOKIE, page_size=1) as endless:
        arrived, reason = limited(note.model_copy(update={"base_url": endless.url}), max_pages=5)
        assert len(arrived) == len(endless.requests) == 5
    assert "5 pages" in reason


def test_a_repeated_page_is_kept_and_ends_the_listing(sandbox: NoteSandbox, note: Note) -> None:
    same = Reply(200, JSON, sandbox.answer(LIST.format(1), f"_note_session_v5={COOKIE}").body)
    sandbox.fail_next(same, same)
    arrived, reason = limited(note)
    assert len(arrived) == len(sandbox.requests) == 2
    assert "repeats an earlier page" in reason


@pytest.mark.parametrize(
    "fault",
    [TruncatedJson(), Reply(200, JSON, b"not json"), Reply(200, JSON, b""), Reply(200, JSON, b'{"data":1}')],
)
def test_an_unreadable_page_is_kept_and_ends_the_listing_without_a_retry(
    sandbox: NoteSandbox, note: Note, fault: Reply | TruncatedJson
) -> None:
    sandbox.fail_next(fault)
    arrived, reason = limited(note)
    assert len(arrived) == len(sandbox.requests) == 1
    assert "page=1" in reason


def test_a_dead_session_after_some_pages_ends_the_capture(sandbox: NoteSandbox, note: Note) -> None:
    pages = fetch_pages(note, (), max_pages=9, max_bytes=99_999, now=lambda: NOW)
    next(pages)
    sandbox.fail_next(Reply(401))
    with pytest.raises(DeadSession):
        list(pages)
