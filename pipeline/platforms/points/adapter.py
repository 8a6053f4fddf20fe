"""The platform ``points``: the events of one's own programs, counted.

    spool     the folder into which programs write their events (points/README.md), read without a broker
    kafka     or the topic to which `points ship` carries them
    keep_days  how long a segment stays in the spool after it was counted; null for ever

    events, errors      of a point: how many there were, and how many of them were errors; never decrease
    errors_here         of a place in a program: the errors that were reported there
    sum_<field>         of a declared numeric attribute
    distinct_<key>      how many different values a declared key had
    entered, converted  of a declared conversion: how many were at its first point, and how many came to the other
    read                of all that was read: records
    malformed           those of them that were refused, each kept with its reason
    duplicates          those that had been counted before
    dropped             what the SDK says that it could not record
    lost                messages that the topic's retention took away before they were read
    behind              bytes of the spool, or messages, that did not fit into this capture; the next one goes on

An item's ``published_at`` is the time of its first event.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import ClassVar, Literal

from pipeline.core.policy import Policy, Trend
from pipeline.platforms.points.carried import carried as state_of
from pipeline.platforms.points.settings import Settings
from pipeline.platforms.points.tally import READING, counted
from pipeline.platforms.protocol import Carried, Counted, Feed, Folded, Minutes, Page

_GROWS = Policy(Trend.NEVER_DECREASES)
_SUFFIX = ".points"


class Points(Settings, Feed, frozen=True):
    """The events of programs, out of one spool or one topic."""

    kind: Literal["points"] = "points"
    base_url: Literal[""] = ""

    login_hint: ClassVar[str] = "Look at the settings of the broker under 'kafka' in the source's YAML."

    @property
    def policies(self) -> Mapping[str, Policy]:
        """Each counter of these settings; all but ``behind`` only grow."""
        names = ["events", "errors"]
        names += ["errors_here"] if self.errors_by_place else []
        names += sorted({f"sum_{name}" for spec in self.events.values() for name in spec.sums})
        names += sorted({f"distinct_{key}" for spec in self.events.values() for key in spec.distinct})
        names += ["entered", "converted"] if self.conversions else []
        names += ["read", "malformed", "duplicates", "dropped", "lost"]
        return dict.fromkeys(names, _GROWS) | {"behind": Policy(Trend.MAY_DECREASE)}

    @property
    def optional_counters(self) -> frozenset[str]:
        """All of them: no item has every counter."""
        return frozenset(self.policies)

    def read_on(
        self, carried: Carried, *, max_pages: int, max_bytes: int, now: Callable[[], datetime]
    ) -> Iterator[Page]:
        """New records of the spool or the topic. Raises LakeFault for state that cannot be read."""
        positions = state_of(carried.get(READING)).positions
        if self.spool is not None:
            from pipeline.platforms.feed import spool

            return spool.read_on(
                self.spool, positions, max_pages=max_pages, max_bytes=max_bytes, now=now, suffix=_SUFFIX
            )
        from pipeline.platforms.points import topic

        assert self.kafka is not None  # noqa: S101 - one of the two, say the settings
        return topic.read_on(self.kafka, positions, max_pages=max_pages, max_bytes=max_bytes, now=now)

    def tidy(self, accepted: Carried, now: datetime) -> None:
        """Remove segments of the spool that are counted and older than ``keep_days``; a topic has its own retention."""
        if self.spool is not None and self.keep_days is not None:
            from pipeline.platforms.feed import spool

            positions = state_of(accepted.get(READING)).positions
            spool.tidy(self.spool, positions, now - timedelta(days=self.keep_days))

    def fold(
        self,
        pages: Iterable[Page],
        before: Counted,
        carried: Carried,
        *,
        captured_at: datetime,
        latest: datetime,
        by_minute: Collection[str] = (),
    ) -> Folded:
        """Count the events on, each one once. Raises LakeFault for state that cannot be read."""
        return counted(
            self,
            pages,
            before,
            carried.get(READING),
            counters=self.policies,
            captured_at=captured_at,
            latest=latest,
            by_minute=by_minute,
        )

    @property
    def minute_counters(self) -> frozenset[str]:
        """Those that an event adds to; what is counted over all events has no minute."""
        return frozenset(
            name for name in self.policies if name in ("events", "errors", "errors_here") or name.startswith("sum_")
        )

    def minutes(self, carried: Carried) -> Minutes:
        """By item and counter, how many came in each minute. Raises LakeFault for state that cannot be read."""
        return state_of(carried.get(READING)).minutes
