"""`python -m pipeline_tests.torture.points`: kill -9 of shipper and pipeline in turn, and the totals are exact.

Programs report into a spool, `points ship` carries it to a topic, and hour by hour the pipeline counts what the topic
holds. In every round one of the two dies: the shipper at a random moment, the pipeline at a random operation on the
lake. What was counted in the end is compared with what the programs were told that they had reported.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import click

from pipeline.core.lake import VALIDATED, Lake, SourceLake
from pipeline.core.model import Counter, Source
from pipeline.core.project import ROOT
from pipeline.core.snapshots import read_table
from pipeline.platforms.points.adapter import Points
from pipeline_tests.kafka_broker import broker
from pipeline_tests.torture.scenarios import capture
from pipeline_tests.torture.trace import Trace, trace_into

_ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT / "points" / "src")}
_EVENTS = 400
"""Of each round. Every tenth breaks the schema."""
_USERS = 17
_PROGRAM = f"""
import sys
import ratchet_points as points

points.init(app="shop", version="1", spool=sys.argv[1], segment_bytes=64 * 1024)
for number in range({_EVENTS}):
    odd = number % 10 == 9
    taken = points.track("paid", who=f"u{{number % {_USERS}}}", amount="odd" if odd else number)
    assert taken is not None
"""


@dataclass(frozen=True)
class Place:
    """What a capture needs to know, in a process of its own."""

    data: Path
    settings: dict[str, Any]

    @property
    def source(self) -> Source:
        platform = Points.model_validate(self.settings)
        return Source("shop", platform, tuple(Counter(name, p, True) for name, p in platform.policies.items()))

    @property
    def lake(self) -> SourceLake:
        return Lake(self.data / "lake").source("shop")


@dataclass
class Tally:
    """What the rounds did, and how the counts in the lake differ from what was reported."""

    rounds: int = 0
    shipper_kills: int = 0
    pipeline_kills: int = 0
    counted: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def _captured(place: Place, moment: datetime, traced: Path, kill_at: int | None) -> None:
    trace_into(traced, place.lake.root, kill_at)
    capture(place, [moment])  # type: ignore[arg-type]


@dataclass
class _Stack:
    """The programs, the shipper, the topic and the lake. ``address`` is None where the spool is read directly."""

    folder: Path
    draw: Random
    address: str | None
    topic: str
    operations: int = 40
    hour: int = 0
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    shipper: subprocess.Popen[bytes] | None = None

    @property
    def spool(self) -> Path:
        return self.folder / "spool"

    @property
    def place(self) -> Place:
        fields = {"amount": {"type": "integer", "required": True}}
        events = {"paid": {"sums": ["amount"], "distinct": ["who"], "fields": fields}}
        where: dict[str, Any] = {"spool": str(self.spool)}
        if self.address is not None:
            where = {"kafka": {"bootstrap": self.address, "topic": self.topic}}
        return Place(self.folder, {"events": events, **where})

    def report(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", _PROGRAM, self.spool], env=_ENVIRONMENT)

    def ship(self, *more: str) -> subprocess.Popen[bytes]:
        assert self.address is not None
        command = [sys.executable, "-m", "ratchet_points", "ship", str(self.spool), "--kafka", self.address]
        return subprocess.Popen([*command, "--topic", self.topic, *more], env=_ENVIRONMENT)

    def wait_for_messages(self) -> None:
        """Until the topic holds more than now: the shipper is delivering at this moment."""
        from confluent_kafka import Consumer, TopicPartition

        consumer = Consumer({"bootstrap.servers": self.address, "group.id": "torture", "log_level": 0})
        try:
            numbers = consumer.list_topics(self.topic, timeout=30).topics[self.topic].partitions
            places = [TopicPartition(self.topic, number) for number in numbers]

            def held() -> int:
                return sum(consumer.get_watermark_offsets(place, timeout=30, cached=False)[1] for place in places)

            before, end = held(), time.monotonic() + 60
            while held() == before:
                if time.monotonic() > end:
                    raise RuntimeError("the shipper delivered nothing within a minute")
        finally:
            consumer.close()

    def capture(self, kill: bool) -> bool:
        """One hour; whether the process was killed in it."""
        moment = self.began + timedelta(hours=self.hour)
        traced = self.folder / "trace"
        traced.unlink(missing_ok=True)
        kill_at = self.draw.randint(1, self.operations) if kill else None
        process = multiprocessing.get_context("forkserver").Process(
            target=_captured, args=(self.place, moment, traced, kill_at)
        )
        process.start()
        process.join(120)
        if process.exitcode not in (0, -signal.SIGKILL):
            raise RuntimeError(f"the capture of hour {self.hour} ended with {process.exitcode}")
        if process.exitcode == 0:
            self.operations = len(Trace.read(traced))
        return process.exitcode == -signal.SIGKILL

    def counts(self) -> dict[str, int]:
        lake = self.place.lake
        newest = lake.last_accepted()
        rows = read_table(lake.path(VALIDATED, newest)).to_pylist() if newest is not None else []
        items = {row["item_id"]: row for row in rows}
        names = ("events", "sum_amount", "distinct_who")
        paid, reading = items.get("point:paid", {}), items.get("reading", {})
        told = {name: paid.get(name) or 0 for name in names}
        return told | {name: reading.get(name) or 0 for name in ("malformed", "duplicates", "behind", "read")}


def torture(rounds: int, seed: int, folder: Path, *, with_topic: bool) -> Tally:
    """All rounds on one lake. ``with_topic``: events travel through a topic, else the spool is read directly."""
    tally = Tally()
    preloaded = ["pandera.pandas", "pandera.backends.pandas.builtin_checks", "pipeline_tests.torture.scenarios"]
    multiprocessing.get_context("forkserver").set_forkserver_preload(preloaded)
    with _stack(folder, Random(seed), with_topic) as stack:
        for number in range(rounds):
            _round(stack, tally, kill_shipper=with_topic and number % 2 == 0)
        _kill(stack.shipper)
        if with_topic and stack.ship("--once").wait(120):
            tally.faults.append("the last run of the shipper failed")
        stack.hour += 1
        stack.capture(kill=False)
        tally.counted = stack.counts()
    _compare(tally)
    return tally


@contextmanager
def _stack(folder: Path, draw: Random, with_topic: bool) -> Iterator[_Stack]:
    (folder / "spool").mkdir()
    if not with_topic:
        yield _Stack(folder, draw, None, "")
        return
    with broker() as kafka:
        stack = _Stack(folder, draw, kafka.address, kafka.topic)
        try:
            yield stack
        finally:
            _kill(stack.shipper)


def _kill(process: subprocess.Popen[bytes] | None) -> bool:
    """Whether it was still alive."""
    if process is None:
        return False
    alive = process.poll() is None
    process.kill()
    process.wait()
    return alive


def _round(stack: _Stack, tally: Tally, *, kill_shipper: bool) -> None:
    """Report, ship and count at once; one of the two is killed and then does its work again."""
    tally.rounds += 1
    program = stack.report()
    if stack.address is not None and stack.shipper is None:
        stack.shipper = stack.ship()
    if kill_shipper:
        # When the kill falls is what is being varied: anywhere, or between the delivery of events and the cursor.
        if stack.draw.random() < 0.5:
            threading.Event().wait(stack.draw.uniform(0.0, 0.6))
        else:
            stack.wait_for_messages()
        tally.shipper_kills += _kill(stack.shipper)
        stack.shipper = stack.ship()
    stack.hour += 1
    if not kill_shipper and stack.capture(kill=True):
        tally.pipeline_kills += 1
    if program.wait(60):
        tally.faults.append("a program failed")
    stack.capture(kill=False)


def _compare(tally: Tally) -> None:
    odd = _EVENTS // 10
    amounts = sum(number for number in range(_EVENTS) if number % 10 != 9)
    expected = {
        "events": tally.rounds * (_EVENTS - odd),
        "sum_amount": tally.rounds * amounts,
        "distinct_who": _USERS,
        "malformed": tally.rounds * odd,
        "behind": 0,
    }
    for name, number in expected.items():
        if tally.counted[name] != number:
            tally.faults.append(f"{name} is {tally.counted[name]:,} and should be {number:,}")


def _told(tally: Tally, through: str) -> Sequence[str]:
    return [
        f"{through}: {tally.rounds} rounds, {tally.shipper_kills} kills of the shipper,"
        f" {tally.pipeline_kills} of the pipeline",
        "counted: " + ", ".join(f"{name} {number:,}" for name, number in tally.counted.items()),
        *(f"✗ {fault}" for fault in tally.faults),
    ]


@click.command()
@click.option("--rounds", type=click.IntRange(min=1), default=50, show_default=True)
@click.option("--seed", type=int, default=None, help="Repeats a run; a new one is drawn and printed otherwise.")
def main(rounds: int, seed: int | None) -> None:
    """Kill -9 of the shipper and of the pipeline in turn; ends with 1 where a total is not exact."""
    seed = Random().randrange(1_000_000) if seed is None else seed
    click.echo(f"Seed {seed}")
    faults = 0
    for through, with_topic in (("through a topic", True), ("from the spool", False)):
        with TemporaryDirectory(prefix="ratchet-torture-") as folder:
            tally = torture(rounds, seed, Path(folder), with_topic=with_topic)
        for words in _told(tally, through):
            click.echo(words)
        faults += len(tally.faults)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
