"""A lake that was copied away and put elsewhere: nothing accepted is missing, and the next capture goes on from it."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.core.history import read_report
from pipeline.core.hours import Hour
from pipeline.core.lake import DELTA
from pipeline.core.project import Project
from pipeline.core.snapshots import read_table
from pipeline.running import dagster_instance
from pipeline_tests.dagster_parts import BLOG, Blog, ratchet, stored_files
from pipeline_tests.test_rebuild import LAST, tell_a_history


def test_a_backup_restored_on_another_machine_is_sound_shows_every_hour_and_goes_on(
    blog: Blog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell_a_history(blog)
    ledger = json.loads(ratchet("status", BLOG, "--json").stdout)
    files = stored_files(blog.lake.root)
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(blog.project.data / "lake", elsewhere / "lake")
    shutil.rmtree(blog.project.data)

    monkeypatch.setenv("RATCHET_DATA", str(elsewhere))
    monkeypatch.setenv("DAGSTER_HOME", str(elsewhere / "dagster"))
    for command in (("verify", BLOG), ("rebuild", BLOG)):
        done = ratchet(*command)
        assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(ratchet("status", BLOG, "--json").stdout) == ledger
    project = Project.here()
    assert stored_files(project.lake.source(BLOG).root) == files

    with dagster_instance(project) as instance:
        moved = Blog(project, blog.sandbox, instance, blog.account)
        moved.account.views["n1"] += 7
        moment = LAST + timedelta(hours=1)
        assert moved.capture(moment).success
    delta = {row["item_id"]: row for row in read_table(moved.lake.path(DELTA, Hour.of(moment))).to_pylist()}
    assert delta["n1"]["views_delta"] == 7
    assert read_report(moved.lake, Hour.of(moment)).previous_hour == Hour.of(LAST).key
