"""Hours of which Dagster was not told yet: a note in the lake, so that a killed import is told by the next start."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.core.hours import Hour
from pipeline.core.lake import SourceLake

_UNTOLD = "untold"


def untold(lake: SourceLake) -> set[Hour]:
    """The hours of which Dagster has to be told. Raises LakeFault where the note is damaged."""
    note = lake.read_note(_UNTOLD)
    return {Hour.parse(key) for key in note["hours"]} if note else set()


def remember_untold(lake: SourceLake, hours: Iterable[Hour]) -> None:
    """Add to the hours of which Dagster has to be told."""
    known = untold(lake)
    all_of_them = known.union(hours)
    if all_of_them != known:
        lake.write_note(_UNTOLD, {"hours": [hour.key for hour in sorted(all_of_them)]})


def forget_untold(lake: SourceLake) -> None:
    """Dagster knows of all hours now. Raises LakeFault."""
    lake.drop_note(_UNTOLD)
