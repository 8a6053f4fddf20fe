"""What several commands say in the same words: what went wrong, and what became of messages.

Nothing of it holds anything that a terminal would obey.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click
import msgspec

from pipeline.core.errors import RatchetError
from pipeline.core.text import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from pipeline.notify.delivery import Delivery

_WIDEST = 2_000
_OBEYED_IN_JSON = re.compile("[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def say_error(error: RatchetError) -> None:
    """What happened, what went wrong besides, and the next step."""
    notes = getattr(error, "__notes__", ())
    click.echo(printable("\n".join([f"Error: {error.what}", *notes, error.next_step])), err=True)


def end_with(broken: Sequence[RatchetError]) -> None:
    """Say what is wrong with some sources, and end with the exit code of the first; nothing where there is none."""
    for error in broken:
        say_error(error)
    if broken:
        sys.exit(broken[0].exit_code)


def say_json(content: object) -> None:
    """One JSON document, in which what a terminal would obey is written as its number."""
    text = msgspec.json.format(msgspec.json.encode(content)).decode()
    click.echo(_OBEYED_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def whole_width(table: Table) -> int:
    """How many columns of a terminal a table takes of which nothing is cut."""
    from rich.console import Console

    return Console(width=_WIDEST).measure(table).maximum


def say_table(console: Console, table: Table) -> None:
    """Every column whole: on a narrow terminal its lines are longer than it, and never cut."""
    width = console.width
    console.width = max(width, whole_width(table))
    console.print(table)
    console.width = width


def say_messages(deliveries: Sequence[Delivery]) -> None:
    """What became of each, but of those that wait for a channel that failed lately."""
    for delivery in deliveries:
        if delivery.result != "waiting":
            click.echo(f"Message to {delivery.words}")
