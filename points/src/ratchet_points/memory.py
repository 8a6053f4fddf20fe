"""Memory mode: events wait in a bounded queue for a thread that hands them on.

For containers whose file system is read-only. What waits is lost when the process is killed: everything of the last
``FLUSH_SECONDS``, and all that the receiver did not take in time.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Protocol

from ratchet_points.drops import Drops
from ratchet_points.posting import post
from ratchet_points.segment import SegmentWriter
from ratchet_points.spool import unframed

CAPACITY = 10_000
FLUSH_SECONDS = 0.1
BATCH = 500
BATCH_BYTES = 1024 * 1024
_LATE_SECONDS, _TIMEOUT_SECONDS, _LONGEST_WAIT_SECONDS = 0.5, 5.0, 30.0
QUEUE_FULL = "the queue in memory is full"
TURNED_AWAY = "the receiver turned events away"
UNSENT = "the program ended before the receiver took the events"


class Receiver(Protocol):
    """Where a queue hands its events."""

    def deliver(self, batch: list[bytes], timeout: float) -> bool:
        """Hand on framed events within ``timeout`` seconds, and count what is dropped of them. Raises nothing.

        False if they should be tried again.
        """


class SpoolReceiver:
    """A spool, written by the queue's thread: for disks so slow that even one write would hold up the host."""

    def __init__(self, writer: SegmentWriter, drops: Drops) -> None:
        self._writer, self._drops = writer, drops

    def deliver(self, batch: list[bytes], timeout: float) -> bool:
        """Append the events; what cannot be is counted as dropped. True: a spool is not tried again."""
        self._writer.check()
        for line in batch:
            reason = self._writer.append(line)
            if reason is not None:
                self._drops.count(reason)
        return True


class HttpReceiver:
    """An HTTP endpoint that takes batches of CloudEvents as JSON (its HTTP binding, batched content mode)."""

    def __init__(self, url: str, drops: Drops) -> None:
        """``url`` begins with http:// or https://."""
        self._url, self._drops = url, drops

    def deliver(self, batch: list[bytes], timeout: float) -> bool:
        """Post the events. False if the endpoint is away, busy or broken; any other refusal drops them."""
        try:
            status = post(self._url, [unframed(line) for line in batch], timeout=timeout)
        except Exception:
            return False
        if status in (408, 429) or status >= 500:
            return False
        if not 200 <= status < 300:
            self._drops.count(TURNED_AWAY, len(batch))
        return True


class MemoryQueue:
    """A bounded queue and the thread that empties it. Nothing here waits in a call of the host."""

    def __init__(
        self, receiver: Receiver, drops: Drops, *, capacity: int = CAPACITY, flush_seconds: float = FLUSH_SECONDS
    ) -> None:
        self._receiver, self._drops = receiver, drops
        self._capacity, self._flush_seconds = capacity, flush_seconds
        self._reset()

    def _reset(self) -> None:
        self._queue: deque[bytes] = deque()
        self._emptying = threading.Lock()
        self._has_thread = False
        self._closed = False

    def append(self, line: bytes) -> str | None:
        """Queue one framed event. None, or the reason why it could not be queued."""
        if len(self._queue) >= self._capacity:
            return QUEUE_FULL
        self._queue.append(line)
        if self._closed:
            self.flush(_LATE_SECONDS)
        elif not self._has_thread:
            self._start()
        return None

    def _start(self) -> None:
        self._has_thread = True
        try:
            threading.Thread(target=self._run, args=(self._queue,), name="ratchet-points", daemon=True).start()
        except RuntimeError:
            # The interpreter is ending, or no thread can be had: what waits goes out with flush().
            self._has_thread = False

    def _run(self, queue: deque[bytes]) -> None:
        wait = self._flush_seconds
        while not self._closed and queue is self._queue:
            time.sleep(wait)
            delivered = self._empty()
            wait = self._flush_seconds if delivered else min(_LONGEST_WAIT_SECONDS, 2 * wait)

    def _empty(self, deadline: float = float("inf")) -> bool:
        """Hand on what waits. False if the receiver did not take it, or ``deadline`` (monotonic) passed."""
        while self._queue:
            if not self._emptying.acquire(timeout=max(0.0, min(deadline - time.monotonic(), _LONGEST_WAIT_SECONDS))):
                return False
            try:
                batch = self._batch()
                left = min(deadline - time.monotonic(), _TIMEOUT_SECONDS)
                if batch and not self._receiver.deliver(batch, max(left, 0.01)):
                    return False
                # Only now: an event leaves the queue when it was taken. Nobody else takes from the left meanwhile.
                for _ in batch:
                    self._queue.popleft()
            finally:
                self._emptying.release()
            if time.monotonic() > deadline:
                return not self._queue
        return True

    def _batch(self) -> list[bytes]:
        batch: list[bytes] = []
        size = 0
        for number in range(min(BATCH, len(self._queue))):
            line = self._queue[number]
            size += len(line)
            if batch and size > BATCH_BYTES:
                break
            batch.append(line)
        return batch

    def flush(self, timeout: float) -> bool:
        """Hand on everything that waits, in this thread. False if that took longer than ``timeout`` seconds."""
        return self._empty(time.monotonic() + timeout)

    def check(self) -> None:
        """Nothing can be closed or deleted behind a queue's back."""

    def abandon(self) -> None:
        """Forget what waits: this is a forked child, and the parent hands it on."""
        self._reset()

    def close(self, timeout: float = 2.0) -> None:
        """Flush and end the thread. What was not taken in ``timeout`` seconds is counted as dropped."""
        taken = self.flush(timeout)
        self._closed = True
        if not taken and self._queue:
            self._drops.count(UNSENT, len(self._queue))
