"""How fast a host is asked: a token bucket each, and what the host itself says of its limit.

Every request of this process takes its token here first, whatever source it is for and whichever
thread makes it. What a host answers about its limit (Retry-After, X-RateLimit-*, Rate-*,
RateLimit-*) holds the bucket shut for all of them.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from pipeline.core.errors import TransportFault
from pipeline.core.hours import parse_time

LONGEST_WAIT_SECONDS = 120.0
"""A platform that asks for more patience than this is reported instead of waited for."""

_SECONDS = re.compile(r"\d{1,12}(\.\d{1,6})?")
_FIRST_EPOCH = 1_000_000_000
"""A reset that is a larger number is a moment of Unix time, a smaller one seconds from now."""
_LIMITS = ("x-ratelimit", "x-rate-limit", "rate", "rate-limit", "ratelimit")


@dataclass
class TokenBucket:
    """At most ``burst`` requests at once and ``rate`` a second in the long run, as a virtual schedule.

    The generic cell rate algorithm (ITU-T I.371, annex A): one number, the moment at which the
    bucket would be full again, stands for all its tokens.
    """

    rate: float
    burst: int = 1
    _full_at: float = float("-inf")
    _shut_until: float = float("-inf")
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, host: str) -> None:
        """Wait for a token. Raises TransportFault where ``host`` shut the bucket for too long to wait."""
        while (pause := self._pause(host)) > 0:
            time.sleep(pause)

    def shut(self, seconds: float) -> None:
        """No request starts within ``seconds`` from now."""
        with self._lock:
            self._shut_until = max(self._shut_until, time.monotonic() + seconds)

    def _pause(self, host: str) -> float:
        """Takes a token and returns 0, or returns how long to wait before asking again."""
        with self._lock:
            now, interval = time.monotonic(), 1 / self.rate
            shut_for = self._shut_until - now
            if shut_for > LONGEST_WAIT_SECONDS:
                raise TransportFault(
                    f"{host} has used up its limit and takes no request for another {shut_for / 60:.0f} minutes",
                    retry_after=shut_for,
                )
            too_early = self._full_at - (self.burst - 1) * interval - now
            if (pause := max(shut_for, too_early)) > 0:
                return pause
            self._full_at = max(self._full_at, now) + interval
            return 0.0


_buckets: dict[str, TokenBucket] = {}
_buckets_lock = threading.Lock()


def bucket_of(host: str, rate: float, burst: int) -> TokenBucket:
    """The bucket of ``host`` in this process; of two sources on one host the more careful one sets the pace."""
    with _buckets_lock:
        bucket = _buckets.setdefault(host, TokenBucket(rate, burst))
        bucket.rate, bucket.burst = min(bucket.rate, rate), min(bucket.burst, burst)
        return bucket


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds until a failed request may be made again: Retry-After, or the reset of a limit that is used up."""
    asked = _seconds_until(headers.get("retry-after", ""), now)
    return asked if asked is not None else exhausted_for(headers, now)


def exhausted_for(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds until the limit begins anew, where ``headers`` say that nothing of it remains.

    Reset is a Unix time (GitHub, Qiita), an ISO time (Mastodon) or seconds (draft-ietf-httpapi-ratelimit-headers).
    """
    waits = [
        _seconds_until(headers.get(f"{limit}-reset", ""), now)
        for limit in _LIMITS
        if headers.get(f"{limit}-remaining", "").strip() == "0"
    ]
    return max((wait for wait in waits if wait is not None), default=None)


def _seconds_until(value: str, now: datetime) -> float | None:
    """From a number of seconds, a Unix time, or a time as in RFC 9110 or ISO 8601; None for anything else."""
    value = value.strip()
    if _SECONDS.fullmatch(value):
        number = float(value)
        return max(0.0, number - now.timestamp()) if number >= _FIRST_EPOCH else number
    moment = _moment(value)
    return None if moment is None else max(0.0, (moment - now).total_seconds())


def _moment(value: str) -> datetime | None:
    try:
        return parse_time(value)
    except (ValueError, OverflowError):
        pass
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
