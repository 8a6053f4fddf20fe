"""What the sandbox serves, to whom, and that every fault is what its name says."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from pipeline.core.errors import ConfigError
from pipeline.sandbox.article import Article
from pipeline.sandbox.faults import (
    HTML_PAGE,
    LOGIN_REDIRECT,
    OTHER_REDIRECT,
    Drip,
    Drop,
    DropInBody,
    Hang,
    Reply,
    TruncatedJson,
)
from pipeline.sandbox.server import NoteSandbox

COOKIE = "sandbox-session"
PUBLISHED = datetime(2026, 11, 1, 8, tzinfo=UTC)
ARTICLES = [Article(f"n{n}", f"Titel ü{n}", PUBLISHED, 10 * n, n, 1) for n in (5, 1, 4, 2, 3)]
LIST = "/api/v1/stats/pv"


@pytest.fixture
def sandbox() -> Iterator[NoteSandbox]:
    clock = datetime(2026, 11, 22, 5, 0, tzinfo=UTC)
    with NoteSandbox(lambda: ARTICLES, cookie=COOKIE, page_size=2, clock=lambda: clock) as running:
        yield running


@pytest.fixture
def browser(sandbox: NoteSandbox) -> Iterator[httpx.Client]:
    headers = {"Cookie": f"theme=dark; _note_session_v5={COOKIE}"}
    with httpx.Client(base_url=sandbox.url, headers=headers, trust_env=False, timeout=5.0) as client:
        yield client


def data(reply: httpx.Response) -> Any:
    assert reply.status_code == 200
    return reply.json()["data"]


def test_pages_follow_the_order_of_the_account_to_the_last(browser: httpx.Client) -> None:
    pages = [data(browser.get(LIST, params={"page": n})) for n in (1, 2, 3, 4)]
    assert [[row["key"] for row in page["note_stats"]] for page in pages] == [
        ["n5", "n1"],
        ["n4", "n2"],
        ["n3"],
        [],
    ]
    assert [page["last_page"] for page in pages] == [False, False, True, True]


def test_a_full_page_can_be_the_last() -> None:
    with NoteSandbox(lambda: ARTICLES, cookie=COOKIE, page_size=5) as sandbox:
        reply = httpx.get(f"{sandbox.url}{LIST}", headers={"Cookie": f"_note_session_v5={COOKIE}"}, trust_env=False)
        assert data(reply)["last_page"] is True


def test_a_page_has_the_shape_and_the_totals_of_the_platform(browser: httpx.Client) -> None:
    page = data(browser.get(LIST))
    assert {name: page[name] for name in ("total_pv", "total_like", "total_comment")} == {
        "total_pv": 150,
        "total_like": 15,
        "total_comment": 5,
    }
    assert page["last_calculate_at"] == "2026/11/22 14:00"
    assert (
        page["note_stats"][0].items()
        >= {
            "key": "n5",
            "name": "Titel ü5",
            "read_count": 50,
            "like_count": 5,
            "comment_count": 1,
        }.items()
    )


def test_an_article_has_its_detail(browser: httpx.Client) -> None:
    detail = data(browser.get("/api/v3/notes/n4"))
    assert (detail["name"], detail["publish_at"]) == ("Titel ü4", "2026-11-01T17:00:00+09:00")


@pytest.mark.parametrize(
    ("target", "status"),
    [("/api/v3/notes/n9", 404), ("/", 404), (f"{LIST}?page=0", 400), (f"{LIST}?page=x", 400)],
)
def test_what_is_not_there_is_said_in_json(browser: httpx.Client, target: str, status: int) -> None:
    reply = browser.get(target)
    assert (reply.status_code, set(reply.json())) == (status, {"error"})


@pytest.mark.parametrize("cookie", ["", "_note_session_v5=", f"_note_session_v5={COOKIE}x", f"a={COOKIE}"])
@pytest.mark.parametrize("target", [LIST, "/api/v3/notes/n4", "/nowhere"])
def test_without_the_session_nothing_is_served(sandbox: NoteSandbox, cookie: str, target: str) -> None:
    reply = httpx.get(sandbox.url + target, headers={"Cookie": cookie}, trust_env=False)
    assert (reply.status_code, set(reply.json())) == (401, {"error"})


def test_a_connection_is_kept_for_the_next_request(sandbox: NoteSandbox, browser: httpx.Client) -> None:
    with browser.stream("GET", LIST) as first:
        first.read()
        one = first.extensions["network_stream"].get_extra_info("client_addr")
    with browser.stream("GET", "/api/v3/notes/n1") as second:
        assert second.extensions["network_stream"].get_extra_info("client_addr") == one
    assert sandbox.requests == [f"GET {LIST}", "GET /api/v3/notes/n1"]


def test_the_session_comes_back_with_every_answer(browser: httpx.Client) -> None:
    assert COOKIE in browser.get(LIST).headers["set-cookie"]


@pytest.mark.parametrize(
    "reply",
    [
        HTML_PAGE,
        LOGIN_REDIRECT,
        OTHER_REDIRECT,
        Reply(429, {"Retry-After": "7"}, b"{}"),
        Reply(200, {}, b"x"),
    ],
)
def test_a_reply_is_sent_as_it_is_and_once(sandbox: NoteSandbox, browser: httpx.Client, reply: Reply) -> None:
    sandbox.fail_next(reply)
    sent = browser.get(LIST)
    assert (sent.status_code, sent.content) == (reply.status, reply.body)
    assert {name: sent.headers[name] for name in reply.headers} == dict(reply.headers)
    assert data(browser.get(LIST))


def test_truncated_json_looks_whole_to_http(sandbox: NoteSandbox, browser: httpx.Client) -> None:
    whole = browser.get(LIST).content
    sandbox.fail_next(TruncatedJson())
    half = browser.get(LIST)
    assert half.content == whole[: len(whole) // 2]
    assert half.headers["content-length"] == str(len(half.content))


def test_a_dropped_connection_answers_nothing(sandbox: NoteSandbox, browser: httpx.Client) -> None:
    sandbox.fail_next(Drop())
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        browser.get(LIST)


def test_a_connection_dropped_in_the_body_lacks_half_of_it(sandbox: NoteSandbox, browser: httpx.Client) -> None:
    whole = browser.get(LIST).content
    sandbox.fail_next(DropInBody())
    arrived = b""
    with (
        browser.stream("GET", LIST) as reply,
        pytest.raises(httpx.RemoteProtocolError, match="without sending complete"),
    ):
        for chunk in reply.iter_bytes():
            arrived += chunk
    assert arrived == whole[: len(whole) // 2]


def test_a_hanging_answer_lasts_until_it_is_released(sandbox: NoteSandbox, browser: httpx.Client) -> None:
    sandbox.fail_next(Hang())
    with pytest.raises(httpx.ReadTimeout):
        browser.get(LIST, timeout=0.05)
    sandbox.release()
    sandbox.fail_next(Hang())
    with pytest.raises(httpx.RemoteProtocolError):
        browser.get(LIST)


def test_a_dripping_body_comes_in_pieces_and_whole(sandbox: NoteSandbox, browser: httpx.Client) -> None:
    whole = browser.get(LIST).content
    sandbox.fail_next(Drip(pause=0.0001))
    with browser.stream("GET", LIST) as reply:
        pieces = list(reply.iter_bytes())
    assert b"".join(pieces) == whole
    assert len(pieces) > 1


def test_closing_ends_what_hangs_and_what_is_kept_open() -> None:
    idle = socket.socket()
    with NoteSandbox(lambda: ARTICLES, cookie=COOKIE) as sandbox:
        port = int(sandbox.url.rpartition(":")[2])
        idle.connect(("127.0.0.1", port))
        sandbox.fail_next(Hang())
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(sandbox.url, trust_env=False, timeout=0.05)
    with idle:
        assert idle.recv(1) == b""
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_a_taken_port_is_named_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port} of 127.0.0.1") as failure:
            NoteSandbox(lambda: ARTICLES, cookie=COOKIE, port=port)
    assert "another port" in failure.value.next_step


def test_the_sandbox_answers_on_loopback_only(sandbox: NoteSandbox) -> None:
    assert sandbox.url.startswith("http://127.0.0.1:")


def test_the_log_is_silent_even_when_a_client_leaves(capfd: pytest.CaptureFixture[str]) -> None:
    headers = {"Cookie": f"_note_session_v5={COOKIE}"}
    with (
        NoteSandbox(lambda: ARTICLES, cookie=COOKIE) as sandbox,
        httpx.Client(base_url=sandbox.url, headers=headers, trust_env=False) as browser,
    ):
        sandbox.fail_next(Drop(), Drip(pause=0.0001), Reply(200, {}, b"x" * 10_000_000))
        with pytest.raises(httpx.RemoteProtocolError):
            browser.get(LIST)
        for _ in range(2):
            with browser.stream("GET", LIST) as reply:
                next(reply.iter_bytes())
        browser.get("/nowhere")
    assert capfd.readouterr() == ("", "")
