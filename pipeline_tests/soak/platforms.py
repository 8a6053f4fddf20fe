"""The platforms of the soak in a process of their own: one sandbox a source, growing with the driven clock.

Now and then an account answers with the numbers of some hours ago, as a stale cache does. The checks
refuse that capture, and the schedule's next tick of the hour has to bring a sound one.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection

from pipeline.core.hours import Hour
from pipeline.sandbox.article import Article
from pipeline.sandbox.server import NoteSandbox
from pipeline_tests.soak.clock import DrivenClock

COOKIE = "soak"
ARTICLES = 20
ATTEMPT_MINUTE = 47
"""All sources tick at this minute at once, and again ten minutes later, which matters where that failed."""
FIRST = Hour.parse("2026-04-06T00")
_STALE_EVERY = 50


def is_stale(number: int, hours: int) -> bool:
    """Whether the account's first answer of its hour is one of three hours ago: one in fifty."""
    return hours >= 3 and (hours * 7 + number * 11) % _STALE_EVERY == 0


def account(number: int, clock: DrivenClock, asked: Callable[[], None]) -> Callable[[], Sequence[Article]]:
    """The listing of the account ``number``; ``asked`` is called with every request."""

    def listing() -> Sequence[Article]:
        asked()
        now = clock.now()
        hours = Hour.of(now) - FIRST
        if is_stale(number, hours) and now.minute == ATTEMPT_MINUTE:
            hours -= 3
        return [
            Article(
                f"n{number}x{article}",
                f"Article {article} of account {number}",
                FIRST.start - timedelta(days=30),
                100 + hours * (article + 1),
                hours,
                article,
            )
            for article in range(ARTICLES)
        ]

    return listing


def serve(sources: int, told: Connection) -> None:
    """Tell the addresses, and serve until the other end says anything, or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that judges
    clock = DrivenClock.here()
    with ExitStack() as stack:
        sandboxes = []
        for number in range(sources):
            requests: list[str] = []
            sandbox = NoteSandbox(
                account(number, clock, requests.clear), cookie=COOKIE, clock=lambda: datetime.now(UTC)
            )
            sandbox.requests = requests  # kept no longer than to the next one
            sandboxes.append(stack.enter_context(sandbox))
        told.send([sandbox.url for sandbox in sandboxes])
        told.poll(None)
