"""The fold of captures into history: what wins, what is carried, what a rebuild keeps, what an interruption leaves."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.core import history
from pipeline.core.analysis.watched import read_recent
from pipeline.core.corrections import Choice
from pipeline.core.errors import NothingAccepted, Refused
from pipeline.core.lake import DELTA, REPORT, REPORT_TEXT, VALIDATED
from pipeline.core.lineage import accepted_lineage
from pipeline.core.model import Bounds, HourState, Rule, RuleKind
from pipeline.core.unsettled import planned_rebuild, unsettled_from

from .account import LIKES, VIEWS, Account, hour, row, rows
from .snapshots import at

PUBLISHED = ("validated", "delta", "report")


def eventful(account: Account) -> Account:
    """Five hours: one item vanishes and returns, one hour is refused, one is a gap."""
    account.tell(0, rows(a=90, b=20))
    account.tell(1, rows(a=120))
    account.tell(2, rows(a=50, b=20))
    account.tell(4, rows(a=130, b=25, c=3))
    return account


# What wins ------------------------------------------------------------------------------------------------


def test_settling_again_changes_nothing_byte_for_byte(account: Account) -> None:
    before = eventful(account).files()
    assert account.settle(0) == []
    assert account.files() == before
    assert not (account.lake.root / "superseded").exists()


def test_the_first_capture_of_an_hour_that_passes_wins_and_all_evidence_is_kept(account: Account) -> None:
    account.tell(0, rows(a=10))
    assert not account.tell(1, rows(a=9))
    assert account.tell(1.2, rows(a=11))
    first, second = account.lake.captures(hour(1), hour(1))
    assert accepted_lineage(account.lake, hour(1)).capture == second.name
    assert account.lake.refused() == [first]
    accepted = account.files(*PUBLISHED)
    assert account.tell(1.4, rows(a=12))
    assert account.files(*PUBLISHED) == accepted
    assert len(account.lake.captures(hour(1), hour(1))) == 3


def test_a_refused_capture_writes_nothing_downstream_and_leaves_what_was_accepted(account: Account) -> None:
    account.tell(0, rows(a=10))
    before = account.files(*PUBLISHED)
    judged = account.judge(1, rows(a=9))
    with pytest.raises(Refused, match="refused by non_decreasing_counts") as caught:
        history.publish_snapshot(account.lake, judged)
    assert "ratchet correct blog 2026-11-01T01 --accept" in caught.value.next_step
    for step in (history.publish_delta, history.conservation):
        with pytest.raises(NothingAccepted):
            step(account.lake, hour(1))
    with pytest.raises(NothingAccepted):
        history.publish_report(account.lake, account.source, hour(1))
    assert account.files(*PUBLISHED) == before


def test_the_findings_of_a_refused_capture_are_written_once(account: Account) -> None:
    account.tell(0, rows(a=10))
    account.tell(1, rows(a=9))
    [before] = account.files("quarantine").values()
    account.settle(0)
    record = history.record_refusal(
        account.lake, history.verdict(account.lake, account.source, account.lake.refused()[0])
    )
    assert (record.failed, record.compared_with) == (("non_decreasing_counts",), "2026-11-01T00")
    assert list(account.files("quarantine").values()) == [before]


def test_no_report_is_made_before_its_delta(account: Account) -> None:
    judged = account.judge(0, rows(a=10))
    history.publish_snapshot(account.lake, judged)
    with pytest.raises(NothingAccepted, match="no delta"):
        history.publish_report(account.lake, account.source, hour(0))


# What is carried ------------------------------------------------------------------------------------------


def test_a_missing_item_is_carried_and_not_zeroed(account: Account) -> None:
    account.tell(0, [row("a", 10), row("b", 20, likes=7)], published={"b": "2026-10-01T00:00:00Z"})
    account.tell(1, rows(a=11))
    carried = account.snapshot(1)["b"]
    assert (carried["status"], carried["views"], carried["likes"]) == ("carried", 20, 7)
    assert (carried["last_observed_at"], carried["captured_at"]) == (at(0), at(1))
    assert (carried["title"], carried["published_at"].isoformat()) == ("Title of b", "2026-10-01T00:00:00+00:00")
    assert account.delta(1).keys() == {"a"}
    assert account.report(1).items.carried == 1


def test_an_item_that_returns_has_an_exact_delta_over_its_absence(account: Account) -> None:
    account.tell(0, rows(a=10, b=20))
    account.tell(1, rows(a=11))
    account.tell(5, rows(a=12, b=26))
    delta = account.delta(5)
    assert (delta["b"]["views_delta"], delta["b"]["elapsed_seconds"]) == (6, 5 * 3600)
    assert (delta["a"]["views_delta"], delta["a"]["elapsed_seconds"]) == (1, 4 * 3600)
    assert account.snapshot(5)["b"]["status"] == "observed"


def test_the_highest_value_outlives_a_fall_that_is_allowed(account: Account) -> None:
    for hours, likes in enumerate((5, 9, 4)):
        account.tell(hours, [row("a", 1, likes=likes)])
    assert [account.snapshot(hours)["a"]["likes_max"] for hours in range(3)] == [5, 9, 9]


# What a rebuild keeps -------------------------------------------------------------------------------------


def test_a_rebuilt_hour_keeps_the_counters_bounds_and_rules_of_its_time(account: Account) -> None:
    account.tell(1, [row("a", 90, likes=1), row("b", 5)])
    account.tell(2, [row("a", 120, likes=2)])
    account.change(
        counters=(LIKES,),
        rules=(Rule("likes", RuleKind.ABOVE, (0.0,)),),
        bounds=Bounds(gone_items=0, gone_share=0.0),
    )
    assert account.tell(0, [row("a", 80, likes=0), row("b", 4)])
    assert hour(1) in history.finish_interrupted(account.lake, account.source)
    assert account.states(3) == dict.fromkeys([hour(h).key for h in range(3)], HourState.OBSERVED)
    assert (account.snapshot(2)["a"]["views"], account.snapshot(2)["b"]["status"]) == (120, "carried")
    assert [crossing.rule for crossing in account.report(2).crossings] == ["views crosses"]
    assert account.report(1).crossings == ()
    assert "views" not in account.snapshot(0)["a"]
    # A counter that the new first hour lacks has no delta in the next.
    assert (account.delta(1)["a"]["views_delta"], account.delta(1)["a"]["likes_delta"]) == (None, 1)


def test_a_refused_capture_is_judged_again_by_the_bounds_of_its_time(account: Account) -> None:
    account.change(bounds=Bounds(gone_items=0, gone_share=0.0))
    account.tell(0, rows(a=1, b=2))
    account.tell(1, rows(a=1))
    before = account.files()
    account.change(bounds=Bounds())
    assert account.settle(0) == []
    assert account.files() == before
    assert account.states(2)[hour(1).key] is HourState.QUARANTINED


def test_a_counter_may_join_and_leave_a_source_between_hours(account: Account) -> None:
    counters = account.source.counters
    account.change(counters=(VIEWS,))
    account.tell(0, [row("a", 10, likes=5)])
    account.change(counters=counters)
    account.tell(1, [row("a", 11, likes=6)])
    account.tell(2, [row("a", 12, likes=8)])
    account.change(counters=(LIKES,), rules=())
    account.tell(3, [row("a", 13, likes=9)])
    assert [account.delta(hours)["a"].get("likes_delta") for hours in range(4)] == [None, None, 2, 1]
    assert [account.delta(hours)["a"].get("views_delta") for hours in range(4)] == [None, 1, 1, None]
    before = account.files()
    assert account.settle(0) == []
    assert account.files() == before


def test_a_refused_hour_that_comes_late_shows_in_the_coverage_of_the_hours_after_it(account: Account) -> None:
    account.tell(0, rows(a=10))
    account.tell(2, rows(a=12))
    assert account.report(2).coverage["24h"].gaps == 1
    assert not account.tell(1, rows(a=9))
    assert history.finish_interrupted(account.lake, account.source) == [hour(2)]
    assert (account.report(2).coverage["24h"].gaps, account.report(2).coverage["24h"].quarantined) == (0, 1)


# What an interruption leaves ----------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_a_run_that_ended_between_its_steps_is_finished_by_the_next_start(account: Account, steps: int) -> None:
    account.tell(0, rows(a=10))
    judged = account.judge(1, rows(a=110))
    if steps > 0:
        history.publish_snapshot(account.lake, judged)
    if steps > 1:
        history.publish_delta(account.lake, hour(1))
    assert unsettled_from(account.lake) is not None
    assert history.finish_interrupted(account.lake, account.source, before=hour(1)) == []
    assert history.finish_interrupted(account.lake, account.source) == [hour(1)]
    assert unsettled_from(account.lake) is None
    assert [crossing.item_id for crossing in account.report(1).crossings] == ["a"]
    assert all(account.lake.exists(kind, hour(1)) for kind in (VALIDATED, DELTA, REPORT, REPORT_TEXT))
    assert history.finish_interrupted(account.lake, account.source) == []


def test_an_hour_that_was_left_is_finished_although_later_hours_are_complete(account: Account) -> None:
    account.tell(0, rows(a=10))
    account.capture(1, rows(a=110))
    account.tell(2, rows(a=120))
    assert account.states(3)[hour(1).key] is HourState.UNFINISHED
    assert unsettled_from(account.lake) == unsettled_from(account.lake, before=hour(2)) == hour(1)
    assert unsettled_from(account.lake, before=hour(1)) is None
    assert history.finish_interrupted(account.lake, account.source) == [hour(1), hour(2)]
    assert [account.report(n).movement["views"].delta for n in (1, 2)] == [100, 10]
    assert unsettled_from(account.lake) is None


SQL = ["'); DROP TABLE listing; --", '"; --', "a' OR '1'='1", "$previous", "{{ 7 * 7 }}", "%(x)s", "*.parquet", "\\"]


def test_an_id_that_is_sql_is_an_id(account: Account) -> None:
    account.tell(0, [row(key, 90) for key in SQL])
    account.tell(1, [row(key, 120 + place) for place, key in enumerate(SQL)])
    account.tell(2, [row(key, 120 if key == SQL[2] else 150) for key in SQL])
    account.correct(2, Choice("lower", [SQL[2]]))
    assert {c.item_id for c in account.report(1).crossings} == set(SQL)
    assert {key: found["views_delta"] for key, found in account.delta(1).items()} == {
        key: 30 + place for place, key in enumerate(SQL)
    }
    assert {key for key, found in account.snapshot(2).items() if found["status"] == "corrected"} == {SQL[2]}
    for key in SQL:
        found = read_recent(account.lake, hour(2), [key], 1)
        assert [item.item_id for item in found.items] == [key]
        assert found.values["views"][-1].tolist() == [120 if key == SQL[2] else 150]


def test_a_total_beyond_64_bits_is_exact_instead_of_wrapping_around(account: Account) -> None:
    account.tell(0, rows(a=2**62, b=2**62))
    assert account.report(0).movement["views"].total == 2**63


def test_advice_to_accept_is_given_only_where_accepting_can_work(account: Account) -> None:
    account.tell(0, rows(a=10))
    fallen, doubled = account.judge(1, rows(a=9)), account.judge(1, [*rows(a=11), *rows(a=11)])
    assert "--accept" in history.refusal(account.lake, fallen).next_step
    assert "--lower ITEM" in history.refusal(account.lake, fallen).next_step
    assert "--accept" not in history.refusal(account.lake, doubled).next_step


def test_a_refused_capture_that_nobody_judged_is_judged_by_the_next_start(account: Account) -> None:
    account.tell(0, rows(a=10))
    account.capture(1, rows(a=9))
    assert account.states(2)[hour(1).key] is HourState.UNFINISHED
    history.finish_interrupted(account.lake, account.source)
    assert account.states(2)[hour(1).key] is HourState.QUARANTINED
    assert unsettled_from(account.lake) is None


def test_a_rebuild_is_noted_before_its_first_hour_until_after_its_last(account: Account) -> None:
    eventful(account)
    for done, _ in history.settle(account.lake, account.source, hour(3)):
        assert (done, planned_rebuild(account.lake)) == (hour(4), hour(3))
    assert planned_rebuild(account.lake) is None


KILLED = """
import sys
from pathlib import Path
from pipeline.core import history
from pipeline.core.analysis.watched import read_recent
from pipeline.core.corrections import Choice
from pipeline_tests.core.account import Account, hour
account = Account.under(Path(sys.argv[1]))
with account.lake.writing():
    for done, changed in history.settle(account.lake, account.source, hour(0)):
        print(done.key, changed, flush=True)
        sys.stdin.readline()
"""


def test_a_rebuild_that_is_killed_half_way_is_finished_by_the_next_start(tmp_path: Path) -> None:
    killed, told = Account.under(tmp_path / "killed"), Account.under(tmp_path / "told in order")
    with killed.lake.writing(), told.lake.writing():
        for hours in range(5):
            told.tell(hours, rows(a=10 + hours))
        for hours in (1, 2, 3, 4):
            killed.tell(hours, rows(a=10 + hours))
        killed.capture(0, rows(a=10))

    command = [sys.executable, "-c", KILLED, str(tmp_path / "killed")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "2026-11-01T00 True\n"
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "2026-11-01T01 True\n"
        process.send_signal(signal.SIGKILL)
        process.wait()

    with killed.lake.writing():
        assert planned_rebuild(killed.lake) == hour(0)
        assert killed.files(*PUBLISHED) != told.files(*PUBLISHED)
        assert hour(2) in history.finish_interrupted(killed.lake, killed.source)
        assert killed.files(*PUBLISHED) == told.files(*PUBLISHED)
        assert unsettled_from(killed.lake) is None


def test_a_further_refusal_in_one_hour_says_how_many_there_are(account: Account) -> None:
    account.tell(0, rows(a=100))
    first = account.judge(1, rows(a=1))
    history.record_refusal(account.lake, first)
    assert "captures of this hour" not in history.refusal(account.lake, first).what
    assert history.refusal(account.lake, account.judge(1.1, rows(a=2))).what.endswith(
        " 2 captures of this hour are refused now."
    )
