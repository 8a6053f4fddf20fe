"""What `ratchet status --json` prints: the keys and values that cron jobs and probes rely on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipeline.core.corrections import decide
from pipeline.core.errors import DeadSession, LakeFault
from pipeline.core.history import finish_interrupted
from pipeline.core.lake import REPORT_TEXT
from pipeline.core.sessions import remember_dead_session
from pipeline.core.status import status_of
from pipeline_tests.notify.world import World

from .account import Account, hour, rows
from .snapshots import at


def test_the_status_of_a_source_holds_what_the_contract_names(account: Account) -> None:
    account.tell(0, rows(a=10, b=5))
    account.tell(1, rows(a=9, b=5))
    account.tell(3, rows(a=12, b=5))
    account.capture(4, rows(a=13, b=5))
    status = status_of(account.lake, account.source, at(5))
    assert json.loads(msgspec.json.encode(status)) == {
        "source": "blog",
        "observed": 2,
        "quarantined": 1,
        "gaps": 1,
        "unfinished": 1,
        "interrupted": {
            "from": "2026-11-01T04",
            "next_step": "Unless a run is at work now, finish it: ratchet collect blog",
        },
        "last_accepted": "2026-11-01T03:17:00Z",
        "last_incident": None,
        "dead_session": None,
        "credential_expires": None,
        "coverage": {
            window: {"hours": 5, "observed": 2, "quarantined": 2, "gaps": 1} for window in ("24h", "7d", "30d")
        },
        "quarantined_hours": [
            {
                "hour": "2026-11-01T01",
                "captured_at": "2026-11-01T01:17:00Z",
                "checks": ["non_decreasing_counts"],
                "reason": "views fell for 1 item: Title of a [a] from 10 to 9; it may never decrease.",
                "next_step": "If it is true, say so: ratchet correct blog 2026-11-01T01 --accept --by NAME"
                " --reason TEXT (for some items only, --lower ITEM in the place of --accept)",
                "captures": ["2026-11-01T01:17:00Z"],
            }
        ],
        "corrections": [],
        "hours": {
            "2026-11-01T00": "observed",
            "2026-11-01T01": "quarantined",
            "2026-11-01T02": "gap",
            "2026-11-01T03": "observed",
            "2026-11-01T04": "unfinished",
        },
    }


def test_the_status_before_the_first_capture_is_empty_and_no_error(account: Account) -> None:
    assert status_of(account.lake, account.source, at(5)) == {
        "source": "blog",
        "observed": 0,
        "quarantined": 0,
        "gaps": 0,
        "unfinished": 0,
        "interrupted": None,
        "last_accepted": None,
        "last_incident": None,
        "dead_session": None,
        "credential_expires": None,
        "coverage": {},
        "quarantined_hours": [],
        "corrections": [],
        "hours": {},
    }


def test_last_accepted_is_the_time_of_the_capture_that_stands(account: Account) -> None:
    account.tell(0, rows(a=10))
    account.tell(1, rows(a=9))
    account.tell(1.5, rows(a=11))
    status = status_of(account.lake, account.source, at(2))
    assert status["last_accepted"] == "2026-11-01T01:47:00Z"
    assert status["quarantined_hours"] == []


def test_a_rejected_hour_is_quarantined_with_who_and_why(account: Account) -> None:
    account.tell(0, rows(a=10))
    decide(account.lake, account.source, hour(0), "reject", by="Ada", reason="tests", made_at=at(1))
    finish_interrupted(account.lake, account.source)
    status = status_of(account.lake, account.source, at(1))
    assert (status["observed"], status["last_accepted"]) == (0, None)
    assert status["quarantined_hours"] == [
        {
            "hour": "2026-11-01T00",
            "captured_at": "2026-11-01T00:17:00Z",
            "checks": ["rejected_by_owner"],
            "reason": "Rejected by Ada: tests",
            "next_step": None,
            "captures": ["2026-11-01T00:17:00Z"],
        }
    ]
    [decision] = status["corrections"]
    assert {key: decision[key] for key in ("hour", "action", "by", "reason", "made_at")} == {
        "hour": "2026-11-01T00",
        "action": "reject",
        "by": "Ada",
        "reason": "tests",
        "made_at": "2026-11-01T01:17:00Z",
    }


def test_the_newest_incident_is_told_while_it_is_open_and_with_what_it_cost_when_it_is_over(tmp_path: Path) -> None:
    world = World(tmp_path / "lake")
    world.add("blog", "other")
    world.capture(0)
    world.look(at(0))
    world.change("other", enabled=False)

    def told(now: float) -> dict[str, Any]:
        found = status_of(world.of("blog"), world.sources["blog"], at(now), world.book)["last_incident"]
        assert isinstance(found, dict)
        return found

    world.fail(1, DeadSession("note.com answered 401", "Log in."))
    world.look(at(1))
    assert (told(1)["cause"], told(1)["what"], told(1)["over_at"]) == ("session_expired", "note.com answered 401", None)
    assert told(1)["next_step"] == "Log in. Then run: ratchet collect blog"
    world.capture(4)
    world.look(at(4))
    assert (told(4)["since"], told(4)["over_at"], told(4)["hours_lost"]) == (
        "2026-11-01T01:17:00Z",
        "2026-11-01T04:17:00Z",
        3,
    )
    assert status_of(world.of("other"), world.sources["other"], at(4), world.book)["last_incident"] is None


def test_a_credential_that_was_turned_away_is_told(account: Account) -> None:
    remember_dead_session(account.lake, account.source, DeadSession("note.com answered 401", "Log in."), at(0))
    status = status_of(account.lake, account.source, at(1))
    assert status["dead_session"] == "note.com answered 401 (since 2026-11-01T00:17:00Z)"


def test_a_damaged_quarantine_record_is_named(account: Account) -> None:
    account.tell(0, [])
    account.lake.quarantine(account.lake.refused()[0]).write_bytes(b"{}")
    with pytest.raises(LakeFault, match=r"2026-11-01T00-.*\.json is damaged"):
        status_of(account.lake, account.source, at(1))


def test_an_observed_hour_whose_report_a_killed_run_left_out_is_told_as_interrupted(account: Account) -> None:
    account.tell(0, rows(a=10))
    account.tell(1, rows(a=11))
    assert status_of(account.lake, account.source, at(2))["interrupted"] is None
    account.lake.path(REPORT_TEXT, hour(1)).unlink()
    found = status_of(account.lake, account.source, at(2))
    assert (found["observed"], found["interrupted"]["from"]) == (2, hour(1).key)
    assert found["interrupted"]["next_step"].endswith("ratchet collect blog")
    for outside in ({"end": hour(1)}, {"start": hour(3), "end": None}):
        account.change(**outside)
        told = status_of(account.lake, account.source, at(2))["interrupted"]
        assert told["next_step"].endswith("ratchet verify blog --repair")
    finish_interrupted(account.lake, account.source)
    assert status_of(account.lake, account.source, at(2))["interrupted"] is None
