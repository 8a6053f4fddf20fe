"""``ratchet report``: the pages of a source, or of all, made again from the lake. Imports no Dagster."""

from __future__ import annotations

import click


@click.command()
@click.argument("source", required=False)
@click.option("--all", "every", is_flag=True, help="The pages of every source.")
def command(source: str | None, every: bool) -> None:
    """Make the page of SOURCE again, and the page over all sources.

    Pages are single files that need no network: open data/site/index.html in a browser. They are made
    of what was accepted and can be deleted at any time.

    \b
    Examples: ratchet report recorded
              ratchet report --all
    """
    from datetime import UTC, datetime

    from pipeline.cli.saying import end_with
    from pipeline.core.errors import ConfigError, NothingAccepted
    from pipeline.core.project import Project
    from pipeline.core.sources import find_source_of_history, sources_of_history
    from pipeline.site.build import build_index, read_story, write_page

    if every == (source is not None):
        raise ConfigError("Name one source, or all.", "Run: ratchet report SOURCE, or: ratchet report --all")
    project, now = Project.here(), datetime.now(UTC)
    if source is not None:
        click.echo(write_page(project, read_story(project, find_source_of_history(project, source), now)))
        click.echo(build_index(project))
        return
    sources, broken = sources_of_history(project)
    for known in sources:
        try:
            click.echo(write_page(project, read_story(project, known, now)))
        except NothingAccepted as nothing:
            click.echo(nothing.what, err=True)
    click.echo(build_index(project))
    end_with(broken)
