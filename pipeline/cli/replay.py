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

    from pipeline.cli.progress import follow
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
            follow(console, "Replaying", len(replay.pending), replay.run(), _LINE_EVERY)
    print_summary(console, replay.lake, replay.source)
