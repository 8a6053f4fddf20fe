"""``ratchet import``: the past that others recorded, capture by capture through the same checks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from rich.console import Console

    from pipeline.core.errors import HoursRefused
    from pipeline.core.hours import Hour
    from pipeline.importing import Import, Result

_LINE_EVERY = 500
_REASONS = 20


class _Zone(click.ParamType["ZoneInfo"]):
    name = "zone"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> ZoneInfo:
        from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

        try:
            return ZoneInfo(str(value))
        except (ZoneInfoNotFoundError, ValueError, OSError):
            self.fail(f"'{value}' is no time zone that this machine knows; write it as Asia/Tokyo or UTC", param, ctx)


@click.command()
@click.argument("source")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "kind",
    type=click.Choice(["csv", "parquet", "github-repo-stats", "git-scraped"]),
    help="By default as the name, the first line or the folder tells.",
)
@click.option("--timezone", "zone", type=_Zone(), help="Where times without an offset were read off: Asia/Tokyo.")
@click.option("--item", help="The item of files that do not name one: OWNER/NAME for github-repo-stats.")
def command(source: str, file: Path, kind: str | None, zone: ZoneInfo | None, item: str | None) -> None:
    """Import FILE, or the files of a folder, into the history of SOURCE.

    Every capture goes through the same checks as a live one. A capture that the lake has is left as
    it is, so an interrupted import is finished by running it again. Later hours are made again where
    older history changes them. Nothing is sent. Ends with 17 when hours were refused.

    CSV and Parquet have a row for each item of each capture: captured_at, item_id, the source's
    counters, and optionally title, url, published_at.

    \b
    Example: ratchet import my_blog history.csv --timezone Asia/Tokyo
    """
    from datetime import UTC, datetime

    from rich.console import Console

    from pipeline.core.history_files.past import FileFormat
    from pipeline.core.history_files.reading import read_past
    from pipeline.core.project import Project
    from pipeline.core.sources import find_source
    from pipeline.core.text import counted
    from pipeline.importing import Import

    project, console, began = Project.here(), Console(), datetime.now(UTC)
    found = find_source(project, source)
    lake = project.lake.source(found.name)
    past = read_past(file, found, datetime.now(UTC), FileFormat(kind) if kind else None, zone, item)
    with lake.writing():
        work = Import.of(lake, found, past)
        stood, told = set(lake.accepted_hours()), list[int]()
        if work.is_done:
            console.print("Nothing to do: the lake has all of it. Nothing was changed.")
        else:
            in_lake = _timed(lambda: _put_into_lake(console, work))
            telling = _timed(lambda: told.append(work.tell(project)))
            hours = counted(told[0], "hour")
            console.print(f"Checks and lake: {in_lake:,.1f} s. Telling Dagster of {hours}: {telling:,.1f} s.")
        result = work.result()
        fallen = sorted(stood - set(lake.accepted_hours()))
    _print(console, work, result)
    error = result.error(found) if not fallen else _no_longer_accepted(found.name, fallen)
    if error is not None:
        raise error
    if told:
        from pipeline.drawing import require_drawn  # only now: Dagster is slow, and was needed already

        require_drawn(project, found, began)


def _no_longer_accepted(source: str, hours: list[Hour]) -> HoursRefused:
    from pipeline.core.errors import HoursRefused

    them = f"{len(hours):,} hours that stood accepted are" if len(hours) > 1 else "1 hour that stood accepted is"
    return HoursRefused(
        f"{them} refused after this history, {hours[0]} to {hours[-1]}.",
        "Both cannot be true. If the file is wrong, take each of its hours back, and the others stand again:"
        f" ratchet correct {source} HOUR --reject --by NAME --reason TEXT",
    )


def _timed(work: Callable[[], object]) -> float:
    started = perf_counter()
    work()
    return perf_counter() - started


def _put_into_lake(console: Console, work: Import) -> None:
    from pipeline.cli.progress import follow

    follow(console, "Storing", len(work.pending), work.store(), _LINE_EVERY)
    follow(console, "Judging", work.to_settle(), work.settle(), _LINE_EVERY)


def _print(console: Console, work: Import, result: Result) -> None:
    from rich.markup import escape

    console.print(
        f"Captures: {len(work.past.moments):,} read, {len(work.pending):,} stored, {work.stored:,} in the lake before,"
        f" {work.observed:,} of hours that were already observed.",
        soft_wrap=True,
    )
    console.print(f"Hours: {result.accepted:,} accepted, {len(result.refused):,} refused.")
    for record in result.refused[:_REASONS]:
        failed = ", ".join(record.failed)
        console.print(f"  [red]refused[/red] {record.hour} by {failed}: {escape(record.reason)}", soft_wrap=True)
    if len(result.refused) > _REASONS:
        console.print(f"  and {len(result.refused) - _REASONS:,} more: ratchet status {work.source.name} --json")
