"""A receiver of messages on loopback: what really arrived, and a channel that takes nothing."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

_DOWN = "/down"
_LARGEST_BODY = 1_000_000


class Receiver:
    """``messages`` holds title and text of what arrived, in order; what is sent to ``down`` is refused with 500."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, str]] = []
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="receiver")

    @property
    def up(self) -> str:
        """The address of a webhook that takes what it is sent."""
        return self._address("/up")

    @property
    def down(self) -> str:
        """The address of a webhook that refuses all of it."""
        return self._address(_DOWN)

    def _address(self, path: str) -> str:
        return f"json://127.0.0.1:{self._server.server_address[1]}{path}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(min(int(self.headers["Content-Length"]), _LARGEST_BODY)))
        is_down = self.path.startswith(_DOWN)
        if not is_down:
            self.server.receiver.messages.append((str(body["title"]), str(body["message"])))
        self.send_response(500 if is_down else 200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Silence: `Receiver.messages` is the log."""
