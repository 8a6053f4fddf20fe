"""``ratchet export`` as its owner calls it: what it says, what it leaves behind, and how it ends."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import resource
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from pipeline.cli import cli
from pipeline.cli.export import command
from pipeline.core.errors import ConfigError
from pipeline.core.export.formats import Format
from pipeline.core.export.tables import Contents
from pipeline.core.lake import REPORT, SourceLake
from pipeline.core.project import Project
from pipeline_tests.core.account import Account, hour, many, row
from pipeline_tests.dagster_parts import program, ratchet

ITEMS = 600
FIRST, LAST = hour(0), hour(25)


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Account:
    """A source `blog` with two hours on a Sunday and one on the Monday after it; more text than a pipe holds."""
    account = Account.under(tmp_path_factory.mktemp("history"))
    with account.lake.writing():
        assert account.tell(0, many(ITEMS))
        assert account.tell(1, many(ITEMS, views=150))
        assert account.tell(25, [row("n0000", 250, 100, 100), *many(ITEMS, views=150)[1:]])
    return account


@pytest.fixture
def lake(history: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SourceLake:
    """A project of which only the lake is there: no YAML, no credential, no Dagster."""
    monkeypatch.setenv("RATCHET_DEFS", str(tmp_path / "defs"))
    monkeypatch.setenv("RATCHET_DATA", str(tmp_path / "data"))
    copy = Project.here().lake.source(history.lake.name)
    shutil.copytree(history.lake.root, copy.root)
    return copy


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where only exports are."""
    made = tmp_path / "exports"
    made.mkdir()
    yield made


def refused(*arguments: str) -> str:
    """What a call that cannot be says, in this process; it would end with 2."""
    with pytest.raises((ConfigError, click.UsageError)) as caught:
        cli(["export", *arguments], standalone_mode=False)
    refusal = caught.value
    assert isinstance(refusal, ConfigError | click.UsageError)
    assert refusal.exit_code == 2
    return str(refusal) if isinstance(refusal, ConfigError) else refusal.format_message()


def test_a_history_needs_neither_yaml_nor_dagster_nor_much_else(lake: SourceLake, folder: Path) -> None:
    done = ratchet("export", "blog", "-o", str(folder / "all.csv"), PYTHONPROFILEIMPORTTIME="1")
    said = f"Wrote 1,800 rows of snapshots, 3 hours from {FIRST} to {LAST} to {folder / 'all.csv'} (0.2 MB).\n"
    assert (done.returncode, done.stdout) == (0, said)
    assert not re.search(r"\| +(dagster|pandera|duckdb|httpx|rich)$", done.stderr, re.MULTILINE)
    with (folder / "all.csv").open(newline="") as file:
        assert sum(1 for _ in csv.DictReader(file)) == 3 * ITEMS
    assert [file.name for file in folder.iterdir()] == ["all.csv"]


def test_the_choices_are_those_of_the_core() -> None:
    offered = {named.name: named.type.choices for named in command.params if isinstance(named.type, click.Choice)}
    assert (list(offered["kind"]), list(offered["what"])) == (list(Format), list(Contents))


def test_standard_output_holds_the_rows_alone(lake: SourceLake) -> None:
    done = ratchet("export", "blog", "-o", "-", "--format", "jsonl", "--what", "crossings")
    assert done.returncode == 0
    crossings = [json.loads(line) for line in done.stdout.splitlines()]
    assert (len(crossings), crossings[-1]["item_id"], crossings[-1]["threshold"]) == (1, "n0000", 200.0)
    assert done.stderr == f"Wrote 1 rows of crossings, 3 hours from {FIRST} to {LAST}.\n"


@pytest.mark.parametrize(
    ("ends", "hours"),
    [
        (("--from", "2026-11-01", "--to", "2026-11-01"), 2),
        (("--from", "2026-11-01T01"), 2),
        (("--from", "2026-11-02"), 1),
        (("--to", "2026-11-01-00:00"), 1),
        (("--from", "2026-10-01", "--to", "2027-01-01T00"), 3),
    ],
)
def test_a_stretch_is_of_hours_or_of_days(lake: SourceLake, ends: tuple[str, ...], hours: int) -> None:
    done = ratchet("export", "blog", "-o", "-", "--format", "csv", "--counters", "likes, views", *ends)
    found = list(csv.DictReader(io.StringIO(done.stdout)))
    assert len(found) == hours * ITEMS
    assert list(found[0])[-3:] == ["status", "likes", "views"]


# What cannot be -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("blog",), "Missing option '-o'"),
        (("blog", "-o", "all.xlsx"), "does not say which format"),
        (("blog", "-o", "-"), "Add --format csv, json or jsonl."),
        (("blog", "-o", "-", "--format", "sqlite"), "sqlite cannot be written to standard output."),
        (("nobody", "-o", "all.csv"), "There is no source called 'nobody'."),
        (("../lake/blog", "-o", "all.csv"), "There is no source called '../lake/blog'."),
        (
            ("blog", "-o", "all.csv", "--from", "noon"),
            "'noon' is not an hour; write it as 2026-11-22T14 (UTC), or a day",
        ),
        (("blog", "-o", "all.csv", "--to", "2026-02-30"), "is not an hour"),
        (("blog", "-o", "all.csv", "--from", "2026-11-02", "--to", "2026-11-01"), "lies before"),
        (
            ("blog", "-o", "all.csv", "--to", "2026-10-31"),
            "It has 3 accepted hours from 2026-11-01T00 to 2026-11-02T01",
        ),
        (("blog", "-o", "all.csv", "--counters", "stars"), "Its counters there are: views, likes, comments."),
        (("blog", "-o", "all.csv", "--counters", "views,,likes"), "an empty name"),
        (("blog", "-o", "/proc/all.csv"), "cannot be written"),
        (("blog", "-o", "/dev/null", "--format", "csv", "--force"), "is no file"),
    ],
)
def test_a_wrong_call_is_refused_in_plain_words(lake: SourceLake, arguments: tuple[str, ...], words: str) -> None:
    assert words in refused(*arguments)


def test_a_source_without_a_lake_is_asked_of_its_yaml(lake: SourceLake) -> None:
    shutil.rmtree(lake.root)
    assert "There is no source called 'blog'" in refused("blog", "-o", "all.csv")


def test_a_file_is_replaced_only_on_request(lake: SourceLake, folder: Path) -> None:
    file = folder / "all.json"
    file.write_text("mine")
    assert "add --force to replace it" in refused("blog", "-o", str(file))
    assert file.read_text() == "mine"
    assert ratchet("export", "blog", "-o", str(file), "--force").returncode == 0
    assert len(json.loads(file.read_bytes())) == 3 * ITEMS


def test_nothing_is_exported_into_the_lake(lake: SourceLake, folder: Path) -> None:
    (folder / "way").symlink_to(lake.root)
    accepted = lake.path("validated", FIRST)
    before = accepted.read_bytes()
    for target in (accepted, folder / "way" / "validated" / "month=2026-11" / "new.parquet"):
        assert "lies in the lake" in refused("blog", "-o", str(target), "--force")
    assert accepted.read_bytes() == before


def test_a_full_disk_behind_standard_output_is_one_clear_error(lake: SourceLake) -> None:
    with Path("/dev/full").open("wb") as full:
        words = [program("ratchet"), "export", "blog", "-o", "-", "--format", "csv"]
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (
        2,
        "Error: Standard output cannot be written: No space left on device.\nMake room, or name a file.\n",
    )


@pytest.mark.parametrize("kind", ["csv", "sqlite", "json"])
def test_a_disk_without_room_is_one_clear_error_and_leaves_nothing(lake: SourceLake, folder: Path, kind: str) -> None:
    words = [program("ratchet"), "export", "blog", "-o", str(folder / f"all.{kind}")]
    done = subprocess.run(
        words,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert f"all.{kind} cannot be written: " in done.stderr
    assert "Traceback" not in done.stderr
    assert list(folder.iterdir()) == []


# How it ends ----------------------------------------------------------------------------------------------


def test_a_reader_that_has_seen_enough_is_left_in_peace(lake: SourceLake) -> None:
    words = [program("ratchet"), "export", "blog", "-o", "-", "--format", "jsonl"]
    running = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert running.stdout is not None and running.stderr is not None
    assert json.loads(running.stdout.readline())["item_id"] == "n0000"
    running.stdout.close()
    assert (running.wait(60), running.stderr.read()) == (128 + signal.SIGPIPE, b"")
    running.stderr.close()


@pytest.mark.parametrize(
    ("number", "code", "left"), [(signal.SIGINT, 130, 0), (signal.SIGTERM, 143, 0), (signal.SIGKILL, -9, 1)]
)
def test_a_killed_export_leaves_nothing_under_its_name(
    lake: SourceLake, folder: Path, number: int, code: int, left: int
) -> None:
    never_ends = lake.path(REPORT, LAST)
    never_ends.unlink()
    os.mkfifo(never_ends)
    words = [program("ratchet"), "export", "blog", "-o", str(folder / "all.csv"), "--what", "crossings"]
    running = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    reached = threading.Event()

    def wait_for_the_reader() -> None:
        with never_ends.open("wb"):  # opens when the export opens its other end
            reached.set()
            running.wait(60)

    waiting = threading.Thread(target=wait_for_the_reader, daemon=True)
    waiting.start()
    try:
        assert reached.wait(60)
        assert [file.suffix for file in folder.iterdir()] == [".part"]
        running.send_signal(number)
        _, said = running.communicate(timeout=60)
    finally:
        running.kill()
    waiting.join(60)
    assert (running.returncode, len(list(folder.iterdir()))) == (code, left)
    assert not (folder / "all.csv").exists()
    assert b"Traceback" not in said


def test_a_person_at_a_terminal_sees_how_far_it_is(lake: SourceLake, folder: Path) -> None:
    seen, terminal = pty.openpty()
    words = [program("ratchet"), "export", "blog", "-o", str(folder / "all.csv")]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=terminal, env={**os.environ, "TERM": "xterm"}
    ) as running:
        os.close(terminal)
        said = b"".join(iter(lambda: _read(seen), b""))
        assert running.wait(60) == 0
    os.close(seen)
    assert b"Exporting" in said
    assert b"3/3" in said


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # what Linux says when the last process has closed its end
        return b""
