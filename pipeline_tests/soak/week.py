"""The simulated week: Dagster's own scheduler and queue, moved from tick to tick.

Real are the instance on SQLite with the settings that Ratchet ships, shared by all processes; the code server,
which evaluates every tick over gRPC; `launch_scheduled_runs` and `QueuedRunCoordinatorDaemon`, which are what
`dagster-daemon` loops over; pools and limits; every run with its assets and checks; HTTP to the sandboxes.
Driven are the clock, and with it the pauses between ticks. Runs are executed by processes that stay.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import yaml
from dagster import DagsterInstance, DagsterRunStatus, RunsFilter
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import GrpcServerTarget
from dagster._daemon.run_coordinator import QueuedRunCoordinatorDaemon
from dagster._scheduler.scheduler import ScheduleIterationTimes, launch_scheduled_runs

from pipeline.core.project import ROOT, Project
from pipeline.core.sources import find_source
from pipeline.running import prepare_dagster_home
from pipeline_tests.live_stack import free_port, until
from pipeline_tests.soak.clock import DrivenClock
from pipeline_tests.soak.platforms import ATTEMPT_MINUTE, COOKIE, FIRST, serve
from pipeline_tests.soak.workers import SPAWNING, Workers

_LAUNCHER = {"module": "pipeline_tests.soak.workers", "class": "ResidentLauncher"}
_QUEUED = RunsFilter(statuses=[DagsterRunStatus.QUEUED])
_HOST = "127.0.0.1"
_QUEUE_LOOKS_SECONDS = 0.2
"""How often the queue looks while it is empty and the scheduler still at work: each new run is waited for so."""


def names(sources: int) -> list[str]:
    return [f"account_{number:02}" for number in range(sources)]


@dataclass
class Week:
    """A project under ``folder`` and its processes. ``memory``: resident bytes of each, one value a simulated hour."""

    project: Project
    folder: Path
    sources: int
    clock: DrivenClock
    instance: DagsterInstance
    workspace: WorkspaceProcessContext
    workers: Workers
    processes: dict[str, int]
    memory: dict[str, list[int]] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)

    def run(self, hours: int) -> Iterator[int]:
        """Simulate so many hours; yields each when its last tick and all its runs are over."""
        scheduler = _Scheduler(self.workspace)
        with QueuedRunCoordinatorDaemon(interval_seconds=5) as queue:
            self.clock.put(FIRST.start)
            scheduler.tick(self.clock)
            minutes = find_source(self.project, names(1)[0]).attempt_minutes
            for hour in range(hours):
                began = time.monotonic()
                for minute in minutes:
                    self.clock.put(FIRST.start + timedelta(hours=hour, minutes=minute))
                    self._minute(scheduler, queue)
                self.seconds.append(time.monotonic() - began)
                for name, pid in self.processes.items():
                    self.memory.setdefault(name, []).append(_resident_bytes(pid))
                yield hour

    def _minute(self, scheduler: _Scheduler, queue: QueuedRunCoordinatorDaemon) -> None:
        """One minute of the daemon: scheduler and queue beside each other, until every run asked for is over."""
        with ThreadPoolExecutor(1, thread_name_prefix="scheduler") as beside:
            ticking = beside.submit(scheduler.tick, self.clock)
            over = False
            while not over:
                asked_for_all = ticking.done()
                for _ in queue.run_iteration(self.workspace):
                    pass
                if self.workers.at_work:
                    self.workers.await_one()
                elif not (over := asked_for_all and not self.instance.get_runs_count(_QUEUED)):
                    wait([ticking], timeout=_QUEUE_LOOKS_SECONDS)
            ticking.result()


@dataclass
class _Scheduler:
    """What `dagster-daemon` does once a minute."""

    workspace: WorkspaceProcessContext
    times: dict[str, ScheduleIterationTimes] = field(default_factory=dict)

    def tick(self, clock: DrivenClock) -> None:
        for fault in launch_scheduled_runs(self.workspace, logging.getLogger("soak"), clock.now(), self.times):
            if fault is not None:
                raise RuntimeError(f"The scheduler failed: {fault}")


@contextmanager
def made_week(folder: Path, sources: int, workers: int) -> Iterator[Week]:
    """The project, its platforms, its code server and its workers; all end with the block."""
    os.environ |= {
        "RATCHET_DEFS": str(folder / "defs"),
        "RATCHET_DATA": str(folder / "data"),
        "DAGSTER_HOME": str(folder / "data" / "dagster"),
    }
    project, logs = Project.here(), folder / "logs"
    logs.mkdir(parents=True)
    clock = DrivenClock.made(folder / "clock", FIRST.start)
    with _platforms(sources) as addresses:
        for name, address in zip(names(sources), addresses, strict=True):
            _write_source(project, name, address)
        prepare_dagster_home(project)
        settings = project.dagster_home / "dagster.yaml"
        settings.write_text(settings.read_text() + "\n" + yaml.safe_dump({"run_launcher": _LAUNCHER}))
        port = free_port()
        target = GrpcServerTarget(host=_HOST, port=port, socket=None, location_name="pipeline")
        # As the daemon opens it, which has nothing of Ratchet in its process.
        with DagsterInstance.get() as instance, _code_server(port, logs / "code.log") as code:
            started = Workers.started(workers, logs)
            processes = {"scheduler and queue": os.getpid(), "code server": code}
            processes |= {f"worker {number}": p.pid or 0 for number, p in enumerate(started.processes)}
            try:
                with WorkspaceProcessContext(instance, target) as workspace:
                    yield Week(project, folder, sources, clock, instance, workspace, started, processes)
            finally:
                started.stop()


@contextmanager
def _platforms(sources: int) -> Iterator[list[str]]:
    ours, theirs = SPAWNING.Pipe()
    process = SPAWNING.Process(target=serve, args=(sources, theirs), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        ours.send("enough")
        process.join(timeout=20)
        process.kill()


def _write_source(project: Project, name: str, address: str) -> None:
    file = project.defs / name / "defs.yaml"
    file.parent.mkdir(parents=True)
    platform = {"kind": "note", "base_url": address, "session_cookie": COOKIE, "requests_per_second": 10_000}
    attributes = {
        "source": name,
        "platform": platform,
        "rules": [{"counter": "views", "crosses": [200, 500, 1000, 2000]}],
        "minute": ATTEMPT_MINUTE,
        "start": FIRST.key,
    }
    file.write_text(yaml.safe_dump({"type": "pipeline.components.CounterSource", "attributes": attributes}))


@contextmanager
def _code_server(port: int, log: Path) -> Iterator[int]:
    arguments = ["-m", "pipeline_tests.soak.code", "--location-name", "pipeline", "--host", _HOST, "-p", str(port)]
    with log.open("ab") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "dagster", "api", "grpc", *arguments],
            cwd=ROOT,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    try:
        until(lambda: _answers(port) or None)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def _answers(port: int) -> bool:
    from dagster._grpc.client import DagsterGrpcClient

    try:
        DagsterGrpcClient(host=_HOST, port=port).ping("")
    except Exception:
        return False
    return True


def _resident_bytes(pid: int) -> int:
    """What the process holds in memory, as Linux counts it."""
    pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
