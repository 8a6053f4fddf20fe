"""Memory mode: nothing waits in the host, nothing grows without bound, an orderly exit loses nothing."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable

import pytest

import ratchet_points as points
from ratchet_points.drops import Drops
from ratchet_points.memory import HttpReceiver, MemoryQueue
from ratchet_points.spool import framed


class Receiver(ThreadingHTTPServer):
    """A receiver on loopback. ``answers`` are the statuses that it gives first; then 204."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.daemon_threads = True
        self.answers: list[int] = []
        self.taken: list[Any] = []
        self.types: set[str | None] = set()
        self.arrived = threading.Semaphore(0)
        self.url = f"http://127.0.0.1:{self.server_address[1]}/events"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = self.server.answers.pop(0) if self.server.answers else 204
        if status < 300:
            self.server.types.add(self.headers["Content-Type"])
            self.server.taken += json.loads(body)
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.server.arrived.release()

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def steps(events: list[dict[str, Any]]) -> list[Any]:
    return [one["data"]["attributes"]["n"] for one in events if one["type"] == "step"]


def test_events_reach_a_receiver_of_cloudevents(begin: Callable[..., Any], receiver: Receiver) -> None:
    begin(mode="memory", spool=receiver.url)
    for number in range(1200):
        assert points.track("step", n=number)
    assert points.flush()
    assert steps(receiver.taken) == list(range(1200))
    assert receiver.types == {"application/cloudevents-batch+json"}


def test_the_thread_hands_on_without_being_asked(begin: Callable[..., Any], receiver: Receiver) -> None:
    begin(mode="memory", spool=receiver.url)
    points.track("step", n=1)
    assert receiver.arrived.acquire(timeout=10)
    while not steps(receiver.taken):
        assert receiver.arrived.acquire(timeout=10)


def test_an_outage_is_waited_out_and_a_refusal_is_counted(begin: Callable[..., Any], receiver: Receiver) -> None:
    drops = Drops(quiet=True)
    queue = MemoryQueue(HttpReceiver(receiver.url, drops), drops, flush_seconds=1000)
    receiver.answers = [503, 429]
    queue.append(framed(b"1"))
    assert not queue.flush(5)
    assert not queue.flush(5)
    assert queue.flush(5)
    receiver.answers = [400]
    queue.append(framed(b"2"))
    queue.append(framed(b"3"))
    assert queue.flush(5)
    assert receiver.taken == [1]
    assert sum(drops.take().values()) == 2
    receiver.server_close()
    queue.append(framed(b"4"))
    assert not queue.flush(0.5)
    queue.close(0.1)
    assert sum(drops.take().values()) == 1


def test_a_full_queue_drops_and_counts() -> None:
    class Never:
        def deliver(self, batch: list[bytes], timeout: float) -> bool:
            return False

    drops = Drops(quiet=True)
    queue = MemoryQueue(Never(), drops, capacity=10, flush_seconds=1000)
    taken = [queue.append(b"x") is None for _ in range(15)]
    assert taken == [True] * 10 + [False] * 5


def test_what_is_reported_after_the_end_is_handed_on_at_once() -> None:
    class Keeping:
        def __init__(self) -> None:
            self.taken: list[bytes] = []

        def deliver(self, batch: list[bytes], timeout: float) -> bool:
            self.taken += batch
            return True

    receiver = Keeping()
    queue = MemoryQueue(receiver, Drops(quiet=True), flush_seconds=1000)
    queue.close()
    assert queue.append(b"late") is None
    assert receiver.taken == [b"late"]


def test_an_orderly_exit_hands_on_what_waits(run: Callable[..., Any], lake: Any) -> None:
    run("""
        import atexit
        atexit.register(lambda: points.track("step", n=-1))
        points.init(app="a", spool=SPOOL, mode="memory")
        for number in range(3000):
            assert points.track("step", n=number)
        """)
    assert sorted(steps(lake.events())) == list(range(-1, 3000))


def test_a_forked_child_leaves_the_parents_events_to_it(run: Callable[..., Any], lake: Any) -> None:
    run("""
        import os, sys
        points.init(app="a", spool=SPOOL, mode="memory")
        for number in range(100):
            points.track("step", n=number)
        pid = os.fork()
        points.track("step", n=1000 if pid else 2000)
        if pid:
            assert os.waitpid(pid, 0)[1] == 0
        """)
    assert sorted(steps(lake.events())) == [*range(100), 1000, 2000]


def test_no_call_waits_for_a_receiver_that_does_not_answer(begin: Callable[..., Any]) -> None:
    import socket
    import time

    with socket.create_server(("127.0.0.1", 0)) as silent:
        begin(mode="memory", spool=f"http://127.0.0.1:{silent.getsockname()[1]}/")
        slowest = 0.0
        for number in range(2000):
            began = time.perf_counter()
            points.track("step", n=number)
            slowest = max(slowest, time.perf_counter() - began)
        assert slowest < 1.0  # the receiver's time limit is five seconds
        began = time.perf_counter()
        assert not points.flush(0.05)
        assert time.perf_counter() - began < 1.0
