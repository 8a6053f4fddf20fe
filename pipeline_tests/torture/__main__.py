"""`python -m pipeline_tests.torture`: so many kills, a table of what became of them, and 1 where anything was lost."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import click
from rich.console import Console
from rich.progress import track
from rich.table import Table

from pipeline_tests.torture.killing import Kill, Torture, torture
from pipeline_tests.torture.scenarios import Scenario

WITHIN_AT_LEAST = 0.6
"""The share of kills that must fall between the first byte written and the last link or rename."""
ENOUGH_TO_JUDGE = 40
"""In fewer kills that share is a matter of luck, and only what was lost counts."""


def chosen(scenarios: Sequence[Scenario], times: int) -> list[Scenario]:
    """``times`` scenarios by their shares; the largest remainders make up the number, each comes at least once."""
    whole = sum(scenario.share for scenario in scenarios)
    wanted = {scenario.name: max(1.0, times * scenario.share / whole) for scenario in scenarios}
    kills = {name: int(number) for name, number in wanted.items()}
    for name in sorted(wanted, key=lambda name: kills[name] - wanted[name])[: max(0, times - sum(kills.values()))]:
        kills[name] += 1
    return [scenario for scenario in scenarios for _ in range(kills[scenario.name])][:times]


def verdict(kills: Sequence[Kill]) -> list[str]:
    """Why the torture failed, in plain words; nothing where all is well."""
    words = [f"{kill.scenario}, killed at {kill.operation}: {fault}" for kill in kills for fault in kill.faults]
    within = sum(kill.within for kill in kills)
    if len(kills) >= ENOUGH_TO_JUDGE and within < WITHIN_AT_LEAST * len(kills):
        words.append(f"only {within} of {len(kills)} kills fell between the first byte and the last rename")
    return words


def _rounds(tortured: Torture, scenarios: Sequence[Scenario], draw: Random, console: Console) -> Iterator[Kill]:
    for scenario in track(scenarios, "Killing", console=console):
        yield tortured.kill(scenario, draw)


def _print(console: Console, tortured: Torture, kills: Sequence[Kill]) -> None:
    table = Table("scenario", "operations", "kills", "first byte to last rename", "lost or different", box=None)
    for name, known in tortured.undisturbed.items():
        mine = [kill for kill in kills if kill.scenario == name]
        within, faulty = sum(kill.within for kill in mine), sum(bool(kill.faults) for kill in mine)
        table.add_row(name, str(len(known.trace)), str(len(mine)), str(within), str(faulty))
    within, faulty = sum(kill.within for kill in kills), sum(bool(kill.faults) for kill in kills)
    table.add_row("all", "", str(len(kills)), str(within), str(faulty), style="bold")
    console.print(table)


@click.command()
@click.option("--times", type=click.IntRange(min=1), default=100, show_default=True, help="How many kills.")
@click.option("--seed", type=int, default=None, help="Repeats a run; a new one is drawn and printed otherwise.")
def main(times: int, seed: int | None) -> None:
    """Kill -9 at random points of captures, corrections, rebuilds and messages.

    Example: python -m pipeline_tests.torture --times 20 --seed 7
    """
    console = Console()
    seed = Random().randrange(1_000_000) if seed is None else seed
    console.print(f"Seed {seed}")
    with TemporaryDirectory(prefix="ratchet-torture-") as folder, torture(Path(folder)) as (tortured, scenarios):
        kills = list(_rounds(tortured, chosen(scenarios, times), Random(seed), console))
        _print(console, tortured, kills)
    faults = verdict(kills)
    for fault in faults:
        console.print(f"[red]✗[/] {fault}", highlight=False)
    if not faults:
        console.print("Nothing accepted was lost or half written, and every next run ended in the undisturbed state.")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
