"""Where the runs of the soak run: processes that stay, instead of one a run.

`ResidentLauncher` is what the instance's dagster.yaml names in the place of Dagster's own launcher, which would
spend four seconds on the start of a process for a run of one second. A worker takes a run as that process
would: it finds it in the instance, resolves its job and executes it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from multiprocessing.queues import Queue
from pathlib import Path
from queue import Empty
from typing import Any, ClassVar, Self

from dagster import DagsterInstance
from dagster._core.launcher import LaunchRunContext, RunLauncher
from dagster._serdes import ConfigurableClass
from dagster._serdes.config_class import ConfigurableClassData

from pipeline.graph import SOURCE_TAG

_PATIENCE_SECONDS = 300
SPAWNING = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Ended:
    """A run as its worker saw it. Times are seconds of the machine's monotonic clock, one for all processes."""

    job: str
    source: str
    began: float
    ended: float
    fault: str = ""

    @property
    def holds_source(self) -> bool:
        """Whether no other run of its source may be under way. The long view only reads, and waits for no capture."""
        return not self.job.endswith("_long_view")


class ResidentLauncher(RunLauncher, ConfigurableClass):
    """Hands the run to the workers of this process."""

    orders: ClassVar[Queue[str | None] | None] = None
    launched: ClassVar[int] = 0

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        self._inst_data = inst_data
        super().__init__()

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        return self._inst_data

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> Self:
        return cls(inst_data)

    def launch_run(self, context: LaunchRunContext) -> None:
        assert self.orders is not None, "the soak starts its workers before the queue"
        self.orders.put(context.dagster_run.run_id)
        type(self).launched += 1

    def terminate(self, run_id: str) -> bool:
        return False


@dataclass
class Workers:
    """Started by `started`; what has ended is got one by one."""

    processes: list[BaseProcess]
    orders: Queue[str | None]
    done: Queue[Ended]
    ended: list[Ended] = field(default_factory=list)

    @classmethod
    def started(cls, count: int, logs: Path) -> Workers:
        orders: Queue[str | None] = SPAWNING.Queue()
        done: Queue[Ended] = SPAWNING.Queue()
        processes = [
            SPAWNING.Process(target=_work, args=(orders, done, logs / f"worker{number}.log"), daemon=True)
            for number in range(count)
        ]
        for process in processes:
            process.start()
        ResidentLauncher.orders, ResidentLauncher.launched = orders, 0
        return cls(list(processes), orders, done)

    @property
    def at_work(self) -> int:
        """How many runs were launched and have not ended."""
        return ResidentLauncher.launched - len(self.ended)

    def await_one(self) -> None:
        """Wait until a run has ended. Raises RuntimeError where none does, or a worker is gone."""
        try:
            self.ended.append(self.done.get(timeout=_PATIENCE_SECONDS))
        except Empty:
            alive = sum(process.is_alive() for process in self.processes)
            raise RuntimeError(
                f"No run ended within {_PATIENCE_SECONDS} s; {alive} of {len(self.processes)} workers are alive."
            ) from None

    def stop(self) -> None:
        for _ in self.processes:
            self.orders.put(None)
        for process in self.processes:
            process.join(timeout=20)
            process.kill()


def _work(orders: Queue[str | None], done: Queue[Ended], log: Path) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that judges
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    from pipeline_tests.soak.code import defs

    repository = defs.get_repository_def()
    with DagsterInstance.get() as instance:
        for run_id in iter(orders.get, None):
            began, fault, job, source = time.monotonic(), "", run_id, ""
            try:
                job, source = _execute(repository, instance, run_id)
            except Exception:
                fault = traceback.format_exc()
            done.put(Ended(job, source, began, time.monotonic(), fault))


def _execute(repository: Any, instance: DagsterInstance, run_id: str) -> tuple[str, str]:
    """The job and the source of the run."""
    from dagster._core.definitions.job_base import InMemoryJob
    from dagster._core.execution.api import execute_run_iterator

    run = instance.get_run_by_id(run_id)
    assert run is not None
    job = repository.get_maybe_subset_job_def(
        run.job_name, asset_selection=run.asset_selection, asset_check_selection=run.asset_check_selection
    )
    for _ in execute_run_iterator(InMemoryJob(job), run, instance):
        pass
    return run.job_name, run.tags[SOURCE_TAG]
