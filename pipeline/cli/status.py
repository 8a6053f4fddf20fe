"""``ratchet status``: the ledger of one source or of all, as a table or as JSON. Imports no Dagster."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pipeline.core.errors import ConfigError
    from pipeline.core.model import Source

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_MARKS = {"observed": "[green]●[/]", "quarantined": "[red]✗[/]", "unfinished": "[yellow]◐[/]", "gap": "[dim]·[/]"}
_STRIP_HOURS = 24
_REJECTED = "rejected_by_owner"


class _Age(click.ParamType[timedelta]):
    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        found = re.fullmatch(r"(\d+)([mhd])", str(value))
        if found is None:
            self.fail(f"'{value}' is not an age; write it as 90m, 2h or 1d", param, ctx)
        return timedelta(**{_UNITS[found[2]]: int(found[1])})


@click.command()
@click.argument("source", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--max-age", type=_Age(), help="Exit with 1 when the last accepted capture is older: 90m, 2h, 1d.")
def command(source: str | None, as_json: bool, max_age: timedelta | None) -> None:
    """Show the ledger of SOURCE, or of every source: hours observed, quarantined, missing.

    \b
    Example: ratchet status recorded --json
    """
    from pipeline.core.project import Project
    from pipeline.core.sources import find_source, sound_sources
    from pipeline.core.status import status_of

    project, now = Project.here(), datetime.now(UTC)
    broken: list[ConfigError] = []
    if source is None:
        sources, broken = sound_sources(project)
    else:
        sources = [find_source(project, source)]
    found = {known.name: status_of(project.lake.source(known.name), known, now) for known in sources}
    if as_json:
        import msgspec

        content = found[source] if source is not None else found
        click.echo(msgspec.json.format(msgspec.json.encode(content)).decode())
    else:
        _print(found)
    fresh = True
    if max_age is not None:
        judged = [known.name for known in sources if source is not None or _is_awaited(known, now)]
        fresh = _is_fresh({name: found[name] for name in judged}, max_age, now)
    for error in broken:
        click.echo(f"Error: {error.what}\n{error.next_step}", err=True)
    if broken:
        sys.exit(broken[0].exit_code)
    if not fresh:
        sys.exit(1)


def _is_awaited(source: Source, now: datetime) -> bool:
    """Whether the present should bring captures of the source."""
    return source.enabled and not source.simulated and (source.end is None or now < source.end.end)


def _print(found: dict[str, dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("source", "last 24 hours", "observed", "quarantined", "gaps", "last accepted"):
        table.add_column(name, no_wrap=True, justify="right" if name in ("observed", "quarantined", "gaps") else "left")
    for name, status in found.items():
        hours = list(status["hours"].values())[-_STRIP_HOURS:]
        table.add_row(
            name,
            "".join(_MARKS[state] for state in hours) or "[dim]nothing yet[/]",
            f"{status['observed']:,}",
            f"{status['quarantined']:,}",
            f"{status['gaps']:,}",
            (status["last_accepted"] or "never")[: len("2026-11-22T14:17")].replace("T", " "),
        )
    console.print(table)
    for name, status in found.items():
        for refused in status["quarantined_hours"][-3:]:
            console.print(f"\n[red]✗[/] {name} {refused['hour']} {escape(_refusal_words(refused))}")
    console.print("\n[dim]● observed  ✗ quarantined  ◐ unfinished  · gap[/]")


def _refusal_words(refused: dict[str, Any]) -> str:
    """``refused by CHECKS: REASON``, or the reason alone where it says already that the owner rejected it."""
    reason = str(refused["reason"])
    if refused["checks"] == [_REJECTED]:
        return "r" + reason.removeprefix("R")
    return f"refused by {', '.join(refused['checks'])}: {reason}"


def _is_fresh(found: dict[str, dict[str, Any]], max_age: timedelta, now: datetime) -> bool:
    from pipeline.core.hours import parse_time

    stale = [
        name
        for name, status in found.items()
        if status["last_accepted"] is None or now - parse_time(status["last_accepted"]) > max_age
    ]
    for name in stale:
        last = found[name]["last_accepted"]
        words = f"has accepted nothing since {last}" if last else "has never accepted anything"
        click.echo(f"{name} {words}. Run: ratchet collect {name}", err=True)
    return not stale
