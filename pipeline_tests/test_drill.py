"""`ratchet drill`: the whole of it once, and that it does not take a quiet fault for a loud one."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.project import ROOT, Project
from pipeline.drill.drilling import all_faults
from pipeline.drill.receiver import Receiver
from pipeline.drill.stage import Ended, Stage, Subject
from pipeline.drill.verdict import Expected, Left, Seen, problems
from pipeline.sandbox.server import NoteSandbox
from pipeline_tests.dagster_parts import COOKIE, COOKIE_VARIABLE, program, stored_files, write_source

ASKED_FOR = {
    "connection refused",
    "timeout",
    "slow drip",
    "401",
    "403",
    "429",
    "500 in the middle of pages",
    "redirect to login",
    "HTML with 200",
    "truncated JSON",
    "wrong type",
    "missing field",
    "null counter",
    "negative",
    "decrease of one",
    "mass decrease",
    "duplicate",
    "vanished items",
    "empty list",
    "endless pages",
    "oversized body",
    "clock set back",
    "disk full",
    "read-only lake",
    "corrupt previous snapshot",
    "corrupt raw file",
    "two runs at once",
    "kill -9",
    "channel down",
    "second daemon",
    "error that grows",
    "malformed events",
    "spool gone",
}
NEED_MOUNTS = {"disk full", "lake full", "Dagster's database full", "read-only lake"}
PATIENCE_SECONDS = 900


def drill(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program("ratchet"), "drill", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


# The whole ------------------------------------------------------------------------------------------


def test_every_fault_is_loud_and_nothing_is_written_where_the_owner_keeps_things(tmp_path: Path) -> None:
    done = drill("--json", RATCHET_DEFS=str(tmp_path / "defs"), RATCHET_DATA=str(tmp_path / "data"))
    rows = json.loads(done.stdout)
    assert [row for row in rows if row["loud"] is False] == []
    assert done.returncode == 0, done.stderr
    assert all(set(row) == {"fault", "expected", "happened", "loud"} for row in rows)
    assert [row["fault"] for row in rows] == [fault.name for fault in all_faults()]
    assert {row["fault"] for row in rows} >= ASKED_FOR
    assert {row["fault"] for row in rows if row["loud"] is None} <= NEED_MOUNTS
    assert list(tmp_path.iterdir()) == []


# The owner's own configuration ------------------------------------------------------------------------


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[tuple[Project, Receiver]]:
    """A project whose source takes any number of vanished items for true, and its channel."""
    project = Project(tmp_path / "defs", tmp_path / "data")
    with Receiver() as receiver:
        bounds = {"gone_share": 1.0}
        write_source(project, "lenient", "http://127.0.0.1:9", bounds=bounds, notify=[receiver.up])
        yield project, receiver


def drill_lenient(project: Project, *arguments: str) -> tuple[int, dict[str, dict[str, Any]], str]:
    places = {"RATCHET_DEFS": str(project.defs), "RATCHET_DATA": str(project.data), COOKIE_VARIABLE: COOKIE}
    done = drill("--source", "lenient", "--json", *arguments, **places)
    return done.returncode, {row["fault"]: row for row in json.loads(done.stdout)}, done.stdout + done.stderr


def test_a_fault_that_passes_quietly_is_reported_and_ends_with_1(owner: tuple[Project, Receiver]) -> None:
    project, receiver = owner
    before = stored_files(project.defs)
    code, rows, said = drill_lenient(project, "--only", "vanished items", "--only", "401")
    assert code == 1
    assert rows["401"]["loud"] is True
    quiet = rows["vanished items"]
    assert quiet["loud"] is False
    for problem in ("it ended with 0", "0 messages arrived", "1 new files in validated", "Dagster shows the hour"):
        assert problem in quiet["happened"]
    assert stored_files(project.defs) == before
    assert not project.data.exists()
    assert receiver.messages == []
    assert COOKIE not in said


def test_the_owners_channels_are_told_only_when_asked_to(owner: tuple[Project, Receiver]) -> None:
    project, receiver = owner
    code, rows, _ = drill_lenient(project, "--only", "401", "--to-my-channels")
    assert (code, rows["401"]["loud"]) == (0, True)
    assert [title for title, _ in receiver.messages] == ["lenient: the session has expired"]


def test_a_source_of_another_kind_keeps_its_bounds_and_the_drill_says_what_it_left_out(tmp_path: Path) -> None:
    project = Project(tmp_path / "defs", tmp_path / "data")
    file = project.defs / "posts" / "defs.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(
        "type: pipeline.components.CounterSource\nattributes:\n  source: posts\n"
        "  platform: {kind: forem, api_key: some-key}\n  rules: [{counter: views, crosses: [10]}]\n"
        "  bounds: {gone_items: 7}\n"
    )
    subject = Subject.of(project, "posts", with_channels=False)
    assert subject.attributes == {"bounds": {"gone_items": 7}}
    assert "posts is of the kind forem, and the sandbox speaks note" in subject.remark


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--only", "meteorite"], "There is no fault called 'meteorite'."),
        (["--to-my-channels"], "--to-my-channels needs to know whose."),
        (["--source", "nobody"], "There is no source called 'nobody'."),
    ],
)
def test_what_cannot_be_drilled_is_a_mistake_in_the_command(arguments: list[str], words: str) -> None:
    done = drill(*arguments)
    assert done.returncode == 2
    assert words in done.stderr


# The verdict ----------------------------------------------------------------------------------------

FAULT = Expected(12, "refused by unique_items", "the capture was refused", Left.EVIDENCE)
STDERR = "Error: The capture of blog was refused by unique_items.\nIt is kept.\n"
MESSAGE = ("blog: the capture was refused", "Listed more than once.\nNext: wait")
BEFORE = {"validated/a.parquet": b"accepted", "raw/a.zst": b"bytes"}
EVIDENCE = {"raw/b.zst": b"", "quarantine/b.json": b"{}"}
LOUD = Seen(Ended(12, "", STDERR), BEFORE, {**BEFORE, **EVIDENCE}, [MESSAGE], ["FAILURE"], 0)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    sandbox: AbstractContextManager[NoteSandbox] = NoteSandbox(list, cookie=COOKIE)
    with sandbox as platform, Receiver() as receiver:
        yield Stage(tmp_path, Subject("blog"), platform, receiver, [])


def test_what_was_loud_has_no_problem(stage: Stage) -> None:
    assert problems(FAULT, LOUD, stage) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"ended": Ended(0, "", STDERR)}, "it ended with 0"),
        ({"ended": Ended(12, "", "Error: Something.\nWait.\n")}, "standard error does not say"),
        ({"ended": Ended(12, "", STDERR.splitlines()[0])}, "no next step"),
        ({"ended": Ended(12, "", f"Traceback\n{STDERR}")}, "traceback"),
        ({"ended": Ended(12, COOKIE, STDERR)}, "secret"),
        ({"messages": []}, "0 messages arrived"),
        ({"messages": [MESSAGE, MESSAGE]}, "2 messages arrived"),
        ({"messages": [("blog: something else", "Next: wait")]}, "does not name the fault"),
        ({"messages": [(MESSAGE[0], "Listed more than once.")]}, "no next step"),
        ({"after": {**BEFORE, **EVIDENCE, "validated/a.parquet": b"other"}}, "validated/a.parquet was changed"),
        ({"after": {**BEFORE, **EVIDENCE, "validated/b.parquet": b"false"}}, "1 new files in validated"),
        ({"after": {**BEFORE, "raw/b.zst": b""}}, "0 new files in quarantine"),
        ({"after": BEFORE}, "0 new captures"),
        ({"after": {**BEFORE, **EVIDENCE, "notes/a.json": COOKIE.encode()}}, "secret"),
        ({"runs": ["SUCCESS"]}, "Dagster shows no run as FAILURE"),
        ({"materialized": 1}, "Dagster shows the hour as observed"),
    ],
)
def test_whatever_was_not_loud_is_a_problem(stage: Stage, change: dict[str, Any], problem: str) -> None:
    assert problem in "; ".join(problems(FAULT, replace(LOUD, **change), stage))
