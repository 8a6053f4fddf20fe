"""`python -m pipeline.sandbox`: the simulated account on a port, until it is interrupted."""

from __future__ import annotations

import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from pipeline.core.errors import ConfigError, RatchetError
from pipeline.core.hours import format_time, parse_time
from pipeline.sandbox.server import NoteSandbox
from pipeline.sandbox.simulation import BACK_CATALOGUE, simulated_articles

DEMO_COOKIE = "simulated-session"
"""No secret: the session that the simulated account accepts."""


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port of 127.0.0.1; 0 takes a free one.")
@click.option(
    "--opened",
    "memory",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A file that remembers when the account was opened, so that a later start shows the same articles.",
)
def main(port: int, memory: Path | None) -> None:
    """Serve a simulated note.com account on 127.0.0.1 until interrupted.

    Example: python -m pipeline.sandbox --port 8901 --opened data/demo_opened
    """
    # Blocked before the first thread starts, so that sigwait alone receives them.
    ends = {signal.SIGINT, signal.SIGTERM}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    try:
        opened_at = opened(memory)
        with NoteSandbox(
            lambda: simulated_articles(datetime.now(UTC), opened_at=opened_at),
            cookie=DEMO_COOKIE,
            port=port,
            page_size=50,
        ) as sandbox:
            click.echo(f"Simulated note.com account at {sandbox.url} (cookie _note_session_v5={DEMO_COOKIE})")
            signal.sigwait(ends)
    except RatchetError as error:
        click.echo(str(error), err=True)
        sys.exit(error.exit_code)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def opened(memory: Path | None) -> datetime:
    """When the account was opened: what ``memory`` holds, else long enough ago to have some history.

    A file that is not there yet is written. Raises ConfigError where that fails or it holds no time.
    """
    opened_at = datetime.now(UTC).replace(microsecond=0) - BACK_CATALOGUE
    if memory is None:
        return opened_at
    try:
        with memory.open("x", encoding="utf-8") as file:
            file.write(f"{format_time(opened_at)}\n")
    except FileExistsError:
        try:
            return parse_time(memory.read_text(encoding="utf-8").strip())
        except ValueError as error:
            raise ConfigError(
                "this does not hold the time when the simulated account was opened",
                "Delete it together with the lake of the demo, which shows the account opened then.",
                file=memory,
            ) from error
    except OSError as error:
        raise ConfigError(
            f"cannot be written: {error.strerror}", "Give --opened a file that can be.", file=memory
        ) from error
    return opened_at


if __name__ == "__main__":
    main()
