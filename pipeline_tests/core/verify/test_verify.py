"""Damage of every kind is found and named, what is sound is called sound, and a kill is no damage."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.core import checksums, history
from pipeline.core.lake import DELTA, QUARANTINE, RAW, REPORT, REPORT_TEXT, SIGNALS, VALIDATED, Lake
from pipeline.core.lineage import accepted_lineage, with_lineage
from pipeline.core.snapshots import encode_table
from pipeline.core.unsettled import REBUILD, plan_rebuild
from pipeline.core.verify.checking import verify
from pipeline.core.verify.faults import Remedy
from pipeline.core.verify.stored import stored_month
from pipeline_tests.core.account import Account, hour, row, rows


@pytest.fixture
def told(account: Account) -> Account:
    """Accepted hours, a refused one that its owner took as true, one refused for good, a rebuilt one."""
    account.tell(0, rows(a=90, b=20))
    account.tell(1, rows(a=120, b=21))
    account.tell(2, rows(a=50, b=22))
    account.tell(3, rows(a=49))
    account.correct(2, "accept")
    account.tell(5, rows(a=60, b=25, c=3))
    account.tell(4, rows(a=55, b=23))
    assert history.finish_interrupted(account.lake, account.source) == [hour(5)]
    return account


def place(account: Account, kind: str, hours: float) -> Path:
    if kind in (RAW, QUARANTINE, SIGNALS):
        [capture] = account.lake.captures(hour(hours), hour(hours))
        return account.lake.place(kind, hour(hours), capture.name)
    return account.lake.place(kind, hour(hours))


def flip(path: Path) -> None:
    """One bit, in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def forget_checksums(account: Account) -> None:
    """As in a lake from before they were recorded."""
    for path in (account.lake.root / checksums.FOLDER).iterdir():
        path.unlink()


# What is sound ------------------------------------------------------------------------------------


def test_a_sound_lake_has_no_fault_and_every_file_a_recorded_checksum(told: Account) -> None:
    found = verify(told.lake)
    assert (found.faults, found.unrecorded, found.notes) == ([], [], [])
    assert found.files == len(told.files())


def test_a_lake_from_before_checksums_is_sound_and_says_so(told: Account) -> None:
    forget_checksums(told)
    found = verify(told.lake)
    assert found.faults == []
    assert len(found.unrecorded) == len(told.files()) - len(told.files("superseded"))


def test_the_recorded_checksums_are_what_sha256sum_makes(told: Account) -> None:
    listed = (told.lake.root / "checksums" / "2026-11.sha256").read_text().splitlines()
    name = place(told, REPORT, 5).relative_to(told.lake.root).as_posix()
    own = subprocess.run(["sha256sum", name], cwd=told.lake.root, capture_output=True, text=True, check=True)
    assert own.stdout.strip() in listed


def test_an_hour_that_is_not_finished_is_no_fault(told: Account) -> None:
    told.capture(6, rows(a=70, b=26))
    judged = history.verdict(told.lake, told.source, told.lake.captures(hour(6))[0])
    history.publish_snapshot(told.lake, judged)
    found = verify(told.lake)
    assert found.faults == []
    assert found.notes == ["2026-11-01T06 is not finished yet; the next start does it."]


def test_hours_of_an_interrupted_rebuild_need_not_fit_each_other_and_are_no_fault(told: Account) -> None:
    plan_rebuild(told.lake, hour(4))
    told.lake.publish_generation(DELTA, hour(5), told.lake.place(DELTA, hour(4)).read_bytes())
    found = verify(told.lake)
    assert found.faults == []
    assert "2026-11-01T05 is being made again; the next start finishes it." in found.notes
    told.lake.drop_note(REBUILD)
    assert {fault.hour for fault in verify(told.lake).faults} == {hour(5)}


# What is damaged ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [RAW, VALIDATED, DELTA, REPORT, REPORT_TEXT, QUARANTINE, SIGNALS])
def test_one_flipped_bit_is_found_in_any_file(told: Account, kind: str) -> None:
    path = place(told, kind, 3 if kind == QUARANTINE else 2)
    flip(path)
    [fault] = verify(told.lake).faults
    assert told.lake.root / fault.file == path
    assert "recorded when it was published" in fault.what
    assert fault.remedy is (Remedy.LOSS if kind == RAW else Remedy.REMAKE)


@pytest.mark.parametrize("kind", [RAW, VALIDATED, DELTA, REPORT, REPORT_TEXT, QUARANTINE, SIGNALS])
def test_a_file_that_is_gone_is_found(told: Account, kind: str) -> None:
    path = place(told, kind, 3 if kind == QUARANTINE else 5)
    path.unlink()
    faults = {told.lake.root / fault.file: fault.what for fault in verify(told.lake).faults}
    assert "not there" in faults[path]


@pytest.mark.parametrize("folder", ["corrections", "superseded"])
def test_a_record_that_nobody_can_make_again_is_named(told: Account, folder: str) -> None:
    [path, *_] = [p for p in sorted((told.lake.root / folder).rglob("*")) if p.is_file()]
    flip(path)
    [fault] = verify(told.lake).faults
    assert (told.lake.root / fault.file, fault.remedy) == (path, Remedy.BACKUP)


def test_a_correction_that_is_gone_is_missed_by_the_hour_that_it_made(told: Account) -> None:
    forget_checksums(told)
    [path] = told.lake.correction_paths()
    path.unlink()
    assert [fault.file for fault in verify(told.lake).faults] == [f"corrections/{path.stem.rpartition('-')[2]}"]


def test_a_file_that_is_not_of_the_lake_is_named(told: Account) -> None:
    (told.lake.folder(DELTA, "2026-11") / "copy of hour.parquet").write_bytes(b"x")
    [fault] = verify(told.lake).faults
    assert (fault.file, fault.remedy) == ("delta/month=2026-11/copy of hour.parquet", Remedy.MOVE)


# Damage that only the contents betray: no checksum was recorded ------------------------------------


def _rewrite(account: Account, kind: str, hours: float, change: Callable[[list[dict[str, object]]], object]) -> None:
    path = place(account, kind, hours)
    table = pq.read_table(path, partitioning=None)
    items = table.to_pylist()
    change(items)
    path.write_bytes(encode_table(type(table).from_pylist(items, table.schema)))


def _lift(items: list[dict[str, object]], column: str) -> None:
    items[0][column] = int(str(items[0][column])) + 1


@pytest.mark.parametrize(
    ("kind", "change", "words"),
    [
        (DELTA, lambda items: _lift(items, "views_delta"), "views is not conserved"),
        (DELTA, lambda items: items.pop(), "views of the delta is not that of the snapshot"),
        (VALIDATED, lambda items: items.append(items[0]), "twice"),
        (VALIDATED, lambda items: items.clear(), "no row"),
        (VALIDATED, lambda items: _lift(items, "views"), "is not conserved"),
    ],
)
def test_numbers_that_contradict_each_other_are_found(
    told: Account, kind: str, change: Callable[[list[dict[str, object]]], object], words: str
) -> None:
    forget_checksums(told)
    _rewrite(told, kind, 1, change)
    faults = verify(told.lake).faults
    assert any(words in fault.what and hour(1) == fault.hour for fault in faults), faults


@pytest.mark.parametrize("content", [b"", b"PAR1", b"not parquet at all"])
def test_a_snapshot_that_cannot_be_opened_is_found(told: Account, content: bytes) -> None:
    forget_checksums(told)
    place(told, VALIDATED, 1).write_bytes(content)
    assert verify(told.lake).faults[0].file == place(told, VALIDATED, 1).relative_to(told.lake.root).as_posix()


def test_a_snapshot_that_does_not_say_what_it_was_made_from_is_found(told: Account) -> None:
    forget_checksums(told)
    path = place(told, VALIDATED, 1)
    path.write_bytes(encode_table(pq.read_table(path, partitioning=None).replace_schema_metadata(None)))
    assert "made from" in verify(told.lake).faults[0].what


def test_a_snapshot_of_another_hour_is_found(told: Account) -> None:
    forget_checksums(told)
    lineage = accepted_lineage(told.lake, hour(0))
    table = pq.read_table(place(told, VALIDATED, 1), partitioning=None)
    place(told, VALIDATED, 1).write_bytes(encode_table(with_lineage(table, lineage)))
    assert "it says that it is 2026-11-01T00" in verify(told.lake).faults[0].what


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (b'"total": 88', b'"total": 86', "total of views"),
        (b'"delta": 7', b'"delta": 14', "change of views"),
        (b'"observed": 3', b'"observed": 4', "number of items"),
    ],
)
def test_a_report_that_contradicts_its_files_is_found(told: Account, before: bytes, after: bytes, words: str) -> None:
    forget_checksums(told)
    path = place(told, REPORT, 5)
    content = path.read_bytes()
    assert before in content
    path.write_bytes(content.replace(before, after, 1))
    [fault] = verify(told.lake).faults
    assert words in fault.what


def test_a_capture_that_ends_early_is_found(told: Account) -> None:
    forget_checksums(told)
    path = place(told, RAW, 1)
    path.write_bytes(path.read_bytes()[:-20])
    [fault] = verify(told.lake).faults
    assert (told.lake.root / fault.file, fault.remedy) == (path, Remedy.LOSS)


# A kill is no damage --------------------------------------------------------------------------------

KILLED = """
import os, sys
from pathlib import Path
from pipeline_tests.core.account import Account, rows
account, steps = Account.under(Path(sys.argv[1])), int(sys.argv[2])
def ticking(event, arguments):
    global steps
    if event in ("os.rename", "os.link", "os.remove"):
        steps -= 1
        if steps == 0:
            os.kill(os.getpid(), 9)
with account.lake.writing():
    account.tell(0, rows(a=10))
    account.tell(2, rows(a=12))
    sys.addaudithook(ticking)
    account.tell(1, rows(a=11))
    account.settle(0)
"""


@pytest.mark.parametrize("steps", [1, 2, 5, 12, 16])
def test_a_run_that_was_killed_beside_a_checksum_is_no_fault(tmp_path: Path, steps: int) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), str(steps)], check=False)
    assert done.returncode == -signal.SIGKILL
    lake = Lake(tmp_path).source("blog")
    assert verify(lake).faults == []
    account = Account.under(tmp_path)
    with lake.writing():
        assert verify(lake).faults == []
        history.finish_interrupted(lake, account.source)
        found = verify(lake)
    assert (found.faults, found.unrecorded) == ([], [])


def test_a_line_that_a_power_cut_tore_counts_as_not_recorded(told: Account) -> None:
    told.tell(6, [row("a", 61), row("b", 26), row("c", 3)])
    listed = told.lake.root / "checksums" / "2026-11.sha256"
    content = listed.read_bytes()
    listed.write_bytes(content[:-40] + bytes(7))
    told.tell(7, [row("a", 62), row("b", 26), row("c", 3)])
    found = verify(told.lake)
    assert found.faults == []
    assert len(found.unrecorded) == 1


def test_a_fault_that_is_gone_while_the_source_is_held_is_none(told: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer at work: what is looked at in between is not called damaged."""
    seen: list[str] = []
    path = place(told, DELTA, 5)
    content = path.read_bytes()
    path.unlink()

    def looking(lake: object, month: str) -> object:
        found = stored_month(told.lake, month)
        seen.append(month)
        path.write_bytes(content)
        return found

    monkeypatch.setattr("pipeline.core.verify.checking.stored_month", looking)
    assert verify(told.lake).faults == []
    assert seen == ["2026-11", "2026-11"]
