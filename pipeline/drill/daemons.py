"""A second daemon on one instance of Dagster: both take runs from the queue, and the hour is still captured once."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.core.hours import Hour
from pipeline.drill.faults import Fault, Outcome
from pipeline.drill.stage import Ended, Stage, program
from pipeline.drill.verdict import Expected, Left, files, look, problems
from pipeline.graph import ASSETS

_LOCATION, _HOST = "pipeline", "127.0.0.1"
_PATIENCE_SECONDS = 150
_OTHER_DAEMON = "daemon is still sending heartbeats"
"""What Dagster writes when the last heartbeat, half a minute ago, was another daemon's."""
_FINISHED = {"SUCCESS", "FAILURE", "CANCELED"}
_LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchPipelineExecution(executionParams: $params) {
    __typename
    ... on PythonError { message }
  }
}
"""
_STATES = "query States { runsOrError(limit: 100) { ... on Runs { results { status } } } }"

Ask = Callable[[str, Mapping[str, Any]], Mapping[str, Any]]


def daemon_faults() -> Iterator[Fault]:
    """One fault, on a stage with a second daemon."""
    words = "two runs launched under two daemons: the hour accepted once, no run lost, Dagster's log tells of the other"
    yield Fault("second daemon", words, _play)


def _play(stage: Stage, hour: Hour) -> Outcome:
    # The source stays off, so that nothing but the two launches below starts a run.
    stage.configure(enabled=False)
    before = files(stage.lake.root)
    workspace = stage.folder / "workspace.yaml"
    port = _free_port()
    workspace.write_text(f"load_from:\n  - grpc_server: {{host: {_HOST}, port: {port}, location_name: {_LOCATION}}}\n")
    wait = partial(stage.processes.until, seconds=_PATIENCE_SECONDS)
    logs = [stage.folder / f"daemon{number}.log" for number in (1, 2)]
    code = ["dagster", "api", "grpc", "-m", "pipeline.definitions", "--location-name", _LOCATION]
    with ExitStack() as stack:
        stack.enter_context(_running(stage, [*code, "--host", _HOST, "-p", str(port)], stage.folder / "code.log"))
        for log in logs:
            stack.enter_context(_running(stage, ["dagster-daemon", "run", "-w", str(workspace)], log))
        wait(lambda: _answers(port))
        ask = stack.enter_context(_webserver(stage, workspace))
        launched = [_launch(ask, stage.subject.name, hour) for _ in logs]
        wait(lambda: all(state in _FINISHED for state in _states(ask)))
        wait(lambda: any(_OTHER_DAEMON in log.read_text() for log in logs))
    # Of Dagster's logs only this line: its daemons also race for rows of its database and log that with a traceback.
    told = "".join(line for log in logs for line in log.read_text().splitlines(True) if _OTHER_DAEMON in line)
    seen = look(stage, Ended(0, "", told), before, hour)
    found = problems(Expected(0, _OTHER_DAEMON, None, Left.ACCEPTED, "SUCCESS"), seen, stage)
    found += [f"a launch was answered with {each}" for each in launched if each != "LaunchRunSuccess"]
    if len(seen.runs) != len(logs) or not set(seen.runs) <= _FINISHED:
        found.append("a run was lost")
    said = "tells" if told else "says nothing"
    captured = len(stage.lake.captures(hour, hour))
    words = f"runs {' and '.join(seen.runs)}, hour captured {captured} time(s), Dagster's log {said} of the other"
    return Outcome(words, tuple(found))


def _launch(ask: Ask, source: str, hour: Hour) -> str:
    """Materialize the four assets of the hour as a click in the UI does; the kind of the answer."""
    params = {
        "selector": {
            "repositoryName": "__repository__",
            "repositoryLocationName": _LOCATION,
            "jobName": "__ASSET_JOB",
            "assetSelection": [{"path": [source, asset]} for asset in ASSETS],
        },
        "runConfigData": {},
        "executionMetadata": {"tags": [{"key": "dagster/partition", "value": hour.partition_key}]},
    }
    answered: str = ask(_LAUNCH, {"params": params})["launchPipelineExecution"]["__typename"]
    return answered


def _states(ask: Ask) -> list[str]:
    return [run["status"] for run in ask(_STATES, {})["runsOrError"]["results"]]


@contextmanager
def _webserver(stage: Stage, workspace: Path) -> Iterator[Ask]:
    """Dagster's GraphQL with the stage's code location, in this process: what the UI would ask."""
    import dagster as dg
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._core.workspace.load_target import WorkspaceFileTarget
    from dagster_graphql.cli import execute_query

    with (
        dg.DagsterInstance.from_config(str(stage.project.dagster_home)) as instance,
        WorkspaceProcessContext(instance, WorkspaceFileTarget([str(workspace)])) as context,
    ):

        def ask(query: str, variables: Mapping[str, Any]) -> Mapping[str, Any]:
            answered: Mapping[str, Any] = execute_query(context, query, dict(variables))["data"]
            return answered

        yield ask


@contextmanager
def _running(stage: Stage, command: Sequence[str], log: Path) -> Iterator[None]:
    """A program of Dagster that writes into ``log``; ends with all that it started."""
    arguments = {"env": stage.environment, "stderr": subprocess.STDOUT, "start_new_session": True}
    with (
        log.open("wb") as output,
        stage.processes.start([program(command[0]), *command[1:]], stdout=output, **arguments) as process,
    ):
        try:
            yield
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((_HOST, port)) == 0
