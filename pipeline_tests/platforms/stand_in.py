"""A platform on loopback that answers as a function says: what an adapter is tested against.

The function is the knowledge of how the platform behaves (pages, limits, error bodies); here is only HTTP.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from pipeline.sandbox.faults import Reply


@dataclass(frozen=True)
class Asked:
    """One request: ``headers`` by names in small letters, of each parameter the last value."""

    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str]


Answer = Callable[[Asked], Reply]


class StandIn:
    """Serves ``answer`` on 127.0.0.1 from entering the context to leaving it.

    ``etags``: 200 carries an ETag of its body, and If-None-Match is answered with 304.
    """

    def __init__(self, answer: Answer, *, etags: bool = False) -> None:
        self.answer, self.etags = answer, etags
        self.requests: list[str] = []
        """What was asked, in order: "GET /path?query"."""
        self.statuses: list[int] = []
        self.sent: list[Mapping[str, str]] = []
        """The headers of each request."""
        self._replies: deque[Reply] = deque()
        self._server = _server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="stand-in")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def fail_next(self, *replies: Reply) -> None:
        """Answer the next requests with these, one each."""
        self._replies.extend(replies)

    def reply(self, asked: Asked) -> Reply:
        if self._replies:
            return self._replies.popleft()
        reply = self.answer(asked)
        if not self.etags or reply.status != 200:
            return reply
        etag = f'"{hashlib.sha256(reply.body).hexdigest()[:16]}"'
        headers = {**reply.headers, "ETag": etag}
        if asked.headers.get("if-none-match") == etag:
            return Reply(304, headers)
        return Reply(200, headers, reply.body)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _server(stand_in: StandIn) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"  # a connection each, so that none is left open
        wbufsize = -1

        def do_GET(self) -> None:
            address = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            stand_in.requests.append(f"GET {self.path}")
            stand_in.sent.append(headers)
            reply = stand_in.reply(Asked(address.path, dict(parse_qsl(address.query)), headers))
            stand_in.statuses.append(reply.status)
            self.send_response(reply.status)
            for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, format: str, *args: Any) -> None:
            """Silence: `StandIn.requests` is the log."""

    return ThreadingHTTPServer(("127.0.0.1", 0), Handler)


def answers(body: Any, status: int = 200, **headers: str) -> Reply:
    """A reply of JSON; an underscore in a header's name stands for a hyphen."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, {"Content-Type": "application/json; charset=utf-8", **named}, json.dumps(body).encode())
