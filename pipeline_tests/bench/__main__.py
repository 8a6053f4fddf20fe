"""`python -m pipeline_tests.bench`: every part of the bench, one table, one JSON file."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import msgspec
from rich.console import Console
from rich.table import Table

from pipeline.core.project import ROOT
from pipeline_tests.bench.exporting import exports
from pipeline_tests.bench.figures import Effort, Figure
from pipeline_tests.bench.importing import a_year_of_history
from pipeline_tests.bench.reading import reading
from pipeline_tests.bench.repository import repository
from pipeline_tests.bench.runs import cold_runs, warm_runs
from pipeline_tests.bench.scale import from_json_to_report
from pipeline_tests.bench.year import deltas_by_history, deltas_by_size, terminal

_PARTS: dict[str, Callable[[Path, Effort], list[Figure]]] = {
    "a capture in a process of its own": cold_runs,
    "a capture in a warm process": warm_runs,
    "from JSON to report": from_json_to_report,
    "the delta and the length of history": deltas_by_history,
    "the delta and the number of items": deltas_by_size,
    "the terminal": terminal,
    "reading a year": reading,
    "export": exports,
    "a year of imported history": a_year_of_history,
    "a git repository that keeps the lake": repository,
}


def _print(console: Console, found: dict[str, list[Figure]]) -> None:
    table = Table("figure", "value", "peer or floor", "its value", "ratio", "aim", "", box=None)
    for part, figures in found.items():
        table.add_row(f"[bold]{part}[/]")
        for f in figures:
            table.add_row(
                f.name,
                _amount(f.value, f.unit),
                f.peer or "",
                _amount(f.peer_value, f.unit),
                "" if f.ratio is None else f"{f.ratio:.2f}",
                "" if f.aim is None else f"≤ {f.aim:g}{'' if f.peer else ' ' + f.unit}",
                {None: "", True: "[green]met[/]", False: "[red]missed[/]"}[f.met],
            )
    console.print(table)


def _amount(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    return f"{value * 1000:,.1f} ms" if unit == "s" and value < 1 else f"{value:,.2f} {unit}"


@click.command()
@click.option("--quick", is_flag=True, help="Without the million, in less than a minute.")
@click.option("--part", type=click.Choice(list(_PARTS)), multiple=True, help="Only this part; may be repeated.")
@click.option("--json", "file", type=click.Path(dir_okay=False, path_type=Path), default=ROOT / "build" / "bench.json")
def main(quick: bool, part: tuple[str, ...], file: Path) -> None:
    """Measure what Ratchet costs and print each figure beside its peer.

    Example: python -m pipeline_tests.bench --quick
    """
    console, found = Console(width=150), {}
    for name in part or _PARTS:
        with TemporaryDirectory(prefix="ratchet-bench-") as folder, console.status(name):
            found[name] = _PARTS[name](Path(folder), Effort(quick))
    _print(console, found)
    file.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "quick": quick,
        "parts": {name: [figure.record() for figure in figures] for name, figures in found.items()},
    }
    file.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")
    console.print(f"Written to {file}")


if __name__ == "__main__":
    main()
