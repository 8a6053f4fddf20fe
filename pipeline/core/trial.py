"""Trying a source: as few requests as show its first items, judged as far as a page can be, stored nowhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pipeline.core.capture import Ended
from pipeline.core.feeds import counted
from pipeline.core.listing import Listing, PageProblem, read_listing
from pipeline.core.model import FEED_STATE, Finding, Source
from pipeline.core.refusals import COMPLETE_LISTING, DECREASES
from pipeline.core.validation.checks import judge
from pipeline.core.validation.evidence import Evidence
from pipeline.core.validation.words import records
from pipeline.core.windows import with_totals
from pipeline.core.withheld import without_filled
from pipeline.platforms.protocol import CutShort, Feed, Page, Unreadable

MOST_REQUESTS = 5
"""Some platforms name the account, or its list, before they list anything."""
_TOGETHER = {COMPLETE_LISTING, DECREASES}
"""Checks that need a whole listing, or one before it."""


@dataclass(frozen=True)
class Trial:
    """What came back: ``items`` with the columns of a listing, and what the checks of a page say of them.

    ``unfound``: a sentence for each key of the YAML whose expression finds nothing in any item. An item may lack such
    a field, so nothing is refused for it.
    """

    requests: int
    items: tuple[Mapping[str, Any], ...]
    findings: tuple[Finding, ...]
    unfound: tuple[str, ...] = ()

    @property
    def problems(self) -> list[str]:
        """The sentences of the checks that did not pass."""
        return [finding.reason for finding in self.findings if not finding.passed]


def try_source(source: Source, now: Callable[[], datetime]) -> Trial:
    """Ask the live platform. Raises TransportFault, DeadSession, ConfigError."""
    if isinstance(source.platform, Feed):
        return _try_feed(source, source.platform, now)
    pages = list(_first_pages(source, now))
    size = sum(len(page.body) for page in pages)
    stored: list[Page | Ended] = [*map(source.platform.trim, pages), Ended(len(pages), size, None)]
    listing = read_listing(source.platform.read, stored, source.counter_names, now())
    listing = with_totals(listing, source.platform.windows, None)
    findings = judge(Evidence(source.counters, source.bounds, listing, None, source.credential_days))
    told = tuple(found for found in findings if found.check not in _TOGETHER)
    return Trial(len(pages), records(listing.items), told, tuple(_unfound(listing)))


def _unfound(listing: Listing) -> Iterator[str]:
    items = len(listing.items)
    for name, written in listing.written.items():
        if items and name in listing.items and listing.items[name].isna().all():
            among = "the only item" if items == 1 else f"any of the {items:,} items"
            found_by = without_filled(written)
            yield f"{found_by} finds nothing in {among}. Does the platform call this field otherwise?"


def _try_feed(source: Source, feed: Feed, now: Callable[[], datetime]) -> Trial:
    pages: list[Page] = []
    cut_short: list[PageProblem] = []
    try:
        pages.extend(feed.read_on({}, max_pages=MOST_REQUESTS, max_bytes=source.bounds.max_bytes, now=now))
    except CutShort as fault:
        cut_short = [PageProblem(None, None, str(fault))]
    listing = counted(feed, pages, list(source.counter_names), None, now())
    listing = replace(listing, problems=(*listing.problems, *cut_short))
    findings = judge(Evidence(source.counters, source.bounds, listing, None, source.credential_days))
    shown = listing.items.drop(columns=FEED_STATE)
    return Trial(len(pages), records(shown), tuple(found for found in findings if found.check not in _TOGETHER))


def _first_pages(source: Source, now: Callable[[], datetime]) -> Iterator[Page]:
    from pipeline.platforms.client import fetch_pages

    bounds = source.bounds
    one_by_one = source.platform.model_copy(
        update={"concurrency": 1}
    )  # else pages would be asked for that nobody reads
    try:
        for page in fetch_pages(one_by_one, (), max_pages=MOST_REQUESTS, max_bytes=bounds.max_bytes, now=now):
            yield page
            if _lists_something(source, page):
                return
    except CutShort:
        return


def _lists_something(source: Source, page: Page) -> bool:
    try:
        columns = source.platform.read(page)
    except Unreadable:
        return True  # the check names it
    return bool(columns["item_id"]) and any(name in columns for name in source.counter_names)
