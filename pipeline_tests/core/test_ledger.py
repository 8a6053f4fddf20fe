"""The ledger of a small account and of the whole recording: observed, quarantined, unfinished, gap."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from pipeline.core import history
from pipeline.core.hours import Hour
from pipeline.core.lake import DELTA, VALIDATED
from pipeline.core.ledger import quarantined, read_coverage, read_ledger
from pipeline.core.model import HourState
from pipeline.core.records import Coverage
from pipeline.core.snapshots import read_table

from .account import Account, hour, rows
from .snapshots import BROKEN_CAPTURE, at

END_OF_RECORDING = Hour.parse("2026-04-05T12")


# A small account ------------------------------------------------------------------------------------------


def test_every_hour_from_the_first_capture_to_the_last_complete_one_has_its_state(account: Account) -> None:
    account.tell(0, rows(a=10))
    account.tell(1, rows(a=9))
    account.capture(3, rows(a=11))
    assert list(account.states(5).values()) == [
        HourState.OBSERVED,
        HourState.QUARANTINED,
        HourState.GAP,
        HourState.UNFINISHED,
        HourState.GAP,
    ]
    assert list(account.states(5)) == [hour(hours).key for hours in range(5)]


def test_the_present_hour_counts_only_once_it_was_captured(account: Account) -> None:
    account.tell(0, rows(a=10))
    assert list(account.states(2)) == [hour(0).key, hour(1).key]
    account.tell(2, rows(a=11))
    assert list(account.states(2)) == [hour(0).key, hour(1).key, hour(2).key]


def test_a_source_without_a_capture_has_no_hours(account: Account) -> None:
    ledger = read_ledger(account.lake, account.source, at(5))
    assert ledger.hours == {}
    assert ledger.last(HourState.OBSERVED) is None
    assert read_coverage(account.lake, hour(5))["24h"] == Coverage(hours=1, observed=0, quarantined=0, gaps=1)


def test_the_end_of_a_source_ends_its_gaps(account: Account) -> None:
    account.change(end=hour(2))
    account.tell(0, rows(a=10))
    assert list(account.states(100)) == [hour(hours).key for hours in range(3)]


def test_a_capture_that_nobody_judged_makes_a_refused_hour_unfinished(account: Account) -> None:
    account.tell(0, rows(a=10))
    account.tell(1, rows(a=9))
    account.capture(1.2, rows(a=11))
    assert account.states(2)[hour(1).key] is HourState.UNFINISHED


def test_of_an_hour_refused_more_than_once_the_last_reason_is_told(account: Account) -> None:
    account.tell(0, rows(a=10))
    account.tell(1, rows(a=9))
    account.tell(1.2, [])
    [(capture, record)] = quarantined(account.lake, read_ledger(account.lake, account.source, at(2)))
    assert capture.captured_at == at(1.2)
    assert record.failed == ("complete_listing",)


def test_a_window_of_coverage_ends_with_its_hour_and_begins_with_the_first_capture(account: Account) -> None:
    account.tell(0, rows(a=10))
    account.tell(1, rows(a=9))
    account.tell(29, rows(a=12))
    coverage = read_coverage(account.lake, hour(29))
    assert coverage == {
        "24h": Coverage(hours=24, observed=1, quarantined=0, gaps=23),
        "7d": Coverage(hours=30, observed=2, quarantined=1, gaps=27),
        "30d": Coverage(hours=30, observed=2, quarantined=1, gaps=27),
    }
    assert account.report(29).coverage == coverage
    assert account.report(0).coverage["7d"] == Coverage(hours=1, observed=1, quarantined=0, gaps=0)


def test_a_ledger_of_the_latest_hours_equals_the_end_of_the_whole_one(account: Account) -> None:
    for hours in (0, 3, 4):
        account.tell(hours, rows(a=10 + hours))
    whole = read_ledger(account.lake, account.source, at(6)).hours
    latest = read_ledger(account.lake, account.source, at(6), since=hour(2)).hours
    assert list(latest.items()) == list(whole.items())[2:]


# The recording --------------------------------------------------------------------------------------------


def test_the_recording_has_157_hours_observed_one_quarantined_and_519_gaps(recorded: Account) -> None:
    ledger = read_ledger(recorded.lake, recorded.source, now=Hour.parse("2036-01-01T00").start)
    counts = {state: ledger.count(state) for state in HourState}
    assert counts == {
        HourState.OBSERVED: 157,
        HourState.QUARANTINED: 1,
        HourState.GAP: 519,
        HourState.UNFINISHED: 0,
    }
    assert (min(ledger.hours), max(ledger.hours)) == (Hour.parse("2026-03-08T08"), END_OF_RECORDING)
    assert ledger.last(HourState.QUARANTINED) == Hour.of(BROKEN_CAPTURE)


def test_the_broken_capture_is_refused_for_the_repeated_item_and_names_the_vanished_one(recorded: Account) -> None:
    ledger = read_ledger(recorded.lake, recorded.source, now=END_OF_RECORDING.end)
    [(capture, record)] = quarantined(recorded.lake, ledger)
    assert capture.captured_at == BROKEN_CAPTURE
    assert record.failed == ("unique_items",)
    [found] = [finding for finding in record.findings if finding.check == "unique_items"]
    twice = [row["item_id"] for row in found.rows if row["occurrences"] == 2]
    gone = [row["item_id"] for row in found.rows if row["occurrences"] == 0]
    assert (len(twice), len(gone)) == (1, 1)
    assert f"[{twice[0]}]. Missing instead: Recorded article {gone[0]} [{gone[0]}]" in record.reason
    assert not recorded.lake.exists(VALIDATED, capture.hour)


def test_the_milestones_of_the_recording_are_in_the_reports_of_22_hours(recorded: Account) -> None:
    reports = [history.read_report(recorded.lake, found) for found in recorded.lake.accepted_hours()]
    crossings = [crossing for report in reports for crossing in report.crossings]
    assert Counter(crossing.threshold for crossing in crossings) == {100: 16, 200: 9, 500: 1, 1000: 1}
    assert sum(bool(report.crossings) for report in reports) == 22
    assert len({(crossing.item_id, crossing.threshold) for crossing in crossings}) == len(crossings) == 27


def test_the_stored_deltas_of_views_sum_to_4152_which_the_reports_agree_with(recorded: Account) -> None:
    hours = recorded.lake.accepted_hours()
    deltas = [read_table(recorded.lake.path(DELTA, found), ["views_delta"])["views_delta"] for found in hours]
    assert sum(value or 0 for delta in deltas for value in delta.to_pylist()) == 4152
    movement = [history.read_report(recorded.lake, found).movement["views"] for found in hours]
    assert sum(moved.delta or 0 for moved in movement) == 4152
    assert movement[0].delta is None
    # Carried items stay in the totals, which therefore never fall.
    assert all(later.total >= earlier.total for earlier, later in pairwise(movement))


@pytest.mark.parametrize("part", ["raw", "validated", "delta", "report"])
def test_every_observed_hour_of_the_recording_has_its_files(recorded: Account, part: str) -> None:
    files = recorded.files(part)
    per_hour = 2 if part == "report" else 1
    assert len(files) == (158 if part == "raw" else 157 * per_hour)
    assert not (recorded.lake.root / "superseded").exists()
