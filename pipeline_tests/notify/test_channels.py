"""Channels on a bad day: each delays only itself, is tried again with patience, and is told once in the end."""

from __future__ import annotations

import email
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from email import policy
from pathlib import Path

import pytest

from pipeline.core.errors import DeadSession
from pipeline.core.incidents.notes import CHANNEL, Failing, read_note
from pipeline.core.lake import Lake, SourceLake
from pipeline.notify.channels import LONGEST_WAIT, deliver_patiently, forgive, next_attempt
from pipeline.notify.delivery import Channel, Delivery
from pipeline.notify.wording import Message
from pipeline_tests.core.snapshots import at
from pipeline_tests.loopback import Quiet, serving

from .hostile import MailServer, Mood, Webhook, mail_server, webhook
from .world import MINUTE, World

MESSAGE = Message("blog: the session has expired", "Nothing is recorded.")
EXPIRED = DeadSession("note.com/api answered 401", "Log in to note.com.", status=401)


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with webhook() as started:
        yield started


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with mail_server() as started:
        yield started


@pytest.fixture
def lake(tmp_path: Path) -> SourceLake:
    return Lake(tmp_path / "lake").project


def send(lake: SourceLake, address: str, hours: float = 0, key: str = "incident-1-0") -> Delivery:
    with lake.sending():
        return deliver_patiently(MESSAGE, address, key=key, lake=lake, now=lambda: at(hours))


@pytest.mark.parametrize(
    ("mood", "words"),
    [
        ("fails", "HTTP status 500"),
        ("busy", "HTTP status 429"),
        ("hangs", "did not answer in time"),
        ("drops", "could not be reached, did not answer in time"),
    ],
)
def test_a_channel_on_a_bad_day_is_left_alone_for_a_minute_and_told_once_when_it_is_well(
    lake: SourceLake, hook: Webhook, mood: Mood, words: str
) -> None:
    hook.mood = mood
    failed = send(lake, hook.address)
    assert (failed.result, len(hook.bodies)) == ("failed", 1)
    assert words in failed.detail
    waiting = send(lake, hook.address, 0.5 / 60)
    assert (waiting.result, len(hook.bodies)) == ("waiting", 1)
    assert "It is tried again at 00:18 UTC" in waiting.detail

    hook.mood = "good"
    hook.bodies.clear()
    assert [send(lake, hook.address, hours).result for hours in (1 / 60, 2 / 60)] == ["sent", "already"]
    assert len(hook.bodies) == 1
    assert lake.note_names(CHANNEL) == []
    assert not any("planted-secret" in path.read_text() for path in lake.root.rglob("*.json"))


def test_the_waits_grow_and_stay_below_the_hour_of_cron(lake: SourceLake, hook: Webhook) -> None:
    hook.mood = "fails"
    moment, waits = at(0), []
    for _ in range(8):
        send(lake, hook.address, (moment - at(0)) / timedelta(hours=1))
        failing = read_note(lake, CHANNEL + Channel(hook.address).id, Failing)
        assert failing is not None
        waits.append((next_attempt(failing) - moment) / MINUTE)
        moment = next_attempt(failing)
    assert waits == [1, 2, 4, 8, 16, 32, 50, 50]
    assert timedelta(hours=1) > LONGEST_WAIT


def test_a_channel_that_fails_delays_no_other(lake: SourceLake, hook: Webhook, mail: MailServer) -> None:
    hook.mood = "hangs"
    assert [send(lake, address).result for address in (hook.address, mail.address)] == ["failed", "sent"]


def test_a_mail_arrives_with_its_title_and_lines(lake: SourceLake, mail: MailServer) -> None:
    assert send(lake, mail.address).result == "sent"
    (raw,) = mail.mails
    received = email.message_from_string(raw, policy=policy.default)
    body = received.get_body(("plain", "html"))
    assert received["Subject"] == MESSAGE.title
    assert body is not None
    assert MESSAGE.body in body.get_content()


def test_a_mailbox_that_is_refused_is_a_failed_delivery(lake: SourceLake, mail: MailServer) -> None:
    mail.refusing = True
    assert send(lake, mail.address).result == "failed"
    assert mail.mails == []


def test_a_channel_that_is_forgiven_is_tried_at_once(lake: SourceLake, hook: Webhook) -> None:
    hook.mood = "fails"
    send(lake, hook.address)
    hook.mood = "good"
    forgive(lake, Channel(hook.address).id)
    assert send(lake, hook.address).result == "sent"


# kill -9 between the answer of a channel and the receipt ------------------------------------------

_TELLING = """
import sys
from pathlib import Path
from pipeline_tests.core.snapshots import at
from pipeline_tests.notify.world import World
world = World(Path(sys.argv[1]))
world.add("blog", notify=(sys.argv[2],))
world.look(at(0))
"""


def test_a_process_killed_between_the_answer_and_the_receipt_repeats_the_message_once(tmp_path: Path) -> None:
    """The receiver reads the whole message and kills its sender before it answers."""
    read: list[bytes] = []
    victims: list[subprocess.Popen[bytes]] = []
    started = threading.Event()

    class Killer(Quiet):
        def do_POST(self) -> None:
            read.append(self.rfile.read(int(self.headers["Content-Length"])))
            started.wait()
            if victims:
                os.kill(victims.pop().pid, signal.SIGKILL)
                return
            self.send_response(200)
            self.end_headers()

    with serving(Killer) as port:
        address = f"json://127.0.0.1:{port}/?rto=30"
        world = World(tmp_path / "lake")
        world.add("blog", notify=(address,))
        world.fail(0, EXPIRED)
        child = subprocess.Popen([sys.executable, "-c", _TELLING, str(world.folder), address])
        victims.append(child)
        started.set()
        assert child.wait(timeout=60) == -signal.SIGKILL
        assert world.open_causes() == ["session_expired"]
        assert not (world.folder / "_project" / "receipts").exists()
        for _ in range(3):
            world.look(at(0) + MINUTE)
    assert len(read) == 2
