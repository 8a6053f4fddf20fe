"""A finished month in one archive and three tables: nothing is lost, every reader finds it, a kill harms nothing."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import zipfile
from datetime import timedelta
from pathlib import Path

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.core import archives, compact, history
from pipeline.core.errors import LakeFault
from pipeline.core.files import encode_json
from pipeline.core.lake import DELTA, RAW, REPORT, SIGNALS, VALIDATED, Lake
from pipeline.core.lineage import accepted_lineage
from pipeline.core.model import HourState
from pipeline.core.records import decode
from pipeline.core.snapshots import read_table
from pipeline.core.unsettled import plan_rebuild
from pipeline.core.verify.checking import verify

from .account import LIKES, VIEWS, Account, hour, row, rows
from .snapshots import at

MONTH = "2026-10"
SIGNALS_OF_MONTH = 4 + 3  # of four captures and three deltas
LATER = at(24 * 10)


def told(account: Account) -> Account:
    """Four hours of October, one of them refused, while a counter joins; and two of November."""
    account.change(counters=(VIEWS,))
    account.tell(-5, rows(a=90, b=20))
    account.change(counters=(VIEWS, LIKES))
    account.tell(-4, [row("a", 120, likes=3), row("c", 1)])
    account.tell(-3, rows(a=50))
    account.tell(-2, rows(a=130, b=25))
    account.tell(0, rows(a=140, b=26))
    account.tell(1, rows(a=150, b=27))
    return account


def compacted(account: Account) -> compact.Compacted:
    assert compact.finished_months(account.lake, LATER) == [MONTH]
    return compact.compact(account.lake, MONTH)


def facts(account: Account) -> dict[str, object]:
    """All that the readers of hours are told, whether packed or not."""
    lake = account.lake
    return {
        "captures": lake.captures(),
        "refused": lake.refused(),
        "states": account.states(3),
        "last": [lake.last_accepted(before=hour(h)) for h in range(-5, 3)],
        "lineage": [accepted_lineage(lake, h) for h in lake.accepted_hours()],
        "snapshots": [read_table(lake.path(VALIDATED, h)).to_pylist() for h in lake.accepted_hours()],
        "deltas": [read_table(lake.path(DELTA, h)).to_pylist() for h in lake.hours_with(DELTA)],
        "reports": [history.read_report(lake, h) for h in lake.hours_with(REPORT)],
        "raw": [lake.raw(capture).read_bytes() for capture in lake.captures()],
        "conserved": [history.conservation(lake, h).passed for h in lake.accepted_hours()],
    }


# What is packed -----------------------------------------------------------------------------------


def test_a_packed_month_reads_as_it_did_hour_by_hour(account: Account) -> None:
    before = facts(told(account))
    made = compacted(account)
    assert (made.month, made.files) == (MONTH, 4 + 3 * 4 + SIGNALS_OF_MONTH)
    assert facts(account) == before
    assert account.states(3)[hour(-3).key] is HourState.QUARANTINED
    assert compact.finished_months(account.lake, LATER) == []


def test_of_each_kind_one_file_is_left_and_of_the_captures_one_archive(account: Account) -> None:
    told(account)
    compacted(account)
    left = [name for name in account.files() if MONTH in name and not name.startswith("quarantine/")]
    assert left == [
        "archives/2026-10.json",
        "archives/blog-2026-10.zip",
        "delta/month=2026-10/2026-10.parquet",
        "report/month=2026-10/2026-10.jsonl.zst",
        "validated/month=2026-10/2026-10.parquet",
    ]


def test_the_archive_is_an_ordinary_zip_that_holds_every_file_as_it_was_published(account: Account) -> None:
    before = told(account).files(RAW, VALIDATED, DELTA, REPORT, SIGNALS)
    compacted(account)
    with zipfile.ZipFile(account.lake.archive(MONTH)) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    assert held == {name: content for name, content in before.items() if MONTH in name}


def test_the_tables_hold_every_row_of_the_month_as_other_tools_read_it(account: Account) -> None:
    told(account)
    hours = [read_table(account.lake.path(VALIDATED, h)).to_pylist() for h in account.lake.accepted_hours()]
    compacted(account)
    folder = f"{account.lake.root}/validated/*/*.parquet"
    names = [name for name in hours[-1][0] if name not in ("likes", "likes_max")]
    found = duckdb.execute(
        f"SELECT {', '.join(names)} FROM read_parquet('{folder}', union_by_name=true) ORDER BY captured_at, item_id"
    ).fetchall()
    assert len(found) == sum(map(len, hours))
    assert [r[names.index("views")] for r in found] == [item["views"] for of_hour in hours for item in of_hour]
    table = pq.read_table(account.lake.folder(VALIDATED, MONTH) / f"{MONTH}.parquet", partitioning=None)
    assert table["likes"].to_pylist()[:2] == [None, None]  # the counter joined in the second hour
    reports = f"{account.lake.root}/report/month={MONTH}/*.jsonl.zst"
    found = duckdb.execute(f"SELECT hour FROM read_json('{reports}')").fetchall()
    assert found == [(hour(h).key,) for h in (-5, -4, -2)]


def test_a_month_that_is_not_over_or_waits_for_a_rebuild_stays(account: Account) -> None:
    told(account)
    lake = account.lake
    assert compact.finished_months(lake, at(24 * 6)) == []
    assert compact.finished_months(lake, at(24 * 6), timedelta(0)) == [MONTH]
    assert compact.finished_months(lake, at(24 * 400)) == [MONTH]  # November has no month after it
    plan_rebuild(lake, hour(-4))
    assert compact.finished_months(lake, LATER) == []


def test_a_file_that_is_not_what_was_published_is_not_packed_and_nothing_is_removed(account: Account) -> None:
    told(account)
    path = account.lake.path(REPORT, hour(-4))
    path.write_bytes(path.read_bytes().replace(b"120", b"121"))
    before = account.files()
    with pytest.raises(LakeFault, match="its checksum is not the one"):
        compacted(account)
    assert {name: content for name, content in account.files().items() if name in before} == before
    assert archives.packed_months(account.lake.root) == []


# Undone -------------------------------------------------------------------------------------------


def test_unpacking_gives_every_file_back_byte_for_byte(account: Account) -> None:
    before = told(account).files()
    compacted(account)
    assert account.lake.unpack(MONTH) == 4 + 3 * 4 + SIGNALS_OF_MONTH
    assert account.files() == before
    compacted(account)
    account.lake.unpack(MONTH)
    assert account.files() == before


@pytest.mark.parametrize("packed", [False, True])
def test_a_correction_in_a_packed_month_ends_in_the_same_history(tmp_path: Path, packed: bool) -> None:
    accounts = [Account.under(tmp_path / name) for name in ("one", "two")]
    for account, pack in zip(accounts, (False, packed), strict=True):
        with account.lake.writing():
            told(account)
            if pack:
                compacted(account)
            assert account.correct(-3, "accept") == [hour(h) for h in (-3, -2, 0, 1)]
    one, two = map(facts, accounts)
    for what in ("captures", "states", "snapshots", "deltas", "raw", "conserved"):
        assert one[what] == two[what]
    names = [set(account.files(VALIDATED, DELTA, REPORT, "superseded")) for account in accounts]
    assert names[0] == names[1]


def test_a_rebuild_that_changes_nothing_leaves_the_month_packed(account: Account) -> None:
    told(account)
    compacted(account)
    before = account.files()
    assert account.settle(-5) == []
    assert account.files() == before


def test_history_that_comes_into_a_packed_month_is_found_and_packed_with_it_next_time(account: Account) -> None:
    told(account)
    compacted(account)
    account.tell(-1, rows(a=135, b=25))
    history.finish_interrupted(account.lake, account.source)
    assert account.states(3)[hour(-1).key] is HourState.OBSERVED
    assert account.report(0).movement["views"].delta == 6
    before = facts(account)
    assert compact.finished_months(account.lake, LATER) == [MONTH]
    assert compact.compact(account.lake, MONTH).files == 5 + 4 * 4 + SIGNALS_OF_MONTH + 2
    assert facts(account) == before


# Elsewhere ----------------------------------------------------------------------------------------


def test_an_archive_that_was_moved_is_found_and_one_that_is_gone_is_named_when_it_is_needed(tmp_path: Path) -> None:
    account = Account.under(tmp_path / "lake")
    with account.lake.writing():
        before = facts(told(account))
        compacted(account)
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    shutil.move(account.lake.archive(MONTH), shelf)
    assert account.states(3) == before["states"]
    with pytest.raises(LakeFault, match=r"blog-2026-10\.zip is needed") as caught:
        account.lake.path(VALIDATED, hour(-2))
    assert "RATCHET_ARCHIVES" in caught.value.next_step
    account.lake = Lake(tmp_path / "lake", (shelf,)).source("blog")
    assert facts(account) == before
    with account.lake.writing():
        account.lake.unpack(MONTH)
    assert facts(account) == before
    assert (shelf / "blog-2026-10.zip").exists()  # not ours to remove


def test_a_damaged_archive_is_a_fault_and_no_wrong_number(account: Account) -> None:
    told(account)
    compacted(account)
    archive = account.lake.archive(MONTH)
    content = bytearray(archive.read_bytes())
    content[len(content) // 3] ^= 0xFF
    archive.write_bytes(content)
    [fault] = verify(account.lake).faults
    assert fault.file == "archives/blog-2026-10.zip"
    archive.write_bytes(content[:-10])
    with pytest.raises(LakeFault, match="instead of"):
        account.lake.path(VALIDATED, hour(-2))


@pytest.mark.parametrize("name", ["../other/planted", "raw/../../other/planted", "{folder}/planted"])
def test_an_archive_that_would_be_unpacked_beside_its_source_is_refused(account: Account, name: str) -> None:
    compacted(told(account))
    outside = account.lake.root.parent / "other"
    archive, index = account.lake.archive(MONTH), archives.index_path(account.lake.root, MONTH)
    with zipfile.ZipFile(archive, "a") as opened:
        opened.writestr(name.format(folder=outside), b"planted")
    index.write_bytes(encode_json(msgspec.structs.replace(decode(index, archives.Index), bytes=archive.stat().st_size)))
    with pytest.raises(LakeFault, match="outside of the source"):
        account.lake.unpack(MONTH)
    assert not outside.exists()
    assert archives.packed_months(account.lake.root) == [MONTH]


# Killed -------------------------------------------------------------------------------------------

KILLED = """
import sys, os
from pathlib import Path
from pipeline.core import compact
from pipeline_tests.core.account import Account
account, steps = Account.under(Path(sys.argv[1])), int(sys.argv[3])
def ticking(event, arguments):
    global steps
    if event in ("os.rename", "os.link", "os.remove", "os.rmdir", "os.mkdir", "shutil.rmtree", "open"):
        if str(sys.argv[1]) in str(arguments[0]):
            steps -= 1
            if steps == 0:
                os.kill(os.getpid(), 9)
with account.lake.writing():
    sys.addaudithook(ticking)
    compact.compact(account.lake, "2026-10") if sys.argv[2] == "compact" else account.lake.unpack("2026-10")
print(steps)
"""


def killed_after(steps: int, doing: str, lake: Path) -> int | None:
    """Run it, killed just before its ``steps``-th act on a file; how many were left where it came to its end."""
    command = [sys.executable, "-c", KILLED, str(lake), doing, str(steps)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return int(done.stdout) if done.returncode == 0 else None


@pytest.mark.parametrize("doing", ["compact", "unpack"])
def test_killed_anywhere_nothing_is_lost_and_the_next_run_ends_it(tmp_path: Path, doing: str) -> None:
    whole = Account.under(tmp_path / "whole")
    with whole.lake.writing():
        before = facts(told(whole))
        if doing == "unpack":
            compacted(whole)
    shutil.copytree(whole.lake.root.parent, tmp_path / "counted")
    left = killed_after(1_000_000, doing, tmp_path / "counted")
    assert left is not None
    acts = 1_000_000 - left
    chosen = sorted(random.Random(9).sample(range(1, acts), 3))
    for steps in chosen:
        folder = tmp_path / f"killed at {steps}"
        shutil.copytree(whole.lake.root.parent, folder)
        assert killed_after(steps, doing, folder) is None
        account = Account(Lake(folder).source("blog"), whole.source)
        assert facts(account) == before, steps
        assert verify(account.lake).faults == [], steps
        with account.lake.writing():
            if doing == "unpack" and steps != chosen[1]:
                account.lake.unpack(MONTH)
                assert archives.packed_months(account.lake.root) == []
            else:
                for month in compact.finished_months(account.lake, LATER):
                    compact.compact(account.lake, month)
                assert not (account.lake.root / ".packing" / MONTH).exists()
                assert [path.name for path in account.lake.folder(VALIDATED, MONTH).iterdir()] == [f"{MONTH}.parquet"]
                assert not account.lake.folder(RAW, MONTH).exists()
        assert facts(account) == before, steps
        found = verify(account.lake)
        assert (found.faults, found.notes, found.unrecorded) == ([], [], []), steps


def test_what_was_taken_out_of_an_archive_goes_with_the_process(account: Account) -> None:
    told(account)
    compacted(account)
    code = (
        "import sys; from pathlib import Path; from pipeline.core.lake import Lake, VALIDATED\n"
        "lake = Lake(Path(sys.argv[1])).source('blog')\n"
        "print(lake.path(VALIDATED, lake.accepted_hours()[0]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(account.lake.root.parent)], capture_output=True, text=True, check=True
    )
    taken_out = Path(done.stdout.strip())
    assert not taken_out.is_relative_to(account.lake.root)
    assert not taken_out.exists()
    assert not taken_out.parents[2].exists()


def test_rows_of_more_than_one_group_are_all_there(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compact, "ROW_GROUP", 3)
    told(account)
    rows_before = sum(len(read_table(account.lake.path(VALIDATED, hour(h)))) for h in (-5, -4, -2))
    compacted(account)
    table = account.lake.folder(VALIDATED, MONTH) / f"{MONTH}.parquet"
    with pq.ParquetFile(table) as file:
        assert file.num_row_groups > 1
        read: pa.Table = file.read()
    assert len(read) == rows_before
