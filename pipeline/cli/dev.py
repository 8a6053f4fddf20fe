"""``ratchet dev``: the Dagster UI and daemon, with the simulated account of the source `demo` beside them."""

from __future__ import annotations

import click


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True, help="Port of 127.0.0.1.")
@click.option("--replay", is_flag=True, help="Replay the bundled recording first, where it is not in the lake yet.")
@click.pass_context
def command(context: click.Context, port: int, replay: bool) -> None:
    """Open the Dagster UI on 127.0.0.1, with its daemon and the sandbox of the source `demo`.

    Ends, with all that it started, on Ctrl-C.

    \b
    Example: ratchet dev --port 3001
    """
    from pipeline.cli.replay import command as replay_command
    from pipeline.core.project import Project
    from pipeline.replaying import Replay
    from pipeline.serving import require_free, serve

    project = Project.here()
    require_free(port)
    if replay and not Replay.of_recording(project).is_done:
        context.invoke(replay_command, last=None)
    serve(project, port)
