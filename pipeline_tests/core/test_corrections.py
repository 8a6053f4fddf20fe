"""The owner's signed word: what it may do, what it changes, and what it leaves as it was."""

from __future__ import annotations

from typing import Literal

import pytest

from pipeline.core import history
from pipeline.core.corrections import Choice
from pipeline.core.errors import ConfigError, Refused
from pipeline.core.lake import DELTA, REPORT, VALIDATED
from pipeline.core.ledger import quarantined, read_ledger
from pipeline.core.model import Bounds, HourState

from .account import Account, Row, assert_accepted, assert_refused_by, finding, hour, many, row, rows
from .snapshots import at

PUBLISHED = ("validated", "delta", "report")


# Accepting what a check refused ---------------------------------------------------------------------------


def test_an_accepted_decrease_is_what_later_hours_go_on_from(account: Account) -> None:
    account.tell(0, rows(a=100, b=20))
    account.tell(1, rows(a=60, b=21))
    account.tell(2, rows(a=61, b=22))
    assert set(account.states(3).values()) == {HourState.OBSERVED, HourState.QUARANTINED}
    assert account.correct(1, "accept") == [hour(1), hour(2)]
    assert set(account.states(3).values()) == {HourState.OBSERVED}
    now = account.snapshot(1)
    assert (now["a"]["status"], now["a"]["views"], now["a"]["views_max"]) == ("corrected", 60, 100)
    assert (now["b"]["status"], now["b"]["views"]) == ("observed", 21)
    assert [account.delta(hours)["a"]["views_delta"] for hours in (1, 2)] == [-40, 1]
    assert account.snapshot(2)["a"]["status"] == "observed"
    assert_accepted(account.judge(3, rows(a=61, b=22)))
    assert_refused_by(account.judge(3.1, rows(a=60, b=22)), "non_decreasing_counts")


def test_an_accepted_mass_deletion_carries_what_is_gone_and_asks_for_it_no_more(account: Account) -> None:
    listing = many(40)
    account.tell(0, listing)
    assert not account.tell(1, listing[20:])
    account.correct(1, "accept")
    statuses = [item["status"] for item in account.snapshot(1).values()]
    assert (statuses.count("carried"), statuses.count("observed")) == (20, 20)
    assert_accepted(account.judge(2, listing[20:]))


def test_an_accepted_empty_listing_carries_everything(account: Account) -> None:
    account.tell(0, rows(a=10, b=20))
    account.tell(1, [])
    account.correct(1, "accept")
    assert {item["status"] for item in account.snapshot(1).values()} == {"carried"}
    assert account.delta(1) == {}
    assert (account.report(1).items.observed, account.report(1).movement["views"].delta) == (0, None)
    assert account.tell(2, rows(a=11))
    assert account.delta(2)["a"]["elapsed_seconds"] == 2 * 3600


def test_an_accepted_disappearance_of_one_item_is_not_refused_again(account: Account) -> None:
    account.change(bounds=Bounds(gone_items=0, gone_share=0.0))
    account.tell(0, rows(a=10, b=20))
    assert not account.tell(1, rows(a=11))
    account.correct(1, "accept")
    assert account.snapshot(1)["b"]["status"] == "carried"
    assert account.tell(2, rows(a=12))


def test_an_accepted_mass_fall_of_what_may_decrease_is_observed_as_it_is(account: Account) -> None:
    account.tell(0, many(10, likes=50))
    assert not account.tell(1, many(10, likes=40))
    account.correct(1, "accept")
    assert {(item["status"], item["likes"]) for item in account.snapshot(1).values()} == {("observed", 40)}


def test_after_an_accepted_fall_a_tolerance_is_measured_from_there(account: Account) -> None:
    account.tell(0, [row("a", comments=1000)])
    assert not account.tell(1, [row("a", comments=500)])
    account.correct(1, "accept")
    assert_accepted(account.judge(2, [row("a", comments=450)]))
    assert_refused_by(account.judge(2.1, [row("a", comments=449)]), "non_decreasing_counts")
    assert account.snapshot(1)["a"]["comments_max"] == 1000


def test_a_milestone_that_was_crossed_before_the_fall_is_not_crossed_again(account: Account) -> None:
    account.tell(0, rows(a=90))
    account.tell(1, rows(a=150))
    account.tell(2, rows(a=50))
    account.correct(2, "accept")
    account.tell(3, rows(a=160))
    assert [len(account.report(hours).crossings) for hours in range(4)] == [0, 1, 0, 0]


def test_the_report_of_a_corrected_hour_names_who_and_why(account: Account) -> None:
    account.tell(0, rows(a=100))
    account.tell(1, rows(a=60))
    account.tell(2, rows(a=61))
    account.correct(1, "accept", reason="The platform removed bots")
    [signed] = account.report(1).corrections
    assert (signed.by, signed.reason, signed.action, signed.made_at) == (
        "Ada",
        "The platform removed bots",
        "accept",
        at(20),
    )
    assert "Ada" in account.files("report")[f"report/month=2026-11/{hour(1).key}.md"].decode()
    assert account.report(2).corrections == ()
    judged = history.verdict(account.lake, account.source, account.lake.captures(hour(1), hour(1))[0])
    assert judged.accepted
    assert not finding(judged, "non_decreasing_counts").passed
    [word] = [found.reason for found in judged.judged if found.check == "non_decreasing_counts"]
    assert word.endswith("Accepted by Ada: The platform removed bots")


# Accepting the fall of single items -------------------------------------------------------------------------


def test_the_accepted_fall_of_an_item_is_what_its_later_values_go_on_from(account: Account) -> None:
    account.tell(0, [row("a", 100, comments=1000), row("b", 20)])
    account.tell(1, [row("a", 60, comments=500), row("b", 21)])
    account.tell(2, [row("a", 61, comments=500), row("b", 22)])
    assert account.correct(1, Choice("lower", ["a"])) == [hour(1), hour(2)]
    now = account.snapshot(1)
    assert (now["a"]["status"], now["a"]["views"], now["a"]["views_max"]) == ("corrected", 60, 100)
    assert (now["b"]["status"], now["b"]["views"]) == ("observed", 21)
    assert [account.delta(hours)["a"]["views_delta"] for hours in (1, 2)] == [-40, 1]
    assert_accepted(account.judge(3, [row("a", 61, comments=450), row("b", 22)]))
    assert_refused_by(account.judge(3.1, [row("a", 61, comments=449), row("b", 22)]), "non_decreasing_counts")


def test_every_other_finding_still_blocks(account: Account) -> None:
    account.change(bounds=Bounds(gone_items=0, gone_share=0.0))
    account.tell(0, rows(a=100, b=20, c=5))
    for hours, listing, words in (
        (1, rows(a=60, b=19, c=5), "views fell for 1 item: Title of b [b] from 20 to 19"),
        (2, rows(a=60, b=20), "Gone since the last accepted snapshot: Title of c"),
    ):
        account.tell(hours, listing)
        before = account.files()
        with pytest.raises(Refused, match="is still refused") as caught:
            account.correct(hours, Choice("lower", ["a"]))
        assert words in caught.value.what
        assert "Title of a" not in caught.value.what
        assert account.files() == before
    assert account.correct(1, Choice("lower", ["b", "a"])) == [hour(1)]


def test_items_that_are_named_do_not_count_towards_a_fall_en_masse(account: Account) -> None:
    listing = many(10, likes=50)
    account.tell(0, listing)
    assert not account.tell(1, many(10, likes=40))
    with pytest.raises(Refused, match="likes fell for 6 of 10 items at once"):
        account.correct(1, Choice("lower", [f"n{number:04}" for number in range(4)]))
    account.correct(1, Choice("lower", [f"n{number:04}" for number in range(5)]))
    assert {(item["status"], item["likes"]) for item in account.snapshot(1).values()} == {("observed", 40)}


def test_the_report_names_the_items_whose_fall_was_accepted(account: Account) -> None:
    account.tell(0, rows(a=100, b=20))
    account.tell(1, rows(a=60, b=20))
    account.correct(1, Choice("lower", ["a"]), reason="Bots")
    [signed] = account.report(1).corrections
    assert (signed.action, signed.items, signed.by) == ("lower", ("a",), "Ada")
    text = account.files("report")[f"report/month=2026-11/{hour(1).key}.md"].decode()
    assert "lower values of item a accepted by Ada" in text
    judged = history.verdict(account.lake, account.source, account.lake.captures(hour(1), hour(1))[0])
    [word] = [found.reason for found in judged.judged if found.check == "non_decreasing_counts"]
    assert word.endswith("Lower values of item a accepted by Ada: Bots")


def test_an_accepted_fall_of_an_item_is_taken_back_by_rejecting_the_hour_and_made_again(account: Account) -> None:
    account.tell(0, rows(a=100))
    account.tell(1, rows(a=60))
    account.tell(2, rows(a=120))
    states, deltas = account.states(3), account.files("delta")
    account.correct(1, Choice("lower", ["a"]), made=20)
    lowered = account.files("delta")
    account.correct(1, "reject", made=21)
    assert (account.states(3), account.files("delta")) == (states, deltas)
    account.correct(1, Choice("lower", ["a"]), made=22)
    assert account.files("delta") == lowered


def test_one_of_several_refused_captures_of_an_hour_is_accepted_by_its_time(account: Account) -> None:
    account.tell(0, rows(a=100))
    for hours, views in ((1, 60), (1.2, 70), (1.4, 80)):
        account.tell(hours, rows(a=views))
    with pytest.raises(ConfigError, match="no capture of '2026-11-01T01:30:00Z' in that hour") as caught:
        account.correct(1, Choice("accept", captured_at="2026-11-01T01:30:00Z"))
    assert "2026-11-01T01:17:00Z, 2026-11-01T01:29:00Z, 2026-11-01T01:41:00Z" in caught.value.next_step
    account.correct(1, Choice("accept", captured_at="2026-11-01T02:29:00+01:00"))
    assert account.snapshot(1)["a"]["views"] == 70
    account.correct(1, "reject", made=21)
    account.correct(1, "accept", made=22)
    assert account.snapshot(1)["a"]["views"] == 70
    account.correct(1, "reject", made=23)
    account.correct(1, Choice("lower", ["a"], account.lake.captures(hour(1), hour(1))[2].name), made=24)
    assert account.snapshot(1)["a"]["views"] == 80


# Rejecting what was accepted ------------------------------------------------------------------------------


def test_a_rejected_hour_is_quarantined_and_its_files_are_kept_aside(account: Account) -> None:
    for hours, views in enumerate((10, 999, 12)):
        account.tell(hours, rows(a=views))
    before = account.files(*PUBLISHED)
    assert account.states(3)[hour(2).key] is HourState.QUARANTINED
    assert account.correct(1, "reject", reason="Tests ran against it") == [hour(1), hour(2)]
    assert account.states(3) == {
        hour(0).key: HourState.OBSERVED,
        hour(1).key: HourState.QUARANTINED,
        hour(2).key: HourState.OBSERVED,
    }
    assert account.delta(2)["a"]["views_delta"] == 2
    superseded = set(account.files("superseded").values())
    assert {content for path, content in before.items() if hour(1).key in path} == superseded
    [(capture, record)] = quarantined(account.lake, read_ledger(account.lake, account.source, at(3)))
    assert (capture.hour, record.failed) == (hour(1), ("rejected_by_owner",))
    assert record.reason == "Rejected by Ada: Tests ran against it"


def test_when_the_capture_that_stood_is_rejected_the_next_one_of_the_hour_stands(account: Account) -> None:
    account.tell(0, rows(a=10))
    account.tell(1, rows(a=99))
    account.capture(1.3, rows(a=12))
    account.correct(1, "reject")
    assert account.snapshot(1)["a"]["views"] == 12


# Taking a decision back -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("second", "actions"), [(rows(a=60), ("accept", "reject")), (rows(a=110), ("reject", "accept"))]
)
def test_either_decision_is_taken_back_by_the_other(
    account: Account, second: list[Row], actions: tuple[Literal["accept", "reject"], Literal["accept", "reject"]]
) -> None:
    account.tell(0, rows(a=100))
    account.tell(1, second)
    account.tell(2, rows(a=120))
    states, deltas = account.states(3), account.files("delta")
    first, back = actions
    account.correct(1, first, made=20)
    assert account.states(3) != states
    account.correct(1, back, made=21)
    assert account.states(3) == states
    assert account.files("delta") == deltas
    assert len(account.files("corrections")) == 2
    account.correct(1, first, made=22)
    assert account.states(3) != states


# What a correction does not concern -----------------------------------------------------------------------


def test_hours_that_a_correction_does_not_concern_keep_their_bytes_and_get_no_new_generation(
    account: Account,
) -> None:
    for hours, views in enumerate((100, 101, 60, 102, 103, 104)):
        account.tell(hours, rows(a=views, b=1))
    before = account.files(*PUBLISHED)
    account.correct(2, "accept")
    # From 60 on the hours after it count again; the next one alone has another predecessor.
    after = account.files(*PUBLISHED)
    for kind, concerned in ((VALIDATED, {2, 3}), (DELTA, {2, 3}), (REPORT, {2, 3, 4, 5})):
        changed = {path for path in after if path.startswith(kind) and after[path] != before.get(path)}
        assert {path.partition("T")[2][:2] for path in changed} == {f"{number:02}" for number in concerned}, kind
        generations = [account.lake.generations(kind, hour(hours)) for hours in range(6)]
        assert generations == [int(hours in concerned - {2}) for hours in range(6)], kind


def test_a_correction_that_is_worked_in_again_changes_nothing(account: Account) -> None:
    account.tell(0, rows(a=100))
    account.tell(1, rows(a=60))
    account.correct(1, "accept")
    before = account.files()
    assert account.settle(0) == []
    assert account.files() == before


def test_the_evidence_of_a_refusal_stays_after_it_was_overruled(account: Account) -> None:
    account.tell(0, rows(a=100))
    account.tell(1, rows(a=60))
    evidence = account.files("raw", "quarantine")
    account.correct(1, "accept")
    assert account.files("raw", "quarantine") == evidence
    assert quarantined(account.lake, read_ledger(account.lake, account.source, at(3))) == []


def test_of_an_hour_without_anything_to_correct_those_that_have_it_are_named(account: Account) -> None:
    account.tell(0, rows(a=100))
    for hours in (2, 3):
        account.tell(hours, rows(a=1))
    with pytest.raises(ConfigError) as gap:
        account.correct(1, "accept")
    assert gap.value.next_step == f"Those that are refused: {hour(3).key}, {hour(2).key}"
    with pytest.raises(ConfigError) as refused:
        account.correct(2, "reject")
    assert refused.value.next_step == f"Those that are accepted: {hour(0).key}"
