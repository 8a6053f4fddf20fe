"""The words of Ratchet as types: counters and their policies, rules, sources, findings, crossings.

Only facts live here, no behaviour that reads or writes. docs/architecture.md explains the words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pipeline.core.errors import ConfigError
from pipeline.core.hours import Hour
from pipeline.core.policy import Policy
from pipeline.platforms.protocol import Platform

SNAPSHOT_COLUMNS = (
    "item_id",
    "title",
    "url",
    "published_at",
    "captured_at",
    "status",
    "last_observed_at",
    "checks_version",
)
"""The columns of an accepted snapshot beside those of its counters."""

FEED_STATE = "feed_state"
"""One column more where the platform is a feed: what it has to remember until the next snapshot, as bytes."""


class Origin(StrEnum):
    """How a capture came. Only live captures send messages."""

    LIVE = "live"
    REPLAY = "replay"
    IMPORT = "import"


class HourState(StrEnum):
    """What the ledger says of one hour of a source."""

    OBSERVED = "observed"
    QUARANTINED = "quarantined"
    UNFINISHED = "unfinished"
    GAP = "gap"


class Cause(StrEnum):
    """Why an incident is open. docs/operations.md says for each what to do."""

    SESSION_EXPIRED = "session_expired"
    FORBIDDEN = "forbidden"
    TRANSPORT = "transport"
    REFUSED = "refused"
    NOTHING_CAPTURED = "nothing_captured"
    LAKE = "lake"
    CLOCK = "clock"
    FAULT = "fault"
    CREDENTIAL_ENDING = "credential_ending"
    CHANNEL_FAILED = "channel_failed"
    HEARTBEAT_FAILED = "heartbeat_failed"
    CONFIGURATION = "configuration"


class Period(StrEnum):
    """How often a digest is told."""

    DAILY = "daily"
    WEEKLY = "weekly"


@dataclass(frozen=True)
class Counter:
    """A cumulative number of an item, as the source's YAML declares it."""

    name: str
    policy: Policy
    optional: bool = False


class RuleKind(StrEnum):
    """When a rule fires: its key in the YAML, whose value is the threshold."""

    CROSSES = "crosses"
    RATE_ABOVE = "rate_above"
    GAINED = "gained"
    ABOVE = "above"
    BELOW = "below"


@dataclass(frozen=True)
class Rule:
    """One threshold of a source; which fields count depends on ``kind``.

    crosses     ``thresholds``: milestones of the highest accepted value, once per item for ever
    rate_above  ``thresholds[0]`` per ``per_seconds`` of elapsed time; fires on the upward edge and
                re-arms when the rate falls below ``rearm_below``
    gained      ``thresholds[0]`` gained since the previous observation: absolute, or a share of
                the previous value where ``share`` is set
    above/below ``thresholds[0]`` of the value itself

    ``cooldown`` keeps gained, above and below silent for an item after they fired for it.
    """

    counter: str
    kind: RuleKind
    thresholds: tuple[float, ...]
    per_seconds: int = 3600
    rearm_below: float | None = None
    share: bool = False
    cooldown: timedelta = timedelta(0)

    @property
    def by_minute(self) -> bool:
        """Whether it is judged on the minutes of a feed, which knows them."""
        return self.kind is RuleKind.RATE_ABOVE and self.per_seconds == 60

    @property
    def name(self) -> str:
        """Identifies the rule in reports, receipts and the state carried between hours."""
        per = {60: "/minute", 3600: "/hour"}[self.per_seconds] if self.kind is RuleKind.RATE_ABOVE else ""
        amount = "" if self.kind is RuleKind.CROSSES else f" {_spelled(self.thresholds[0])}{per}"
        return f"{self.counter} {self.kind}{amount}" + (" share" if self.share else "")


def _spelled(number: float) -> str:
    """Six digits where they say it all, as in the state that lakes carry already; every digit otherwise."""
    short = f"{number:g}"
    return short if float(short) == number else repr(float(number)).removesuffix(".0")


@dataclass(frozen=True)
class Crossing:
    """One firing of one rule for one item at one hour, written as ``2026-11-22T14``."""

    rule: str
    kind: RuleKind
    counter: str
    item_id: str
    title: str | None
    url: str | None
    threshold: float
    value: float
    previous_value: float | None
    hour: str


@dataclass(frozen=True)
class Bounds:
    """How much of a listing may be missing or falling before a capture is refused, and how large it may be."""

    gone_items: int = 5
    gone_share: float = 0.2
    fallen_items: int = 5
    fallen_share: float = 0.2
    max_pages: int = 1_000
    max_bytes: int = 1_000_000_000


@dataclass(frozen=True)
class Source:
    """One configured account on one platform, with every value from the environment filled in.

    ``unset``: the error about the variables that are not set, of a source whose history alone is asked for; its
    platform can be asked nothing then, and it has no channels.
    """

    name: str
    platform: Platform
    counters: tuple[Counter, ...]
    rules: tuple[Rule, ...] = ()
    bounds: Bounds = Bounds()
    notify: tuple[str, ...] = field(default=(), repr=False)
    heartbeat_url: str | None = field(default=None, repr=False)
    minute: int = 17
    start: Hour | None = None
    end: Hour | None = None
    credential_days: tuple[int, ...] = (14, 3)
    digests: tuple[Period, ...] = ()
    enabled: bool = True
    simulated: bool = False
    owner: str | None = None
    timezone: str = "UTC"
    expected: str | None = None
    rollback: str | None = None
    unset: ConfigError | None = None

    @property
    def counter_names(self) -> tuple[str, ...]:
        """In the order of ``counters``, which is that of the columns."""
        return tuple(counter.name for counter in self.counters)

    @property
    def attempt_minutes(self) -> tuple[int, ...]:
        """At which minutes of an hour its schedule ticks: later ones only matter where the first failed."""
        return tuple(self.minute + later for later in (0, 10, 20) if self.minute + later < 60)

    def is_awaited(self, now: datetime) -> bool:
        """Whether the present should bring captures of it."""
        return self.enabled and not self.simulated and (self.end is None or now < self.end.end)


def outside(source: Source, hour: Hour) -> str | None:
    """Why the hour is none of the source's: before its ``start`` or after its ``end``. None where it is."""
    if source.start is not None and hour < source.start:
        return f"{source.name} starts at {source.start.key}; {hour.key} is before that."
    if source.end is not None and hour > source.end:
        return f"{source.name} ended at {source.end.key} and takes no new captures."
    return None


@dataclass(frozen=True)
class Finding:
    """The result of one check on one capture.

    ``rows`` is a capped sample of the failing items, ready for a table; ``failing`` counts all.
    ``passed`` with ``failing > 0`` is a warning: named, and not blocking.
    """

    check: str
    passed: bool
    reason: str
    failing: int = 0
    rows: tuple[Mapping[str, Any], ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
