"""Decisions of the owner as records: what cannot be decided, what is kept, and damage that is named."""

from __future__ import annotations

import pytest

from pipeline.core import history
from pipeline.core.corrections import Choice, decide
from pipeline.core.errors import ConfigError, LakeFault, RatchetError, Refused
from pipeline.core.lake import DELTA, REPORT, VALIDATED
from pipeline.core.model import HourState
from pipeline.core.records import Action, Correction, Quarantine, decode
from pipeline.core.unsettled import plan_rebuild, planned_rebuild, unsettled_from

from .account import Account, Listing, hour, page, row, rows
from .snapshots import at

# What cannot be decided -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("listing", "words"),
    [
        ([row("a", 100), row("a", 100)], "Listed more than once: Title of a"),
        ([row("a", None)], "Views is missing in 1 item"),
        ([page(b"<")], "is not JSON"),
    ],
    ids=["twice", "no number", "no JSON"],
)
def test_what_no_sound_snapshot_can_be_made_of_cannot_be_accepted(
    account: Account, listing: Listing, words: str
) -> None:
    account.tell(0, rows(a=100))
    account.tell(1, listing)
    before = account.files()
    for choice in (Choice("accept"), Choice("lower", ["a"])):
        with pytest.raises(Refused, match="cannot be taken as true") as caught:
            account.correct(1, choice)
        assert words in caught.value.what
        assert "stays quarantined" in caught.value.next_step
    assert account.files() == before
    assert planned_rebuild(account.lake) is None


def test_a_first_listing_without_any_item_cannot_be_accepted(account: Account) -> None:
    account.tell(0, [])
    with pytest.raises(Refused, match="The listing is empty"):
        account.correct(0, "accept")
    assert account.tell(0.2, rows(a=1))


@pytest.mark.parametrize(
    ("hours", "choice", "by", "reason", "words"),
    [
        (0, "accept", "Ada", "x", "is observed already"),
        (0, Choice("lower", ["a"]), "Ada", "x", "is observed already"),
        (2, Choice("lower", ["a"]), "Ada", "x", "is a gap"),
        (1, Choice("lower"), "Ada", "x", "No item is named"),
        (1, Choice("lower", ["b"]), "Ada", "x", "Nothing fell of 'b' in the capture"),
        (1, Choice("lower", ["a", "nobody"]), "Ada", "x", "Nothing fell of 'nobody' in the capture"),
        (1, Choice("accept", ["a"]), "Ada", "x", "item by item"),
        (0, Choice("reject", captured_at="2026-11-01T00:17:00Z"), "Ada", "x", "one accepted snapshot"),
        (1, Choice("accept", captured_at="yesterday"), "Ada", "x", "no capture of 'yesterday'"),
        (1, "reject", "Ada", "x", "no accepted snapshot"),
        (2, "accept", "Ada", "x", "is a gap"),
        (2, "reject", "Ada", "x", "no accepted snapshot"),
        (1, "accept", " ", "x", "is signed"),
        (1, "accept", "Ada", "\t", "is signed"),
    ],
)
def test_a_decision_without_ground_or_signature_changes_nothing(
    account: Account, hours: float, choice: Choice | Action, by: str, reason: str, words: str
) -> None:
    account.tell(0, rows(a=100, b=5))
    account.tell(1, rows(a=60, b=5))
    account.tell(3, rows(a=100, b=5))
    before = account.files()
    with pytest.raises(ConfigError, match=words) as caught:
        decide(account.lake, account.source, hour(hours), choice, by=by, reason=reason, made_at=at(9))
    assert caught.value.exit_code == 2
    assert account.files() == before
    assert planned_rebuild(account.lake) is None


def test_a_decision_under_a_clock_that_went_back_is_refused_since_it_would_not_count(account: Account) -> None:
    account.tell(0, rows(a=100))
    account.tell(1, rows(a=60))
    account.correct(1, "accept", made=20)
    before = account.files()
    for made in (20, 19):
        with pytest.raises(ConfigError, match="was made at 2026-11-01T20:17:00Z") as caught:
            account.correct(1, "reject", made=made)
        assert "NTP" in caught.value.next_step
    assert account.files() == before


# What is kept of it ---------------------------------------------------------------------------------------


def test_a_decision_is_a_file_of_its_own_that_is_worked_in_by_the_next_start(account: Account) -> None:
    account.tell(0, rows(a=100))
    account.tell(1, rows(a=60))
    made = decide(account.lake, account.source, hour(1), "accept", by=" Ada ", reason=" bots ", made_at=at(9))
    [path] = account.lake.correction_paths()
    assert decode(path, Correction) == made
    assert (made.by, made.reason, made.hour) == ("Ada", "bots", hour(1).key)
    # A kill here loses nothing: the plan was written before the decision.
    assert unsettled_from(account.lake) is not None
    assert account.states(2)[hour(1).key] is HourState.QUARANTINED
    assert history.finish_interrupted(account.lake, account.source) == [hour(1)]
    assert account.states(2)[hour(1).key] is HourState.OBSERVED
    assert unsettled_from(account.lake) is None


def test_of_two_plans_the_one_that_begins_earlier_stays(account: Account) -> None:
    for first in (2, 1, 3):
        plan_rebuild(account.lake, hour(first))
    assert planned_rebuild(account.lake) == hour(1)


def test_a_plan_without_its_decision_changes_nothing(account: Account) -> None:
    account.tell(0, rows(a=100))
    account.tell(1, rows(a=60))
    before = account.files()
    plan_rebuild(account.lake, hour(1))
    assert history.finish_interrupted(account.lake, account.source) == []
    assert account.files() == before


def test_a_damaged_record_is_named_instead_of_passed_over(account: Account) -> None:
    account.tell(0, rows(a=100))
    account.tell(1, rows(a=60))
    account.correct(1, "accept")
    damaged = [
        (account.lake.correction_paths()[0], 0),
        (account.lake.quarantine(account.lake.refused()[0]), 0),
        (account.lake.path(REPORT, hour(0)), 1),
        (account.lake.path(VALIDATED, hour(0)), 1),
        (account.lake.path(DELTA, hour(0)), 0),
    ]
    for path, settled_from in damaged:
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(LakeFault, match=path.name) as caught:
            account.settle(settled_from)
        assert isinstance(caught.value, RatchetError)
        assert caught.value.exit_code == 16
        path.write_bytes(whole)
    assert account.settle(0) == []
    assert decode(account.lake.quarantine(account.lake.refused()[0]), Quarantine).failed == ("non_decreasing_counts",)
