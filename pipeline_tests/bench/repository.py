"""How a git repository grows that keeps the lake: a commit an hour, beside one SQLite file committed each hour.

The lake is real: the simulated account, read over HTTP by the adapter, judged and published by the core, kept by
deploy/hosted/keep-lake.sh. The SQLite file is spared much: it has the accepted numbers alone, in the tightest table
that still can say what an item had when.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipeline.core import history
from pipeline.core.hours import Hour
from pipeline.core.lake import VALIDATED, Lake, SourceLake
from pipeline.core.model import Origin
from pipeline.core.observe import RecordedClock, observe
from pipeline.core.project import ROOT
from pipeline.core.snapshots import read_table
from pipeline.sandbox.server import NoteSandbox
from pipeline.sandbox.simulation import BACK_CATALOGUE, simulated_articles
from pipeline_tests.bench.figures import Effort, Figure
from pipeline_tests.bench.made_account import COOKIE, made_source

HOURS = 720
FIRST = datetime(2026, 3, 2, 0, 17, tzinfo=UTC)  # 30 days of one month: its lists of checksums grow to the full
_HOSTED = ROOT / "deploy" / "hosted"
_CHECKSUMS = "lake/made/checksums"
_TABLE = """
    CREATE TABLE counters (captured_at INTEGER, item_id TEXT, views INTEGER, likes INTEGER, comments INTEGER,
                           PRIMARY KEY (captured_at, item_id)) WITHOUT ROWID
"""


class Remote:
    """A bare repository and the clone that commits to it."""

    def __init__(self, folder: Path) -> None:
        self.bare, self.clone = folder / "bare.git", folder / "clone"
        _git("init", "--quiet", "--bare", str(self.bare))
        # What comes with a push is repacked by `repacked` alone, so that both sides are measured at the same moments.
        _git("-C", str(self.bare), "config", "receive.autoGc", "false")

    def size(self) -> int:
        """Bytes of all its objects."""
        objects = (self.bare / "objects").rglob("*")
        return sum(path.stat().st_size for path in objects if path.is_file())

    def size_of(self, path: str) -> int:
        """Bytes of all versions of the files below ``path``."""
        listed = _git("-C", str(self.bare), "rev-list", "--objects", "data", "--", path)
        named = "\n".join(
            line for line in listed.splitlines() if " " in line and line.split(" ", 1)[1].startswith(path)
        )
        sizes = _git(
            "-C", str(self.bare), "cat-file", "--batch-check=%(objecttype) %(objectsize:disk) %(rest)", told=named
        )
        return sum(int(line.split()[1]) for line in sizes.splitlines() if line.startswith("blob"))

    def repacked(self) -> int:
        """The same after git has packed them anew, as a host does now and then."""
        _git("-C", str(self.bare), "gc", "--quiet", "--prune=now")
        return self.size()


def repository(folder: Path, effort: Effort) -> list[Figure]:
    """One commit an hour over a month of the simulated account."""
    hours = effort.times(HOURS, 48)
    ours, theirs = (_made(folder / name) for name in ("lake", "sqlite"))
    lake = Lake(ours.clone / "lake").source("made")
    keep = _keeping(ours)
    database = theirs.clone / "counters.sqlite"
    _git("clone", "--quiet", str(theirs.bare), str(theirs.clone))
    days: list[tuple[int, int]] = []
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(_TABLE)
        for moment in _captured(lake, hours):
            keep()
            _commit_rows(connection, lake, Hour.of(moment), theirs)
            if Hour.of(moment).start.hour == 0 or moment == FIRST + timedelta(hours=hours - 1):
                days.append((ours.size(), theirs.size()))
    pushed, lists = (ours.size(), theirs.size()), ours.size_of(_CHECKSUMS)
    packed = (ours.repacked(), theirs.repacked())
    return [
        *_figures(hours, days, pushed, packed),
        Figure("of it, versions of the lists of checksums, as pushed", lists / 1e6, "MB"),
        Figure("of it, versions of the lists of checksums, repacked", ours.size_of(_CHECKSUMS) / 1e6, "MB"),
        Figure("the SQLite file itself", database.stat().st_size / 1e6, "MB"),
        Figure("the lake itself", sum(map(_bytes, lake.root.rglob("*"))) / 1e6, "MB"),
    ]


def _figures(hours: int, days: list[tuple[int, int]], pushed: tuple[int, int], packed: tuple[int, int]) -> list[Figure]:
    peer = "one SQLite file"
    last_day = [(after - before) / 1e6 for before, after in zip(days[-2], days[-1], strict=True)]
    first_day = [(after - before) / 1e6 for before, after in zip(days[0], days[1], strict=True)]
    return [
        Figure(f"repository after {hours} hours, as pushed", pushed[0] / 1e6, "MB", peer, pushed[1] / 1e6),
        Figure(f"repository after {hours} hours, repacked", packed[0] / 1e6, "MB", peer, packed[1] / 1e6),
        Figure("growth of the first day, as pushed", first_day[0], "MB", peer, first_day[1]),
        Figure("growth of the last day, as pushed", last_day[0], "MB", peer, last_day[1]),
    ]


def _bytes(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _made(folder: Path) -> Remote:
    folder.mkdir(parents=True)
    return Remote(folder)


def _keeping(remote: Remote) -> Callable[[], str]:
    """Begin the data branch; the step that commits and pushes what is new in the lake."""
    variables = {"RATCHET_DATA": str(remote.clone), "RATCHET_REMOTE": str(remote.bare), "RATCHET_BEGIN": "true"}
    environment = {**os.environ, **variables}
    _run([str(_HOSTED / "open-lake.sh")], environment)
    return lambda: _run([str(_HOSTED / "keep-lake.sh")], environment)


def _captured(lake: SourceLake, hours: int) -> Iterator[datetime]:
    """Capture hour after hour over HTTP; yields the moment of each when its files are published."""
    shown = FIRST
    sandbox = NoteSandbox(
        lambda: simulated_articles(shown, opened_at=FIRST - BACK_CATALOGUE), cookie=COOKIE, clock=lambda: shown
    )
    with sandbox:
        source = made_source(base_url=sandbox.url)
        for number in range(hours):
            shown = FIRST + timedelta(hours=number)
            hour = Hour.of(shown)
            with lake.writing():
                observe(lake, source, hour, RecordedClock(shown, Origin.REPLAY))
                history.settle_hour(lake, source, hour)
            assert lake.exists(VALIDATED, hour)
            yield shown


def _commit_rows(connection: sqlite3.Connection, lake: SourceLake, hour: Hour, remote: Remote) -> None:
    table = read_table(lake.path(VALIDATED, hour)).select(["captured_at", "item_id", "views", "likes", "comments"])
    rows = [(int(at.timestamp()), *rest) for at, *rest in zip(*(c.to_pylist() for c in table.columns), strict=True)]
    connection.executemany("INSERT INTO counters VALUES (?, ?, ?, ?, ?)", rows)
    connection.commit()
    signed = ("-c", "user.name=Ratchet", "-c", "user.email=ratchet@localhost")
    _git("-C", str(remote.clone), "add", "--all")
    _git("-C", str(remote.clone), *signed, "commit", "--quiet", "--message", hour.key)
    _git("-C", str(remote.clone), "push", "--quiet", "origin", "HEAD:refs/heads/data")


def _git(*arguments: str, told: str = "") -> str:
    return _run(["git", *arguments], os.environ, told)


def _run(words: list[str], environment: Mapping[str, str], told: str = "") -> str:
    ended = subprocess.run(words, env=environment, input=told, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise RuntimeError(f"{' '.join(words)} ended with {ended.returncode}: {ended.stderr[-2000:]}")
    return ended.stdout
