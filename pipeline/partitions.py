"""The hourly partitions of a source: from its first hour to the present one, or to a given end.

A source without ``start`` begins with the first hour in its lake, or with the hour in which it is
loaded, so that the UI shows no hours in which nobody was watching.
"""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg

from pipeline.core.hours import Hour
from pipeline.core.model import Source
from pipeline.core.project import Project


def hourly_partitions(source: Source) -> dg.HourlyPartitionsDefinition:
    """``end_offset=1``: the present hour can be observed while it lasts. ``end_date`` caps it."""
    return dg.HourlyPartitionsDefinition(
        start_date=_first_hour(source).start,
        end_date=source.end.end if source.end else None,
        end_offset=1,
    )


def _first_hour(source: Source) -> Hour:
    if source.start is not None:
        return source.start
    first = Project.here().lake.source(source.name).first_capture()
    return first.hour if first else Hour.of(datetime.now(UTC))
