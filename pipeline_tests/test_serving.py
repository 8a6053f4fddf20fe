"""`ratchet dev` as it is typed: real processes on free ports, ended by Ctrl-C and by the death of a part."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from pipeline.core.project import ROOT, Project
from pipeline.running import ALLOCATORS
from pipeline_tests.dagster_parts import made_project, program
from pipeline_tests.live_stack import free_port, until

LOADED = """{
  workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError { __typename } } } }
  instance { daemonHealth { allDaemonStatuses { daemonType healthy required } } }
}"""
PARTS = {"ratchet dev": "ratchet", "webserver": "dagster_webserver", "daemon": "dagster._daemon", "sandbox": "sandbox"}


@pytest.fixture
def project(tmp_path: Path, new_home: Path) -> Iterator[Project]:
    """One with the source `demo` alone, whose sandbox gets a port that is free."""
    demo = (ROOT / "pipeline" / "defs" / "demo" / "defs.yaml").read_text()
    with made_project(tmp_path, new_home) as made:
        file = made.defs / "demo" / "defs.yaml"
        file.parent.mkdir(parents=True)
        file.write_text(re.sub(r"(?<=127\.0\.0\.1:)\d+", str(free_port()), demo))
        yield made


@pytest.fixture
def served(project: Project, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The command at work, its UI and daemon ready; and the port of the UI."""
    port = free_port()
    with (tmp_path / "said").open("wb") as said:
        process = subprocess.Popen(
            [program("ratchet"), "dev", "--port", str(port)], cwd=ROOT, stdout=said, stderr=said, start_new_session=True
        )
    try:
        until(lambda: _is_ready(port) or process.poll() is not None, seconds=180)
        assert process.poll() is None, (tmp_path / "said").read_text()
        yield process, port
    finally:
        for pid in [process.pid, *processes_of(project)]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGHUP], ids=["ctrl_c", "the_terminal_closes"])
def test_it_serves_a_demo_with_a_past_and_leaves_nothing_behind_when_it_ends(
    served: tuple[subprocess.Popen[bytes], int], project: Project, tmp_path: Path, ending: signal.Signals
) -> None:
    process, port = served
    assert len(project.lake.source("demo").accepted_hours()) >= 2
    assert (project.data / "site" / "demo.html").exists()
    commands = processes_of(project)
    for name, part in PARTS.items():
        assert any(part in command for command in commands.values()), f"{name} is not at work: {commands}"
    for pid, command in commands.items():
        if "dagster" in command:
            assert ALLOCATORS.items() <= environment_of(pid).items(), command
    assert f"http://127.0.0.1:{port}/" in (tmp_path / "said").read_text()

    process.send_signal(ending)
    until(lambda: len(processes_of(project)) < len(commands))
    process.send_signal(ending)  # of an impatient owner
    assert process.wait(60) == 0
    assert processes_of(project) == {}
    assert "Traceback" not in (tmp_path / "said").read_text()


def test_it_ends_with_all_its_parts_when_one_of_them_dies(
    served: tuple[subprocess.Popen[bytes], int], project: Project, tmp_path: Path
) -> None:
    process, _ = served
    daemon = next(pid for pid, command in processes_of(project).items() if PARTS["daemon"] in command)
    os.kill(daemon, signal.SIGKILL)
    assert process.wait(60) == 1
    assert "ended by itself" in (tmp_path / "said").read_text()
    assert processes_of(project) == {}


def processes_of(project: Project) -> dict[int, str]:
    """The command line of every process, but of this one, that takes the project for its own."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            with suppress(OSError):
                if environment_of(int(folder.name)).get("RATCHET_DATA") == str(project.data):
                    found[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
    return found


def environment_of(pid: int) -> dict[str, str]:
    """The variables that the process was started with."""
    pairs = (pair.partition("=") for pair in Path(f"/proc/{pid}/environ").read_text().split("\0"))
    return {name: value for name, _, value in pairs}


def _is_ready(port: int) -> bool:
    with suppress(httpx.HTTPError, KeyError):
        answer = httpx.post(f"http://127.0.0.1:{port}/graphql", json={"query": LOADED}, timeout=30, trust_env=False)
        found = answer.json()["data"]
        entries = found["workspaceOrError"]["locationEntries"]
        daemons = found["instance"]["daemonHealth"]["allDaemonStatuses"]
        return (
            bool(entries)
            and all((entry["locationOrLoadError"] or {}).get("__typename") == "RepositoryLocation" for entry in entries)
            and all(daemon["healthy"] for daemon in daemons if daemon["required"])
        )
    return False
