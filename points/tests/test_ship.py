"""The shipper: every event arrives, whatever happens to it, to the programs or to the broker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from broker import Broker, broker

from ratchet_points import spool
from ratchet_points.cli import main
from ratchet_points.ship import Busy, Policy, Rejected, Shipper, Unavailable, Unusable
from ratchet_points.spool import Event, framed
from ratchet_points.targets import HttpTarget, KafkaTarget, kafka_settings


def write(folder: Path, numbers: range, name: str = "20261122T140000000000Z-1-a-000001.points") -> Path:
    """A segment of a program that has ended."""
    folder.mkdir(exist_ok=True)
    with (folder / name).open("ab") as file:
        file.write(b"".join(framed(b'{"number":%d}' % number) for number in numbers))
    return folder / name


class Collected:
    """A target that takes everything, but fails as often as it is told."""

    def __init__(self, failures: int = 0, refused: frozenset[bytes] = frozenset()) -> None:
        self.failures, self.refused = failures, refused
        self.taken: list[bytes] = []

    def check(self) -> None: ...

    def deliver(self, batch: list[Event]) -> list[Rejected]:
        if self.failures:
            self.failures -= 1
            raise Unavailable("it is away")
        self.taken += [event.text for event in batch if event.text not in self.refused]
        return [Rejected(event, "it is odd") for event in batch if event.text in self.refused]

    def close(self) -> None: ...


_TOO_LARGE = 10  # MSG_SIZE_TOO_LARGE


def numbers(values: list[bytes]) -> list[int]:
    return sorted(json.loads(value)["number"] for value in values)


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ratchet_points.ship.FIRST_WAIT", 0.01)
    monkeypatch.setattr("ratchet_points.ship.POLL_SECONDS", 0.01)


def test_everything_is_delivered_once_and_what_was_delivered_is_removed(tmp_path: Path) -> None:
    first, second = write(tmp_path, range(2500)), write(tmp_path, range(2500, 3000), "20261122T15-2-b-000001.points")
    target = Collected()
    Shipper(str(tmp_path), target).run(once=True)
    assert numbers(target.taken) == list(range(3000))
    assert not first.exists() and not second.exists()


def test_it_goes_on_where_it_was(tmp_path: Path) -> None:
    write(tmp_path, range(10))
    target = Collected()
    for until in (20, 30):
        Shipper(str(tmp_path), target, policy=Policy(keep=True)).run(once=True)
        write(tmp_path, range(until - 10, until))
    Shipper(str(tmp_path), target, policy=Policy(keep=True)).run(once=True)
    assert numbers(target.taken) == list(range(30))


def test_a_target_that_is_away_is_tried_until_it_works_and_said_once(tmp_path: Path) -> None:
    write(tmp_path, range(10))
    target = Collected(failures=5)
    said: list[str] = []
    Shipper(str(tmp_path), target, say=said.append).run(once=True)
    assert numbers(target.taken) == list(range(10))
    assert [words.split(":")[0].split(",")[0] for words in said] == ["cannot deliver", "delivering again"]


def test_a_segment_that_is_still_written_stays(tmp_path: Path) -> None:
    import fcntl

    path = write(tmp_path, range(5))
    target = Collected()
    with path.open("ab") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        Shipper(str(tmp_path), target).run(once=True)
        assert path.exists()
        writer.write(framed(b'{"number":5}'))
    Shipper(str(tmp_path), target).run(once=True)
    assert numbers(target.taken) == list(range(6))
    assert not path.exists()


def test_a_finished_segment_goes_only_at_the_size_that_was_delivered(tmp_path: Path) -> None:
    path = write(tmp_path, range(5))
    assert not spool.remove_finished(str(path), path.stat().st_size - 1, 0)
    assert spool.remove_finished(str(path), path.stat().st_size, 0)
    empty = write(tmp_path, range(0))
    assert not spool.remove_finished(str(empty), 0, 60)  # its writer may be about to lock it
    assert not spool.remove_finished(str(empty), 0, 0)  # also where nobody asks for patience
    os.utime(empty, (0, 0))
    assert spool.remove_finished(str(empty), 0, 60)


def test_what_cannot_be_delivered_is_kept_with_its_reason(tmp_path: Path) -> None:
    path = write(tmp_path, range(3))
    with path.open("ab") as file:
        file.write(b"\n12345678 torn")
    target, kept = Collected(refused=frozenset({b'{"number":1}'})), []
    Shipper(str(tmp_path), target, refuse=lambda text, reason: kept.append((text, reason))).run(once=True)
    assert numbers(target.taken) == [0, 2]
    assert kept == [
        ("12345678 torn", "it is damaged: torn by a kill or a full disk"),
        ('{"number":1}', "it is odd"),
    ]


def test_two_shippers_do_not_share_a_spool(tmp_path: Path) -> None:
    write(tmp_path, range(1))
    met: list[str] = []

    class Nosy(Collected):
        def deliver(self, batch: list[Event]) -> list[Rejected]:
            with pytest.raises(Busy):
                Shipper(str(tmp_path), Collected()).run(once=True)
            met.append("met")
            return super().deliver(batch)

    Shipper(str(tmp_path), Nosy()).run(once=True)
    assert met == ["met"]


def test_a_full_spool_is_said_and_the_oldest_goes_where_that_is_wanted(tmp_path: Path) -> None:
    old, new = write(tmp_path, range(100)), write(tmp_path, range(100, 110), "20261122T15-2-b-000001.points")
    said: list[str] = []
    dropped: list[int] = []
    target = Collected(failures=1)
    policy = Policy(limit=new.stat().st_size + 10, drop_oldest=True)
    Shipper(
        str(tmp_path), target, policy=policy, say=said.append, report_drops=lambda count, reason: dropped.append(count)
    ).run(once=True)
    assert not old.exists()
    assert dropped == [100]
    assert "dropping the oldest" in said[1] and said[2] == "dropped 100 events that were not delivered"
    assert numbers(target.taken)[-10:] == list(range(100, 110))


def test_a_full_disk_is_emptied_by_shipping(small_disk: Path) -> None:
    """The cursor needs room of its own, and on a full disk only what was delivered can give it."""
    for segment in range(3):
        write(small_disk, range(100 * segment, 100 * segment + 100), f"20261122T1{segment}0000000000Z-1-a-1.points")
    with (small_disk / "ballast").open("wb", buffering=0) as ballast, pytest.raises(OSError, match="No space"):
        while True:
            ballast.write(bytes(4096))
    target = Collected()
    Shipper(str(small_disk), target).run(once=True)
    assert numbers(target.taken) == list(range(300))
    assert spool.segments(small_disk) == []


def test_a_damaged_cursor_is_for_people(tmp_path: Path) -> None:
    write(tmp_path, range(1))
    (tmp_path / "shipped.json").write_text("{")
    with pytest.raises(Unusable, match="damaged"):
        Shipper(str(tmp_path), Collected()).run(once=True)


# HTTP ---------------------------------------------------------------------------------------


class Endpoint(ThreadingHTTPServer):
    """Takes batches; answers a batch that holds ``refused`` with 422, and the next ones with ``answers``."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Taking)
        self.taken: list[Any] = []
        self.headers: list[Any] = []
        self.asked: list[str] = []
        self.answers: list[int] = []
        self.refused: int | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/events"


class _Taking(BaseHTTPRequestHandler):
    server: Endpoint

    def do_GET(self) -> None:
        """The login page to which a redirect leads."""
        self.server.asked.append("GET")
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        self.server.asked.append("POST")
        batch = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.headers.append(dict(self.headers))
        status = self.server.answers.pop(0) if self.server.answers else 202
        if any(event["number"] == self.server.refused for event in batch):
            status = 422
        if status == 202:
            self.server.taken += batch
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/login")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_an_endpoint_gets_batches_of_cloudevents(
    tmp_path: Path, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POINTS_HTTP_AUTHORIZATION", "Bearer planted")
    write(tmp_path, range(1500))
    endpoint.answers, endpoint.refused = [503, 429, 401], 77
    kept: list[str] = []
    shipper = Shipper(
        str(tmp_path), HttpTarget(endpoint.url), say=lambda _: None, refuse=lambda text, reason: kept.append(text)
    )
    shipper.run(once=True)
    assert sorted(event["number"] for event in endpoint.taken) == [n for n in range(1500) if n != 77]
    assert kept == ['{"number":77}']
    assert endpoint.headers[0]["Content-Type"] == "application/cloudevents-batch+json"
    assert endpoint.headers[0]["Authorization"] == "Bearer planted"


def test_a_redirect_is_no_receipt(tmp_path: Path, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """Followed, it would be a GET of a login page that answers 200, and would carry the credential to its host."""
    monkeypatch.setenv("POINTS_HTTP_AUTHORIZATION", "Bearer planted")
    write(tmp_path, range(3))
    endpoint.answers = [302]
    said: list[str] = []
    Shipper(str(tmp_path), HttpTarget(endpoint.url), say=said.append).run(once=True)
    assert [event["number"] for event in endpoint.taken] == [0, 1, 2]
    assert endpoint.asked == ["POST", "POST"]
    assert "the endpoint answered 302" in said[0]


# Kafka --------------------------------------------------------------------------------------


@pytest.fixture
def kafka() -> Iterator[Broker]:
    with broker() as made:
        yield made


def test_a_topic_gets_every_event_once(tmp_path: Path, kafka: Broker) -> None:
    write(tmp_path, range(3000))
    Shipper(str(tmp_path), KafkaTarget(kafka.address, kafka.topic)).run(once=True)
    assert numbers(kafka.values()) == list(range(3000))


def test_errors_to_produce_requests_lose_and_double_nothing(tmp_path: Path, kafka: Broker) -> None:
    write(tmp_path, range(500))
    kafka.fail_next_produces(4)
    Shipper(str(tmp_path), KafkaTarget(kafka.address, kafka.topic), say=lambda _: None).run(once=True)
    assert numbers(kafka.values()) == list(range(500))


def test_an_event_that_is_too_large_holds_up_no_other(tmp_path: Path, kafka: Broker) -> None:
    """It is refused before it is sent, and a topic's limit is met by a whole request of events."""
    write(tmp_path, range(10))
    with (tmp_path / "20261122T150000000000Z-1-a-000001.points").open("ab") as file:
        file.write(framed(b'{"number":10,"padding":"%b"}' % (b"x" * 5000)))
    kept: list[tuple[str, str]] = []
    target = KafkaTarget(kafka.address, kafka.topic, {"message.max.bytes": 2000})
    Shipper(str(tmp_path), target, refuse=lambda text, reason: kept.append((text, reason))).run(once=True)
    assert numbers(kafka.values()) == list(range(10))
    [(text, reason)] = kept
    assert (json.loads(text)["number"], reason) == (10, "the broker refused it: MSG_SIZE_TOO_LARGE")


def test_a_request_that_is_too_large_refuses_no_event_that_is_not(tmp_path: Path, kafka: Broker) -> None:
    write(tmp_path, range(64))
    kafka.fail_next_produces(1, _TOO_LARGE)
    kept: list[str] = []
    target = KafkaTarget(kafka.address, kafka.topic)
    Shipper(str(tmp_path), target, refuse=lambda text, reason: kept.append(text)).run(once=True)
    assert (numbers(kafka.values()), kept) == (list(range(64)), [])


def test_a_broker_that_goes_away_and_comes_back(tmp_path: Path, kafka: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ratchet_points.targets._DELIVERY_SECONDS", 1.0)
    monkeypatch.setattr("ratchet_points.targets._ANSWER_SECONDS", 1.0)
    write(tmp_path, range(500))
    said: list[str] = []

    def say(words: str) -> None:
        said.append(words)
        kafka.come_back()

    target = KafkaTarget(kafka.address, kafka.topic, {"reconnect.backoff.max.ms": 200})
    target.check()
    kafka.go_away()
    Shipper(str(tmp_path), target, say=say).run(once=True)
    assert set(numbers(kafka.values())) == set(range(500))
    assert said[0].startswith(f"cannot deliver: {kafka.address}, topic {kafka.topic}: ")


def test_a_broker_that_is_restarted_gets_every_event(tmp_path: Path, kafka: Broker) -> None:
    write(tmp_path, range(500))
    target = KafkaTarget(kafka.address, kafka.topic)
    target.check()
    kafka.restart()
    Shipper(str(tmp_path), target, say=lambda _: None).run(once=True)
    assert set(numbers(kafka.values())) == set(range(500))


def test_a_missing_topic_is_said_at_the_start(
    tmp_path: Path, kafka: Broker, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, range(1))
    with pytest.raises(SystemExit) as ended:
        main(["ship", str(tmp_path), "--kafka", kafka.address, "--topic", "missing", "--once"])
    assert ended.value.code == 2
    assert f"there is no topic missing at {kafka.address}" in capsys.readouterr().err


def test_settings_that_the_library_lacks_are_refused_without_their_values() -> None:
    pytest.importorskip("confluent_kafka")
    settings = kafka_settings({"POINTS_KAFKA_SASL_PASSWORDD": "planted-secret", "OTHER": "x"})
    assert settings == {"sasl.passwordd": "planted-secret"}
    with pytest.raises(Unusable) as refused:
        KafkaTarget("127.0.0.1:9", "points", settings)
    assert "planted-secret" not in str(refused.value)


def test_killed_at_any_moment_it_loses_nothing(tmp_path: Path, kafka: Broker) -> None:
    """kill -9 between two batches, in one, or while the cursor is written: at worst some arrive twice."""
    command = [sys.executable, "-m", "ratchet_points", "ship", str(tmp_path), "--kafka", kafka.address]
    command += ["--topic", kafka.topic]
    for kill in range(3):
        write(tmp_path, range(kill * 20_000, (kill + 1) * 20_000), f"20261122T1{kill}-1-a-000001.points")
        shipper = subprocess.Popen(command)
        cursor = tmp_path / "shipped.json"
        before = cursor.read_bytes() if cursor.exists() else b""
        while (cursor.read_bytes() if cursor.exists() else b"") == before:
            assert shipper.poll() is None
        os.kill(shipper.pid, signal.SIGKILL)
        shipper.wait()
    subprocess.run([*command, "--once"], check=True, timeout=60)
    assert set(numbers(kafka.values())) == set(range(60_000))
    assert spool.segments(tmp_path) == []
