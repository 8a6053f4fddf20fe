"""Dagster's instance as the command line opens it: processes that make it at the same moment all get it."""

from __future__ import annotations

import atexit
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import dagster as dg
import pytest

from pipeline.core.project import Project
from pipeline.running import dagster_instance, prepare_dagster_home

PROCESSES = 3
OPENS_THE_INSTANCE = """
from pipeline.core.project import Project
from pipeline.running import dagster_instance
print("ready", flush=True)
input()
with dagster_instance(Project.here()) as instance:
    print(len(instance.get_runs()))
"""

WRITES_AS_THE_DAEMON_DOES = """
import atexit, uuid
import dagster as dg

def writes_into_the_file_of_a_run(instance):
    run = instance.add_run(dg.DagsterRun(job_name="any", run_id=str(uuid.uuid4())))
    instance.report_engine_event("queued", run)

with dg.DagsterInstance.get() as instance:
    writes_into_the_file_of_a_run(instance)
    kept = atexit._ncallbacks()
    for _ in range(3):
        writes_into_the_file_of_a_run(instance)
    print(atexit._ncallbacks() - kept)
"""


def test_processes_that_make_the_instance_at_the_same_moment_all_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RATCHET_DATA", str(tmp_path))
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    command = [sys.executable, "-c", OPENS_THE_INSTANCE]
    with ExitStack() as held:
        started = [held.enter_context(subprocess.Popen(command, text=True, **pipes)) for _ in range(PROCESSES)]  # type: ignore[call-overload]
        for each in started:
            assert each.stdout.readline() == "ready\n"
        for each in started:
            each.stdin.write("\n")
            each.stdin.flush()
        said = [each.communicate(timeout=120) for each in started]
    assert [each.returncode for each in started] == [0] * PROCESSES, said
    assert [out for out, _ in said] == ["0\n"] * PROCESSES


def test_a_process_that_stays_keeps_nothing_of_the_instances_it_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dagster's server for code opens one for each tick."""
    monkeypatch.setenv("RATCHET_DATA", str(tmp_path))
    with dagster_instance(Project.here()), dg.DagsterInstance.get():  # the second asks what is remembered from there on
        pass
    kept = atexit._ncallbacks()
    for _ in range(3):
        with dg.DagsterInstance.get():
            pass
    assert atexit._ncallbacks() == kept


def test_a_daemon_keeps_nothing_of_the_runs_that_it_wrote_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has nothing of Ratchet in its process but what dagster.yaml names."""
    monkeypatch.setenv("RATCHET_DATA", str(tmp_path))
    project = Project.here()
    prepare_dagster_home(project)
    monkeypatch.setenv("DAGSTER_HOME", str(project.dagster_home))
    done = subprocess.run(
        [sys.executable, "-c", WRITES_AS_THE_DAEMON_DOES], capture_output=True, text=True, timeout=120
    )
    assert done.stdout == "0\n", done.stderr
