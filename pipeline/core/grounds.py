"""What a stored capture is judged on: its listing, the accepted snapshot before it, and the terms of its time."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from pipeline.core.capture import read_pages
from pipeline.core.feeds import counted_listing
from pipeline.core.hours import Hour
from pipeline.core.imported import reader
from pipeline.core.lake import VALIDATED, CaptureRef, SourceLake
from pipeline.core.lineage import read_lineage
from pipeline.core.listing import Listing, read_listing
from pipeline.core.model import Source
from pipeline.core.records import Quarantine, Terms, decode
from pipeline.core.signals.measuring import Arrived
from pipeline.core.snapshots import read_frame
from pipeline.core.validation.evidence import Evidence
from pipeline.core.windows import with_totals
from pipeline.platforms.protocol import Feed


@dataclass(frozen=True)
class Ground:
    """``previous`` is the accepted hour that the capture is compared with, ``arrived`` what passed by meanwhile."""

    evidence: Evidence
    terms: Terms
    previous: Hour | None
    arrived: Arrived


def ground_of(lake: SourceLake, source: Source, capture: CaptureRef) -> Ground:
    """Read a stored capture and what it is compared with. Raises LakeFault where it is damaged."""
    previous = lake.last_accepted(before=capture.hour)
    terms = _terms(lake, source, capture)
    before = read_frame(lake.path(VALIDATED, previous)) if previous else None
    arrived = Arrived()
    listing = _listing(lake, source, capture, terms, before, arrived)
    evidence = Evidence(terms.counters, terms.bounds, listing, before, source.credential_days)
    return Ground(evidence, terms, previous, arrived)


def _listing(
    lake: SourceLake,
    source: Source,
    capture: CaptureRef,
    terms: Terms,
    before: pd.DataFrame | None,
    arrived: Arrived,
) -> Listing:
    """The items of a capture with cumulative counters, whatever the platform tells."""
    if isinstance(source.platform, Feed):
        return counted_listing(lake, source.platform, capture, terms, before)
    counters = [counter.name for counter in terms.counters]
    pages = arrived.passing(read_pages(lake, capture))
    listing = read_listing(reader(source.platform), pages, counters, capture.captured_at)
    return with_totals(listing, source.platform.windows, before)


def _terms(lake: SourceLake, source: Source, capture: CaptureRef) -> Terms:
    """A capture keeps the counters, bounds and rules by which it was judged first."""
    if lake.quarantine(capture).exists():
        refused_by = decode(lake.quarantine(capture), Quarantine).terms
        if refused_by is not None:
            return refused_by
    if lake.exists(VALIDATED, capture.hour):
        lineage = read_lineage(lake.path(VALIDATED, capture.hour))
        if lineage.capture == capture.name:
            return lineage.terms
    return Terms(source.counters, source.bounds, source.rules)
