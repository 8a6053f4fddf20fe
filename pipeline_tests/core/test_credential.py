"""The days that a credential still lasts: named in the check and in the report while data still flows."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from pipeline.core import history
from pipeline.core.credential import runway_words
from pipeline.core.lake import REPORT_TEXT
from pipeline.core.report.markdown import report_text

from .account import Account, finding, hour, pages, rows
from .snapshots import at


def tell(account: Account, hours: float, *ends: datetime | None) -> None:
    """A sound capture with one page for each of ``ends``, when its reply said that the credential ends."""
    listing = pages([row for letter in "abcd"[: len(ends)] for row in rows(**{letter: 10})], size=1)
    told = [replace(page, credential_expires=end) for page, end in zip(listing, ends, strict=True)]
    assert account.tell(hours, told)


def in_days(days: float) -> datetime:
    return at(0) + timedelta(days=days)


@pytest.mark.parametrize(
    ("days", "limit"),
    [
        (60, None),
        (14.5, None),
        (13.9, "within 14 days"),
        (3.1, "within 14 days"),
        (2.9, "within 3 days"),
        (-1, "within 3"),
    ],
)
def test_the_notice_begins_14_and_3_days_ahead_and_blocks_nothing(
    account: Account, days: float, limit: str | None
) -> None:
    tell(account, 0, in_days(days))
    [capture] = account.lake.captures()
    found = finding(history.verdict(account.lake, account.source, capture), "credential_runway")
    assert found.passed
    assert found.facts["days_left"] == pytest.approx(days, abs=0.01)
    assert found.failing == (limit is not None)
    assert limit is None or limit in found.facts["limit"]
    warnings = account.report(0).warnings
    assert len(warnings) == (limit is not None)
    assert all("Log in to note.com with a browser" in warning for warning in warnings)
    assert ("**Warning:**" in account.lake.path(REPORT_TEXT, hour(0)).read_text()) == (limit is not None)


def test_of_several_replies_the_earliest_end_counts(account: Account) -> None:
    tell(account, 0, in_days(50), None, in_days(9))
    assert account.report(0).credential_expires == in_days(9)


def test_where_nothing_tells_the_check_says_what_to_write(account: Account) -> None:
    tell(account, 0, None)
    [capture] = account.lake.captures()
    found = finding(history.verdict(account.lake, account.source, capture), "credential_runway")
    assert (found.passed, found.failing) == (True, 0)
    assert "expires_on" in found.reason
    assert account.report(0).warnings == ()


def test_the_days_of_notice_are_the_owners(account: Account) -> None:
    account.change(credential_days=(40,))
    tell(account, 0, in_days(30))
    assert account.report(0).warnings
    account.change(credential_days=())
    tell(account, 1, in_days(1))
    assert not account.report(1).warnings
    assert "Warning" not in report_text(account.report(1))


@pytest.mark.parametrize(
    ("days", "words"),
    [(40, "for another 40 days, until"), (1, "for another 24 hours, until"), (-2, "should have ended on")],
)
def test_the_words_name_the_day(days: float, words: str) -> None:
    assert words in runway_words(in_days(days), at(0))
    assert f"{in_days(days):%Y-%m-%d}" in runway_words(in_days(days), at(0))
