"""The owner's word by the Dagster job: what the launchpad asks for, and what Dagster shows of it afterwards."""

from __future__ import annotations

import shutil
from datetime import timedelta
from typing import Any

import dagster as dg
import pytest

from pipeline import drawing
from pipeline.core.hours import Hour
from pipeline.core.ledger import corrections
from pipeline.core.model import Origin
from pipeline.core.observe import RecordedClock
from pipeline.graph import DELTA, RAW, REPORT, SNAPSHOT, correct_job
from pipeline.resources import CLOCK, LAKE
from pipeline.site.build import site_folder
from pipeline_tests.dagster_parts import BLOG, HOUR, MOMENT, Blog, published, ratchet, stored_files, write_source
from pipeline_tests.graphql import EXECUTIONS, asking_in_process, shown

NEXT = HOUR + 1
DECIDED = MOMENT + timedelta(hours=3)
VALID = """
query Valid($pipeline: PipelineSelector!, $config: RunConfigData!) {
  isPipelineConfigValid(pipeline: $pipeline, runConfigData: $config, mode: "default") {
    __typename
    ... on RunConfigValidationInvalid { errors { message } }
  }
}
"""


def config(**word: Any) -> dict[str, Any]:
    signed = {"hour": HOUR.key, "by": "Ada", "reason": "The platform removed bots"}
    return {"ops": {f"{BLOG}_decide": {"config": {**signed, **word}}}}


def correct(blog: Blog, minutes: int = 0, **word: Any) -> dg.ExecuteInProcessResult:
    """A run of the job, as the launchpad asks for one, so many minutes after DECIDED."""
    definitions = blog.runs.definitions
    return definitions.resolve_job_def(correct_job(blog.source)).execute_in_process(
        run_config=config(**word),
        instance=blog.instance,
        resources={CLOCK: RecordedClock(DECIDED + timedelta(minutes=minutes)), LAKE: blog.project.lake},
        raise_on_error=False,
    )


def state_of(blog: Blog, asset: str, hour: Hour) -> str:
    """What the UI shows of an asset at an hour."""
    with asking_in_process(blog.instance) as ask:
        ranges = shown(ask, BLOG)[asset]
    found = [r["status"] for r in ranges if r["startKey"] <= hour.partition_key <= r["endKey"]]
    return found[0] if found else "MISSING"


def told(result: dg.ExecuteInProcessResult) -> set[tuple[str, str | None]]:
    events = result.filter_events(lambda event: event.is_step_materialization)
    return {(event.asset_key.path[-1], event.partition) for event in events if event.asset_key}


def page_of(blog: Blog) -> str:
    return (site_folder(blog.project) / f"{BLOG}.html").read_text()


@pytest.fixture
def refused(blog: Blog) -> Blog:
    """Three hours, of which the second is refused since two articles fell."""
    views = dict(blog.account.views)
    assert blog.capture(MOMENT - timedelta(hours=1)).success
    blog.account.views = views | {"n1": 50, "n2": 40}
    assert blog.capture().blocked
    blog.account.views = {key: count + 10 for key, count in views.items()}
    assert blog.capture(MOMENT + timedelta(hours=1)).success
    return blog


def test_each_decision_is_worked_in_and_dagster_is_told_of_the_hours_that_it_changed(refused: Blog) -> None:
    before = published(refused.lake)
    assert state_of(refused, SNAPSHOT, HOUR) == "FAILED"
    both = {(asset, hour.partition_key) for asset in (RAW, SNAPSHOT, DELTA, REPORT) for hour in (HOUR, NEXT)}

    lowered = correct(refused, action="lower", items=["n1", "n2"])
    assert lowered.success
    assert told(lowered) == both
    assert state_of(refused, SNAPSHOT, HOUR) == "MATERIALIZED"
    with asking_in_process(refused.instance) as ask:
        asked = {"asset": {"path": [BLOG, RAW]}, "check": "non_decreasing_counts", "partition": HOUR.partition_key}
        (shown_check,) = ask(EXECUTIONS, **asked)["assetCheckExecutions"]
    assert shown_check["evaluation"]["severity"] == "WARN"
    assert "Lower values of items n1, n2 accepted by Ada" in shown_check["evaluation"]["description"]
    after = published(refused.lake)
    assert after != before

    rejected = correct(refused, 1, action="reject")
    assert rejected.success
    assert state_of(refused, SNAPSHOT, HOUR) == "FAILED"
    assert published(refused.lake) == before

    assert correct(refused, 2, action="accept", hour=HOUR.partition_key).success
    assert state_of(refused, SNAPSHOT, HOUR) == "MATERIALIZED"
    assert [(made.action, made.by, made.made_at) for made in corrections(refused.lake)] == [
        (action, "Ada", DECIDED + timedelta(minutes=minute))
        for minute, action in enumerate(("lower", "reject", "accept"))
    ]


def test_the_page_is_drawn_with_every_hour_that_is_refused_or_corrected(blog: Blog) -> None:
    views = dict(blog.account.views)
    blog.account.views = views | {"n0": -1}
    assert blog.capture(MOMENT - timedelta(hours=2)).blocked
    assert "No source has an accepted hour yet." in (site_folder(blog.project) / "index.html").read_text()
    blog.account.views = views
    assert blog.capture(MOMENT - timedelta(hours=1)).success
    blog.account.views = views | {"n1": 50, "n2": 40}
    assert blog.capture().blocked
    assert "1 of 3 hours observed, 0 gaps, 2 quarantined." in page_of(blog)
    assert correct(blog, action="accept").success
    assert "2 of 5 hours observed, 2 gaps, 1 quarantined." in page_of(blog)
    assert "accepted by Ada" in page_of(blog)
    assert "2 of 5 hours observed, 2 gaps, 1 quarantined." in (site_folder(blog.project) / "index.html").read_text()

    shutil.rmtree(site_folder(blog.project))
    site_folder(blog.project).write_text("a file")
    blog.account.views = {}
    assert blog.capture(MOMENT + timedelta(hours=5)).blocked  # a page stands in no hour's way
    word = ("--by", "Ada", "--reason", "the tests")
    done = ratchet("correct", BLOG, (HOUR + -1).key, "--reject", *word)
    assert done.returncode == 16
    assert "rejected by Ada" in done.stdout
    assert f"could not be drawn.\nSee why: ratchet report {BLOG}" in done.stderr
    write_source(blog.project, "a_second", blog.sandbox.url)
    shutil.copytree(blog.lake.root, blog.project.lake.source("a_second").root)
    told = ratchet("rebuild")
    assert (told.returncode, told.stdout.count("told to Dagster")) == (16, 2)
    shutil.rmtree(blog.project.defs / "a_second")
    site_folder(blog.project).unlink()
    assert ratchet("rebuild", BLOG).returncode == 0
    assert "1 of " in page_of(blog)


def test_a_fault_of_the_drawing_fails_no_hour(blog: Blog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "write_page", lambda *_: 1 / 0)
    views = dict(blog.account.views)
    assert blog.capture(MOMENT - timedelta(hours=1)).success
    blog.account.views = views | {"n1": 1}
    assert blog.capture().blocked
    blog.account.views = views
    monkeypatch.undo()
    assert blog.capture(MOMENT + timedelta(hours=1)).success
    before = page_of(blog)
    blog.account.views = views | {"n1": 1}
    assert blog.capture(MOMENT + timedelta(hours=2), Origin.REPLAY).blocked
    assert page_of(blog) == before  # a replay draws once, at its end


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ({"action": "lower", "items": ["n1"]}, "is still refused: views fell for 1 item"),
        ({"action": "lower", "items": ["n3"]}, "Nothing fell of 'n3'"),
        ({"action": "reject"}, "no accepted snapshot"),
        ({"action": "accept", "by": " "}, "is signed"),
        ({"action": "accept", "hour": "noon"}, "is not an hour"),
    ],
)
def test_a_decision_without_ground_fails_the_run_in_plain_words_and_changes_nothing(
    refused: Blog, word: dict[str, Any], words: str
) -> None:
    before = stored_files(refused.lake.root)
    result = correct(refused, **word)
    assert not result.success
    [failure] = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    assert failure is not None and failure.user_failure_data is not None
    assert words in (failure.user_failure_data.description or "")
    assert stored_files(refused.lake.root) == before


def test_the_launchpad_knows_the_types_of_what_it_asks_for(blog: Blog) -> None:
    selector = {
        "pipelineName": correct_job(blog.source),
        "repositoryName": "__repository__",
        "repositoryLocationName": "pipeline",
    }
    with asking_in_process(blog.instance) as ask:

        def problems(given: dict[str, Any]) -> str:
            valid = ask(VALID, pipeline=selector, config=given)["isPipelineConfigValid"]
            return " ".join(error["message"] for error in valid.get("errors", ()))

        assert problems(config(action="lower", items=["n1"])) == ""
        assert "not in enum type Decision got forget" in problems(config(action="forget"))
        assert "items" in problems(config(action="lower", items="n1"))
        unsigned = config(action="accept")
        del unsigned["ops"][f"{BLOG}_decide"]["config"]["by"]
        assert '"by"' in problems(unsigned)


def test_the_job_waits_for_its_source_like_every_run_of_it(blog: Blog) -> None:
    job = blog.runs.definitions.resolve_job_def(correct_job(blog.source))
    [node] = job.nodes
    assert node.definition.pools == {f"source_{BLOG}"}
