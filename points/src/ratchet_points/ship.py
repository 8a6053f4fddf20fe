"""Shipping: a process beside the programs that carries their spool's events to where they are collected.

An event is delivered at least once: the cursor moves when the target has confirmed all of a batch, so a kill in
between sends that batch again. Whoever counts them recognises them by source and id.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import random
import threading
import time
from collections.abc import Iterator
from typing import Callable, NamedTuple, Protocol

from ratchet_points import spool
from ratchet_points.descriptors import lock, private

BATCH, BATCH_BYTES = 1000, 1024 * 1024
POLL_SECONDS = 0.5
FIRST_WAIT, LONGEST_WAIT = 0.1, 30.0
_YOUNG_SECONDS = 60.0
_SAID_SECONDS = 60.0
_CURSOR, _LOCK = "shipped.json", "shipped.lock"


class Unavailable(Exception):
    """The target did not take a batch and may take it later. The text says why, without secrets."""


class Unusable(Exception):
    """The target can never take anything as it is configured."""


class Busy(Exception):
    """Another process ships this spool."""


class Rejected(NamedTuple):
    """An event that the target will never take."""

    event: spool.Event
    reason: str


class Target(Protocol):
    """Where events go."""

    def check(self) -> None:
        """Raise Unusable, or Unavailable if it cannot be asked now."""

    def deliver(self, batch: list[spool.Event]) -> list[Rejected]:
        """Return once every event was confirmed, or refused for good. Raises Unavailable; some may have arrived."""

    def close(self) -> None:
        """Let go of connections. Nothing is delivered afterwards."""


class Policy(NamedTuple):
    """What becomes of the spool. ``limit``: its bytes beyond which ``drop_oldest`` takes finished segments away.

    Without ``drop_oldest`` a full spool is left as it is, and programs drop their new events, which they count.
    """

    keep: bool = False
    limit: int = 0
    drop_oldest: bool = False


_AS_IT_IS = Policy()


class Cursor:
    """How far each segment was delivered, in a file of the spool that is replaced in one step."""

    def __init__(self, folder: str) -> None:
        self._path = os.path.join(folder, _CURSOR)
        self.positions: dict[str, int] = {}
        with contextlib.suppress(FileNotFoundError), open(self._path, "rb") as file:
            self.positions = _positions(file.read())
        present = set(spool.segments(folder))
        self.positions = {name: offset for name, offset in self.positions.items() if name in present}

    def save(self) -> None:
        """Raises OSError."""
        temporary = f"{self._path}.{os.getpid()}"
        try:
            with open(temporary, "wb", opener=private) as file:
                file.write(json.dumps({"positions": self.positions}, indent=1).encode())
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self._path)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise


def _positions(content: bytes) -> dict[str, int]:
    """Raises Unusable: a cursor that is damaged could hide events, and is for people to remove."""
    try:
        told = json.loads(content)["positions"]
        if all(isinstance(name, str) and isinstance(offset, int) for name, offset in told.items()):
            return dict(told)
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    raise Unusable(f"its {_CURSOR} is damaged. Remove it: what was delivered is then delivered again and counted once")


class Shipper:
    """Carries one spool to one target until it is told to stop."""

    def __init__(
        self,
        folder: str,
        target: Target,
        *,
        policy: Policy = _AS_IT_IS,
        say: Callable[[str], None] = print,
        refuse: Callable[[str, str], None] = lambda text, reason: None,
        report_drops: Callable[[int, str], None] = lambda count, reason: None,
    ) -> None:
        """``refuse`` keeps the text of an event that cannot be delivered, with the reason.

        ``report_drops`` tells whoever receives the events how many were taken away undelivered.
        """
        self.folder, self._target, self._policy = folder, target, policy
        self._say, self._refuse, self._report_drops = say, refuse, report_drops
        self._stopped = threading.Event()
        self._full_said = float("-inf")

    def stop(self) -> None:
        """End after the batch at hand. May be called by a signal handler or another thread."""
        self._stopped.set()

    def run(self, *, once: bool = False) -> None:
        """Deliver for ever, or ``once`` what is there. Raises Busy, Unusable, OSError."""
        with self._alone():
            self._cursor = Cursor(self.folder)
            self._until_it_works(self._target.check)
            try:
                while not self._stopped.is_set():
                    progressed = self._pass()
                    if once and not progressed:
                        return
                    if not progressed:
                        self._stopped.wait(POLL_SECONDS)
            finally:
                self._target.close()

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        number = private(os.path.join(self.folder, _LOCK), os.O_RDWR | os.O_CREAT)
        try:
            try:
                lock(number)
            except BlockingIOError:
                raise Busy(f"another process ships {self.folder}") from None
            yield
        finally:
            os.close(number)

    def _pass(self) -> bool:
        """Deliver what is there now. Whether there was anything."""
        progressed = False
        for batch in self._batches():
            if self._stopped.is_set() or not self._deliver(batch):
                return True
            progressed = True
        self._make_room()
        return progressed

    def _batches(self) -> Iterator[list[spool.Line]]:
        batch: list[spool.Line] = []
        size = 0
        for line in spool.read(self.folder, self._cursor.positions):
            batch.append(line)
            size += line.next_offset - line.offset
            if len(batch) >= BATCH or size >= BATCH_BYTES:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch

    def _deliver(self, batch: list[spool.Line]) -> bool:
        """Deliver a batch, however long that takes, and move the cursor. False if the shipper was stopped meanwhile."""
        events = [line for line in batch if isinstance(line, spool.Event)]
        rejected: list[Rejected] = []
        if events and not self._until_it_works(lambda: rejected.extend(self._target.deliver(events))):
            return False
        for line in batch:
            if isinstance(line, spool.Damaged):
                self._refuse(_shown(_bytes_of(self.folder, line)), "it is damaged: torn by a kill or a full disk")
        for event, reason in rejected:
            self._refuse(_shown(event.text), reason)
        for line in batch:
            self._cursor.positions[line.segment] = line.next_offset
        self._save()
        return True

    def _save(self) -> None:
        """Save the cursor. Raises OSError."""
        try:
            self._cursor.save()
        except OSError as fault:
            if fault.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            # Only shipping empties a full disk: what was delivered goes first, which leaves room for the cursor.
            self._make_room()
            self._cursor.save()

    def _until_it_works(self, action: Callable[[], None]) -> bool:
        """Try without end, more and more seldom. False if the shipper was stopped meanwhile."""
        wait, failed_at = FIRST_WAIT, 0.0
        while not self._stopped.is_set():
            try:
                action()
            except Unavailable as reason:
                if not failed_at:
                    failed_at = time.monotonic()
                    self._say(f"cannot deliver: {reason}. What waits stays in {self.folder}; trying until it works")
                self._make_room()
                self._stopped.wait(wait * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load, hides nothing
                wait = min(LONGEST_WAIT, 2 * wait)
            else:
                if failed_at:
                    self._say(f"delivering again, after {time.monotonic() - failed_at:.0f} s")
                return True
        return False

    # Room ------------------------------------------------------------------------------------

    def _make_room(self) -> None:
        """Remove what was delivered; if the spool is larger than its limit all the same, what the policy says."""
        if not self._policy.keep:
            for name, offset in list(self._cursor.positions.items()):
                if spool.remove_finished(os.path.join(self.folder, name), offset, _YOUNG_SECONDS):
                    del self._cursor.positions[name]
        if self._policy.limit and (held := spool.held(self.folder, spool.SUFFIX)) > self._policy.limit:
            self._full(held)

    def _full(self, held: int) -> None:
        now = time.monotonic()
        if now - self._full_said > _SAID_SECONDS:
            self._full_said = now
            what = "dropping the oldest" if self._policy.drop_oldest else "programs drop new events when it is full"
            self._say(f"{self.folder} holds {held:,} bytes, more than {self._policy.limit:,}: {what}")
        if not self._policy.drop_oldest:
            return
        dropped = 0
        for name in spool.segments(self.folder):
            if held <= self._policy.limit:
                break
            path, offset = os.path.join(self.folder, name), self._cursor.positions.get(name, 0)
            with contextlib.suppress(OSError):
                size = os.path.getsize(path)
                undelivered = sum(isinstance(one, spool.Event) for one in spool.read_segment(self.folder, name, offset))
                if spool.remove_finished(path, size, 0.0):
                    held, dropped = held - size, dropped + undelivered
                    self._cursor.positions.pop(name, None)
        if dropped:
            self._say(f"dropped {dropped:,} events that were not delivered")
            self._report_drops(dropped, "the shipper's spool was full")


def _shown(text: bytes) -> str:
    return text.decode("utf-8", "backslashreplace")


def _bytes_of(folder: str, line: spool.Damaged) -> bytes:
    """What stands where no event is, cut: for people to look at."""
    with contextlib.suppress(OSError), open(os.path.join(folder, line.segment), "rb") as file:
        file.seek(line.offset)
        return file.read(min(line.length + 1, spool.EVENT_LIMIT)).strip()
    return b""
