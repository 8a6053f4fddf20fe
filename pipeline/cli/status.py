"""``ratchet status``: the ledger of one source or of all, as a table or as JSON. Imports no Dagster."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.core.lake import SourceLake
    from pipeline.core.model import Source

_MARKS = {"observed": "[green]●[/]", "quarantined": "[red]✗[/]", "unfinished": "[yellow]◐[/]", "gap": "[dim]·[/]"}
_STRIP_HOURS = 24


class _Age(click.ParamType[timedelta]):
    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        from pipeline.core.hours import parse_span

        try:
            return parse_span(str(value))
        except ValueError:
            self.fail(f"'{value}' is not an age; write it as 90m, 2h or 1d", param, ctx)


@click.command()
@click.argument("source", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--storage", is_flag=True, help="Print the room that each source takes, and how it grows by the year.")
@click.option("--max-age", type=_Age(), help="Exit with 1 when the last accepted capture is older: 90m, 2h, 1d.")
def command(source: str | None, as_json: bool, storage: bool, max_age: timedelta | None) -> None:
    """Show the ledger of SOURCE, or of every source: hours observed, quarantined, missing.

    \b
    Example: ratchet status recorded --json
    """
    from pipeline.cli.saying import end_with, say_error, say_json
    from pipeline.core.incidents.book import Book
    from pipeline.core.project import Project
    from pipeline.core.sources import find_source_of_history, sources_of_history
    from pipeline.core.status import status_of

    project, now = Project.here(), datetime.now(UTC)
    book = Book(project.lake.project)
    sources, broken = sources_of_history(project) if source is None else ([find_source_of_history(project, source)], [])
    if storage:
        _print_storage([project.lake.source(known.name) for known in sources])
        return
    found = {known.name: status_of(project.lake.source(known.name), known, now, book) for known in sources}
    if as_json:
        say_json(found[source] if source is not None else found)
    else:
        ended = {known.name for known in sources if known.end is not None and now >= known.end.end}
        _print(found, now, ended)
        _print_unusable_channels(sources)
    fresh = True
    if max_age is not None:
        judged = [known.name for known in sources if source is not None or known.is_awaited(now)]
        fresh = _is_fresh({name: found[name] for name in judged}, max_age, now)
    unset = [known.unset for known in sources if known.unset is not None]
    if source is None:
        end_with([*broken, *unset])
    for error in unset:  # its history was asked for, and told
        say_error(error)
    if not fresh:
        sys.exit(1)


def _print_storage(lakes: list[SourceLake]) -> None:
    from pipeline.core.storage import storage_lines, storage_of

    for line in storage_lines([storage_of(lake) for lake in lakes]):
        click.echo(line)


def _print(found: dict[str, dict[str, Any]], now: datetime, ended: set[str]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from pipeline.cli.saying import say_table

    console = Console()
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("source", "its last 24 hours", "observed", "quarantined", "gaps", "last accepted"):
        table.add_column(name, no_wrap=True, justify="right" if name in ("observed", "quarantined", "gaps") else "left")
    now_table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("source", "last incident", "credential"):
        now_table.add_column(name, overflow="fold")
    for name, status in found.items():
        hours = list(status["hours"].values())[-_STRIP_HOURS:]
        table.add_row(
            name,
            "".join(_MARKS[state] for state in hours) or "[dim]nothing yet[/]",
            f"{status['observed']:,}",
            f"{status['quarantined']:,}",
            f"{status['gaps']:,}",
            _accepted_words(status, now) + (" (ended)" if name in ended else ""),
        )
        now_table.add_row(name, _incident_words(status), _credential_words(status, now))
    say_table(console, table)
    console.print()
    console.print(now_table)
    for name, status in found.items():
        for line in _open_lines(name, status):
            console.print(escape(line), soft_wrap=True)
        told = (_open_incident(status) or {"next_step": ""})["next_step"]
        for refused in status["quarantined_hours"][-3:]:
            words = escape(_refusal_words(refused))
            console.print(f"\n[red]✗[/] {name} {refused['hour']} {words}", soft_wrap=not console.is_terminal)
            if refused["next_step"] and refused["next_step"] not in told:
                console.print(f"  {escape(refused['next_step'])}", soft_wrap=True)
        for decision in status["corrections"][-3:]:
            console.print(f"\n✎ {name} {escape(_decision_words(decision))}", soft_wrap=True)
    console.print("\n[dim]● observed  ✗ quarantined  ◐ unfinished  · gap[/]")


def _print_unusable_channels(sources: Sequence[Source]) -> None:
    """Those of whose address no channel can be made, which are told nothing."""
    if not any(source.notify for source in sources):
        return
    from pipeline.notify.delivery import Channel, is_understood

    for source in sources:
        for address in source.notify:
            if not is_understood(address):
                click.echo(
                    f"\n! {source.name}: no message can be sent to its channel {Channel(address).id}."
                    f"\n  See what is wrong with its address: ratchet source check {source.name} --offline"
                )


def _accepted_words(status: dict[str, Any], now: datetime) -> str:
    """``25 min ago``, or the day where that is long ago."""
    from pipeline.core.hours import parse_time

    if status["last_accepted"] is None:
        return "never"
    moment = parse_time(status["last_accepted"])
    minutes = int((now - moment).total_seconds() // 60)
    if minutes >= 72 * 60:
        return f"{moment:%Y-%m-%d}"
    return f"{minutes} min ago" if minutes < 120 else f"{minutes // 60} h ago"


def _incident_words(status: dict[str, Any]) -> str:
    incident = status["last_incident"]
    if incident is None:
        return "none"
    cause = incident["cause"].replace("_", " ")
    if incident["over_at"] is None:
        return f"[red]OPEN[/] {cause} since {_minute(incident['since'])}"
    return f"{cause}, over {_minute(incident['over_at'])}"


def _credential_words(status: dict[str, Any], now: datetime) -> str:
    from pipeline.core.credential import days_left
    from pipeline.core.hours import parse_time

    if status["dead_session"] is not None:
        return "[red]turned away[/]"
    expires = status["credential_expires"]
    return f"{days_left(parse_time(expires), now):,.0f} days" if expires else "-"


def _open_lines(name: str, status: dict[str, Any]) -> list[str]:
    """What stands in the way now, and what to do about it."""
    from pipeline.core.text import legible

    lines = []
    if (incident := _open_incident(status)) is not None:
        lines.append(f"\n! {name}: {legible(incident['what'], 400)}\n  {incident['next_step']}")
    elif status["dead_session"] is not None:
        lines.append(f"\n! {name}: {status['dead_session']}\n  Renew its credential, then run: ratchet collect {name}")
    if (interrupted := status["interrupted"]) is not None:
        lines.append(f"\n! {name}: not finished from {interrupted['from']} on.\n  {interrupted['next_step']}")
    return lines


def _open_incident(status: dict[str, Any]) -> dict[str, Any] | None:
    incident: dict[str, Any] | None = status["last_incident"]
    return incident if incident is not None and incident["over_at"] is None else None


def _minute(moment: str) -> str:
    return moment[: len("2026-11-22T14:17")].replace("T", " ")


def _refusal_words(refused: dict[str, Any]) -> str:
    """``refused by CHECKS: REASON``, or the reason alone where it says already that the owner rejected it."""
    from pipeline.core.refusals import REJECTED

    reason = str(refused["reason"])
    if refused["checks"] == [REJECTED]:
        return "r" + reason.removeprefix("R")
    return f"refused by {', '.join(refused['checks'])}: {reason}"


def _decision_words(decision: dict[str, Any]) -> str:
    """``2026-11-22T14 accepted by Ada on 2026-11-23 09:12: the platform removed bots``."""
    import msgspec

    from pipeline.core.records import Correction
    from pipeline.core.text import legible

    made = msgspec.convert(decision, Correction)
    return f"{made.hour} {legible(made.words, 300)} on {_minute(decision['made_at'])}: {legible(made.reason, 300)}"


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
