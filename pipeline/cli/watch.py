"""``ratchet watch``: rates per minute of a feed, told within seconds, between the hours."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from pipeline.cli.saying import say_messages
from pipeline.core.errors import ConfigError, RatchetError
from pipeline.core.text import printable

if TYPE_CHECKING:
    from pipeline.notify.delivery import Delivery

_SECONDS, _LONGEST_SECONDS = 1.0, 8.0
"""Also right after a fault of the spool or the broker a rise is told within ten seconds."""


@click.command()
@click.argument("source")
@click.option("--once", is_flag=True, help="Look once and end.")
def command(source: str, once: bool) -> None:
    """Watch SOURCE, whose events come from a spool or a topic, and tell of rates per minute at once.

    Run it beside the daemon or cron. It records nothing but what it told; the hourly message leaves that out.

    \b
    Example: ratchet watch shop
    """
    from pipeline.core.observe import PRESENT
    from pipeline.core.project import Project
    from pipeline.core.sources import find_source
    from pipeline.notify.watching import Watcher

    project = Project.here()
    found = find_source(project, source)
    watcher = Watcher(project.lake.source(found.name), found, PRESENT.now)
    if once:
        say_messages(watcher.look())
        return
    click.echo(f"Watching {found.name}. Stop with Ctrl-C.")
    _watch(watcher.look)


def _watch(look: Callable[[], list[Delivery]]) -> None:
    """Look for ever; what stands in the way is said once and tried again, more and more seldom.

    Asked to end, it ends between two looks: what a handler raises in the midst of a library is swallowed, or leaves a
    thread that nobody ends. Asked twice, it ends at once.
    """
    said, wait = "", _SECONDS
    is_waiting = told_to_end = False

    def end(*_: object) -> None:
        nonlocal told_to_end
        if is_waiting or told_to_end:
            raise KeyboardInterrupt
        told_to_end = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    while True:
        try:
            say_messages(look())
        except ConfigError:
            raise
        except RatchetError as fault:
            if fault.what != said:
                click.echo(printable(f"{fault.what.rstrip('.')}. Trying until it works."), err=True)
            said, wait = fault.what, min(_LONGEST_SECONDS, 2 * wait)
        else:
            said, wait = "", _SECONDS
        is_waiting = True
        if told_to_end:
            raise KeyboardInterrupt
        time.sleep(wait)
        is_waiting = False
