"""The drill as a whole: every fault on a stage of its own, several at once, and what it comes to."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipeline.core.errors import ConfigError
from pipeline.core.hours import Hour
from pipeline.drill.daemons import daemon_faults
from pipeline.drill.faults import Fault, NotHere, Outcome, content_faults, platform_faults
from pipeline.drill.mishaps import control, machine_faults
from pipeline.drill.programs import program_faults
from pipeline.drill.stage import Prepared, Subject, prepare
from pipeline.running import POSTGRES


@dataclass(frozen=True)
class Row:
    """What one fault came to. ``loud`` is None where it could not be injected."""

    fault: str
    expected: str
    happened: str
    loud: bool | None


def all_faults() -> list[Fault]:
    """In the order of the table. The control comes first: nothing is wrong, and nothing is told."""
    return [
        control(),
        *platform_faults(),
        *content_faults(),
        *program_faults(),
        *machine_faults(),
        *daemon_faults(),
    ]


def chosen_faults(names: Sequence[str]) -> list[Fault]:
    """Those called so, or all. Raises ConfigError for a name that is none."""
    known = all_faults()
    unknown = sorted(set(names) - {fault.name for fault in known})
    if unknown:
        names_known = ", ".join(fault.name for fault in known)
        raise ConfigError(f"There is no fault called '{unknown[0]}'.", f"The faults: {names_known}.")
    return [fault for fault in known if not names or fault.name in names]


def inject(
    subject: Subject, faults: Sequence[Fault], jobs: int, done: Callable[[Row], object] = lambda row: None
) -> list[Row]:
    """Inject each of ``faults``, ``jobs`` at once; ``done`` hears of each as it ends. In the order of ``faults``.

    Raises ConfigError where the subject's YAML cannot be used.
    """
    os.environ[POSTGRES] = ""  # each stage has an instance of its own, in SQLite; the owner's is left alone
    with _folder() as folder, ThreadPoolExecutor(jobs) as pool:
        prepared = prepare(folder / "prepared", subject)
        # The last ones take longest.
        running = {
            pool.submit(_row, prepared, fault, folder / f"fault{number}"): number
            for number, fault in reversed(list(enumerate(faults)))
        }
        rows: dict[int, Row] = {}
        try:
            for ended in as_completed(running):
                rows[running[ended]] = ended.result()
                done(ended.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            prepared.processes.abandon()
            raise
    return [rows[number] for number in sorted(rows)]


def _row(prepared: Prepared, fault: Fault, folder: Path) -> Row:
    try:
        outcome = _played(prepared, fault, folder)
    except NotHere as reason:
        return Row(fault.name, fault.expected, f"could not be injected here: {reason}", None)
    happened = outcome.happened
    if outcome.problems:
        happened += f". QUIET: {'; '.join(outcome.problems)}"
    return Row(fault.name, fault.expected, happened, not outcome.problems)


def _played(prepared: Prepared, fault: Fault, folder: Path) -> Outcome:
    """Once, or a second time where the hour ended meanwhile: most verdicts are about one hour."""
    while True:
        began = Hour.of(datetime.now(UTC))
        with prepared.stage(folder) as stage:
            outcome = fault.play(stage, began)
        if Hour.of(datetime.now(UTC)) == began or not outcome.problems or prepared.processes.abandoned.is_set():
            return outcome


@contextmanager
def _folder() -> Iterator[Path]:
    """Outside the lake and the definitions of the owner, and gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="ratchet-", ignore_cleanup_errors=True) as folder:
        yield Path(folder).resolve()
