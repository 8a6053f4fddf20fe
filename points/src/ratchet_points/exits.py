"""How the command ``points`` ends: its exit codes, and one line on standard error."""

from __future__ import annotations

import contextlib
import sys

DONE, FAILED_READER, BAD_INPUT, LINES_REFUSED, BUSY, CANNOT_WRITE = 0, 1, 2, 12, 15, 16


def say(text: str) -> None:
    """One line on standard error, if there is one."""
    with contextlib.suppress(Exception):
        sys.stderr.write(f"points: {text}\n")
