"""What `ratchet status --json` prints: the keys and values that cron jobs and probes rely on."""

from __future__ import annotations

import json
from datetime import timedelta

import msgspec
import pytest

from pipeline.core.corrections import decide
from pipeline.core.errors import LakeFault
from pipeline.core.history import finish_interrupted
from pipeline.core.status import status_of

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
        "last_accepted": "2026-11-01T03:17:00Z",
        "quarantined_hours": [
            {
                "hour": "2026-11-01T01",
                "captured_at": "2026-11-01T01:17:00Z",
                "checks": ["non_decreasing_counts"],
                "reason": "views fell for 1 item: Title of a from 10 to 9; it may never decrease.",
            }
        ],
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
        "last_accepted": None,
        "quarantined_hours": [],
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
        }
    ]


def test_a_damaged_quarantine_record_is_named(account: Account) -> None:
    account.tell(0, [])
    account.lake.quarantine(account.lake.refused()[0]).write_bytes(b"{}")
    with pytest.raises(LakeFault, match=r"2026-11-01T00-.*\.json is damaged"):
        status_of(account.lake, account.source, at(1))


def test_the_status_of_the_recording(recorded: Account) -> None:
    now = recorded.lake.accepted_hours()[-1].end + timedelta(days=1)
    status = status_of(recorded.lake, recorded.source, now)
    assert (status["observed"], status["quarantined"], status["gaps"], status["unfinished"]) == (157, 1, 519, 0)
    assert [(found["hour"], found["checks"]) for found in status["quarantined_hours"]] == [
        ("2026-03-19T13", ["unique_items"])
    ]
    assert len(status["hours"]) == 677
