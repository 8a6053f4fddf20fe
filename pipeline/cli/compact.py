"""``ratchet compact``: finished months into one archive and one table a kind, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from pipeline.core.lake import SourceLake


@click.command()
@click.argument("source", required=False)
@click.option("--days", type=click.IntRange(0), default=7, show_default=True, help="Only months over for so many days.")
@click.option("--undo", "month", metavar="MONTH", help="Unpack a month (2026-03) again; SOURCE has to be named.")
def command(source: str | None, days: int, month: str | None) -> None:
    """Pack the finished months of SOURCE, or of every source: fewer files, less room, faster to read.

    The files of a month go into one archive, and its snapshots, deltas and reports into one table each, made for
    reading. Everything is read back and compared before anything is removed. An archive may be moved to another folder
    that RATCHET_ARCHIVES names. A correction in a packed month unpacks it by itself.

    \b
    Examples: ratchet compact recorded
              ratchet compact recorded --undo 2026-03
    """
    from datetime import UTC, datetime, timedelta

    from pipeline.core.errors import ConfigError
    from pipeline.core.project import Project
    from pipeline.core.sources import find_lake

    project = Project.here()
    if month is not None:
        if source is None:
            raise ConfigError("Which source is to be unpacked?", "Name it: ratchet compact SOURCE --undo MONTH")
        _undo(find_lake(project, source), month)
        return
    stored = [lake for lake in project.lake.senders() if lake != project.lake.project]
    for lake in stored if source is None else [find_lake(project, source)]:
        _compact(lake, datetime.now(UTC), timedelta(days=days))


def _compact(lake: SourceLake, now: datetime, age: timedelta) -> None:
    from pipeline.core.compact import compact, finished_months

    with lake.writing():
        months = finished_months(lake, now, age)
        if not months:
            click.echo(f"{lake.name}: no finished month waits to be compacted.")
        for month in months:
            made = compact(lake, month)
            click.echo(
                f"{lake.name}: {month} packed, {made.files:,} files into one archive, "
                f"{made.bytes_before / 1e6:,.1f} MB into {made.bytes_after / 1e6:,.1f} MB."
            )


def _undo(lake: SourceLake, month: str) -> None:
    from pipeline.core import archives
    from pipeline.core.errors import ConfigError

    packed = archives.packed_months(lake.root)
    if month not in packed:
        raise ConfigError(
            f"{month} of {lake.name} is not packed.",
            f"Packed are: {', '.join(packed)}." if packed else "No month of it is.",
        )
    with lake.writing():
        click.echo(f"{lake.name}: {month} unpacked, {lake.unpack(month):,} files.")
