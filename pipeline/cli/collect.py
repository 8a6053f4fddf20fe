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
    from pipeline.collecting import collect, finished_words
    from pipeline.core.crossings import crossing_words, measured_over
    from pipeline.core.hours import Hour
    from pipeline.core.lake import DELTA
    from pipeline.core.project import Project
    from pipeline.core.report.markdown import summary_line
    from pipeline.core.snapshots import read_table
    from pipeline.core.sources import find_source
    from pipeline.core.text import legible

    project = Project.here()
    found = find_source(project, source)
    done = collect(project, found)
    report = done.report
    if done.left is not None:
        click.echo(f"{found.name}: {finished_words(done.left)}.")
    click.echo(summary_line(report))
    if report.crossings:
        delta = project.lake.source(found.name).path(DELTA, Hour.parse(report.hour))
        measured = measured_over(found, report.crossings, read_table(delta))
        for crossing in report.crossings:
            title = legible(crossing.title or "") or legible(crossing.item_id)
            click.echo(f"  {title}: {crossing_words(crossing, measured.get(crossing.item_id))}")
    say_messages(done.deliveries)
