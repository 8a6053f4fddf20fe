"""What an interrupted run left, told from a note in the lake and from the names of files alone.

`history` works it in; who only asks whether there is something left need not load what judges captures.
"""

from __future__ import annotations

from pipeline.core.hours import Hour
from pipeline.core.lake import DELTA, REPORT_TEXT, SourceLake

REBUILD = "rebuild"


def plan_rebuild(lake: SourceLake, first: Hour) -> None:
    """Note that every hour from ``first`` on has to be settled, before anything is changed. Raises LakeFault."""
    planned = planned_rebuild(lake)
    if planned is None or first < planned:
        lake.write_note(REBUILD, {"first": first.key})


def planned_rebuild(lake: SourceLake) -> Hour | None:
    """The first hour of a rebuild that was planned and did not end; None where there is none. Raises LakeFault."""
    note = lake.read_note(REBUILD)
    return Hour.parse(note["first"]) if note else None


def unsettled_from(lake: SourceLake, before: Hour | None = None) -> Hour | None:
    """The first hour that an interrupted run left: of a planned rebuild, or without all its files.

    ``before`` leaves out the hour that the caller is about to work on itself, and those after it.
    """
    planned = planned_rebuild(lake)
    last = before + -1 if before is not None else None
    accepted, refused = set(lake.accepted_hours(last=last)), set(lake.refused(last=last))
    finished = accepted & set(lake.hours_with(DELTA, last)) & set(lake.hours_with(REPORT_TEXT, last))
    unjudged = {c.hour for c in lake.captures(last=last) if c.hour not in accepted and c not in refused}
    return min(unjudged | (accepted - finished) | ({planned} if planned else set()), default=None)
