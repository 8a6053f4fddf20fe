"""The sandbox's HTTP server: note.com's two addresses, its session cookie, and faults on demand.

    GET /api/v1/stats/pv?page=N   one page of the listing, in the order in which the account gives it
    GET /api/v3/notes/<key>       the detail of one article
    anything else                 404; without the session cookie everything is 401

The shapes are those that pipeline/platforms/note.py documents, with the fields that it reads and
the totals beside them. Like the Rails application that it stands for, the sandbox sends the
session cookie back with every answer, so that whoever stores headers carelessly is found out.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import zlib
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

from pipeline.core.errors import ConfigError
from pipeline.sandbox.article import Article
from pipeline.sandbox.faults import Drip, Drop, DropInBody, Fault, Hang, Reply, TruncatedJson

_LISTING = "/api/v1/stats/pv"
_DETAIL = "/api/v3/notes/"
_TOKYO = timezone(timedelta(hours=9))


class NoteSandbox:
    """Serves one account on 127.0.0.1 from entering the context to leaving it.

    ``listing`` is called for every request and gives the account as it is then. ``cookie`` is the
    only session that is accepted. ``port`` 0 takes any free one. ``clock`` is what the account
    calls its last calculation. Raises ConfigError when the port cannot be opened.
    """

    def __init__(
        self,
        listing: Callable[[], Sequence[Article]],
        *,
        cookie: str,
        port: int = 0,
        page_size: int = 20,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.listing, self.cookie, self.page_size, self.clock = listing, cookie, page_size, clock
        self.requests: list[str] = []
        """What was asked, in order: "GET /path?query"."""
        self.released = threading.Event()
        self._faults: deque[Fault] = deque()
        try:
            self._server = _Server(self, port)
        except OSError as error:
            raise ConfigError(
                f"port {port} of 127.0.0.1 cannot be opened: {error.strerror}",
                "Stop the program that uses it, or give the sandbox another port.",
            ) from error
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="sandbox")

    @property
    def url(self) -> str:
        """Where it listens (http, on 127.0.0.1)."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def fail_next(self, *faults: Fault) -> None:
        """Spoil the next requests, one fault each."""
        self._faults.extend(faults)

    def release(self) -> None:
        """End every hanging answer, now and later."""
        self.released.set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
        self._server.shutdown()
        self._thread.join()
        self._server.end_connections()
        self._server.server_close()

    def take_fault(self) -> Fault | None:
        """The next fault that was asked for, which the next answer shows; None where there is none."""
        try:
            return self._faults.popleft()
        except IndexError:
            return None

    def answer(self, target: str, cookies: str) -> Reply:
        """What a sound platform says to ``target``, given the request's Cookie header."""
        if f"_note_session_v5={self.cookie}" not in cookies.split("; "):
            return _json({"error": {"code": "auth", "message": "Not logged in"}}, HTTPStatus.UNAUTHORIZED)
        address = urlsplit(target)
        if address.path == _LISTING:
            page = parse_qs(address.query).get("page", ["1"])[0]
            if not page.isdecimal() or int(page) < 1:
                return _json({"error": {"code": "invalid"}}, HTTPStatus.BAD_REQUEST)
            return self._list(int(page))
        if address.path.startswith(_DETAIL):
            key = unquote(address.path.removeprefix(_DETAIL))
            for article in self.listing():
                if article.key == key:
                    return _json({"data": _detail(article)})
        return _json({"error": {"code": "not_found"}}, HTTPStatus.NOT_FOUND)

    def _list(self, page: int) -> Reply:
        articles = self.listing()
        end = page * self.page_size
        return _json(
            {
                "data": {
                    "note_stats": [_stats(article) for article in articles[end - self.page_size : end]],
                    "last_page": end >= len(articles),
                    "total_pv": sum(article.views for article in articles),
                    "total_like": sum(article.likes for article in articles),
                    "total_comment": sum(article.comments for article in articles),
                    "last_calculate_at": f"{self.clock().astimezone(_TOKYO):%Y/%m/%d %H:%M}",
                }
            }
        )


class _Server(ThreadingTCPServer):
    """One thread a connection, all of which end with the server."""

    allow_reuse_address = True

    def __init__(self, sandbox: NoteSandbox, port: int) -> None:
        self.sandbox = sandbox
        self.open_sockets: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Connection)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.open_sockets.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.open_sockets.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # A client may leave when it likes.
            super().handle_error(request, client_address)

    def end_connections(self) -> None:
        """Wake the threads that wait for a next request on a connection that was kept open."""
        for open_socket in list(self.open_sockets):
            with suppress(OSError):  # It has just ended by itself.
                open_socket.shutdown(socket.SHUT_RD)


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    # One write an answer; two small ones would wait for each other's acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        sandbox = self.server.sandbox
        sandbox.requests.append(f"GET {self.path}")
        fault = sandbox.take_fault()
        reply = sandbox.answer(self.path, self.headers.get("Cookie", ""))
        self._give(reply, fault)

    def _give(self, reply: Reply, fault: Fault | None) -> None:
        half = len(reply.body) // 2
        match fault:
            case None:
                self._send(reply, reply.body)
            case Reply():
                self._send(fault, fault.body)
            case TruncatedJson():
                self._send(Reply(reply.status, reply.headers, reply.body[:half]), reply.body[:half])
            case Drop():
                self.close_connection = True
            case DropInBody():
                self._send(reply, reply.body[:half])
                self.close_connection = True
            case Hang():
                self.server.sandbox.released.wait()
                self.close_connection = True
            case Drip(pause):
                self._send(reply, b"")
                for byte in reply.body:
                    self.wfile.write(bytes([byte]))
                    self.wfile.flush()
                    if self.server.sandbox.released.wait(pause):
                        self.close_connection = True
                        break

    def _send(self, reply: Reply, body: bytes) -> None:
        """The head that announces ``reply`` and then ``body``, which may be less."""
        self.send_response(reply.status)
        headers = {
            "Content-Length": str(len(reply.body)),
            "Set-Cookie": f"_note_session_v5={self.server.sandbox.cookie}; path=/; HttpOnly",
            **reply.headers,
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Silence: `NoteSandbox.requests` is the log."""


def _json(body: dict[str, Any], status: int = HTTPStatus.OK) -> Reply:
    text = json.dumps(body, ensure_ascii=False).encode()
    return Reply(status, {"Content-Type": "application/json; charset=utf-8"}, text)


def _stats(article: Article) -> dict[str, Any]:
    return {
        "id": zlib.crc32(article.key.encode()),
        "key": article.key,
        "name": article.title,
        "read_count": article.views,
        "like_count": article.likes,
        "comment_count": article.comments,
    }


def _detail(article: Article) -> dict[str, Any]:
    return {
        "id": zlib.crc32(article.key.encode()),
        "key": article.key,
        "name": article.title,
        "status": "published",
        "publish_at": article.published_at.astimezone(_TOKYO).isoformat(),
    }
