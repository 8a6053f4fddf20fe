"""What became of the week, judged from outside: files of the lake, bytes of the database, times of the runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

from dagster import DagsterRunStatus, RunsFilter
from dagster._core.scheduler.instigation import InstigatorType, TickStatus

from pipeline.core.hours import Hour
from pipeline.core.lake import VALIDATED
from pipeline_tests.soak.platforms import FIRST, is_stale
from pipeline_tests.soak.week import Week, names
from pipeline_tests.soak.workers import Ended

LOCKED = b"database is locked"
GROWTH_ALLOWED = 1.10
WARM_UP_HOURS = 24
"""Caches fill in the first simulated day; from there on memory has to stay."""
ENOUGH_TO_JUDGE_MEMORY = 72
_CHUNK = 1 << 24


@dataclass(frozen=True)
class Figures:
    """``growth``: of each process the median of its last simulated day over that of its second one."""

    hours: int
    runs: int
    refused_by_plan: int
    lost: tuple[str, ...]
    overlaps: tuple[str, ...]
    locked: tuple[str, ...]
    faults: tuple[str, ...]
    growth: dict[str, tuple[float, int]]
    at_once: int

    def failures(self) -> Iterator[str]:
        """Why the soak failed, in plain words; nothing where all is well."""
        yield from (f"lost: {hour}" for hour in self.lost)
        yield from (f"overlap: {found}" for found in self.overlaps)
        yield from (f"database is locked: {file}" for file in self.locked)
        yield from self.faults
        if self.hours >= ENOUGH_TO_JUDGE_MEMORY:
            for process, (ratio, _) in self.growth.items():
                if ratio > GROWTH_ALLOWED:
                    yield f"memory of the {process} grew to {ratio:.2f} of what it was after the first day"


def figures(week: Week) -> Figures:
    """Read the week's lake, database and logs; its workers have nothing left to do."""
    hours = len(week.seconds)
    planned = {(name, FIRST + hour) for name, hour in _stale(week.sources, hours)}
    return Figures(
        hours=hours,
        runs=len(week.workers.ended),
        refused_by_plan=len(planned),
        lost=tuple(_lost(week, hours)),
        overlaps=tuple(overlaps(week.workers.ended)),
        locked=tuple(files_with(LOCKED, [week.project.dagster_home, week.folder / "logs"])),
        faults=tuple(_faults(week, planned)),
        growth={process: growth(values) for process, values in week.memory.items()},
        at_once=most_at_once(week.workers.ended),
    )


def _stale(sources: int, hours: int) -> Iterator[tuple[str, int]]:
    for number, name in enumerate(names(sources)):
        yield from ((name, hour) for hour in range(hours) if is_stale(number, hour))


def _lost(week: Week, hours: int) -> Iterator[str]:
    for name in names(week.sources):
        lake = week.project.lake.source(name)
        yield from (f"{name} {hour.key}" for hour in _hours(hours) if not lake.exists(VALIDATED, hour))


def _hours(count: int) -> Iterable[Hour]:
    return (FIRST + hour for hour in range(count))


def _faults(week: Week, planned: set[tuple[str, Hour]]) -> Iterator[str]:
    """What went otherwise than planned: crashed workers, failed ticks, refusals and failed runs."""
    yield from (f"a worker crashed in {ended.job}: {ended.fault}" for ended in week.workers.ended if ended.fault)
    refused = {(name, c.hour) for name in names(week.sources) for c in week.project.lake.source(name).refused()}
    yield from (f"not refused as planned: {name} {hour.key}" for name, hour in planned - refused)
    yield from (f"refused: {name} {hour.key}" for name, hour in refused - planned)
    failed = week.instance.get_runs_count(RunsFilter(statuses=[DagsterRunStatus.FAILURE]))
    if failed != len(planned):
        yield f"{failed} runs failed instead of {len(planned)}"
    for state in week.instance.all_instigator_state(instigator_type=InstigatorType.SCHEDULE):
        ticks = week.instance.get_ticks(state.instigator_origin_id, state.selector_id, statuses=[TickStatus.FAILURE])
        yield from (f"a tick of {state.instigator_name} failed: {tick.error}" for tick in ticks)


def overlaps(ended: Sequence[Ended]) -> Iterator[str]:
    """Pairs of runs that hold one source of which the second began before the first had ended."""
    for source in sorted({run.source for run in ended}):
        mine = sorted((run for run in ended if run.source == source and run.holds_source), key=lambda run: run.began)
        for first, second in pairwise(mine):
            if second.began < first.ended:
                yield f"{source}: {second.job} began {first.ended - second.began:.1f} s before {first.job} ended"


def most_at_once(ended: Sequence[Ended]) -> int:
    """How many runs were at work at the same moment, at most."""
    changes = Counter[tuple[float, int]]()
    for run in ended:
        changes[(run.began, 1)] += 1
        changes[(run.ended, -1)] += 1
    now = most = 0
    for (_, change), count in sorted(changes.items()):
        now += change * count
        most = max(most, now)
    return most


def growth(values: Sequence[int]) -> tuple[float, int]:
    """How memory at the end stands to memory after the warm-up, and what it is at the end, in bytes."""
    early = values[WARM_UP_HOURS : 2 * WARM_UP_HOURS] or values
    late = median(values[-WARM_UP_HOURS:])
    return late / median(early), int(late)


def files_with(words: bytes, folders: Iterable[Path]) -> Iterator[str]:
    """The files under ``folders`` that hold ``words``, whatever their kind."""
    for folder in folders:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            if _holds(file, words):
                yield str(file.relative_to(folder.parent))


def _holds(file: Path, words: bytes) -> bool:
    kept = b""
    with file.open("rb") as opened:
        while chunk := opened.read(_CHUNK):
            if words in kept + chunk:
                return True
            kept = chunk[-len(words) :]
    return False
