"""A Dagster run in this very process, recorded in the project's instance like any other.

Used by the command line: `collect` and `replay` run the same assets and checks as the daemon does,
without one.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.resources import files
from importlib.util import find_spec
from typing import Any

import dagster as dg
from filelock import FileLock
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DatabaseError

from pipeline.components.counter_source import source_definitions
from pipeline.core import errors
from pipeline.core.hours import Hour
from pipeline.core.model import Source
from pipeline.core.observe import Clock
from pipeline.core.project import Project, environment
from pipeline.failures import KIND
from pipeline.graph import capture_job, history_job, know_pools
from pipeline.resources import CLOCK, shared_resources

POSTGRES = "RATCHET_POSTGRES"
"""The variable with the address of a PostgreSQL database, where Dagster's instance lies in one and not in SQLite."""

ALLOCATORS = {"MALLOC_ARENA_MAX": "2", "ARROW_DEFAULT_MEMORY_POOL": "system"}
"""The variables that keep the memory of a process flat which stays for months. They count from its start.

`ratchet dev` and deploy/ set them; docs/decisions.md, "Memory of processes that stay", has the measurement.
"""

_DRIVER = "postgresql+psycopg2://"
_FORM = f"Write it as {_DRIVER}USER:PASSWORD@HOST:5432/DATABASE, with what is special in it percent-encoded."
_POSTGRES_STORAGE = f"""
storage:                  # the address, with its password, stays in the environment
  postgres:
    postgres_url: {{env: {POSTGRES}}}
"""
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True)
class Outcome:
    """How a run ended: with success, blocked by a check, or with the words of the first failure.

    ``kind`` is that of a RatchetError, or None where the failure is none of ours.
    """

    success: bool
    blocked: bool = False
    kind: str | None = None
    words: str = ""

    def error(self) -> errors.RatchetError:
        """The failure as the error that it was before Dagster told of it."""
        if self.kind is None:
            return errors.RatchetError(self.words, "This is a fault in Ratchet: please report it with the text above.")
        return errors.from_kind(self.kind, self.words)


@contextmanager
def dagster_instance(project: Project) -> Iterator[dg.DagsterInstance]:
    """The instance under the project's data, made on first use. Raises LakeFault where its database cannot be used."""
    os.environ["DAGSTER_HOME"] = str(project.dagster_home)
    with ExitStack() as held:
        with _one_at_a_time(project):
            prepare_dagster_home(project)
            held.enter_context(_database_faults(project))
            instance = held.enter_context(dg.DagsterInstance.get())
        yield instance


@contextmanager
def _one_at_a_time(project: Project) -> Iterator[None]:
    """Dagster makes the tables that it does not find: of two that look at once, one would fail to.

    Whoever waits here waits for the other's second of making, or for its end.
    """
    with _home_faults(project):
        project.dagster_home.mkdir(parents=True, exist_ok=True)
        lock = FileLock(project.dagster_home / ".opening.lock")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _database_faults(project: Project) -> Iterator[None]:
    """Turn what a database says that is full, read-only, broken or not there into LakeFault."""
    in_postgres = bool(os.environ.get(POSTGRES))
    faults: tuple[type[Exception], ...] = (DatabaseError,)
    if in_postgres:
        from dagster_postgres.utils import DagsterPostgresException

        faults += (DagsterPostgresException,)
        logging.getLogger().addFilter(_is_no_retry)
    try:
        yield
    except faults as fault:
        origin = fault if isinstance(fault, DatabaseError) else fault.__cause__
        said, *_ = str(getattr(origin, "orig", fault)).splitlines() or ["it does not say why"]
        if in_postgres:
            raise errors.LakeFault(
                f"Dagster's database of {POSTGRES} cannot be used: {said}",
                "Start PostgreSQL, or mend the address; what was accepted is in the lake.",
            ) from fault
        raise errors.LakeFault(
            f"Dagster's database cannot be used at {project.dagster_home}: {said}",
            "Make room on the disk and check the folder's owner; what was accepted is in the lake. "
            "If it lasts, move that folder away and run: ratchet rebuild",
        ) from fault


def _is_no_retry(record: logging.LogRecord) -> bool:
    """Dagster writes of each attempt to reach PostgreSQL what the error says in the end."""
    return not str(record.msg).startswith("Retrying failed database")


def prepare_dagster_home(project: Project) -> None:
    """Make the home with its dagster.yaml on first use.

    Raises LakeFault where it cannot be made, and ConfigError where RATCHET_POSTGRES cannot be used or is not what the
    home was made for: Dagster would otherwise go on, in silence, with an instance that knows nothing.
    """
    in_postgres = _in_postgres()
    settings = project.dagster_home / "dagster.yaml"
    with _home_faults(project):
        if settings.exists():
            _require_same_storage(project, settings.read_text(encoding="utf-8"), in_postgres)
            return
        settings.parent.mkdir(parents=True, exist_ok=True)
        text = files("pipeline").joinpath("dagster.yaml").read_text(encoding="utf-8")
        settings.write_text(text + (_POSTGRES_STORAGE if in_postgres else ""), encoding="utf-8")


@contextmanager
def _home_faults(project: Project) -> Iterator[None]:
    try:
        yield
    except OSError as fault:
        raise errors.LakeFault(
            f"Dagster's home cannot be made at {project.dagster_home}: {fault.strerror}",
            "Check the folder's owner and the disk's space.",
        ) from fault


def _in_postgres() -> bool:
    """Whether RATCHET_POSTGRES is set, which is then handed to Dagster. Raises ConfigError where it cannot be used."""
    address = environment().get(POSTGRES)
    if not address:
        return False
    if not address.startswith(_DRIVER):
        raise errors.ConfigError(
            f"{POSTGRES} does not begin with {_DRIVER}",
            f"{_FORM} Without its name another driver is looked for.",
        )
    try:
        make_url(address)
    except (ArgumentError, ValueError):  # quotes the address, which holds the password
        raise errors.ConfigError(f"{POSTGRES} is no address of a database.", _FORM) from None
    if find_spec("dagster_postgres") is None:
        raise errors.ConfigError(
            f"{POSTGRES} is set, and the library dagster-postgres is not installed.",
            "Install from requirements.lock, which holds it, or the dependency group 'postgres' of pyproject.toml.",
        )
    os.environ[POSTGRES] = address
    return True


def _require_same_storage(project: Project, settings: str, in_postgres: bool) -> None:
    if (POSTGRES in settings) == in_postgres:
        return
    made_for = f"PostgreSQL, and {POSTGRES} is not set" if not in_postgres else f"SQLite, and {POSTGRES} is set"
    raise errors.ConfigError(
        f"Dagster's home at {project.dagster_home} was made for {made_for}.",
        "Mend the environment; or, to change the database, move that folder away and run: ratchet rebuild",
    )


@dataclass(frozen=True)
class SourceRuns:
    """Runs the jobs of one source in this process. ``overrides`` replace shared resources by key."""

    source: Source
    instance: dg.DagsterInstance
    definitions: dg.Definitions

    @classmethod
    def of(cls, source: Source, instance: dg.DagsterInstance) -> SourceRuns:
        """The runs of a source, with shared resources and the limits of its pools."""
        definitions = dg.Definitions.merge(
            source_definitions(source),
            dg.Definitions(resources=shared_resources(), executor=dg.in_process_executor),
        )
        know_pools(instance, source)
        return cls(source, instance, definitions)

    def capture(self, hour: Hour, clock: Clock) -> Outcome:
        """One run of the four assets and their checks for ``hour``, at the time of ``clock``."""
        job = self.definitions.resolve_job_def(capture_job(self.source))
        return _execute(job, self.instance, partition_key=hour.partition_key, resources={CLOCK: clock})

    def history(self, tell_from: Hour | None = None) -> None:
        """One run that finishes what is planned or interrupted, and tells Dagster of the hours it changed.

        ``tell_from``: tell it of every hour from there on. Raises what went wrong.
        """
        config = {"tell_from": tell_from.key} if tell_from else {}
        ops = {f"{self.source.name}_settle": {"config": config}}
        job = self.definitions.resolve_job_def(history_job(self.source))
        outcome = _execute(job, self.instance, {"ops": ops})
        if not outcome.success:
            raise outcome.error()


def _execute(
    job: dg.JobDefinition,
    instance: dg.DagsterInstance,
    run_config: Mapping[str, Any] | None = None,
    **arguments: Any,
) -> Outcome:
    result = job.execute_in_process(
        run_config={**(run_config or {}), **_QUIET}, instance=instance, raise_on_error=False, **arguments
    )
    return Outcome(True) if result.success else _failure(result)


def _failure(result: dg.ExecuteInProcessResult) -> Outcome:
    failed = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    for failure in failed:
        told = failure.user_failure_data
        if told is not None and KIND in told.metadata:
            return Outcome(False, kind=str(told.metadata[KIND].value), words=told.description or "")
        if failure.error is not None and failure.error.cls_name == "DagsterAssetCheckFailedError":
            return Outcome(False, blocked=True)
    return Outcome(
        False, words="\n".join(str(failure.error) for failure in failed) or "The run failed before its first step."
    )
