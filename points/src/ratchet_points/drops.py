"""What was not recorded: counted by reason, told once on standard error, reported when writing works again."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections import Counter, deque

_FOLD_AT = 1000


class Drops:
    """Counts drops so that neither threads nor signal handlers lose one.

    Counting only appends to a deque, which nothing can interrupt. Whoever gets the lock adds the deque up; whoever
    does not get it leaves that to the other. No call waits.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._recent: deque[str] = deque()
        self._totals: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._told: set[str] = set()
        self.waiting = False

    def count(self, reason: str, number: int = 1) -> None:
        """Count events that were dropped. ``reason`` is one of a few fixed texts."""
        if reason not in self._told:
            self._told.add(reason)
            if not self._quiet:
                tell(f"an event was dropped: {reason}. Further ones are counted, and reported once writing works.")
        self._add(reason, number)

    def _add(self, reason: str, number: int) -> None:
        for _ in range(number):
            self._recent.append(reason)
        self.waiting = True
        if len(self._recent) > _FOLD_AT:
            self._fold()

    def _fold(self) -> None:
        if not self._lock.acquire(blocking=False):
            return
        try:
            for _ in range(len(self._recent)):
                self._totals[self._recent.popleft()] += 1
        finally:
            self._lock.release()

    def take(self) -> dict[str, int]:
        """All drops by reason, which are then no longer counted here. Empty if somebody else is taking them."""
        self.waiting = False
        self._fold()
        if not self._lock.acquire(blocking=False):
            self.waiting = True
            return {}
        try:
            taken, self._totals = dict(self._totals), Counter()
        finally:
            self._lock.release()
        return taken

    def put_back(self, taken: dict[str, int]) -> None:
        """Count drops again whose report could not be written."""
        if self._lock.acquire(blocking=False):
            try:
                self._totals.update(taken)
            finally:
                self._lock.release()
            self.waiting = True
        else:
            for reason, number in taken.items():
                self._add(reason, number)

    def forget(self) -> None:
        """Start at zero: what was counted before a fork is the parent's to report."""
        self.__init__(quiet=self._quiet)  # type: ignore[misc]


def tell(text: str, speaker: str = "ratchet-points") -> None:
    """One line on standard error, if there is one."""
    with contextlib.suppress(Exception):
        sys.stderr.write(f"{speaker}: {text}\n")
