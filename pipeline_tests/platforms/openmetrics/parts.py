"""Answers that a test writes by hand, a source of the kind openmetrics whose hours it tells, and a real program."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pipeline.core.lake import Lake
from pipeline.core.model import Rule
from pipeline.platforms.openmetrics.adapter import OpenMetrics
from pipeline.platforms.openmetrics.spool import Record, SpoolWriter
from pipeline.platforms.protocol import Folded, Page
from pipeline.sandbox.faults import Reply
from pipeline_tests.platforms.feeding import MOMENT, Fed

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
Written = float | str
"""A value as a number, or as it is written."""


def seconds(after: float) -> datetime:
    return MOMENT + timedelta(seconds=after)


def answer(
    counters: Mapping[int, Written] | Mapping[str, Written] | None = None,
    gauges: Mapping[str, Written] | None = None,
    created: float | None = None,
) -> bytes:
    """Counters of the family ``errors`` by the label ``code``, gauges by name; ``created``: seconds after MOMENT."""
    lines = ["# TYPE errors counter"]
    for code, value in (counters or {}).items():
        lines.append(f'errors_total{{code="{code}"}} {value}')
        if created is not None:
            lines.append(f'errors_created{{code="{code}"}} {seconds(created).timestamp():.6f}')
    for name, value in (gauges or {}).items():
        lines += [f"# TYPE {name} gauge", f"{name} {value}"]
    return "\n".join([*lines, "# EOF\n"]).encode()


def series(code: object) -> str:
    return f'errors_total{{code="{code}"}}'


def page(body: bytes, at: float) -> Page:
    """An answer of the program, ``at`` seconds after MOMENT."""
    return Page("GET /metrics", 200, {"content-type": OPENMETRICS}, seconds(at), body)


def platform(url: str = "http://127.0.0.1:9", **settings: Any) -> OpenMetrics:
    return OpenMetrics.model_validate({"base_url": url, "timeout": 5, **settings})


@dataclass
class Folding:
    """Folds pages one after the other, as hours do."""

    platform: OpenMetrics
    by_minute: frozenset[str] = frozenset()
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    carried: Mapping[str, bytes] = field(default_factory=dict)

    def fold(self, *pages: Page) -> Folded:
        at = pages[-1].fetched_at if pages else MOMENT
        before = {item: dict(counts) for item, counts in self.counts.items()}
        options: dict[str, Any] = {"captured_at": at, "latest": at + timedelta(minutes=5), "by_minute": self.by_minute}
        folded = self.platform.fold(pages, before, self.carried, **options)
        assert folded == self.platform.fold(pages, before, self.carried, **options)  # pure
        assert before == {item: dict(counts) for item, counts in self.counts.items()}
        self.counts = {
            item: {n: folded.columns[n][at] for n in self.platform.policies if folded.columns[n][at] is not None}
            for at, item in enumerate(folded.columns["item_id"])
        }
        self.carried = folded.carried
        return folded


@dataclass
class Scraped(Fed):
    """A source of the kind openmetrics; its program is at ``url``."""

    platform: OpenMetrics

    @classmethod
    def under(cls, folder: Path, url: str, rules: tuple[Rule, ...] = (), **settings: Any) -> Scraped:
        settings = {"spool": str(folder / "spool"), "requests_per_second": 10_000, **settings}
        return cls(Lake(folder / "lake").source("server"), platform(url, **settings), rules)

    def spooled(self, *answers: tuple[float, bytes]) -> None:
        """What a collector kept: seconds after MOMENT, and the answer."""
        assert self.platform.spool is not None
        self.platform.spool.mkdir(exist_ok=True)
        writer = SpoolWriter(self.platform.spool, self.platform.spool_bytes)
        for at, body in answers:
            writer.append(Record(seconds(at), OPENMETRICS, body=body.decode()))
        writer.close()


@dataclass
class Told:
    """What a stand-in answers: a test sets ``body``."""

    body: bytes = b""
    kind: str = OPENMETRICS

    def __call__(self, asked: object) -> Reply:
        return Reply(200, {"Content-Type": self.kind}, self.body)


_PROGRAM = """
import json, sys
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

registry = CollectorRegistry()
errors = Counter("errors", "Errors", ["code"], registry=registry)
queue = Gauge("queue_size", "Waiting", registry=registry)
took = Histogram("took_seconds", "Time", registry=registry)
server, _ = start_http_server(int(sys.argv[1]), "127.0.0.1", registry)
print(server.server_port, flush=True)
for line in sys.stdin:
    what, *values = json.loads(line)
    if what == "errors":
        errors.labels(values[0]).inc(values[1])
    elif what == "queue":
        queue.set(values[0])
    else:
        took.observe(values[0])
    print("done", flush=True)
"""


@dataclass
class Program:
    """A program with prometheus_client's own server, in a process that can be killed and started again."""

    port: int = 0
    process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [sys.executable, "-c", _PROGRAM, str(self.port)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def does(self, *what: object) -> None:
        assert self.process is not None and self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None

    def restart(self) -> None:
        self.kill()
        self.start()


@contextmanager
def program() -> Iterator[Program]:
    running = Program()
    running.start()
    try:
        yield running
    finally:
        running.kill()


def totals(folding: Folding, codes: Sequence[object]) -> dict[str, int]:
    return {series(code): folding.counts[series(code)]["total"] for code in codes}
