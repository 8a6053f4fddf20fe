"""``ratchet correct``: the owner's signed word on one hour, and the rebuild of what follows from it."""

from __future__ import annotations

import click


@click.command()
@click.argument("source")
@click.argument("hour")
@click.option("--accept", is_flag=True, help="Take the refused capture of the hour as true.")
@click.option("--reject", is_flag=True, help="Take the accepted snapshot of the hour back.")
@click.option("--by", required=True, help="Who decides.")
@click.option("--reason", required=True, help="Why.")
def command(source: str, hour: str, accept: bool, reject: bool, by: str, reason: str) -> None:
    """Correct HOUR of SOURCE: signed, kept for ever, and reversible by another correction.

    Later hours are made again where the correction changes them; what they were stays in superseded/.

    \b
    Example: ratchet correct my_blog 2026-11-22T14 --accept --by Ada --reason "I deleted these articles"
    """
    from datetime import UTC, datetime
    from typing import Literal

    from pipeline.core.corrections import decide
    from pipeline.core.errors import ConfigError
    from pipeline.core.hours import Hour
    from pipeline.core.project import Project
    from pipeline.core.sources import find_source

    if accept and reject:
        raise ConfigError("A correction accepts or rejects, not both.", "Leave out --accept or --reject.")
    if not accept and not reject:
        raise ConfigError("A correction accepts or rejects.", "Add --accept or --reject.")
    try:
        at = Hour.parse(hour)
    except ValueError as fault:
        raise ConfigError(str(fault), "Take one of the keys of `hours` in `ratchet status SOURCE --json`.") from None
    project = Project.here()
    found = find_source(project, source)
    lake = project.lake.source(found.name)
    with lake.writing():
        action: Literal["accept", "reject"] = "accept" if accept else "reject"
        made = decide(lake, found, at, action, by=by, reason=reason, made_at=datetime.now(UTC))
        from pipeline.running import SourceRuns, dagster_instance  # only now: Dagster is slow, a refusal is not

        with dagster_instance(project) as instance:
            SourceRuns.of(found, instance).history()
    click.echo(f"{at.key} of {found.name}: {made.action}ed by {made.by} (correction {made.id}).")
