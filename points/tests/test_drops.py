"""Drops are counted exactly, whoever counts and whoever takes them meanwhile."""

from __future__ import annotations

import signal
import sys
import threading
from collections import Counter

import pytest

from ratchet_points.drops import Drops


def test_threads_and_a_taker_lose_none() -> None:
    drops, total = Drops(quiet=True), Counter[str]()
    done = threading.Event()

    def count(reason: str) -> None:
        for _ in range(5000):
            drops.count(reason)

    def take() -> None:
        turn = 0
        while not done.is_set():
            turn += 1
            taken = drops.take()
            if turn % 2:
                drops.put_back(taken)
            else:
                total.update(taken)

    threads = [threading.Thread(target=count, args=(reason,)) for reason in ("a", "b", "a")]
    taker = threading.Thread(target=take)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in [*threads, taker]:
            thread.start()
        for thread in threads:
            thread.join()
        done.set()
        taker.join()
    finally:
        sys.setswitchinterval(before)
    total.update(drops.take())
    assert total == {"a": 10_000, "b": 5_000}
    assert not drops.waiting


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs interval timers")
def test_a_signal_in_the_middle_loses_none() -> None:
    drops, handled, total = Drops(quiet=True), 0, Counter[str]()

    def handler(*_: object) -> None:
        nonlocal handled
        handled += 1
        drops.count("signal")
        total.update(drops.take())

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        counted = 0
        while handled < 30:
            drops.count("program")
            counted += 1
        signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.signal(signal.SIGALRM, before)
    total.update(drops.take())
    assert total == {"signal": handled, "program": counted}


def test_each_reason_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    drops = Drops()
    for _ in range(3):
        drops.count("the disk is full")
        drops.count("the cat")
    assert capsys.readouterr().err.count("\n") == 2
