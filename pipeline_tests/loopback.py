"""Servers on loopback, each in a thread of its own for as long as a block lasts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import BaseRequestHandler


class Quiet(BaseHTTPRequestHandler):
    """A handler of requests that keeps the test's output quiet."""

    def log_message(self, *_: object) -> None:
        """What arrived is the log."""


@contextmanager
def serving(
    handler: type[BaseRequestHandler], server: type[ThreadingHTTPServer] = ThreadingHTTPServer
) -> Iterator[int]:
    """Serve with ``handler``; yields the port."""
    with server(("127.0.0.1", 0), handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield listening.server_address[1]
        finally:
            listening.shutdown()
            thread.join()
