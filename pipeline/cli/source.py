"""``ratchet source``: the YAML files of the sources, checked before Dagster ever sees them."""

from __future__ import annotations

import sys

import click


@click.group()
def command() -> None:
    """Look at the YAML files of the sources.

    \b
    Example: ratchet source check
    """


@command.command()
@click.argument("source", required=False)
def check(source: str | None) -> None:
    """Check the YAML of SOURCE, or of every source: keys, variables, counters, rules.

    \b
    Example: ratchet source check my_blog
    """
    from pipeline.core.errors import ConfigError
    from pipeline.core.project import Project
    from pipeline.core.sources import find_source, read_source

    project = Project.here()
    failed = 0
    if source is not None:
        find_source(project, source)
    for file in project.source_files():
        if source is not None and file.parent.name != source:
            continue
        try:
            found = read_source(file)
        except ConfigError as error:
            failed += 1
            click.echo(f"{error.what}\n  {error.next_step}", err=True)
            continue
        counters = ", ".join(found.counter_names)
        rules = f"{len(found.rules)} rule{'' if len(found.rules) == 1 else 's'}"
        click.echo(f"{found.name}: good. {found.platform.kind}: {counters}; {rules}.")
    sys.exit(ConfigError.exit_code if failed else 0)
