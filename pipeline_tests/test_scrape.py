"""`ratchet scrape` beside a real program: what it saw is counted once, told at once, and survives every kill."""

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
from random import Random
from typing import Any

import pytest
import yaml

from pipeline.core import history
from pipeline.core.errors import ConfigError, SourceBusy
from pipeline.core.hours import Hour
from pipeline.core.model import Origin, Rule, RuleKind
from pipeline.core.observe import PresentClock, observe
from pipeline.notify.sending import send_report
from pipeline.notify.watching import Watcher
from pipeline.platforms.openmetrics.spool import collecting
from pipeline.sandbox.faults import Reply
from pipeline.scraping import Collector
from pipeline_tests.platforms.feeding import MOMENT
from pipeline_tests.platforms.openmetrics.parts import Program, Scraped, Told, answer, program, series
from pipeline_tests.platforms.stand_in import StandIn
from pipeline_tests.receiver import Receiver, receiving

PER_MINUTE = Rule("failed_requests", RuleKind.RATE_ABOVE, (50.0,), per_seconds=60)
FULL = Rule("queue", RuleKind.ABOVE, (100.0,))
NAMED: dict[str, Any] = {
    "counters": {"failed_requests": {"metric": "errors_total", "where": {"code": "5.."}}},
    "gauges": {"queue": "queue_size"},
}


@dataclass
class Watched:
    """A source with a webhook and a collector, whose present the test sets."""

    scraped: Scraped
    told: Told
    receiver: Receiver
    present: datetime = MOMENT

    def now(self) -> datetime:
        return self.present

    def collector(self) -> Collector:
        return Collector(self.scraped.lake, self.scraped.source, self.now)

    def report(self, number: int) -> int:
        """Capture an hour and tell of it; how many messages that were."""
        before = len(self.receiver.posts)
        assert self.scraped.hour(number)
        self.present = MOMENT + timedelta(hours=number, seconds=5)
        send_report(self.scraped.lake, self.scraped.source, Hour.of(MOMENT) + number, self.now)
        return len(self.receiver.posts) - before

    def sees(self, collector: Collector, seconds: float, errors: int, queue: float = 3) -> int:
        """Let the collector scrape and look at a time after MOMENT; how many messages were sent."""
        self.present = MOMENT + timedelta(seconds=seconds)
        self.told.body = answer({500: errors}, {"queue_size": queue}, created=-900)
        assert collector.scrape() is None
        deliveries, _ = collector.look()
        return sum(delivery.result == "sent" for delivery in deliveries)

    @property
    def messages(self) -> list[str]:
        return [body["message"] for _, body in self.receiver.posts]


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    told = Told(answer({500: 40}, {"queue_size": 3}, created=-900))
    with receiving(tmp_path / "path") as receiver, StandIn(told) as stand_in:
        scraped = Scraped.under(tmp_path, stand_in.url, (PER_MINUTE, FULL), **NAMED)
        scraped = replace(scraped, notify=(f"json://127.0.0.1:{receiver.port}/",), origin=Origin.LIVE)
        yield Watched(scraped, told, receiver)


def test_sixty_errors_in_a_minute_are_told_at_once_and_not_again_by_the_report(watched: Watched) -> None:
    assert watched.report(0) == 0
    collector = watched.collector()
    assert watched.sees(collector, 1200, 40) == 0
    assert watched.sees(collector, 1205, 80) == 0
    assert watched.sees(collector, 1210, 101) == 1
    assert watched.sees(collector, 1215, 120) == 0
    assert "61 failed_requests per minute, more than 50" in watched.messages[0]
    assert watched.sees(watched.collector(), 1216, 121) == 0  # one that was killed and begins anew
    assert watched.report(1) == 0
    [crossing] = watched.scraped.report(1).crossings
    assert (crossing.rule, crossing.value) == ("failed_requests rate_above 50/minute", 81)  # with what came later in it
    assert watched.scraped.counts(1)["sum:failed_requests"]["failed_requests"] == 121
    assert watched.sees(collector, 3610, 122) == 0
    assert len(watched.messages) == 1


def test_a_value_above_its_threshold_is_told_at_once_once_and_not_by_the_report(watched: Watched) -> None:
    assert watched.report(0) == 0
    collector = watched.collector()
    assert [watched.sees(collector, 1200 + 5 * n, 40, queue) for n, queue in enumerate([99, 100, 101, 180])] == [
        0,
        0,
        1,
        0,
    ]
    assert "queue above 100 (now 101)" in watched.messages[0]
    assert watched.sees(watched.collector(), 1230, 40, 170) == 0
    assert watched.sees(collector, 3595, 40, 160) == 0
    assert watched.report(1) == 0
    assert watched.sees(collector, 3610, 40, 150) == 0  # it still stands there
    assert watched.sees(collector, 3700, 40, 5) == 0
    assert watched.sees(collector, 3770, 40, 130) == 1
    assert watched.report(2) == 0
    assert len(watched.messages) == 2


def test_what_a_report_told_the_collector_does_not_tell(watched: Watched) -> None:
    assert watched.report(0) == 0
    collector = watched.collector()
    watched.sees(collector, 1200, 40)
    watched.told.body = answer({500: 41}, {"queue_size": 150}, created=-900)
    assert watched.report(1) == 1
    assert "queue above 100" in watched.messages[0]
    assert watched.sees(collector, 3610, 41, 160) == 0


def test_refused_answers_are_named_kept_and_told_in_the_hour(watched: Watched) -> None:
    assert watched.report(0) == 0
    collector = watched.collector()
    watched.sees(collector, 60, 45)
    for seconds, body, words in [
        (65, answer({500: 44}, created=-900), "fell within one epoch"),
        (70, b"", "it is empty"),
        (75, answer({500: 50}).removesuffix(b"# EOF\n"), "does not end with # EOF"),
        (80, answer({500: "NaN"}), "is NaN"),
        (85, b"\xff\n# EOF\n", "not UTF-8"),
    ]:
        watched.present, watched.told.body = MOMENT + timedelta(seconds=seconds), body
        assert collector.scrape() is None
        deliveries, [reason] = collector.look()
        assert words in reason and deliveries == []
    watched.sees(collector, 90, 46)
    assert watched.scraped.hour(1)
    counts = watched.scraped.counts(1)
    assert (counts["scraping"]["refused"], counts["scraping"]["scrapes"]) == (5, 4)
    assert counts[series(500)]["total"] == 46
    [record] = watched.scraped.refused_records()
    assert len(record.rows) == record.count == 5


def test_a_program_that_is_away_is_said_once_and_counted(watched: Watched, tmp_path: Path) -> None:
    assert watched.report(0) == 0
    with StandIn(watched.told) as gone:
        pass
    away = replace(watched.scraped, platform=watched.scraped.platform.model_copy(update={"base_url": gone.url}))
    collector = Collector(away.lake, away.source, watched.now)
    assert "could not be reached" in str(collector.scrape())
    assert collector.scrape() is None
    watched.sees(watched.collector(), 5, 41)
    assert watched.scraped.hour(1)
    assert watched.scraped.counts(1)["scraping"]["failed"] == 2


def test_a_token_that_was_turned_away_is_tried_seldom(watched: Watched) -> None:
    def closed(asked: object) -> Reply:
        return Reply(403, {}, b"")

    with StandIn(closed) as stand_in:
        scraped = Scraped.under(watched.scraped.lake.root, stand_in.url, token="planted-token")
        collector = Collector(scraped.lake, scraped.source, watched.now)
        assert "answered 403" in str(collector.scrape())
        assert collector.turned_away
        assert len(stand_in.requests) == 1


def test_one_collector_a_spool(watched: Watched) -> None:
    spool = watched.scraped.platform.spool
    assert spool is not None
    with collecting(spool), pytest.raises(SourceBusy, match="Another collector"):
        watched.collector().run(5, print, print)


def test_a_source_without_a_spool_cannot_be_scraped(tmp_path: Path) -> None:
    scraped = Scraped.under(tmp_path, "http://127.0.0.1:9", spool=None, **NAMED)
    with pytest.raises(ConfigError, match="has no spool to scrape into"):
        Collector(scraped.lake, scraped.source, lambda: MOMENT)
    scraped = replace(scraped, rules=(PER_MINUTE,), notify=("json://127.0.0.1:9/",))
    with pytest.raises(ConfigError, match="without a spool"):
        Watcher(scraped.lake, scraped.source, lambda: MOMENT).look()


# A real program, and processes that are killed -------------------------------------------------


@dataclass
class Stack:
    """A real program, and a source that scrapes it, whose collector runs as the command does."""

    folder: Path
    program: Program
    scraped: Scraped

    def collect(self, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", "from pipeline.cli import main; main()", "scrape", "server", *arguments]
        environment = os.environ | {
            "RATCHET_DEFS": str(self.folder / "project" / "defs"),
            "RATCHET_DATA": str(self.folder / "project" / "data"),
        }
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)

    def collect_once(self) -> int:
        """The exit code."""
        with self.collect("--once") as collector:
            collector.communicate(timeout=60)
        return collector.returncode

    def capture(self) -> dict[str, dict[str, int]]:
        """The counts of the present hour, which is captured once."""
        hour = Hour.of(datetime.now(UTC))
        with self.scraped.lake.writing():
            observe(self.scraped.lake, self.scraped.source, hour, PresentClock())
            history.settle_hour(self.scraped.lake, self.scraped.source, hour)
        return self.scraped.counts(hour - Hour.of(MOMENT))


@contextmanager
def stack(folder: Path, notify: str = "", **more: Any) -> Iterator[Stack]:
    with program() as running:
        platform = {"kind": "openmetrics", "base_url": running.url, "spool": str(folder / "spool"), **NAMED, **more}
        attributes: dict[str, Any] = {"source": "server", "platform": platform}
        attributes["rules"] = [
            {"counter": "failed_requests", "rate_above": 50, "per": "minute"},
            {"counter": "queue", "above": 100},
        ]
        attributes["notify"] = [notify] if notify else []
        file = folder / "project" / "defs" / "server" / "defs.yaml"
        file.parent.mkdir(parents=True)
        file.write_text(yaml.safe_dump({"type": "pipeline.components.CounterSource", "attributes": attributes}))
        yield Stack(folder, running, Scraped.under(folder, running.url, **NAMED, **more))


def test_the_command_tells_of_a_program_within_ten_seconds_across_its_restart(tmp_path: Path) -> None:
    with receiving(tmp_path / "path") as receiver, stack(tmp_path, f"json://127.0.0.1:{receiver.port}/") as running:
        running.program.does("errors", "200", 5)
        with running.collect("--every", "1s") as collector:
            try:
                assert collector.stdout is not None
                assert collector.stdout.readline() == "Scraping server every 1 s. Stop with Ctrl-C.\n"
                running.program.does("queue", 101)
                receiver.wait_for(1, seconds=10)
                running.program.restart()
                running.program.does("errors", "500", 130)
                receiver.wait_for(2, seconds=10)
            finally:
                collector.terminate()
                collector.communicate()  # it says what it told even after it was asked to end
        assert collector.returncode == 128 + signal.SIGTERM
        assert "queue above 100 (now 101)" in receiver.posts[0][1]["message"]
        assert "130 failed_requests per minute, more than 50" in receiver.posts[1][1]["message"]


def test_once_scrapes_once_and_says_what_stands_in_the_way(tmp_path: Path) -> None:
    with stack(tmp_path) as running:
        running.program.does("errors", "500", 3)
        assert running.collect_once() == 0
        assert running.capture()[series(500)]["total"] == 3
        running.program.kill()
        assert running.collect_once() == 10


def test_kills_of_program_and_collector_in_turn_leave_exact_totals(tmp_path: Path) -> None:
    draw, expected = Random(20261126), 0
    with stack(tmp_path) as running:
        running.program.does("errors", "500", 0)
        assert running.collect_once() == 0  # from here on everything is seen
        for number in range(6):
            collector = running.collect("--every", "1s")
            assert collector.stdout is not None and collector.stdout.readline()
            for _ in range(draw.randint(1, 30)):
                amount = draw.randint(1, 9)
                running.program.does("errors", "500", amount)
                expected += amount
            collector.kill()
            collector.communicate()
            if number % 2:  # what a program counts after its last scrape dies with it, so there is one more
                assert running.collect_once() == 0
                running.program.restart()
                running.program.does("errors", "500", 0)
        counts = running.capture()
    assert counts[series(500)]["total"] == counts["sum:failed_requests"]["failed_requests"] == expected
    assert counts[series(500)]["resets"] == 3
    assert counts["scraping"]["refused"] == 0
