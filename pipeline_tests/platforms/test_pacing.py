"""The pace of a host: tokens, and what the host itself says of its limit, with time that passes at once."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pipeline.core.errors import TransportFault
from pipeline.platforms import pacing
from pipeline.platforms.pacing import TokenBucket, bucket_of, exhausted_for, retry_after

from .conftest import NOW, Clock


@pytest.fixture(autouse=True)
def frozen(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(pacing, "time", clock)
    return clock


def moments(bucket: TokenBucket, clock: Clock, count: int) -> list[float]:
    taken = []
    for _ in range(count):
        bucket.take("host")
        taken.append(clock.moment)
    return taken


def test_one_request_at_a_time_is_spaced_evenly(frozen: Clock) -> None:
    assert moments(TokenBucket(rate=2), frozen, 4) == [0.0, 0.5, 1.0, 1.5]


def test_a_burst_goes_at_once_and_the_rate_holds_in_the_long_run(frozen: Clock) -> None:
    assert moments(TokenBucket(rate=2, burst=3), frozen, 5) == [0.0, 0.0, 0.0, 0.5, 1.0]


def test_a_rest_fills_the_bucket_and_no_further(frozen: Clock) -> None:
    bucket = TokenBucket(rate=1, burst=2)
    moments(bucket, frozen, 2)
    frozen.moment = 100.0
    assert moments(bucket, frozen, 3) == [100.0, 100.0, 101.0]


def test_a_shut_bucket_holds_whoever_asks_next(frozen: Clock) -> None:
    bucket = TokenBucket(rate=100)
    bucket.take("host")
    bucket.shut(30)
    assert moments(bucket, frozen, 1) == [30.0]


def test_a_bucket_that_is_shut_too_long_is_reported_and_not_waited_for(frozen: Clock) -> None:
    bucket = TokenBucket(rate=100)
    bucket.shut(3600)
    with pytest.raises(TransportFault, match="no request for another 60 minutes") as caught:
        bucket.take("example.org")
    assert frozen.waits == []
    assert caught.value.retry_after == 3600


def test_sources_of_one_host_share_its_bucket_at_the_pace_of_the_more_careful_one() -> None:
    first, second = bucket_of("shared.example", 5, 4), bucket_of("shared.example", 2, 1)
    assert first is second
    assert (second.rate, second.burst) == (2, 1)
    assert bucket_of("other.example", 5, 4) is not first


IN_90_SECONDS = datetime(2026, 11, 22, 14, 18, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "headers",
    [
        {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(IN_90_SECONDS.timestamp()))},  # GitHub
        {"rate-remaining": "0", "rate-reset": str(int(IN_90_SECONDS.timestamp()))},  # Qiita
        {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "2026-11-22T14:18:30.000000Z"},  # Mastodon
        {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "2026-11-22T23:18:30+09:00"},
        {"ratelimit-remaining": "0", "ratelimit-reset": "90"},  # the IETF's draft
        {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "Sun, 22 Nov 2026 14:18:30 GMT"},
    ],
)
def test_a_limit_that_is_used_up_names_its_reset_in_any_of_these_forms(headers: dict[str, str]) -> None:
    assert exhausted_for(headers, NOW) == 90.0


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-ratelimit-remaining": "1", "x-ratelimit-reset": "90"},
        {"x-ratelimit-remaining": "0"},
        {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "tomorrow"},
        {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "Fri, 31 Dec 99999999999999999999 23:59:59 GMT"},
        {"x-ratelimit-reset": "90"},
    ],
)
def test_what_names_no_limit_that_is_used_up_asks_for_no_wait(headers: dict[str, str]) -> None:
    assert exhausted_for(headers, NOW) is None


def test_retry_after_counts_before_the_reset() -> None:
    headers = {"retry-after": "7", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "90"}
    assert retry_after(headers, NOW) == 7.0
    assert retry_after({**headers, "retry-after": "soon"}, NOW) == 90.0
