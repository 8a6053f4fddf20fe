"""``ratchet drill``: every fault injected on purpose, and whether each was loud."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.drill.drilling import Row


@click.command()
@click.option("--source", help="Drill the counters, rules and bounds of this source; its data is not touched.")
@click.option("--to-my-channels", is_flag=True, help="Send the messages to the channels of that source, too.")
@click.option("--only", multiple=True, metavar="FAULT", help="Inject this fault only; may be given several times.")
@click.option("--jobs", type=click.IntRange(min=1), help="Faults at once; by default one more than processors.")
@click.option("--strict", is_flag=True, help="Fail also where a fault could not be injected on this machine.")
@click.option("--json", "as_json", is_flag=True, help="Print one list of objects: fault, expected, happened, loud.")
def command(
    source: str | None, to_my_channels: bool, only: Sequence[str], jobs: int | None, strict: bool, as_json: bool
) -> None:
    """Inject every fault into a throw-away source and show that each is loud.

    The source lives in a temporary folder, its platform is the sandbox on loopback and its channel a receiver there.
    Exit codes, messages, the bytes of the lake and Dagster's GraphQL are judged, each from outside. Ends with 1 if any
    fault passed quietly.

    \b
    Examples: ratchet drill
              ratchet drill --source my_blog --only "decrease of one" --only 401
    """
    from pipeline.cli.saying import say_json
    from pipeline.core.errors import ConfigError
    from pipeline.core.project import Project
    from pipeline.drill.drilling import chosen_faults, inject
    from pipeline.drill.stage import Subject

    if to_my_channels and source is None:
        raise ConfigError("--to-my-channels needs to know whose.", "Name the source: --source NAME.")
    faults = chosen_faults(only)
    subject = Subject.of(Project.here(), source, with_channels=to_my_channels) if source else Subject()
    if subject.remark:
        click.echo(subject.remark, err=True)
    count = 0

    def done(row: Row) -> None:
        nonlocal count
        count += 1
        click.echo(f"{count} of {len(faults)}: {row.fault}: {_word(row)}", err=True)

    rows = inject(subject, faults, jobs or (os.cpu_count() or 1) + 1, done)
    say_json(rows) if as_json else _print_table(rows)
    if any(row.loud is False or (strict and row.loud is None) for row in rows):
        sys.exit(1)


def _word(row: Row) -> str:
    from pipeline.drill.mishaps import CONTROL

    if row.fault == CONTROL:
        return "right" if row.loud else "WRONG"
    return {True: "loud", False: "QUIET", None: "not injected"}[row.loud]


def _print_table(rows: Sequence[Row]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from pipeline.core.text import counted

    console = Console()
    table = Table(show_lines=True)
    table.add_column("fault", min_width=12)
    table.add_column("expected", ratio=1)
    table.add_column("happened", ratio=2)
    table.add_column("loud")
    colours = {True: "green", False: "bold red", None: "yellow"}
    for row in rows:
        verdict = f"[{colours[row.loud]}]{_word(row)}[/]"
        table.add_row(escape(row.fault), escape(row.expected), escape(row.happened), verdict)
    console.print(table)
    quiet = sum(row.loud is False for row in rows)
    skipped = sum(row.loud is None for row in rows)
    console.print(
        f"{counted(len(rows), 'fault')}: {len(rows) - quiet - skipped} loud, {quiet} quiet, {skipped} not injected."
    )
