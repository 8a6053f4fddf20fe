"""Why did it move: what happened to a source and its items, derived from the files of the lake.

Titles and listings are read from the snapshots, crossings from the reports, refusals from quarantine, and the owner's
words from corrections and marks. What happened between two captures stands at the later one,
the first that shows it; publications and marks stand at their own time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import numpy as np

from pipeline.core.analysis.marks import marks
from pipeline.core.analysis.watched import ABSENT, CARRIED, MISSING, Watched
from pipeline.core.crossings import crossing_words
from pipeline.core.hours import Hour
from pipeline.core.lake import CaptureRef, SourceLake
from pipeline.core.ledger import corrections
from pipeline.core.records import Correction, Quarantine, decode
from pipeline.core.refusals import REJECTED

_MOST_REFUSED = 200
"""Each is a file to read, for every page that is drawn."""


class Kind(StrEnum):
    """In the words that the page shows."""

    CROSSED = "crossed"
    PUBLISHED = "published"
    TITLE = "title changed"
    GONE = "gone"
    RETURNED = "returned"
    CORRECTED = "corrected"
    MARK = "marked"
    QUARANTINED = "quarantined"


@dataclass(frozen=True)
class Happening:
    """``item_id`` is None for what concerns the source. ``counter`` and ``value`` stand with a crossing only."""

    at: datetime
    kind: Kind
    item_id: str | None
    words: str
    counter: str | None = None
    value: float | None = None


def happenings(lake: SourceLake, watched: Watched) -> list[Happening]:
    """Everything since the first accepted capture, oldest first."""
    seen = (_crossed(watched), _published(watched), _retitled(watched), _listed(watched))
    parts = (*seen, _refused(lake), _owners_words(lake))
    return sorted((found for part in parts for found in part), key=lambda found: found.at)


def _crossed(watched: Watched) -> Iterator[Happening]:
    for told in watched.told:
        for c in told.crossings:
            yield Happening(told.captured_at, Kind.CROSSED, c.item_id, crossing_words(c), c.counter, c.value)


def _published(watched: Watched) -> Iterator[Happening]:
    for item in watched.items:
        if item.zero and item.published_at is not None and item.published_at <= watched.moment(-1):
            yield Happening(item.published_at, Kind.PUBLISHED, item.item_id, item.title)


def _retitled(watched: Watched) -> Iterator[Happening]:
    titles, names = watched.titles, watched.title_names
    changed = (titles[1:] != titles[:-1]) & (titles[1:] != MISSING) & (titles[:-1] != MISSING)
    for capture, place in zip(*np.nonzero(changed), strict=True):
        words = f"“{names[titles[capture, place]]}” became “{names[titles[capture + 1, place]]}”"
        yield Happening(watched.moment(capture + 1), Kind.TITLE, watched.items[place].item_id, words)


def _listed(watched: Watched) -> Iterator[Happening]:
    status = watched.status
    carried, before = status[1:] == CARRIED, status[:-1] == CARRIED
    known = status[:-1] != ABSENT
    for kind, found, words in (
        (Kind.GONE, known & carried & ~before, "no longer in the listing"),
        (Kind.RETURNED, known & ~carried & before, "in the listing again"),
    ):
        for capture, place in zip(*np.nonzero(found), strict=True):
            yield Happening(watched.moment(capture + 1), kind, watched.items[place].item_id, words)


def _refused(lake: SourceLake) -> Iterator[Happening]:
    """The latest hours of which no capture was accepted, each with the reason why its last one was not."""
    accepted = set(lake.accepted_hours())
    last = {capture.hour: capture for capture in lake.refused() if capture.hour not in accepted}
    for capture in list(last.values())[-_MOST_REFUSED:]:
        record = decode(lake.quarantine(capture), Quarantine)
        if record.failed != (REJECTED,):  # which stands with the owner's words
            yield Happening(capture.captured_at, Kind.QUARANTINED, None, record.reason)


def _owners_words(lake: SourceLake) -> Iterator[Happening]:
    for decision in corrections(lake):
        words = f"{decision.hour} {decision.words}: {decision.reason}{_overruled(lake, decision)}"
        item_id = decision.items[0] if len(decision.items) == 1 else None
        yield Happening(Hour.parse(decision.hour).start, Kind.CORRECTED, item_id, words)
    for mark in marks(lake):
        yield Happening(mark.at, Kind.MARK, mark.item_id, f"{mark.text} ({mark.by})")


def _overruled(lake: SourceLake, decision: Correction) -> str:
    """What the checks had said of a capture that the owner took as true: the hour itself is a sound one now."""
    record = lake.quarantine(CaptureRef(Hour.parse(decision.hour), decision.capture))
    if decision.action == "reject" or not record.exists():
        return ""
    refused = decode(record, Quarantine)
    return f". It had been refused by {', '.join(refused.failed)}: {refused.reason}"
