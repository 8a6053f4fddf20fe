"""What is damaged is made again from raw captures and archives, by the terms of its time; what cannot is named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline.core import checksums, history
from pipeline.core.compact import compact
from pipeline.core.lake import DELTA, QUARANTINE, RAW, REPORT, REPORT_TEXT, SIGNALS, VALIDATED
from pipeline.core.model import HourState, Rule, RuleKind
from pipeline.core.records import Signals, decode
from pipeline.core.unsettled import unsettled_from
from pipeline.core.verify.checking import verify
from pipeline.core.verify.faults import Remedy
from pipeline.core.verify.repairing import repair
from pipeline_tests.core.account import LIKES, Account, hour, rows
from pipeline_tests.core.snapshots import at

NOW = at(100)
MADE = ("validated", "delta", "report", "quarantine")


@pytest.fixture
def told(account: Account) -> Account:
    """Four accepted hours and a refused one, told when the YAML was another than today's."""
    account.tell(0, rows(a=90, b=20))
    account.tell(1, rows(a=120, b=21))
    account.tell(2, rows(a=50))
    account.tell(3, rows(a=130, b=22))
    account.tell(4, rows(a=210, b=23))
    account.change(counters=(LIKES,), rules=(Rule("likes", RuleKind.ABOVE, (0.0,)),))
    return account


def place(account: Account, kind: str, hours: float) -> Path:
    if kind in (RAW, QUARANTINE, SIGNALS):
        [capture] = account.lake.captures(hour(hours), hour(hours))
        return account.lake.place(kind, hour(hours), capture.name)
    return account.lake.place(kind, hour(hours))


def spoil(path: Path) -> None:
    path.write_bytes(b"spoiled" + path.read_bytes()[7:-9])


def repaired(account: Account) -> list[str]:
    """Repair with the locks held, as the command does; the files that were found damaged."""
    with account.lake.sending():
        return [fault.file for fault in repair(account.lake, account.source, NOW).faults]


@pytest.mark.parametrize(
    "spoiled",
    [
        [(VALIDATED, 1)],
        [(DELTA, 3)],
        [(REPORT, 1)],
        [(REPORT_TEXT, 1)],
        [(QUARANTINE, 2)],
        [(VALIDATED, 0)],
        [(VALIDATED, 4), (DELTA, 4), (REPORT, 4), (REPORT_TEXT, 4)],
        [(VALIDATED, 0), (VALIDATED, 1), (DELTA, 3), (QUARANTINE, 2)],
    ],
)
@pytest.mark.parametrize("gone", [False, True])
def test_what_follows_from_raw_captures_comes_back_byte_for_byte(
    told: Account, spoiled: Sequence[tuple[str, int]], gone: bool
) -> None:
    before = told.files(*MADE)
    for kind, hours in spoiled:
        path = place(told, kind, hours)
        path.unlink() if gone else spoil(path)
    assert len(repaired(told)) >= len(spoiled)
    assert told.files(*MADE) == before
    assert verify(told.lake).faults == []
    assert unsettled_from(told.lake) is None
    kept = [name for name in told.files("superseded") if ".damaged." in name]
    assert len(kept) == (0 if gone else len(spoiled))
    assert told.lake.generations(VALIDATED, hour(4)) == 0  # no hour after it was touched


def test_without_checksums_the_terms_come_from_the_neighbours(told: Account) -> None:
    for path in (told.lake.root / checksums.FOLDER).iterdir():
        path.unlink()
    before = told.files(*MADE)
    spoil(place(told, VALIDATED, 1))
    assert repaired(told) == [place(told, VALIDATED, 1).relative_to(told.lake.root).as_posix()]
    assert told.files(*MADE) == before
    assert verify(told.lake).unrecorded == []


@pytest.mark.parametrize("of", ["the capture", "the delta"])
@pytest.mark.parametrize("gone", [False, True])
def test_signals_come_back_without_the_durations_that_nobody_can_measure_again(
    told: Account, of: str, gone: bool
) -> None:
    path = place(told, SIGNALS, 3)
    path = path if of == "the capture" else told.lake.place(SIGNALS, hour(3))
    before, others = decode(path, Signals), told.files(*MADE, "signals")
    path.unlink() if gone else spoil(path)
    assert repaired(told) == [path.relative_to(told.lake.root).as_posix()]
    after = decode(path, Signals)
    assert {check.seconds for check in after.checks} == {None} != {check.seconds for check in before.checks}
    assert (after.volume, [c.measures for c in after.checks]) == (before.volume, [c.measures for c in before.checks])
    name = path.relative_to(told.lake.root).as_posix()
    assert {**told.files(*MADE, "signals"), name: b""} == {**others, name: b""}
    assert verify(told.lake).faults == []


def test_a_lost_capture_is_named_once_and_what_was_accepted_of_it_stands(told: Account) -> None:
    before, lost = told.files(*MADE), place(told, RAW, 1)
    spoil(lost)
    [fault] = verify(told.lake).faults
    assert fault.remedy is Remedy.LOSS
    assert repaired(told) == [fault.file]
    assert not lost.exists()
    found = verify(told.lake)
    assert found.faults == []
    assert "the raw capture is lost" in found.notes[0]
    assert told.files(*MADE) == before
    assert told.states(5)[hour(1).key] is HourState.OBSERVED
    assert told.settle(0) == []
    assert told.files(*MADE) == before


def test_an_hour_without_its_capture_is_not_given_to_another_capture_of_the_hour(told: Account) -> None:
    told.capture(1.2, rows(a=100, b=21))  # refused, were it judged
    before = told.files("validated")
    place_of_first = told.lake.raw(told.lake.captures(hour(1), hour(1))[0])
    place_of_first.unlink()
    history.settle_hour(told.lake, told.source, hour(1))
    assert told.files("validated") == before


def test_a_delta_is_made_again_although_the_capture_is_lost(told: Account) -> None:
    before = told.files(*MADE)
    spoil(place(told, DELTA, 3))
    spoil(place(told, RAW, 3))
    repaired(told)
    assert told.files(*MADE) == before
    assert verify(told.lake).faults == []


def test_an_hour_that_lost_its_capture_and_its_snapshot_becomes_a_gap_for_those_after_it(told: Account) -> None:
    spoil(place(told, VALIDATED, 3))
    spoil(place(told, RAW, 3))
    repaired(told)
    assert verify(told.lake).faults == []
    assert told.states(5)[hour(3).key] is HourState.GAP
    assert told.report(4).previous_hour == hour(1).key
    assert told.report(4).movement["views"].delta == 92
    assert [crossing.threshold for crossing in told.report(4).crossings] == [200]


def test_a_damaged_correction_is_left_for_its_owner(told: Account) -> None:
    told.correct(2, "accept")
    [path] = told.lake.correction_paths()
    content = path.read_bytes()
    path.write_bytes(content.replace(b"accept", b"reject"))
    assert repaired(told) == [path.relative_to(told.lake.root).as_posix()]
    assert [fault.remedy for fault in verify(told.lake).faults] == [Remedy.BACKUP]
    path.write_bytes(content)
    assert verify(told.lake).faults == []


@pytest.mark.parametrize("gone", [False, True])
def test_the_table_of_a_packed_month_is_made_again_from_its_archive(account: Account, gone: bool) -> None:
    account.tell(-3, rows(a=10))
    account.tell(-2, rows(a=12))
    account.tell(0, rows(a=15))
    compact(account.lake, "2026-10")
    table = account.lake.folder(VALIDATED, "2026-10") / "2026-10.parquet"
    content = table.read_bytes()
    table.unlink() if gone else spoil(table)
    assert repaired(account) == ["validated/month=2026-10/2026-10.parquet"]
    assert verify(account.lake).faults == []
    assert table.read_bytes() == content
