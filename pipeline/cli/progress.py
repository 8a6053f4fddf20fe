"""How far a long command is: a bar where a person looks at it. rich is imported only where it draws."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from pipeline.core.hours import Hour


def follow(console: Console, what: str, total: int, hours: Iterable[Hour], line_every: int) -> None:
    """Go through all ``hours``; where no terminal is, a line after so many of them stands for the bar."""
    with _bar(console) as progress:
        task = progress.add_task(what, total=total)
        for done, hour in enumerate(hours, start=1):
            progress.update(task, advance=1, description=f"{what} {hour.key}")
            if not console.is_terminal and done % line_every == 0:
                click.echo(f"{what}: {done:,} of {total:,}, {hour.key}")


@contextmanager
def on_stderr(what: str, total: Callable[[], int]) -> Iterator[Callable[[object], None]]:
    """What it yields is called with the name of each step that is done. Where no terminal is, nothing is shown."""
    if not sys.stderr.isatty():
        yield lambda step: None
        return
    from rich.console import Console

    with _bar(Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=total())
        yield lambda step: progress.update(task, advance=1, description=f"{what} {step}")


def _bar(console: Console, transient: bool = False) -> Progress:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=transient)
