"""Replaying the recording: a run an hour, nothing twice, and the same lake in whatever order it was told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from pipeline.core import history
from pipeline.core.errors import RatchetError
from pipeline.core.lake import VALIDATED
from pipeline.core.project import ROOT, Project
from pipeline.core.unsettled import unsettled_from
from pipeline.graph import capture_job
from pipeline.replaying import RECORDED, Replay
from pipeline.running import dagster_instance
from pipeline.site.build import site_folder
from pipeline_tests.dagster_parts import made_project, published, ratchet, stored_files
from pipeline_tests.live_stack import free_port

LAST = 6


def write_recorded(project: Project) -> None:
    """The checkout's own source, on a port that is free."""
    text = (ROOT / "pipeline" / "defs" / RECORDED / "defs.yaml").read_text()
    port = next(word.rpartition(":")[2] for word in text.split() if word.startswith("http://127.0.0.1:"))
    file = project.defs / RECORDED / "defs.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(text.replace(port, str(free_port())))


@dataclass(frozen=True)
class Told:
    """A lake that `ratchet replay` made, what it said, and the runs that Dagster kept."""

    project: Project
    said: list[str]
    files: list[dict[str, bytes]]
    runs: list[list[dg.DagsterRun]]


@pytest.fixture(scope="module")
def at_once(tmp_path_factory: pytest.TempPathFactory, new_home: Path) -> Iterator[Told]:
    """`ratchet replay --last 6`, twice."""
    with made_project(tmp_path_factory.mktemp("at_once"), new_home) as project:
        write_recorded(project)
        told = Told(project, [], [], [])
        for _ in range(2):
            done = ratchet("replay", "--last", str(LAST), COLUMNS="200")
            assert done.returncode == 0, done.stderr
            told.said.append(done.stdout)
            told.files.append(stored_files(project.lake.root))
            with dagster_instance(project) as instance:
                told.runs.append(list(instance.get_runs()))
        yield told


def test_every_captured_hour_is_a_run_of_its_own(at_once: Told) -> None:
    hours = [capture.hour.partition_key for capture in at_once.project.lake.source(RECORDED).captures()]
    assert len(hours) == LAST
    runs = at_once.runs[0]
    assert {run.job_name for run in runs} == {f"{RECORDED}_capture"} == {capture_job_name(at_once.project)}
    assert sorted(run.tags["dagster/partition"] for run in runs) == hours
    assert {run.status for run in runs} == {dg.DagsterRunStatus.SUCCESS}


def capture_job_name(project: Project) -> str:
    return capture_job(Replay.of_recording(project).source)


def test_a_second_replay_changes_nothing_and_says_so(at_once: Told) -> None:
    assert f"all {LAST} captures asked for are in the lake. Nothing was changed." in " ".join(at_once.said[1].split())
    assert at_once.files[0] == at_once.files[1]
    assert len(at_once.runs[0]) == len(at_once.runs[1])


def test_a_replay_that_broke_off_within_an_hour_goes_on_with_it(
    tmp_path: Path, new_home: Path, at_once: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    with made_project(tmp_path, new_home) as project:
        write_recorded(project)
        begun = Replay.of_recording(project, LAST)
        hours = begun.run()
        with begun.lake.writing(), monkeypatch.context() as patch, pytest.raises(RatchetError, match="broke off"):
            next(hours)
            patch.setattr(history, "publish_delta", breaking_off)
            next(hours)
        left = Replay.of_recording(project, LAST)
        assert len(left.pending) == LAST - 2
        assert unsettled_from(left.lake) is not None
        with left.lake.writing():
            assert len(list(left.run())) == LAST - 2
        assert Replay.of_recording(project, LAST).is_done
        assert published(left.lake) == published(at_once.project.lake.source(RECORDED))


def breaking_off(*_: object) -> None:
    raise RuntimeError("broke off")


def test_the_page_tells_of_all_that_was_replayed(at_once: Told) -> None:
    page = (site_folder(at_once.project) / f"{RECORDED}.html").read_text()
    assert f"{LAST} of " in page
    assert f'href="{RECORDED}.html"' in (site_folder(at_once.project) / "index.html").read_text()


def test_the_summary_counts_the_hours_and_says_where_to_look(at_once: Told) -> None:
    assert f"{LAST} hours observed, 0 quarantined" in at_once.said[0]
    assert f"ratchet status {RECORDED}" in at_once.said[0]


def test_the_last_two_and_then_the_last_six_make_the_lake_that_six_at_once_make(
    at_once: Told, tmp_path: Path, new_home: Path
) -> None:
    with made_project(tmp_path, new_home) as project:
        write_recorded(project)
        for last in (2, LAST):
            replay = Replay.of_recording(project, last)
            with replay.lake.writing():
                assert len(list(replay.run())) == (2 if last == 2 else LAST - 2)
        lake = project.lake.source(RECORDED)
        assert published(lake) == published(at_once.project.lake.source(RECORDED))
        assert lake.captures() == at_once.project.lake.source(RECORDED).captures()
        # What follows from the earlier captures is made again once, at the end of the replay.
        assert {lake.generations(VALIDATED, capture.hour) for capture in lake.captures()} == {0, 1}
        assert Replay.of_recording(project, LAST).is_done
