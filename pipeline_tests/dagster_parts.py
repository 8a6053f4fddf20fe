"""A made project for the tests with real Dagster: its own sources, lake and instance, beside a platform on loopback.

Frozen moments lie in the time of the recording, since Dagster knows no partition of the future.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from pipeline.components.counter_source import source_definitions
from pipeline.core.hours import Hour
from pipeline.core.lake import DELTA, REPORT, VALIDATED, SourceLake
from pipeline.core.model import Origin, Source
from pipeline.core.observe import RecordedClock
from pipeline.core.project import ROOT, Project
from pipeline.core.sources import find_source
from pipeline.graph import asset_key
from pipeline.resources import CLOCK, shared_resources
from pipeline.running import Outcome, SourceRuns, dagster_instance
from pipeline.sandbox.article import Article
from pipeline.sandbox.server import NoteSandbox

BLOG = "blog"
COOKIE_VARIABLE = "RATCHET_TEST_COOKIE"
COOKIE = "planted/session+of=the-tests"
STATUS_HEAD = ["source", "its", "last", "24", "hours", "observed", "quarantined", "gaps", "last", "accepted"]
MOMENT = datetime(2026, 4, 4, 12, 17, tzinfo=UTC)
HOUR = Hour.of(MOMENT)


class Account:
    """A listing for the sandbox: articles by key, whose views a test sets."""

    def __init__(self, **views: int) -> None:
        self.views = views

    def __call__(self) -> list[Article]:
        return [
            Article(key, f"Article {key}", MOMENT - timedelta(days=30), views, views // 10, 1)
            for key, views in self.views.items()
        ]


def some_articles() -> Account:
    """Eight articles, of which a few may vanish or fall without tripping the mass rules."""
    return Account(**{f"n{number}": 60 + 10 * number for number in range(1, 9)})


def write_source(project: Project, name: str, base_url: str, **attributes: Any) -> Path:
    """The YAML of a note.com source; ``attributes`` add to it."""
    file = project.defs / name / "defs.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    platform = {
        "kind": "note",
        "base_url": base_url,
        "session_cookie": f"{{{{ env.{COOKIE_VARIABLE} }}}}",
        "requests_per_second": 10_000,
    }
    content = {"source": name, "platform": platform, "start": "2026-03-08", **attributes}
    file.write_text(yaml.safe_dump({"type": "pipeline.components.CounterSource", "attributes": content}))
    return file


@contextmanager
def made_project(folder: Path, home: Path) -> Iterator[Project]:
    """A project under ``folder`` that this process and its children take for theirs; ``home`` is a new Dagster home."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RATCHET_DEFS", str(folder / "defs"))
        patch.setenv("RATCHET_DATA", str(folder / "data"))
        patch.setenv("DAGSTER_HOME", str(folder / "data" / "dagster"))
        patch.setenv(COOKIE_VARIABLE, COOKIE)
        shutil.copytree(home, folder / "data" / "dagster")
        yield Project.here()


@dataclass
class Blog:
    """The source ``blog`` of a project, its platform, and runs of it in this process."""

    project: Project
    sandbox: NoteSandbox
    instance: dg.DagsterInstance
    account: Account = field(default_factory=some_articles)

    @property
    def source(self) -> Source:
        return find_source(self.project, BLOG)

    @property
    def lake(self) -> SourceLake:
        return self.project.lake.source(BLOG)

    @property
    def runs(self) -> SourceRuns:
        return SourceRuns.of(self.source, self.instance)

    def capture(self, moment: datetime = MOMENT, origin: Origin = Origin.LIVE) -> Outcome:
        """The run that a tick at ``moment`` asks for, at that very moment."""
        return self.runs.capture(Hour.of(moment), RecordedClock(moment, origin))

    def launch(self, *assets: str, hour: Hour = HOUR, moment: datetime = MOMENT) -> dg.ExecuteInProcessResult:
        """A run of these assets alone, with the checks that belong to them, at ``moment``."""
        shared = shared_resources() | {CLOCK: RecordedClock(moment, Origin.LIVE)}
        definitions = dg.Definitions.merge(
            source_definitions(self.source), dg.Definitions(resources=shared, executor=dg.in_process_executor)
        )
        return definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            asset_selection=[asset_key(self.source, asset) for asset in assets],
            partition_key=hour.partition_key,
            instance=self.instance,
            raise_on_error=False,
        )


@contextmanager
def made_blog(project: Project, **attributes: Any) -> Iterator[Blog]:
    account = some_articles()
    with NoteSandbox(account, cookie=COOKIE) as sandbox, dagster_instance(project) as instance:
        write_source(project, BLOG, sandbox.url, **attributes)
        yield Blog(project, sandbox, instance, account)


def stored_files(folder: Path) -> dict[str, bytes]:
    """Every file under ``folder`` with its bytes, but the locks."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(".lock")
    }


def published(lake: SourceLake) -> dict[str, bytes]:
    """What went on from accepted captures: snapshots, deltas and reports."""
    kept = stored_files(lake.root)
    return {name: content for name, content in kept.items() if name.split("/")[0] in (VALIDATED, DELTA, REPORT)}


def checks_of(instance: dg.DagsterInstance, source: Source, asset: str, hour: Hour) -> dict[str, str]:
    """The newest result of every check of an asset at an hour, by name."""
    from dagster._core.event_api import PartitionKeyFilter

    storage = instance.event_log_storage
    definitions = SourceRuns.of(source, instance).definitions
    keys = [key for key in definitions.resolve_asset_graph().asset_check_keys if key.asset_key.path[-1] == asset]
    found = storage.get_latest_asset_check_execution_by_key(
        [dg.AssetCheckKey(key.asset_key, key.name) for key in keys],
        partition_filter=PartitionKeyFilter(key=hour.partition_key),
    )
    return {key.name: record.status.value for key, record in found.items()}


def ratchet(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as its owner does."""
    return run_program("ratchet", *arguments, cwd=ROOT, **environment)


def run_program(name: str, *arguments: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program of the virtual environment to its end, in a checkout."""
    return subprocess.run(
        [program(name), *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def program(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def present_moment(room: timedelta = timedelta(minutes=2)) -> datetime:
    """The present, with ``room`` before the hour ends: what a test begins in an hour it can finish there."""
    now = datetime.now(UTC)
    left = Hour.of(now).end - now
    if left < room:
        time.sleep(left.total_seconds())
    return datetime.now(UTC)
