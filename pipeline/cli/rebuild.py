"""``ratchet rebuild``: finish what was interrupted and tell Dagster everything the lake holds."""

from __future__ import annotations

import click


@click.command()
@click.argument("source", required=False)
def command(source: str | None) -> None:
    """Tell Dagster's instance the state of every hour of SOURCE, or of every source, from the lake.

    For a new instance after the old one was lost or deleted; the lake loses nothing by that.

    \b
    Example: ratchet rebuild recorded
    """
    from datetime import UTC, datetime

    from pipeline.cli.saying import end_with
    from pipeline.core.errors import LakeFault, RatchetError
    from pipeline.core.project import Project
    from pipeline.core.sources import chosen_sources

    project = Project.here()
    sources, broken = chosen_sources(project, source)
    faults: list[RatchetError] = [*broken]
    from pipeline.drawing import require_drawn
    from pipeline.running import SourceRuns, dagster_instance  # only now: Dagster is slow, a refusal is not

    with dagster_instance(project) as instance:
        for found in sources:
            lake = project.lake.source(found.name)
            first = lake.first_capture()
            if first is None:
                click.echo(f"{found.name}: the lake holds nothing yet.")
                continue
            began = datetime.now(UTC)
            with lake.writing():
                SourceRuns.of(found, instance).history(tell_from=first.hour)
            hours = len({capture.hour for capture in lake.captures()})
            click.echo(f"{found.name}: {hours:,} hours told to Dagster.")
            try:
                require_drawn(project, found, began)
            except LakeFault as fault:
                faults.append(fault)
    end_with(faults)
