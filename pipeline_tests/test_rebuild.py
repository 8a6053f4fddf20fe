"""With Dagster's home deleted, `ratchet rebuild` tells a new instance the states of every hour from the lake."""

from __future__ import annotations

import shutil
from datetime import datetime, timedelta
from typing import Any, Literal

import dagster as dg
import pytest

from pipeline.core.corrections import decide
from pipeline.core.hours import Hour
from pipeline.core.ledger import read_ledger
from pipeline.core.model import HourState
from pipeline.graph import DELTA, RAW, REPORT, SNAPSHOT
from pipeline.running import Outcome, dagster_instance
from pipeline_tests.dagster_parts import BLOG, MOMENT, Blog, ratchet, stored_files
from pipeline_tests.graphql import EXECUTIONS, asking_in_process, shown

# Dagster reads components through a function of Pydantic that is deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::pydantic.PydanticDeprecatedSince20")

OBSERVED, REFUSED, _GAP, MENDED, REJECTED, ACCEPTED, LAST = (MOMENT + timedelta(hours=n) for n in range(7))
STATES = [
    HourState.OBSERVED,
    HourState.QUARANTINED,
    HourState.GAP,
    HourState.OBSERVED,
    HourState.QUARANTINED,
    HourState.OBSERVED,
    HourState.OBSERVED,
]


def tell_a_history(blog: Blog) -> None:
    """An hour of each kind: observed, refused, a gap, refused and then sound, rejected, accepted by the owner."""

    def capture(moment: datetime, **views: int) -> Outcome:
        blog.account.views = blog.account.views | views
        return blog.capture(moment)

    def correct(moment: datetime, action: Literal["accept", "reject"]) -> None:
        at = Hour.of(moment)
        decide(blog.lake, blog.source, at, action, by="Ada", reason="I looked", made_at=moment)
        blog.runs.history()

    assert capture(OBSERVED, n1=70) == Outcome(True)
    assert capture(REFUSED, n1=1).blocked
    assert capture(MENDED, n1=2).blocked
    assert capture(MENDED + timedelta(minutes=10), n1=90) == Outcome(True)
    assert capture(REJECTED, n1=95) == Outcome(True)
    correct(REJECTED, "reject")
    assert capture(ACCEPTED, n1=20).blocked
    correct(ACCEPTED, "accept")
    assert capture(LAST, n1=30) == Outcome(True)


def everything_shown(instance: dg.DagsterInstance) -> dict[str, Any]:
    """What the UI shows of the source, and the last result of `non_decreasing_counts` in each of the hours."""
    with asking_in_process(instance) as ask:
        states = shown(ask, BLOG)
        for moment in (OBSERVED, REFUSED, MENDED, REJECTED, ACCEPTED, LAST):
            partition = Hour.of(moment).partition_key
            asked = {"asset": {"path": [BLOG, RAW]}, "check": "non_decreasing_counts", "partition": partition}
            (states[partition],) = ask(EXECUTIONS, **asked)["assetCheckExecutions"]
    return states


def test_a_new_instance_shows_every_hour_as_the_deleted_one_did(blog: Blog) -> None:
    tell_a_history(blog)
    ledger = read_ledger(blog.lake, blog.source, LAST)
    assert list(ledger.hours.values()) == STATES
    files, before = stored_files(blog.lake.root), everything_shown(blog.instance)
    first, last = Hour.of(OBSERVED), Hour.of(LAST)
    for asset in (SNAPSHOT, DELTA, REPORT):
        shown_states = {(r["startKey"], r["status"]) for r in before[asset]}
        assert (Hour.of(REFUSED).partition_key, "FAILED") in shown_states
        assert (Hour.of(REJECTED).partition_key, "FAILED") in shown_states
        assert (last + -1).partition_key in {key for key, status in shown_states if status == "MATERIALIZED"}
    assert first.partition_key in {r["startKey"] for r in before[RAW]}

    shutil.rmtree(blog.project.dagster_home)
    told = ratchet("rebuild", BLOG)
    assert told.returncode == 0, told.stderr
    with dagster_instance(blog.project) as new:
        assert everything_shown(new) == before
    assert stored_files(blog.lake.root) == files
    assert ratchet("rebuild", BLOG).returncode == 0
    with dagster_instance(blog.project) as new:
        assert everything_shown(new) == before
