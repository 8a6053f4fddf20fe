"""``ratchet mark``: write down what happened, so that the charts can show it."""

from __future__ import annotations

import click


@click.command()
@click.argument("source")
@click.argument("text")
@click.option("--item", help="The item that is meant, by its id; the whole source by default.")
@click.option("--at", "moment", help="When it happened, with its offset: 2026-11-22T14:05:00Z. Now by default.")
@click.option("--by", help="Who says so; the name of your account on this machine by default.")
def command(source: str, text: str, item: str | None, moment: str | None, by: str | None) -> None:
    """Mark in the history of SOURCE what happened outside: TEXT stands on the charts and in what happened.

    A mark is signed, kept for ever and changes no number.

    \b
    Example: ratchet mark my_blog "cross-posted to X" --item n093 --at 2026-11-22T14:05:00Z
    """
    import getpass
    from datetime import UTC, datetime

    from pipeline.core.analysis.marks import make_mark
    from pipeline.core.errors import ConfigError
    from pipeline.core.hours import format_time, parse_time
    from pipeline.core.project import Project
    from pipeline.core.sources import find_source_of_history
    from pipeline.core.text import legible

    try:
        at = parse_time(moment) if moment is not None else None
    except ValueError:
        raise ConfigError("That is no time with an offset from UTC.", "Write it as --at 2026-11-22T14:05:00Z") from None
    project = Project.here()
    lake = project.lake.source(find_source_of_history(project, source).name)
    with lake.writing():
        mark = make_mark(lake, text, by=by or getpass.getuser(), made_at=datetime.now(UTC), at=at, item_id=item)
    words = legible(f"{mark.text} ({mark.by})", 400)
    click.echo(f"Marked {format_time(mark.at)}: {words}. It is on the page after: ratchet report {source}")
