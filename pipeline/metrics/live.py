"""What programs told into the spool of a source since its last accepted snapshot: its counters as they are now.

The spool is that of ratchet-points, or of `ratchet scrape`. Nothing of it is stored: the next capture reads the same,
and is what counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain

from pipeline.core.feeds import known
from pipeline.core.lake import VALIDATED, SourceLake
from pipeline.core.listing import CLOCK_SKEW
from pipeline.core.model import Source
from pipeline.core.snapshots import read_frame
from pipeline.metrics.chosen import Counts
from pipeline.platforms.openmetrics.adapter import OpenMetrics
from pipeline.platforms.points.adapter import Points
from pipeline.platforms.protocol import Carried, Feed

_PAGES_AT_ONCE = 64


@dataclass
class LiveCounts:
    """Counts on in a spool from the last accepted snapshot, and anew where there is a newer one."""

    lake: SourceLake
    source: Source
    now: Callable[[], datetime]
    _since: object = None
    _counts: Counts = field(default_factory=dict)
    _carried: Carried = field(default_factory=dict)

    @staticmethod
    def has(source: Source) -> bool:
        """A topic or a program is left to the captures: who asks them each second is their guest for nothing."""
        return isinstance(source.platform, Points | OpenMetrics) and source.platform.spool is not None

    def look(self) -> tuple[Counts, Counts]:
        """The counters, and what each gained in the last whole minute; nothing where nothing was told yet.

        Raises TransportFault, LakeFault.
        """
        self._begin()
        feed, now = self.source.platform, self.now()
        assert isinstance(feed, Feed)  # noqa: S101  what `has` said
        pages = feed.read_between(
            self._carried, max_pages=_PAGES_AT_ONCE, max_bytes=self.source.bounds.max_bytes, now=self.now
        )
        first = next(pages, None)
        if first is None and not self._counts:
            return {}, {}
        folded = feed.fold(
            pages if first is None else chain([first], pages),
            self._counts,
            self._carried,
            captured_at=now,
            latest=now + CLOCK_SKEW,
            by_minute=feed.minute_counters,
        )
        columns = folded.columns
        self._counts = {
            item: {
                name: columns[name][at]
                for name in self.source.counter_names
                if name in columns and columns[name][at] is not None
            }
            for at, item in enumerate(columns["item_id"])
        }
        self._carried = folded.carried
        last = int(now.timestamp()) // 60 - 1
        minutes = feed.minutes(self._carried)
        lately = {
            item: {counter: counted.get(last, 0) for counter, counted in of_item.items()}
            for item, of_item in minutes.items()
        }
        return self._counts, lately

    def _begin(self) -> None:
        hour = self.lake.last_accepted()
        newest = None if hour is None else (hour.key, self.lake.stamp(VALIDATED, hour))
        if self._since is not None and self._since == (newest,):
            return
        self._counts, self._carried = known(read_frame(self.lake.path(VALIDATED, hour)) if hour is not None else None)
        self._since = (newest,)
