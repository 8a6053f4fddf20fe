"""``ratchet dev``: the Dagster UI and daemon, with the simulated account of the source `demo` beside them."""

from __future__ import annotations

import click


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True, help="Port of 127.0.0.1.")
def command(port: int) -> None:
    """Open the Dagster UI on 127.0.0.1, with its daemon and the sandbox of the source `demo`.

    Ends, with all that it started, on Ctrl-C.

    \b
    Example: ratchet dev --port 3001
    """
    from pipeline.core.project import Project
    from pipeline.serving import serve

    serve(Project.here(), port)
