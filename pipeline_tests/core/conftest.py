"""What the tests of the core share: an account of their own, and the recording told once for all of them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from pipeline.core import history
from pipeline.core.hours import Hour
from pipeline.core.lake import Lake
from pipeline.core.observe import RecordedClock, observe
from pipeline.core.project import ROOT
from pipeline.core.sources import read_source
from pipeline.platforms.note import Note
from pipeline.sandbox.recording import RecordedAccount, Recording
from pipeline.sandbox.server import NoteSandbox

from .account import Account
from .exports import three_hours
from .snapshots import RECORDING


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    """An account whose lake the test holds."""
    made = Account.under(tmp_path / "lake")
    with made.lake.writing():
        yield made


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Account:
    """The whole recording, captured over HTTP and settled, without Dagster. To be read, not changed.

    Half a minute of work, done once: parallel test processes share the lake of the first of them.
    """
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    source = read_source(ROOT / "pipeline" / "defs" / "recorded" / "defs.yaml")
    account = Account(Lake(folder / "recorded").source(source.name), source)
    with FileLock(folder / "recorded.lock"):
        if not (folder / "recorded.done").exists():
            _replay(account)
            (folder / "recorded.done").touch()
    return account


def _replay(account: Account) -> None:
    recording = Recording.read(RECORDING)
    shown = RecordedAccount(recording)
    with NoteSandbox(shown, cookie="sandbox", clock=shown.shown_at) as sandbox, account.lake.writing():
        reachable = {"session_cookie": "sandbox", "base_url": sandbox.url, "requests_per_second": 100_000}
        source = replace(account.source, platform=Note.model_validate(reachable))
        for captured_at in recording.captures:
            shown.show(captured_at)
            hour = Hour.of(captured_at)
            observe(account.lake, source, hour, RecordedClock(captured_at))
            history.settle_hour(account.lake, source, hour)


@pytest.fixture(scope="session")
def three_hours_told(tmp_path_factory: pytest.TempPathFactory) -> Account:
    """What exports are made of. To be read, not changed."""
    return three_hours(Account.under(tmp_path_factory.mktemp("exported")))


@pytest.fixture
def told(three_hours_told: Account, account: Account) -> Account:
    """A copy of it that a test may change."""
    shutil.copytree(three_hours_told.lake.root, account.lake.root, dirs_exist_ok=True)
    return account
