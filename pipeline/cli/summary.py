"""What a replay ends with: hours, refused captures with their reasons, crossings, and where to look next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.markup import escape

from pipeline.core.history import read_report
from pipeline.core.hours import Hour
from pipeline.core.lake import SourceLake
from pipeline.core.ledger import Ledger, quarantined, read_ledger
from pipeline.core.model import Crossing, HourState, Source
from pipeline.core.text import counted


def print_summary(console: Console, lake: SourceLake, source: Source) -> None:
    """Print it. Raises LakeFault where the lake cannot be read."""
    ledger = read_ledger(lake, source, datetime.now(UTC))
    console.print()
    console.print(f"[bold]{source.name}[/bold]: {hours_words(ledger)}")
    for capture, record in quarantined(lake, ledger):
        failed = ", ".join(record.failed)
        console.print(
            f"  [red]quarantined[/red] {capture.hour.key} by {failed}: {escape(record.reason)}",
            soft_wrap=not console.is_terminal,
        )
    _print_crossings(console, lake, lake.accepted_hours())
    console.print()
    console.print(f"Files   {escape(str(lake.root))}", soft_wrap=True)
    console.print(f"Ledger  ratchet status {source.name}")
    console.print(f"Page    {escape(str(lake.root.parents[1] / 'site' / f'{source.name}.html'))}", soft_wrap=True)
    console.print("See it  make dev, then open the address that it prints")


def hours_words(ledger: Ledger) -> str:
    """``157 hours observed, 1 quarantined, 519 gaps``."""
    words = f"{counted(ledger.count(HourState.OBSERVED), 'hour')} observed"
    words += f", {ledger.count(HourState.QUARANTINED):,} quarantined, {counted(ledger.count(HourState.GAP), 'gap')}"
    unfinished = ledger.count(HourState.UNFINISHED)
    return words + (f", {unfinished} unfinished" if unfinished else "")


def _print_crossings(console: Console, lake: SourceLake, hours: Sequence[Hour]) -> None:
    crossings: list[Crossing] = []
    speaking = 0
    for hour in hours:
        found = read_report(lake, hour).crossings
        crossings += found
        speaking += bool(found)
    by_mark = Counter((crossing.counter, crossing.threshold) for crossing in crossings)
    marks = ", ".join(f"{threshold:,.0f} {counter}: {n}" for (counter, threshold), n in sorted(by_mark.items()))
    console.print(f"  crossings in {counted(speaking, 'hour')}: {marks or 'none'}", soft_wrap=not console.is_terminal)
