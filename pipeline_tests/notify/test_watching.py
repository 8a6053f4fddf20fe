"""Between the hours a rate per minute is told within seconds, and never a second time by the report."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.cli.watch import _watch
from pipeline.core.errors import ConfigError
from pipeline.core.hours import Hour
from pipeline.core.model import Origin, Rule, RuleKind
from pipeline.core.project import ROOT
from pipeline.notify.sending import send_report
from pipeline.notify.watching import Watcher
from pipeline_tests.platforms.feeding import MOMENT
from pipeline_tests.platforms.points.parts import Told, error, event
from pipeline_tests.receiver import Receiver, receiving

PER_MINUTE = Rule("errors", RuleKind.RATE_ABOVE, (50.0,), per_seconds=60)


@dataclass
class Watched:
    """A source with a webhook, whose present the test sets."""

    told: Told
    receiver: Receiver
    present: datetime = MOMENT

    def now(self) -> datetime:
        return self.present

    def watcher(self) -> Watcher:
        return Watcher(self.told.lake, self.told.source, self.now)

    def report(self, number: int) -> int:
        """Capture an hour and tell of it; how many messages that were."""
        before = len(self.receiver.posts)
        assert self.told.hour(number)
        self.present = MOMENT + timedelta(hours=number, seconds=5)
        send_report(self.told.lake, self.told.source, Hour.of(MOMENT) + number, self.now)
        return len(self.receiver.posts) - before

    def errors(self, count: int, at: datetime, first: int = 1, run: str = "e1", every: float = 0.1) -> None:
        start = (at - MOMENT).total_seconds() + 600
        self.told.program.reports(
            *[error(first + n, at=start + n * every, run=run) for n in range(count)],
        )

    @property
    def messages(self) -> list[str]:
        return [body["message"] for _, body in self.receiver.posts]


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    with receiving(tmp_path / "path") as receiver:
        told = Told.under(tmp_path, rules=(PER_MINUTE,))
        told = replace(told, notify=(f"json://127.0.0.1:{receiver.port}/",), origin=Origin.LIVE)
        told.program.reports(event())
        yield Watched(told, receiver)


def test_sixty_errors_in_a_minute_are_told_at_once_and_not_again_by_the_report(watched: Watched) -> None:
    assert watched.report(0) == 0
    watcher = watched.watcher()
    assert watcher.look() == []
    watched.present = MOMENT + timedelta(minutes=20, seconds=30)
    watched.errors(40, MOMENT + timedelta(minutes=20))
    assert watcher.look() == []
    watched.errors(20, MOMENT + timedelta(minutes=20, seconds=10), first=41)
    assert [delivery.result for delivery in watcher.look()] == ["sent"]
    assert watcher.look() == []
    assert len(watched.messages) == 1
    assert "60 errors per minute, more than 50" in watched.messages[0]
    assert watched.report(1) == 0
    [crossing] = watched.told.report(1).crossings
    assert (crossing.rule, crossing.value) == ("errors rate_above 50/minute", 60)
    watched.present = MOMENT + timedelta(hours=1, minutes=1)
    assert watcher.look() == []
    assert watched.watcher().look() == []
    assert len(watched.messages) == 1


def test_three_thousand_errors_spread_over_the_hour_tell_nothing(watched: Watched) -> None:
    assert watched.report(0) == 0
    watcher = watched.watcher()
    for minute in range(1, 60):
        watched.errors(50, MOMENT + timedelta(minutes=minute), first=100 * minute)
    watched.present = MOMENT + timedelta(minutes=59, seconds=59)
    assert watcher.look() == []
    assert watched.report(1) == 0
    assert watched.told.report(1).movement["errors"].delta == 2950
    assert watched.told.report(1).crossings == ()


def test_what_a_report_told_the_watcher_does_not_tell(watched: Watched) -> None:
    assert watched.report(0) == 0
    watched.errors(60, MOMENT + timedelta(minutes=59))
    assert watched.report(1) == 1
    assert "60 errors per minute" in watched.messages[0]
    watcher = watched.watcher()
    watched.errors(5, MOMENT + timedelta(minutes=59, seconds=30), first=80)
    assert watcher.look() == []
    watched.present = MOMENT + timedelta(hours=1, minutes=3)
    watched.errors(70, MOMENT + timedelta(hours=1, minutes=2), first=200)
    assert [delivery.result for delivery in watcher.look()] == ["sent"]
    assert watched.report(2) == 0


def test_a_watcher_that_was_killed_tells_nothing_again(watched: Watched) -> None:
    assert watched.report(0) == 0
    watched.present = MOMENT + timedelta(minutes=5)
    watched.errors(60, MOMENT + timedelta(minutes=4))
    assert len(watched.watcher().look()) == 1
    watched.errors(10, MOMENT + timedelta(minutes=4, seconds=20), first=90)
    watched.errors(60, MOMENT + timedelta(minutes=4), first=500, run="e2")
    assert watched.watcher().look() == []
    assert len(watched.messages) == 1


def test_a_channel_that_is_down_is_told_when_it_works(watched: Watched) -> None:
    assert watched.report(0) == 0
    watcher = watched.watcher()
    watched.present = MOMENT + timedelta(minutes=5)
    watched.errors(60, MOMENT + timedelta(minutes=4))
    watched.receiver.status = 500
    assert [delivery.result for delivery in watcher.look()] == ["failed"]
    assert [delivery.result for delivery in watcher.look()] == ["waiting"]
    watched.receiver.status = 200
    watched.present += timedelta(minutes=2)
    assert [delivery.result for delivery in watcher.look()] == ["sent"]
    assert watcher.look() == []
    assert watched.report(1) == 0


def test_the_watcher_takes_nothing_away_that_no_capture_holds(watched: Watched) -> None:
    watched.told = replace(watched.told, platform=watched.told.platform.model_copy(update={"keep_days": 0.0}))
    watched.present = datetime.now(UTC) + timedelta(hours=1)
    for _ in range(2):
        assert watched.watcher().look() == []
    watcher = watched.watcher()
    assert watcher.look() == watcher.look() == []
    assert watched.told.program.path.exists()


def test_a_rise_long_ago_is_left_to_the_report(watched: Watched) -> None:
    assert watched.report(0) == 0
    watched.errors(60, MOMENT + timedelta(minutes=4))
    watched.present = MOMENT + timedelta(minutes=40)
    assert watched.watcher().look() == []
    assert watched.report(1) == 1


def test_a_source_without_a_rate_per_minute_has_nothing_to_watch(tmp_path: Path) -> None:
    told = Told.under(tmp_path, rules=(replace(PER_MINUTE, per_seconds=3600),))
    with pytest.raises(ConfigError, match="nothing to watch"):
        Watcher(told.lake, told.source, lambda: MOMENT)


def test_a_source_without_a_channel_has_nobody_to_tell(tmp_path: Path) -> None:
    told = Told.under(tmp_path, rules=(PER_MINUTE,))
    with pytest.raises(ConfigError, match="nobody whom the watcher could tell"):
        Watcher(told.lake, told.source, lambda: MOMENT)


def test_a_spool_that_is_not_there_yet_is_said_once_and_waited_for(tmp_path: Path) -> None:
    with watching(tmp_path) as (process, receiver):
        assert process.stderr is not None
        said = process.stderr.readline().decode()
        assert said.endswith("cannot be read: No such file or directory. Trying until it works.\n")
        report_errors(tmp_path / "spool")
        receiver.wait_for(1, seconds=20)


def test_a_request_to_end_waits_for_the_look_that_is_under_way() -> None:
    looks = 0

    def look() -> list[Any]:
        nonlocal looks
        looks += 1
        signal.raise_signal(signal.SIGTERM)  # raises nothing in the midst of a library
        assert looks == 1
        return []

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with pytest.raises(KeyboardInterrupt):
            _watch(look)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


PROGRAM = """
import sys
import ratchet_points as points

points.init(app="shop", spool=sys.argv[1])
for number in range(130):  # at least 65 in one minute, wherever it changes
    points.error("db.failed", RuntimeError("no connection"))
"""


def report_errors(spool: Path) -> None:
    subprocess.run(
        [sys.executable, "-c", PROGRAM, spool],
        env=os.environ | {"PYTHONPATH": str(ROOT / "points" / "src")},
        check=True,
    )


@contextmanager
def watching(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], Receiver]]:
    """`ratchet watch` of a source that reads ``spool``, and the receiver of its messages."""
    with receiving(tmp_path / "path") as receiver:
        project = tmp_path / "project"
        file = project / "defs" / "shop" / "defs.yaml"
        file.parent.mkdir(parents=True)
        attributes = {
            "source": "shop",
            "platform": {"kind": "points", "spool": str(tmp_path / "spool")},
            "rules": [{"counter": "errors", "rate_above": 50, "per": "minute"}],
            "notify": [f"json://127.0.0.1:{receiver.port}/"],
        }
        file.write_text(yaml.safe_dump({"type": "pipeline.components.CounterSource", "attributes": attributes}))
        environment = os.environ | {"RATCHET_DEFS": str(project / "defs"), "RATCHET_DATA": str(project / "data")}
        command = [sys.executable, "-c", "from pipeline.cli import main; main()", "watch", "shop"]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"Watching shop. Stop with Ctrl-C.\n"
            try:
                yield process, receiver
            finally:
                process.terminate()


def test_the_command_tells_of_a_program_within_ten_seconds(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    with watching(tmp_path) as (_, receiver):
        report_errors(tmp_path / "spool")
        receiver.wait_for(1, seconds=10)
        assert "errors per minute, more than 50" in receiver.posts[0][1]["message"]
