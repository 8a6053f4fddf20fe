"""The clock hour: the unit of the lake, the ledger and Dagster's partitions. How times and durations are written.

An hour is written ``2026-11-22T14`` in file names and on the command line and
``2026-11-22-14:00`` as Dagster's partition key. All hours are UTC.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_SPELLED = re.compile(r"(\d{4}-\d\d-\d\d)(?:T(?=\d\d$)|-(?=\d\d:00$))(\d\d)(?::00)?", re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_ONE_HOUR = timedelta(hours=1)
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}

SPAN = r"(\d+)\s*([mhd])"
"""How a duration is written in YAML and on the command line, as a regular expression."""

KEY_LENGTH = len("2026-11-22T14")
"""Of an hour's key, with which the names of all its files begin."""


@dataclass(frozen=True, order=True)
class Hour:
    """One UTC clock hour, known by its first instant."""

    start: datetime

    @classmethod
    def of(cls, moment: datetime) -> Hour:
        """The hour that holds ``moment``, which must carry its offset (ValueError if not)."""
        if moment.tzinfo is None:
            raise ValueError(f"{moment} has no offset from UTC")
        return cls(moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0))

    @classmethod
    def parse(cls, text: str) -> Hour:
        """Read either spelling. Raises ValueError with the accepted form."""
        return _parsed(text)

    @classmethod
    def bound(cls, text: str, *, last: bool = False) -> Hour:
        """An end of a stretch: an hour, or a day for its first or its last one. Raises ValueError."""
        return cls.parse(f"{text}T{23 if last else 0:02}" if _DAY.fullmatch(text) else text)

    @property
    def key(self) -> str:
        """``2026-11-22T14``: file names and the command line."""
        return self.start.strftime("%Y-%m-%dT%H")

    @property
    def partition_key(self) -> str:
        """``2026-11-22-14:00``: Dagster's hourly partitions."""
        return self.start.strftime("%Y-%m-%d-%H:%M")

    @property
    def month(self) -> str:
        """The month in which the lake files the hour, written ``2026-11``."""
        return self.start.strftime("%Y-%m")

    @property
    def end(self) -> datetime:
        """The first instant that is no longer in the hour."""
        return self.start + _ONE_HOUR

    def __contains__(self, moment: datetime) -> bool:
        return self.start <= moment < self.end

    def __add__(self, hours: int) -> Hour:
        return Hour(self.start + hours * _ONE_HOUR)

    def __sub__(self, other: Hour) -> int:
        """Whole hours from ``other`` to this hour."""
        return round((self.start - other.start) / _ONE_HOUR)

    def __str__(self) -> str:
        return self.key

    def through(self, last: Hour) -> Iterator[Hour]:
        """Every hour from this one to ``last``, both included."""
        return (self + n for n in range(last - self + 1))


@lru_cache(maxsize=20_000)  # two years: each hour of a history asks for the names of the month before it
def _parsed(text: str) -> Hour:
    spelled = _SPELLED.fullmatch(text)
    try:
        if spelled:
            return Hour(datetime.fromisoformat(f"{spelled[1]}T{spelled[2]}:00+00:00"))
    except ValueError:
        pass
    raise ValueError(f"'{text}' is not an hour; write it as 2026-11-22T14 (UTC)")


def format_time(moment: datetime) -> str:
    """ISO 8601 in UTC with ``Z``, as every file of the lake writes times."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def parse_time(text: str) -> datetime:
    """Read ISO 8601 with an offset. Raises ValueError for a naive time."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"'{text}' has no offset from UTC; write it as 2026-11-22T14:17:00Z")
    return moment.astimezone(UTC)


def parse_span(text: str) -> timedelta:
    """Read ``90m``, ``2h`` or ``1d``. Raises ValueError for anything else."""
    found = re.fullmatch(SPAN, text)
    if found is None:
        raise ValueError("a duration is written 90m, 2h or 1d")
    if len(text) > len("9999999d"):
        raise ValueError("no duration is that long")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def microseconds(moment: datetime) -> int:
    """Since 1970, without a rounding of floats."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
