"""Observing over HTTP: only the present hour, once, and never again with a credential that was turned away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest
import stamina

from pipeline.core import history
from pipeline.core.capture import Ended
from pipeline.core.errors import DeadSession, LakeFault, TransportFault, WrongHour
from pipeline.core.hours import Hour
from pipeline.core.lake import VALIDATED
from pipeline.core.model import Bounds, Origin
from pipeline.core.observe import Observation, RecordedClock, observe
from pipeline.core.sessions import DEAD_SESSION, known_dead_session, remember_dead_session
from pipeline.platforms import adapter, client
from pipeline.platforms.note import Note
from pipeline.sandbox.article import Article
from pipeline.sandbox.faults import HTML_PAGE, LOGIN_REDIRECT, Drop, DropInBody, Fault, Reply, TruncatedJson
from pipeline.sandbox.server import NoteSandbox

from .account import COOKIE, Account, failed, hour
from .snapshots import at


@dataclass
class Observed:
    """An account of five articles behind a sandbox, and the clock that stands where the test puts it."""

    account: Account
    sandbox: NoteSandbox
    views: int = 100

    def articles(self) -> list[Article]:
        published = datetime(2026, 10, 1, tzinfo=UTC)
        return [Article(f"n{number}", f"Article {number}", published, self.views, 10, 1) for number in range(5)]

    def at(self, hours: float, target: Hour | None = None, origin: Origin = Origin.LIVE) -> Observation:
        clock = RecordedClock(at(hours), origin)
        return observe(self.account.lake, self.account.source, target or hour(hours), clock)

    def tell(self, hours: float) -> None:
        self.at(hours)
        history.settle_hour(self.account.lake, self.account.source, hour(hours))

    def use(self, **platform: Any) -> None:
        reachable = {"session_cookie": COOKIE, "base_url": self.sandbox.url, "requests_per_second": 10_000}
        self.account.change(platform=Note.model_validate(reachable | platform))


@pytest.fixture
def observed(account: Account) -> Iterator[Observed]:
    with (
        stamina.set_testing(True, attempts=client.ATTEMPTS),
        NoteSandbox(lambda: made.articles(), cookie=COOKIE, page_size=2) as sandbox,
    ):
        made = Observed(account, sandbox)
        made.use()
        yield made


# The present hour -----------------------------------------------------------------------------------------


def test_the_present_hour_is_captured_with_its_time_and_origin(observed: Observed) -> None:
    seen = observed.at(0)
    assert seen.ended is not None
    assert (seen.accepted, seen.capture.captured_at, seen.ended.reason) == (False, at(0), None)
    assert failed(history.verdict(observed.account.lake, observed.account.source, seen.capture).findings) == []


@pytest.mark.parametrize("origin", Origin)
@pytest.mark.parametrize("away", [-1, 1, 24])
def test_another_hour_than_the_present_cannot_be_observed(observed: Observed, away: int, origin: Origin) -> None:
    with pytest.raises(WrongHour, match="can only be read in the present") as caught:
        observed.at(1, target=hour(1 + away), origin=origin)
    assert caught.value.exit_code == 14
    assert observed.sandbox.requests == []
    assert observed.account.files() == {}


def test_an_observed_hour_is_left_as_it_is_and_the_platform_is_not_asked(observed: Observed) -> None:
    observed.tell(0)
    files, asked = observed.account.files(), len(observed.sandbox.requests)
    seen = observed.at(0.5)
    assert (seen.accepted, seen.ended, seen.capture.captured_at) == (True, None, at(0))
    # Not even at another time: the hour has its answer.
    assert observed.at(9, target=hour(0)).accepted
    assert (observed.account.files(), len(observed.sandbox.requests)) == (files, asked)


def test_a_clock_that_went_back_is_refused_and_a_recorded_past_is_not(observed: Observed) -> None:
    observed.tell(5)
    files = observed.account.files()
    with pytest.raises(WrongHour, match="clock went back") as caught:
        observed.at(1)
    assert "NTP" in caught.value.next_step
    assert observed.account.files() == files
    assert observed.at(1, origin=Origin.REPLAY).ended is not None


def test_a_capture_that_nobody_judged_is_taken_up_without_a_request(observed: Observed) -> None:
    stored = observed.at(0).capture
    asked = len(observed.sandbox.requests)
    seen = observed.at(0.4)
    assert (seen.capture, seen.ended, seen.accepted) == (stored, None, False)
    assert len(observed.sandbox.requests) == asked
    history.settle_hour(observed.account.lake, observed.account.source, hour(0))
    assert observed.account.lake.exists(VALIDATED, hour(0))


def test_after_a_refused_capture_the_same_hour_is_asked_for_again(observed: Observed) -> None:
    observed.tell(0)
    observed.views = 50
    observed.tell(1)
    assert not observed.account.lake.exists(VALIDATED, hour(1))
    observed.views = 101
    seen = observed.at(1.3)
    assert isinstance(seen.ended, Ended)
    history.settle_hour(observed.account.lake, observed.account.source, hour(1))
    assert observed.account.snapshot(1)["n0"]["views"] == 101
    assert len(observed.account.files("raw")) == 3
    assert len(observed.account.files("quarantine")) == 1


def test_what_is_known_of_an_article_is_not_asked_for_again(observed: Observed) -> None:
    observed.tell(0)
    first = len(observed.sandbox.requests)
    observed.tell(1)
    assert (first, len(observed.sandbox.requests) - first) == (3 + 5, 3)
    assert observed.account.snapshot(1)["n0"]["published_at"].isoformat() == "2026-10-01T00:00:00+00:00"


# What arrives broken --------------------------------------------------------------------------------------


def first_page(observed: Observed) -> Reply:
    return observed.sandbox.answer("/api/v1/stats/pv?page=1", f"_note_session_v5={COOKIE}")


@pytest.mark.parametrize(
    ("fault", "bounds", "words"),
    [
        (TruncatedJson(), Bounds(), "is not JSON"),
        (Reply(body=b"[]"), Bounds(), "is not of the shape"),
        ("repeat", Bounds(), "repeats an earlier page byte for byte"),
        (None, Bounds(max_pages=2), "goes on after 2 pages, which is the bound"),
        (None, Bounds(max_bytes=100), "larger than 100 bytes, which is the bound"),
    ],
    ids=["truncated", "another shape", "repeated", "endless", "too large"],
)
def test_a_listing_that_arrives_broken_is_kept_and_refused_as_unreadable(
    observed: Observed, fault: Fault | str | None, bounds: Bounds, words: str
) -> None:
    observed.account.change(bounds=bounds)
    if isinstance(fault, str):
        observed.sandbox.fail_next(first_page(observed), first_page(observed))
    elif fault is not None:
        observed.sandbox.fail_next(fault)
    seen = observed.at(0)
    judged = history.verdict(observed.account.lake, observed.account.source, seen.capture)
    assert failed(judged.findings) == ["readable_listing"]
    assert words in judged.reason
    assert len(observed.account.files("raw")) == 1


@pytest.mark.parametrize(
    ("fault", "attempts"),
    [
        (Drop(), client.ATTEMPTS),
        (DropInBody(), client.ATTEMPTS),
        (Reply(500), client.ATTEMPTS),
        (Reply(503), client.ATTEMPTS),
        (Reply(429), client.ATTEMPTS),
        (Reply(404), 1),
        (Reply(301), 1),
    ],
    ids=["dropped", "dropped in the body", "500", "503", "429", "404", "301"],
)
@pytest.mark.parametrize("arrived", [0, 2])
def test_a_fault_of_transport_leaves_no_file_at_all(
    observed: Observed, fault: Fault, attempts: int, arrived: int
) -> None:
    listing = observed.sandbox.answer
    sound = [listing(f"/api/v1/stats/pv?page={n + 1}", f"_note_session_v5={COOKIE}") for n in range(arrived)]
    observed.sandbox.fail_next(*sound, *[fault] * attempts)
    with pytest.raises(TransportFault) as caught:
        observed.at(0)
    assert caught.value.exit_code == 10
    assert len(observed.sandbox.requests) == arrived + attempts
    assert [path.name for path in observed.account.lake.root.rglob("*") if path.is_file()] == [".writing.lock"]
    assert observed.at(0.5).ended is not None


# The dead session -----------------------------------------------------------------------------------------

DEAD = {"401": Reply(401), "403": Reply(403), "HTML": HTML_PAGE, "login": LOGIN_REDIRECT}


@pytest.mark.parametrize("reply", DEAD.values(), ids=DEAD.keys())
def test_a_credential_that_was_turned_away_is_remembered_until_it_changes(observed: Observed, reply: Reply) -> None:
    lake, source = observed.account.lake, observed.account.source
    assert known_dead_session(lake, source) is None
    observed.sandbox.fail_next(reply)
    with pytest.raises(DeadSession) as caught:
        observed.at(0)
    assert caught.value.exit_code == 11
    assert len(observed.sandbox.requests) == 1
    assert observed.account.lake.captures() == []
    known = known_dead_session(lake, source)
    assert known == f"{caught.value.what} (since 2026-11-01T00:17:00Z)"
    observed.use(session_cookie="another-session")
    assert known_dead_session(lake, observed.account.source) is None
    assert known_dead_session(lake, source) == known


def test_a_platform_that_needs_no_credential_is_asked_again(observed: Observed) -> None:
    lake, zenn = observed.account.lake, adapter("zenn").model_validate({"kind": "zenn", "username": "someone"})
    observed.account.change(platform=zenn)
    dead = DeadSession("zenn.dev answered 403", "Wait.", status=403)
    remember_dead_session(lake, observed.account.source, dead, at(0))
    assert known_dead_session(lake, observed.account.source) is None


def test_a_capture_that_succeeds_clears_the_mark(observed: Observed) -> None:
    observed.sandbox.fail_next(Reply(401))
    with pytest.raises(DeadSession):
        observed.at(0)
    observed.at(0.2)
    assert known_dead_session(observed.account.lake, observed.account.source) is None
    assert observed.account.lake.read_note(DEAD_SESSION) is None


def test_a_fault_of_transport_leaves_the_mark(observed: Observed) -> None:
    observed.sandbox.fail_next(Reply(401))
    with pytest.raises(DeadSession):
        observed.at(0)
    observed.sandbox.fail_next(*[Drop()] * client.ATTEMPTS)
    with pytest.raises(TransportFault):
        observed.at(0.2)
    assert known_dead_session(observed.account.lake, observed.account.source) is not None


def test_neither_the_mark_nor_anything_else_in_the_lake_holds_the_credential(observed: Observed) -> None:
    observed.tell(0)
    observed.use(session_cookie="another-planted-secret")
    with pytest.raises(DeadSession) as caught:
        observed.at(1)
    everything = [path.read_bytes() for path in observed.account.lake.root.rglob("*") if path.is_file()]
    everything += [str(caught.value).encode(), repr(observed.account.source).encode()]
    assert observed.account.lake.read_note(DEAD_SESSION) is not None
    for secret in (COOKIE, "another-planted-secret"):
        assert not any(secret.encode() in content for content in everything)
    # The same credential leaves another fingerprint each time.
    mark = observed.account.lake.read_note(DEAD_SESSION)
    with pytest.raises(DeadSession):
        observed.at(1)
    again = observed.account.lake.read_note(DEAD_SESSION)
    assert mark is not None
    assert again is not None
    assert mark["credential"] != again["credential"]


def test_a_damaged_mark_is_named(observed: Observed) -> None:
    observed.sandbox.fail_next(Reply(401))
    with pytest.raises(DeadSession):
        observed.at(0)
    observed.account.lake.note(DEAD_SESSION).write_bytes(b"{")
    with pytest.raises(LakeFault, match=r"dead_session\.json is damaged"):
        known_dead_session(observed.account.lake, replace(observed.account.source, owner="Ada"))
