"""``ratchet correct``: the owner's signed word on one hour, and the rebuild of what follows from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pipeline.core.corrections import Choice
    from pipeline.core.model import Source
    from pipeline.core.project import Project
    from pipeline.notify.delivery import Delivery


@click.command()
@click.argument("source")
@click.argument("hour")
@click.option("--accept", is_flag=True, help="Take the refused capture of the hour as true.")
@click.option(
    "--lower",
    "items",
    multiple=True,
    metavar="ITEM",
    help="Take the fall of this item as true, by its id; may be repeated. Whatever else was found still blocks.",
)
@click.option("--reject", is_flag=True, help="Take the accepted snapshot of the hour back.")
@click.option(
    "--captured-at",
    metavar="TIME",
    help="Which refused capture of the hour is meant, where it has several: a time as in `ratchet status --json`."
    " The newest by default.",
)
@click.option("--by", required=True, help="Who decides.")
@click.option("--reason", required=True, help="Why.")
def command(
    source: str,
    hour: str,
    accept: bool,
    items: tuple[str, ...],
    reject: bool,
    captured_at: str | None,
    by: str,
    reason: str,
) -> None:
    """Correct HOUR of SOURCE: signed, kept for ever, and reversible by another correction.

    Later hours are made again where the correction changes them; what they were stays in superseded/.
    An incident that this ends is closed, and its channels are told.

    \b
    Example: ratchet correct my_blog 2026-11-22T14 --accept --by Ada --reason "I deleted these articles"
    Example: ratchet correct my_blog 2026-11-22T14 --lower n081 --by Ada --reason "The platform removed bots"
    """
    from datetime import UTC, datetime

    from pipeline.cli.saying import say_messages
    from pipeline.core.corrections import decide
    from pipeline.core.errors import ConfigError
    from pipeline.core.hours import Hour
    from pipeline.core.project import Project
    from pipeline.core.sources import find_source
    from pipeline.core.text import legible

    choice = _choice(accept, items, reject, captured_at)
    try:
        at = Hour.parse(hour)
    except ValueError as fault:
        raise ConfigError(str(fault), "Take one of the keys of `hours` in `ratchet status SOURCE --json`.") from None
    project = Project.here()
    found = find_source(project, source)
    lake = project.lake.source(found.name)
    with lake.writing():
        made = decide(lake, found, at, choice, by=by, reason=reason, made_at=datetime.now(UTC))
        from pipeline.drawing import require_drawn
        from pipeline.running import SourceRuns, dagster_instance  # only now: Dagster is slow, a refusal is not

        with dagster_instance(project) as instance:
            SourceRuns.of(found, instance).history()
    click.echo(f"{at.key} of {found.name}: {legible(made.words, 500)} (correction {made.id}).")
    say_messages(_tell(project, found))
    require_drawn(project, found, made.made_at)


def _tell(project: Project, source: Source) -> list[Delivery]:
    """Close the incident that the correction ended, and say so. Raises ChannelFault where a channel fails."""
    from dataclasses import replace
    from datetime import UTC, datetime

    from pipeline.notify.incidents import tell_incidents, watched

    # Nothing was tried here, so nothing that a daemon still tries in this hour is called a failure.
    watch = replace(watched(project, source), finished=())
    return tell_incidents(project.lake, watch, lambda: datetime.now(UTC))


def _choice(accept: bool, items: tuple[str, ...], reject: bool, captured_at: str | None) -> Choice:
    from pipeline.core.corrections import Choice
    from pipeline.core.errors import ConfigError

    if accept + bool(items) + reject > 1:
        raise ConfigError("A correction does one thing.", "Keep one of --accept, --lower and --reject.")
    if accept:
        return Choice("accept", captured_at=captured_at)
    if items:
        return Choice("lower", items, captured_at)
    if reject:
        return Choice("reject", captured_at=captured_at)
    raise ConfigError("A correction accepts or rejects.", "Add --accept, --lower ITEM or --reject.")
