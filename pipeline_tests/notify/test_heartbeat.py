"""The heartbeat: called once for an accepted live capture, never in the way of one, its failure an incident."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from pipeline.core.incidents.notes import HEARTBEAT
from pipeline.core.model import Origin
from pipeline.notify import heartbeat
from pipeline_tests.core.snapshots import at
from pipeline_tests.dagster_parts import HOUR, MOMENT, made_blog
from pipeline_tests.loopback import Quiet, serving
from pipeline_tests.notify.world import MINUTE, World


class Service:
    """``mood``: a status to answer with, or None to hang up."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/planted-secret-of-the-heartbeat"
        self.calls: list[str] = []
        self.mood: int | None = 200


@pytest.fixture
def service() -> Iterator[Service]:
    class Handler(Quiet):
        def do_GET(self) -> None:
            made.calls.append(self.path)
            if made.mood is not None:
                self.send_response(made.mood)
                self.send_header("Location", "http://127.0.0.1:9/elsewhere")
                self.end_headers()

    with serving(Handler) as port:
        made = Service(port)
        yield made


def test_it_is_called_after_each_accepted_live_capture_and_after_no_other(
    project: Any, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RATCHET_TEST_HEARTBEAT", service.url)
    with made_blog(project, heartbeat_url="{{ env.RATCHET_TEST_HEARTBEAT }}") as blog:
        assert blog.capture(MOMENT.replace(hour=10), origin=Origin.REPLAY).success
        assert service.calls == []
        sound = dict(blog.account.views)
        blog.account.views = {"n1": 1}
        assert not blog.capture(MOMENT.replace(hour=11)).success
        assert service.calls == []
        blog.account.views = sound
        assert blog.capture().success
        assert blog.capture().success
        assert len(service.calls) == 1
        service.mood = 500
        assert blog.capture(HOUR.end).success
        assert len(service.calls) == 2
        assert blog.lake.note(HEARTBEAT).exists()
        told = "".join(
            str(entry.to_json()) for run in blog.instance.get_runs() for entry in blog.instance.all_logs(run.run_id)
        )
        stored = "".join(path.read_text(errors="replace") for path in blog.lake.root.rglob("*.json"))
        assert "answered with HTTP status 500" in told
        assert "planted-secret-of-the-heartbeat" not in told + stored


@pytest.mark.parametrize(("mood", "words"), [(500, "status 500"), (302, "status 302"), (None, "was not taken")])
def test_a_failure_is_remembered_without_the_address_and_a_success_forgets_it(
    tmp_path: Path, service: Service, mood: int | None, words: str
) -> None:
    world = World(tmp_path / "lake")
    world.add("blog", heartbeat_url=service.url)
    lake, source = world.of("blog"), world.sources["blog"]
    with lake.writing():
        service.mood = mood
        fault = heartbeat.beat(lake, source, at(0))
        assert fault is not None
        assert words in fault
        assert "planted" not in fault
        world.capture(0.8)
        world.look(at(1) - MINUTE)
        assert world.open_causes() == []
        world.look(at(1))
        assert world.open_causes() == ["heartbeat_failed"]
        service.mood = 200
        assert heartbeat.beat(lake, source, at(1)) is None
        world.look(at(1))
        assert world.open_causes() == []


class _Dripping(Quiet):
    """Sends a byte of a header long before any timeout of a read ends, and its end long after all patience."""

    patience: ClassVar[threading.Event]

    def do_GET(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Drip: ")
        for _ in range(500):
            if self.patience.wait(0.01):
                return
            self.wfile.write(b".")
        self.wfile.write(b"\r\n\r\n")


def test_a_service_that_drips_is_given_up_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "PATIENCE_SECONDS", 0.2)
    _Dripping.patience = threading.Event()
    world = World(tmp_path / "lake")
    with serving(_Dripping) as port:
        world.add("blog", heartbeat_url=f"http://127.0.0.1:{port}/")
        with world.of("blog").writing():
            fault = heartbeat.beat(world.of("blog"), world.sources["blog"], at(0))
        _Dripping.patience.set()
    assert fault == "The heartbeat was not answered in time."


def test_a_service_that_cannot_be_reached_or_does_not_answer_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "PATIENCE_SECONDS", 0.05)
    world = World(tmp_path / "lake")
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as silent:  # listens, never answers
        world.add("blog", heartbeat_url=f"http://127.0.0.1:{silent.server_address[1]}/")
        with world.of("blog").writing():
            assert heartbeat.beat(world.of("blog"), world.sources["blog"], at(0)) == (
                "The heartbeat was not answered in time."
            )
