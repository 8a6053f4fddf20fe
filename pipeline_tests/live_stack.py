"""A real stack on free ports of loopback: code server, webserver and daemon, each a process of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx

from pipeline.core.hours import Hour
from pipeline.core.project import ROOT, Project

LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchPipelineExecution(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } }
    ... on InvalidSubsetError { message }
  }
}
"""
RUN = """
query Run($id: ID!) {
  runOrError(runId: $id) {
    ... on Run {
      status startTime endTime
      stepStats { stepKey status attempts { startTime } }
      assetMaterializations {
        assetKey { path }
        metadataEntries { label ... on TextMetadataEntry { text } }
      }
      eventConnection(limit: 1000) {
        events {
          ... on ExecutionStepFailureEvent { error { message } }
          ... on RunFailureEvent { message }
        }
      }
    }
  }
}
"""
FINISHED = ("SUCCESS", "FAILURE", "CANCELED")
_T = TypeVar("_T")


def until(seen: Callable[[], _T | None], seconds: float = 90) -> _T:
    """What ``seen`` finds, as soon as it finds something: other processes give no event that could be awaited."""
    end = time.monotonic() + seconds
    while True:
        found = seen()
        if found:
            return found
        assert time.monotonic() < end, f"nothing within {seconds:g} s"
        time.sleep(0.1)


@dataclass
class Stack:
    """``root`` and ``bin``: whose code runs, by the programs of which environment; ours by default."""

    project: Project
    folder: Path
    root: Path = ROOT
    bin: Path = Path(sys.executable).parent
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    code_port: int = field(default_factory=lambda: free_port())
    web_port: int = field(default_factory=lambda: free_port())

    def start(self, name: str, *command: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [str(self.bin / command[0]), *command[1:]],
                cwd=self.root,
                env={**self.environment, "DAGSTER_HOME": str(self.project.dagster_home)},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def start_code(self) -> None:
        """The code server, ready for requests. Runs are its children and end with it."""
        location = ("--location-name", "pipeline", "--host", "127.0.0.1", "-p", str(self.code_port))
        self.start("code", "dagster", "api", "grpc", "-m", "pipeline.definitions", *location)
        self._wait_for("code", self.code_port)

    def start_web(self) -> None:
        """The webserver, ready for requests."""
        workspace = str(self.folder / "workspace.yaml")
        self.start("web", "dagster-webserver", "-h", "127.0.0.1", "-p", str(self.web_port), "-w", workspace)
        self._wait_for("web", self.web_port)

    def _wait_for(self, name: str, port: int) -> None:
        process = self.processes[name]
        until(lambda: _answers(port) or process.poll() is not None)
        ended = [line for line in (self.folder / f"{name}.log").read_text().splitlines() if line.strip()][-3:]
        assert process.poll() is None, f"{name} ended with {process.returncode}: {' '.join(ended)}"

    def start_daemon(self) -> None:
        self.start("daemon", "dagster-daemon", "run", "-w", str(self.folder / "workspace.yaml"))

    def kill(self, name: str) -> None:
        """kill -9 of the process and its children."""
        process = self.processes.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def answers(self) -> bool:
        """Whether the webserver listens."""
        return _answers(self.web_port)

    def ask(self, query: str, **variables: Any) -> Mapping[str, Any]:
        response = httpx.post(
            f"http://127.0.0.1:{self.web_port}/graphql",
            json={"query": query, "variables": variables},
            timeout=60,
            trust_env=False,
        )
        answered: Mapping[str, Any] = response.json()
        assert "errors" not in answered, answered["errors"]
        found: Mapping[str, Any] = answered["data"]
        return found

    def launch(self, source: str, assets: tuple[str, ...], hour: Hour) -> str:
        """Materialize ``assets`` of one hour as a click in the UI does; the id of the run."""
        params = {
            "selector": {
                "repositoryName": "__repository__",
                "repositoryLocationName": "pipeline",
                "jobName": "__ASSET_JOB",
                "assetSelection": [{"path": [source, asset]} for asset in assets],
            },
            "runConfigData": {},
            "executionMetadata": {"tags": [{"key": "dagster/partition", "value": hour.partition_key}]},
        }
        return self._launched(params)

    def launch_job(self, job: str, config: Mapping[str, Any]) -> str:
        """Launch a job with this configuration as the launchpad does; the id of the run."""
        selector = {"repositoryName": "__repository__", "repositoryLocationName": "pipeline", "jobName": job}
        return self._launched({"selector": selector, "runConfigData": config})

    def _launched(self, params: Mapping[str, Any]) -> str:
        launched = self.ask(LAUNCH, params=params)["launchPipelineExecution"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        run_id: str = launched["run"]["runId"]
        return run_id

    def run(self, run_id: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.ask(RUN, id=run_id)["runOrError"]
        return found

    def succeeded(self, run_id: str) -> Mapping[str, Any]:
        """The run when it has ended well; what went wrong in it otherwise."""
        run = self.finished(run_id)
        assert run["status"] == "SUCCESS", [event for event in run["eventConnection"]["events"] if event]
        return run

    def finished(self, run_id: str) -> Mapping[str, Any]:
        """The run when it has ended."""

        def ended() -> Mapping[str, Any] | None:
            run = self.run(run_id)
            return run if run["status"] in FINISHED else None

        return until(ended)


@contextmanager
def running_stack(project: Project, folder: Path, **of_whom: Any) -> Iterator[Stack]:
    """The stack of ``project``; ``folder`` takes its workspace and logs. Ends with everything that it started.

    ``of_whom``: ``root``, ``bin`` and ``environment`` of a Stack.
    """
    stack = Stack(project, folder, **of_whom)
    (folder / "workspace.yaml").write_text(
        f"load_from:\n  - grpc_server: {{host: 127.0.0.1, port: {stack.code_port}, location_name: pipeline}}\n"
    )
    try:
        stack.start_code()
        stack.start_daemon()
        stack.start_web()
        yield stack
    finally:
        for name in list(stack.processes):
            stack.kill(name)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
