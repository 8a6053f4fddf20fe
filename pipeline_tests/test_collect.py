"""`ratchet collect` in a process of its own: its exit codes and last words; and what is tried again and what is not."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
import stamina

from pipeline.collecting import collect
from pipeline.core.errors import AlreadyObserved, WrongHour
from pipeline.core.hours import Hour
from pipeline.core.lake import DELTA, REPORT, REPORT_TEXT, VALIDATED, SourceLake
from pipeline.core.model import Origin
from pipeline.core.observe import RecordedClock
from pipeline.core.sources import find_source
from pipeline.graph import RAW
from pipeline.platforms.client import ATTEMPTS
from pipeline.running import Outcome
from pipeline.sandbox.faults import HTML_PAGE, Drop, Fault, Reply, TruncatedJson
from pipeline_tests.dagster_parts import (
    BLOG,
    COOKIE,
    HOUR,
    Blog,
    made_blog,
    made_project,
    present_moment,
    published,
    ratchet,
    stored_files,
)

IN_THE_HOUR = RecordedClock(HOUR.start + timedelta(minutes=17), Origin.LIVE)
Done = subprocess.CompletedProcess[str]

EXPECTED = {
    "an unknown source": (2, f"Known sources: {BLOG}."),
    "a lake that cannot be written": (16, "Check the disk's space and the folder's owner"),
    "the platform has no such page": (10, "The next tick tries again"),
    "the session has expired": (11, "Log in to note.com"),
    "another process is at work": (15, "Wait until it ends"),
    "counts have fallen": (12, f"ratchet correct {BLOG}"),
    "a sound listing": (0, ""),
    "the hour is observed": (13, "The next hour begins at"),
}


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory, new_home: Path) -> Iterator[dict[str, Done]]:
    """One hour in which everything happens, one thing after the other."""
    folder = tmp_path_factory.mktemp("collected")
    no_folder = folder / "no_folder"
    no_folder.mkdir()
    (no_folder / "lake").write_text("a file where the lake should be")
    with made_project(folder, new_home) as project, made_blog(project) as blog:
        present = Hour.of(present_moment(timedelta(minutes=4)))
        assert blog.capture((present + -1).start).success
        views = blog.account.views
        done = {"an unknown source": ratchet("collect", "unknown")}
        done["a lake that cannot be written"] = ratchet("collect", BLOG, RATCHET_DATA=str(no_folder))
        blog.sandbox.fail_next(Reply(404))
        done["the platform has no such page"] = ratchet("collect", BLOG)
        blog.sandbox.cookie = "another-session"
        done["the session has expired"] = ratchet("collect", BLOG)
        blog.sandbox.cookie = COOKIE
        with blog.lake.writing():
            done["another process is at work"] = ratchet("collect", BLOG)
        blog.account.views = views | {"n1": 1}
        done["counts have fallen"] = ratchet("collect", BLOG)
        blog.account.views = views
        done["a sound listing"] = ratchet("collect", BLOG)
        done["the hour is observed"] = ratchet("collect", BLOG)
        yield done


@pytest.mark.parametrize("what", EXPECTED)
def test_collect_ends_with_the_code_of_what_happened_and_the_next_step(collected: dict[str, Done], what: str) -> None:
    code, words = EXPECTED[what]
    done = collected[what]
    assert done.returncode == code, done.stderr
    if code:
        assert words in done.stderr.splitlines()[-1]
        assert "Traceback" not in done.stderr
    else:
        assert done.stderr == ""
        assert "8 articles" in done.stdout or "8 items" in done.stdout


def test_a_channel_that_did_not_take_the_incident_of_a_failed_capture_is_named(blog: Blog) -> None:
    with made_blog(blog.project, notify=["json://127.0.0.1:1/planted-token"]) as telling:
        telling.sandbox.cookie = "another-session"
        done = ratchet("collect", BLOG)
    assert done.returncode == EXPECTED["the session has expired"][0]
    assert "1 message of the incidents did not reach json-" in done.stderr
    assert "Log in to note.com" in done.stderr.splitlines()[-1]
    assert "planted-token" not in done.stderr


@pytest.fixture
def _no_waits() -> Iterator[None]:
    with stamina.set_testing(True, attempts=ATTEMPTS):
        yield


def attempts(blog: Blog) -> int:
    """How often Dagster began the step of raw_snapshot in the newest run."""
    (run,) = blog.instance.get_runs(limit=1)
    events = [entry.dagster_event for entry in blog.instance.all_logs(run.run_id)]
    starts = (dg.DagsterEventType.STEP_START, dg.DagsterEventType.STEP_RESTARTED)
    return sum(e is not None and e.event_type in starts and str(e.step_key).endswith(RAW) for e in events)


@pytest.mark.usefixtures("_no_waits")
@pytest.mark.parametrize("fault", [Reply(503), Reply(429), Drop()], ids=repr)
def test_a_fault_of_transport_is_tried_again_by_the_client_and_is_one_failure_in_the_end(
    blog: Blog, fault: Fault
) -> None:
    blog.sandbox.fail_next(*[fault] * ATTEMPTS)
    outcome = blog.capture()
    assert (outcome.success, outcome.kind) == (False, "transport")
    assert len(blog.sandbox.requests) == ATTEMPTS
    assert attempts(blog) == 1
    assert list(stored_files(blog.lake.root)) == ["notes/attempt.json"]


@pytest.mark.usefixtures("_no_waits")
def test_a_fault_of_transport_that_passes_leaves_an_accepted_hour(blog: Blog) -> None:
    blog.sandbox.fail_next(Drop(), Reply(503))
    assert blog.capture() == Outcome(True)
    assert len(blog.lake.captures(HOUR, HOUR)) == 1


@pytest.mark.parametrize("fault", [Reply(401), Reply(403), HTML_PAGE], ids=["401", "403", "html"])
def test_a_dead_session_is_asked_once_in_its_run_and_leaves_no_snapshot(blog: Blog, fault: Fault) -> None:
    blog.sandbox.fail_next(fault)
    outcome = blog.capture()
    assert (outcome.success, outcome.kind) == (False, "dead_session")
    assert len(blog.sandbox.requests) == 1
    assert attempts(blog) == 1
    assert blog.lake.captures() == []


def test_a_refused_body_is_asked_once_in_its_run_and_kept_as_evidence(blog: Blog) -> None:
    blog.sandbox.fail_next(TruncatedJson())
    assert blog.capture() == Outcome(False, blocked=True)
    assert len(blog.sandbox.requests) == 1
    assert attempts(blog) == 1
    (capture,) = blog.lake.captures(HOUR, HOUR)
    assert blog.lake.quarantine(capture).exists()


def test_an_hour_that_is_over_cannot_be_captured(blog: Blog) -> None:
    result = blog.launch(RAW, hour=HOUR + -1)
    assert not result.success
    assert not [event for event in result.all_events if event.is_step_materialization]
    assert blog.sandbox.requests == []
    assert attempts(blog) == 1


def test_a_source_with_an_end_captures_until_then_and_says_so_afterwards(tmp_path: Path, new_home: Path) -> None:
    with made_project(tmp_path, new_home) as project:
        with made_blog(project, end=(HOUR + 5).key) as open_blog:
            report = collect(project, find_source(project, BLOG), IN_THE_HOUR).report
            assert report.items.observed == len(open_blog.account())
        with made_blog(project, end=(HOUR + -3).key), pytest.raises(WrongHour, match=f"ended at {HOUR + -3}"):
            collect(project, find_source(project, BLOG), IN_THE_HOUR)


@dataclass(frozen=True)
class TurningClock:
    """The hour is over as soon as it has its snapshot."""

    lake: SourceLake
    origin: Origin = Origin.LIVE

    def now(self) -> datetime:
        return IN_THE_HOUR.now() + timedelta(hours=self.lake.exists(VALIDATED, HOUR))


def test_the_first_capture_of_a_source_may_end_in_the_hour_after_it(tmp_path: Path, new_home: Path) -> None:
    with made_project(tmp_path, new_home) as project, made_blog(project, start=None) as blog:
        report = collect(project, find_source(project, BLOG), TurningClock(blog.lake)).report
        assert report.hour == HOUR.key
        assert blog.lake.accepted_hours() == [HOUR]


def test_what_a_killed_run_left_of_the_hour_is_finished_by_the_next_collect(tmp_path: Path, new_home: Path) -> None:
    with made_project(tmp_path, new_home) as project, made_blog(project) as blog:
        source = find_source(project, BLOG)
        done = collect(project, source, IN_THE_HOUR)
        assert done.left is None
        hour = Hour.parse(done.report.hour)
        whole, asked = published(blog.lake), len(blog.sandbox.requests)
        for kind in (DELTA, REPORT, REPORT_TEXT):
            blog.lake.path(kind, hour).unlink()
        with pytest.raises(AlreadyObserved, match=f"; finished what an earlier run left, from {hour.key} on"):
            collect(project, source, IN_THE_HOUR)
        assert published(blog.lake) == whole
        assert len(blog.sandbox.requests) == asked
        with pytest.raises(AlreadyObserved, match="; nothing was changed"):
            collect(project, source, IN_THE_HOUR)


def test_a_capture_says_that_it_finished_what_a_killed_run_left_of_an_earlier_hour(blog: Blog) -> None:
    moment = present_moment()
    assert blog.capture(moment - timedelta(hours=1)).success
    left = Hour.of(moment) + -1
    blog.lake.path(REPORT_TEXT, left).unlink()
    done = ratchet("collect", BLOG)
    assert done.returncode == 0, done.stderr
    assert f"{BLOG}: finished what an earlier run left, from {left.key} on.\n" in done.stdout
