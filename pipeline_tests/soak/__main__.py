"""`python -m pipeline_tests.soak`: a simulated week of many sources, a table, and 1 where anything went wrong."""

from __future__ import annotations

import os
import signal
import sys
import threading
from itertools import takewhile
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import click
from rich.console import Console
from rich.progress import track
from rich.table import Table

from pipeline.running import ALLOCATORS
from pipeline_tests.soak.verdict import ENOUGH_TO_JUDGE_MEMORY, Figures, figures
from pipeline_tests.soak.week import Week, made_week


def _print(console: Console, found: Figures, week: Week) -> None:
    seconds = week.seconds
    table = Table(box=None, show_header=False)
    for name, value in (
        ("sources, simulated hours", f"{week.sources}, {found.hours:,}"),
        ("runs, most at once", f"{found.runs:,}, {found.at_once}"),
        ("captures refused by plan, hour saved by the next tick", f"{found.refused_by_plan:,}"),
        ("hours lost", f"{len(found.lost):,} of {week.sources * found.hours:,}"),
        ("overlaps within a source", f"{len(found.overlaps):,}"),
        ("files that say 'database is locked'", f"{len(found.locked):,}"),
        ("one simulated hour took, median and most", f"{median(seconds):.1f} s, {max(seconds):.1f} s"),
    ):
        table.add_row(name, value)
    for process, (ratio, held) in found.growth.items():
        words = f"{held / 2**20:,.0f} MB"
        if found.hours >= ENOUGH_TO_JUDGE_MEMORY:
            words += f", {ratio:.3f} of what it was after the first day"
        table.add_row(f"memory of the {process}", words)
    console.print(table)


def _print_day(console: Console, week: Week) -> None:
    """What is at hand. To judge the lake and the database would take memory of the very process that is measured."""
    held = ", ".join(f"{process} {values[-1] / 2**20:,.0f}" for process, values in week.memory.items())
    hours = len(week.seconds)
    console.print(f"{hours:,} hours, {median(week.seconds[-24:]):.1f} s each. MB held: {held}", soft_wrap=True)


@click.command()
@click.option("--sources", type=click.IntRange(1, 99), default=20, show_default=True, help="How many sources.")
@click.option("--hours", type=click.IntRange(min=1), default=168, show_default=True, help="How many simulated hours.")
@click.option("--workers", type=click.IntRange(min=1), default=4, show_default=True, help="Processes that run runs.")
def main(sources: int, hours: int, workers: int) -> None:
    """Let so many sources tick at the same minute, hour after hour, under a driven clock.

    A line comes with every simulated day, and a table at the end. Ctrl-C ends it with the hour that it is in, and
    judges what was done.

    Example: python -m pipeline_tests.soak --sources 5 --hours 24
    """
    console, enough = Console(), threading.Event()
    signal.signal(signal.SIGINT, lambda *_: enough.set())
    with TemporaryDirectory(prefix="ratchet-soak-") as folder, made_week(Path(folder), sources, workers) as week:
        simulated = track(week.run(hours), "Simulating", total=hours, console=console)
        for hour in takewhile(lambda _: not enough.is_set(), simulated):
            if (hour + 1) % 24 == 0:
                _print_day(console, week)
        found = figures(week)
        _print(console, found, week)
    failures = list(found.failures())
    for failure in failures:
        console.print(f"[red]✗[/] {failure}", highlight=False)
    if not failures:
        console.print("No hour was lost, no source met itself, and no process waited in vain for the database.")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    if not ALLOCATORS.items() <= os.environ.items():  # this process is measured too, and they count from a start
        os.execve(sys.executable, sys.orig_argv, os.environ | ALLOCATORS)
    main()
