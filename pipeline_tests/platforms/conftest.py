"""An account of three articles behind a sandbox, the adapter that reads it, and waits that do not last."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from datetime import UTC, datetime, timedelta

import pytest
import stamina

from pipeline.platforms import answers, client, pacing
from pipeline.platforms.client import fetch_pages
from pipeline.platforms.note import Note
from pipeline.platforms.protocol import Page
from pipeline.sandbox.article import Article
from pipeline.sandbox.server import NoteSandbox

COOKIE = "planted-secret-session"
NOW = datetime(2026, 11, 22, 14, 17, tzinfo=UTC)

Fetch = Callable[..., list[Page]]


def article(number: int) -> Article:
    published_at = datetime(2026, 11, 1, tzinfo=UTC) + timedelta(days=number)
    return Article(f"n{number:03}", f"Article {number}", published_at, 100 * number, 10 * number, number)


@pytest.fixture(autouse=True)
def _no_back_off() -> Iterator[None]:
    with stamina.set_testing(True, attempts=client.ATTEMPTS):
        yield


@pytest.fixture
def sandbox() -> Iterator[NoteSandbox]:
    with NoteSandbox(lambda: [article(n) for n in (3, 2, 1)], cookie=COOKIE, page_size=2) as running:
        yield running


@pytest.fixture
def note(sandbox: NoteSandbox) -> Note:
    return Note.model_validate({"session_cookie": COOKIE, "base_url": sandbox.url, "requests_per_second": 10_000})


@pytest.fixture
def fetch(note: Note) -> Fetch:
    """One capture of the account whose articles are all known, unless a test says otherwise."""

    def pages(
        platform: Note = note,
        known: Container[str] = ("n001", "n002", "n003"),
        *,
        max_pages: int = 100,
        max_bytes: int = 1_000_000,
        timeout: float = 5.0,
    ) -> list[Page]:
        return list(
            fetch_pages(
                platform.model_copy(update={"timeout": timeout}),
                known,
                max_pages=max_pages,
                max_bytes=max_bytes,
                now=lambda: NOW,
            )
        )

    return pages


class Clock:
    """Stands in for the time module where it is waited: a wait is written down and passes at once."""

    def __init__(self, step: float = 0.0) -> None:
        self.moment, self.step = 0.0, step
        self.waits: list[float] = []

    def monotonic(self) -> float:
        self.moment += self.step
        return self.moment

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.moment += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The pace and the real back-off of the client, written down instead of waited for."""
    frozen = Clock()
    monkeypatch.setattr(answers, "time", frozen)
    monkeypatch.setattr(pacing, "time", frozen)
    monkeypatch.setattr("tenacity.nap.time", frozen)
    stamina.set_testing(False)
    return frozen
