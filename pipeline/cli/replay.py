"""``ratchet replay``: the main job on the bundled recording, with a progress bar and a summary."""

from __future__ import annotations

import click

_LINE_EVERY = 20


@click.command()
@click.option("--last", type=click.IntRange(min=1), help="Replay the last N captures only.")
def command(last: int | None) -> None:
    """Replay the bundled recording into the source `recorded`.

    A sandbox on loopback serves every recorded capture over HTTP; each goes through the adapter, the
    assets and the checks in a Dagster run of its own. What is in the lake already is left as it is.

    \b
    Example: ratchet replay --last 24
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from pipeline.cli.summary import print_summary
    from pipeline.core.project import Project
    from pipeline.core.text import counted
    from pipeline.replaying import Replay

    console = Console()
    replay = Replay.of_recording(Project.here(), last)
    with replay.lake.writing():
        if replay.is_done:
            wanted = "the capture" if replay.wanted == 1 else f"all {replay.wanted} captures"
            verb = "is" if replay.wanted == 1 else "are"
            console.print(f"Nothing to do: {wanted} asked for {verb} in the lake. Nothing was changed.")
        else:
            click.echo(f"Replaying {counted(len(replay.pending), 'capture')}, about a second each.")
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            with Progress(*columns, console=console) as progress:
                task = progress.add_task("Replaying", total=len(replay.pending))
                for done, hour in enumerate(replay.run(), start=1):
                    progress.update(task, advance=1, description=f"Replaying {hour.key}")
                    if not console.is_terminal and done % _LINE_EVERY == 0:
                        click.echo(f"{done} of {len(replay.pending)} captures, {hour.key}")
    print_summary(console, replay.lake, replay.source)
