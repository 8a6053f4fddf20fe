"""What a capture costs as a Dagster run, cold and warm, beside a run of the same shape that does nothing."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import msgspec

from pipeline.core.hours import Hour
from pipeline.core.observe import RecordedClock
from pipeline.sandbox.article import Article
from pipeline.sandbox.server import NoteSandbox
from pipeline_tests.bench.figures import Effort, Figure, command, in_turn, python
from pipeline_tests.bench.made_account import COOKIE, NOW, MadeAccount

ITEMS = 100
FIRST = Hour.parse("2026-11-01T00")


def articles(items: int = ITEMS) -> list[Article]:
    rows = MadeAccount.of(items).now.to_dict("records")
    return [Article(r["item_id"], r["title"], r["published_at"], r["views"], r["likes"], r["comments"]) for r in rows]


class GrowingAccount:
    """An account whose articles gain a view between two captures."""

    def __init__(self) -> None:
        self._articles, self._views = articles(), 0

    def grow(self) -> None:
        self._views += 1

    def __call__(self) -> list[Article]:
        return [
            Article(a.key, a.title, a.published_at, a.views + self._views, a.likes, a.comments) for a in self._articles
        ]


@contextmanager
def project(folder: Path) -> Iterator[tuple[dict[str, str], GrowingAccount]]:
    """A project with one source behind a sandbox; yields the environment that leads to it."""
    account = GrowingAccount()
    with NoteSandbox(account, cookie=COOKIE, clock=lambda: NOW) as sandbox:
        defs = folder / "defs" / "bench" / "defs.yaml"
        defs.parent.mkdir(parents=True)
        defs.write_text(_YAML.format(url=sandbox.url, cookie=COOKIE))
        data = folder / "data"
        yield (
            {
                **os.environ,
                "RATCHET_DEFS": str(defs.parent.parent),
                "RATCHET_DATA": str(data),
                "DAGSTER_HOME": str(data / "dagster"),
            },
            account,
        )


_YAML = """\
type: pipeline.components.CounterSource
attributes:
  source: bench
  platform: {{kind: note, base_url: "{url}", session_cookie: {cookie}, requests_per_second: 1000000}}
  rules:
    - {{counter: views, crosses: [1000, 10000, 100000]}}
    - {{counter: views, rate_above: 5000, per: hour, rearm_below: 2500}}
  start: 2026-01-01
"""


def cold_runs(folder: Path, effort: Effort) -> list[Figure]:
    """One `ratchet collect` in a process of its own; the lake is put back before each, Dagster's home stays."""
    with project(folder) as (environment, account):
        lake, ratchet = folder / "data" / "lake", str(Path(sys.executable).with_name("ratchet"))
        collect_once = command([ratchet, "collect", "bench"], environment)

        def collect() -> None:
            shutil.rmtree(lake, ignore_errors=True)
            account.grow()
            collect_once()

        def trivial() -> None:
            partition = Hour.of(datetime.now(UTC)).partition_key
            python("-m", "pipeline_tests.bench.trivial_job", partition, environment=environment)()

        ours, alone = in_turn(effort.times(5, 1), collect, trivial)
        name = f"one `ratchet collect` of {ITEMS} items"
        figures = [Figure(name, ours, "s", "trivial job of the same shape, a process of its own", alone, 1.25)]
        if not effort.quick:
            ours, by_command = in_turn(5, collect, command(_dagster_command(), environment))
            figures.append(Figure(name, ours, "s", "trivial job by `dagster job execute`", by_command))
    return figures


def _dagster_command() -> list[str]:
    tags = msgspec.json.encode({"dagster/partition": Hour.of(datetime.now(UTC)).partition_key}).decode()
    job = ["-f", str(Path(__file__).with_name("trivial_job.py")), "-j", "trivial"]
    return [str(Path(sys.executable).with_name("dagster")), "job", "execute", *job, "--tags", tags]


def warm_runs(folder: Path, effort: Effort) -> list[Figure]:
    """One run of an hour as `ratchet replay` does it."""
    with project(folder) as (environment, _):
        words = python("-m", "pipeline_tests.bench.runs", str(effort.times(15, 4)), environment=environment)()
    ours, trivial = msgspec.json.decode(words, type=tuple[float, float])
    return [Figure(f"one warm run of {ITEMS} items", ours, "s", "trivial warm run of the same shape", trivial, 1.4)]


def _measure_warm(times: int) -> tuple[float, float]:
    """In this process: captures through the whole run in turn with trivial runs, in one instance."""
    from pipeline.collecting import capture_hour
    from pipeline.core.project import Project
    from pipeline.core.sources import find_source
    from pipeline.running import SourceRuns, dagster_instance
    from pipeline_tests.bench.trivial_job import trivial_run

    here = Project.here()
    source = find_source(here, "bench")
    lake = here.lake.source("bench")
    hours, partitions = count(), count()
    with lake.writing(), dagster_instance(here) as instance:
        runs, trivial = SourceRuns.of(source, instance), trivial_run(instance)

        def capture() -> None:
            hour = FIRST + next(hours)
            capture_hour(runs, lake, hour, RecordedClock(hour.start))

        ours, peer = in_turn(times, capture, lambda: trivial((FIRST + next(partitions)).partition_key))
    return ours, peer


if __name__ == "__main__":
    sys.stdout.write(msgspec.json.encode(_measure_warm(int(sys.argv[1]))).decode())
