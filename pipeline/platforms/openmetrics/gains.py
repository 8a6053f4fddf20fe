"""What a cumulative series gained between two scrapes: from their numbers and the beginnings of their epochs alone."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.platforms.openmetrics.carried import Series


@dataclass(frozen=True)
class Gain:
    """What a series gained since it was told last, all of it after ``since``.

    ``amount`` is None where nobody can say: its total begins with the number told, or goes on from what it was.
    ``fell``: it is lower than before within one epoch.
    """

    amount: int | None
    since: int
    reset: bool = False
    presumed: bool = False
    bounded: bool = False
    fell: bool = False


def gained(known: Series | None, number: int, created: int | None, last: int | None) -> Gain:
    """``last``: when the program was scraped before, whatever it told then."""
    if known is None:
        if last is not None and created is not None and created > last:
            return Gain(number, created)  # it began since: all of it is news
        return Gain(None, last or 0, bounded=last is not None)
    if created != known.created and created is not None:
        if created > known.seen:
            return Gain(number, created, reset=True)
        if known.created is not None:
            # Told by another program, or one whose clock is wrong: how much of it came since nobody knows.
            return Gain(0, known.seen, reset=True, bounded=True)
    if number >= known.number:
        return Gain(number - known.number, known.seen)
    if created is not None and created == known.created:
        return Gain(number - known.number, known.seen, fell=True)
    return Gain(number, known.seen, presumed=True, bounded=True)
