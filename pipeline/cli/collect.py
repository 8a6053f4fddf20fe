"""``ratchet collect``: one capture now, for a terminal, cron or a hosted CI."""

from __future__ import annotations

import click


@click.command()
@click.argument("source")
def command(source: str) -> None:
    """Capture SOURCE now: one run of its assets and checks, and the message if rules fired.

    Ends with 0 when the capture was accepted and with 13 when the hour was observed already.

    \b
    Example: ratchet collect demo
    """
    from pipeline.cli.saying import say_messages
    from pipeline.collecting import collect
    from pipeline.core.project import Project
    from pipeline.core.report.markdown import summary_line
    from pipeline.core.sources import find_source
    from pipeline.core.text import legible

    project = Project.here()
    report, deliveries = collect(project, find_source(project, source))
    click.echo(summary_line(report))
    for crossing in report.crossings:
        title = legible(crossing.title or "") or legible(crossing.item_id)
        click.echo(f"  {title}: {crossing.rule}, {crossing.value:,.0f} now")
    say_messages(deliveries)
