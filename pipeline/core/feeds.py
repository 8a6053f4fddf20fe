"""Feeds: platforms that tell what happened. Their counters are made here, counting on from the last accepted snapshot.

A capture of a feed holds what happened since that snapshot. One that was refused, or lies between two
accepted ones for another reason, is counted with the next: what happened in it happened. Whatever two
captures both hold counts once, by its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from pipeline.core.capture import Ended, read_pages
from pipeline.core.files import encode_json
from pipeline.core.hours import Hour
from pipeline.core.imported import is_rows
from pipeline.core.lake import VALIDATED, CaptureRef, SourceLake
from pipeline.core.lineage import read_lineage
from pipeline.core.listing import CLOCK_SKEW, Listing, PageProblem, items_frame
from pipeline.core.minutes import ByMinute, is_level
from pipeline.core.model import FEED_STATE, SNAPSHOT_COLUMNS, Bounds, Rule
from pipeline.core.records import RefusedRecords, Terms
from pipeline.core.snapshots import columns_of, read_table
from pipeline.platforms.protocol import Carried, Feed, Page


def news(lake: SourceLake, feed: Feed, hour: Hour, bounds: Bounds, now: Callable[[], datetime]) -> Iterator[Page]:
    """The pages of one capture: what happened since the last accepted snapshot before ``hour``."""
    previous = lake.last_accepted(before=hour)
    carried: Carried = {}
    if previous is not None and FEED_STATE in columns_of(path := lake.path(VALIDATED, previous)):
        carried = _carried(read_table(path, ["item_id", FEED_STATE]))
    feed.tidy(carried, now())
    return feed.read_on(carried, max_pages=bounds.max_pages, max_bytes=bounds.max_bytes, now=now)


def counted_listing(
    lake: SourceLake, feed: Feed, capture: CaptureRef, terms: Terms, before: pd.DataFrame | None
) -> Listing:
    """The items after this capture, counted on from ``before``, the last accepted snapshot before it.

    Raises LakeFault where a capture since then is damaged.
    """
    counters = [counter.name for counter in terms.counters]
    told = list(_told_since(lake, capture))
    pages = [part for part in told if isinstance(part, Page)]
    listing = counted(feed, pages, counters, before, capture.captured_at, by_minute(feed, terms.rules))
    cut_short = (PageProblem(None, None, part.reason) for part in told if isinstance(part, Ended) and part.reason)
    return replace(listing, problems=(*listing.problems, *cut_short))


def by_minute(feed: Feed, rules: Iterable[Rule]) -> frozenset[str]:
    """The counters that a rule judges by the minute."""
    return frozenset(rule.counter for rule in rules if rule.by_minute or is_level(rule, feed.level_counters))


def minutes_of(feed: Feed, snapshot: Path) -> ByMinute:
    """What the accepted snapshot counted, and kept, by the minute. Raises LakeFault."""
    held = FEED_STATE in columns_of(snapshot)
    return told_by_minute(feed, _carried(read_table(snapshot, ["item_id", FEED_STATE])) if held else {})


def told_by_minute(feed: Feed, carried: Carried) -> ByMinute:
    """What the feed remembers by the minute. ``carried``: by item id the bytes of the column FEED_STATE."""
    return ByMinute(feed.minutes(carried), feed.levels(carried), feed.level_counters)


def counted(
    feed: Feed,
    pages: list[Page],
    counters: list[str],
    before: pd.DataFrame | None,
    captured_at: datetime,
    minute_counters: frozenset[str] = frozenset(),
) -> Listing:
    """The items after these pages, counted on from ``before``."""
    counts, carried = known(before)
    latest = captured_at + CLOCK_SKEW
    folded = feed.fold(pages, counts, carried, captured_at=captured_at, latest=latest, by_minute=minute_counters)
    items, columns = folded.columns["item_id"], dict(folded.columns)
    listed = {name: columns.get(name, [None] * len(items)) for name in (*SNAPSHOT_COLUMNS[:4], *counters)}
    frame = items_frame(listed, counters)
    state = [folded.carried.get(item) for item in items]
    frame[FEED_STATE] = pd.Series(state, dtype=pd.ArrowDtype(pa.binary()), index=frame.index)
    problems = tuple(PageProblem(None, None, problem) for problem in folded.problems)
    return Listing(
        captured_at,
        frame,
        problems,
        len(pages),
        refused=folded.refused,
        refused_count=folded.refused_count,
    )


def keep_refused(lake: SourceLake, capture: CaptureRef, listing: Listing) -> None:
    """Publish the evidence of what was refused one by one in a capture; what is there already stays."""
    if listing.refused_count:
        record = RefusedRecords(lake.name, capture.name, capture.captured_at, listing.refused_count, listing.refused)
        lake.publish(lake.refused_records(capture), encode_json(record))


def _told_since(lake: SourceLake, capture: CaptureRef) -> Iterator[Page | Ended]:
    """The pages of every capture after the one of the last accepted hour, up to this one, in order of time.

    Then how this one ended.
    """
    previous = lake.last_accepted(before=capture.hour)
    since = read_lineage(lake.path(VALIDATED, previous)).capture if previous else ""
    for each in lake.captures(previous, capture.hour):
        if since < each.name <= capture.name:
            for part in read_pages(lake, each):
                if isinstance(part, Page | Ended) and (each == capture or _happened(part)):
                    yield part


def _happened(part: Page | Ended) -> bool:
    """Imported rows are no part of what happened since; where they are what is judged, that is said."""
    return isinstance(part, Page) and not is_rows(part)


def known(before: pd.DataFrame | None) -> tuple[dict[str, dict[str, int]], Carried]:
    """By item its counters and what the feed remembers, from an accepted snapshot."""
    if before is None:
        return {}, {}
    table = pa.Table.from_pandas(before, preserve_index=False)
    fixed = {*SNAPSHOT_COLUMNS, FEED_STATE}
    names = [name for name in table.column_names if name not in fixed and f"{name}_max" in table.column_names]
    rows: list[dict[str, Any]] = table.select(["item_id", *names]).to_pylist()
    counts = {row["item_id"]: {name: row[name] for name in names if row[name] is not None} for row in rows}
    return counts, _carried(table) if FEED_STATE in table.column_names else {}


def _carried(table: pa.Table) -> Carried:
    held = table.filter(table[FEED_STATE].is_valid())
    return dict(zip(held["item_id"].to_pylist(), held[FEED_STATE].to_pylist(), strict=True))
