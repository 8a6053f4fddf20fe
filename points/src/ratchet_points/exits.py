"""How the command ``points`` ends: its exit codes, and one line on standard error."""

from __future__ import annotations

from ratchet_points.drops import tell

DONE, FAILED_READER, BAD_INPUT, LINES_REFUSED, BUSY, CANNOT_WRITE = 0, 1, 2, 12, 15, 16


def say(text: str) -> None:
    """One line of the command on standard error, if there is one."""
    tell(text, "points")
