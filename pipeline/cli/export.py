"""``ratchet export``: a source's history as one file for other tools. Imports no Dagster, needs no credential."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pipeline.core.export.formats import Format
    from pipeline.core.export.tables import Export
    from pipeline.core.hours import Hour
    from pipeline.core.project import Project

_STDOUT = "-"


class _Bound(click.ParamType["Hour"]):
    name = "hour"

    def __init__(self, *, last: bool) -> None:
        self.last = last

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Hour:
        from pipeline.core.hours import Hour

        try:
            return Hour.bound(str(value), last=self.last)
        except ValueError as fault:
            self.fail(f"{fault}, or a day as 2026-11-22", param, ctx)


@click.command()
@click.argument("source")
@click.option("-o", "--output", "output", required=True, help="The file to write, or - for standard output.")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["csv", "parquet", "sqlite", "json", "jsonl"]),
    help="By default as the file's name ends. json is one array, jsonl one object a line.",
)
@click.option(
    "--what",
    type=click.Choice(["snapshots", "deltas", "crossings"]),
    default="snapshots",
    show_default=True,
    help="Which rows: the items of every hour, their changes, or the thresholds that they crossed.",
)
@click.option("--from", "first", type=_Bound(last=False), help="First hour: 2026-11-22T14, or a day.")
@click.option("--to", "last", type=_Bound(last=True), help="Last hour, which is included; of a day, its last.")
@click.option("--counters", help="Only these, as views,likes. All by default.")
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
def command(
    source: str,
    output: str,
    kind: str | None,
    what: str,
    first: Hour | None,
    last: Hour | None,
    counters: str | None,
    force: bool,
) -> None:
    """Write the accepted history of SOURCE to one file for other tools.

    Reads the lake alone, hour by hour, and keeps no capture waiting. The file appears when it is whole.
    In csv, a text that a spreadsheet would take for a formula begins with an apostrophe.

    \b
    Examples: ratchet export recorded -o history.csv
              ratchet export recorded -o march.sqlite --what deltas --from 2026-03-08 --to 2026-03-31
              ratchet export recorded -o - --format jsonl --what crossings
    """
    from datetime import UTC, datetime

    from pipeline.cli.progress import on_stderr
    from pipeline.core.errors import ConfigError
    from pipeline.core.export.formats import Format, format_of, require_free, write_file
    from pipeline.core.export.tables import Contents, plan_export
    from pipeline.core.project import Project
    from pipeline.core.sources import find_lake

    if first is not None and last is not None and last < first:
        raise ConfigError(f"{last} lies before {first}.", "Let --to be no earlier than --from.")
    if kind is None and output == _STDOUT:
        raise ConfigError("Standard output has no name that says its format.", "Add --format csv, json or jsonl.")
    project = Project.here()
    target = Path(output).resolve()
    wanted = Format(kind) if kind else format_of(target)
    if output != _STDOUT:
        _require_outside(project, target)
        require_free(target, force)
    chosen = _names(counters) if counters is not None else None
    export = plan_export(find_lake(project, source), Contents(what), first, last, chosen)
    with on_stderr("Exporting", lambda: len(export.hours)) as done:
        if output == _STDOUT:
            rows = _to_stdout(export, wanted, datetime.now(UTC), done)
        else:
            rows = write_file(export, wanted, target, datetime.now(UTC), done, replace=force)
    place = "" if output == _STDOUT else f" to {output} ({target.stat().st_size / 1e6:,.1f} MB)"
    click.echo(f"Wrote {rows:,} rows of {what}, {_stretch(export)}{place}.", err=output == _STDOUT)


def _stretch(export: Export) -> str:
    from pipeline.core.text import counted

    return f"{counted(len(export.hours), 'hour')} from {export.hours[0]} to {export.hours[-1]}"


def _names(counters: str) -> list[str]:
    from pipeline.core.errors import ConfigError

    names = [name.strip() for name in counters.split(",")]
    if not all(names):
        raise ConfigError("--counters holds an empty name.", "Write it as --counters views,likes.")
    return names


def _require_outside(project: Project, target: Path) -> None:
    from pipeline.core.errors import ConfigError

    if target.is_relative_to(project.lake.root):
        raise ConfigError(f"{target} lies in the lake, where only observations are kept.", "Name a file elsewhere.")


def _to_stdout(export: Export, kind: Format, now: Any, done: Callable[[Hour], None]) -> int:
    from pipeline.core.errors import ConfigError
    from pipeline.core.export.formats import write_stream

    try:
        # Not sys.stdout.buffer: where PYTHONUNBUFFERED is set, it writes a part of what it is given and says nothing.
        with open(sys.stdout.fileno(), "wb", closefd=False) as stream:
            return write_stream(export, kind, stream, now, done)
    except OSError as fault:
        if isinstance(fault, BrokenPipeError):  # `| head` has seen enough
            sys.exit(128 + signal.SIGPIPE)
        raise ConfigError(
            f"Standard output cannot be written: {fault.strerror}.", "Make room, or name a file."
        ) from fault
