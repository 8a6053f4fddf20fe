"""Hours and times: one clock hour in UTC, two spellings, and nothing without an offset."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.hours import Hour, format_time, parse_time

HOUR = Hour(datetime(2026, 11, 22, 14, tzinfo=UTC))
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOMENTS = st.integers(0, 7 * 10**15).map(lambda microseconds: EPOCH + timedelta(microseconds=microseconds))
STEADY = settings(deadline=None, derandomize=True)


@STEADY
@given(MOMENTS)
def test_an_hour_is_read_back_from_either_spelling(moment: datetime) -> None:
    hour = Hour.of(moment)
    assert Hour.parse(hour.key) == Hour.parse(hour.partition_key) == hour
    assert moment in hour
    assert moment not in hour + 1
    assert moment not in hour + -1


@STEADY
@given(MOMENTS, MOMENTS)
def test_names_of_hours_sort_as_the_hours_do(one: datetime, other: datetime) -> None:
    assert (Hour.of(one) < Hour.of(other)) == (Hour.of(one).key < Hour.of(other).key)


@STEADY
@given(MOMENTS, st.integers(-12 * 60, 14 * 60))
def test_a_time_is_read_back_to_the_microsecond_whatever_its_offset(moment: datetime, minutes: int) -> None:
    local = moment.astimezone(timezone(timedelta(minutes=minutes)))
    assert parse_time(format_time(local)) == moment
    assert parse_time(local.isoformat()) == moment
    assert format_time(local).endswith("Z")


def test_an_hour_is_that_of_the_clock_in_utc() -> None:
    tokyo = timezone(timedelta(hours=9))
    assert Hour.of(datetime(2026, 11, 22, 23, 59, 59, tzinfo=tokyo)) == HOUR
    assert (HOUR.key, HOUR.partition_key, HOUR.month) == ("2026-11-22T14", "2026-11-22-14:00", "2026-11")


def test_a_time_without_an_offset_is_refused() -> None:
    with pytest.raises(ValueError, match="no offset"):
        Hour.of(datetime(2026, 11, 22, 14))  # noqa: DTZ001
    with pytest.raises(ValueError, match="no offset"):
        parse_time("2026-11-22T14:17:00")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-11-22",
        "2026-11-22T14:00",
        "2026-11-22-14",
        "2026-11-22T14:00:00Z",
        "2026-11-22 14",
        "2026-11-22T24",
        "2026-02-30T00",
        "2026-11-22T14\n",
        "٢٠٢٦-11-22T14",
        "../../2026-11-22T14",
    ],
)
def test_another_spelling_is_refused_with_the_one_that_is_meant(text: str) -> None:
    with pytest.raises(ValueError, match="write it as 2026-11-22T14"):
        Hour.parse(text)


def test_hours_are_counted_over_the_end_of_a_month() -> None:
    last = Hour.parse("2026-11-30T23")
    assert (last + 1).key == "2026-12-01T00"
    assert (last + 1) - last == 1
    assert [hour.key for hour in last.through(last + 2)] == ["2026-11-30T23", "2026-12-01T00", "2026-12-01T01"]
    assert list(last.through(last + -1)) == []
    assert last.end == (last + 1).start
