"""What may become of a bent capture, and an oracle that knows nothing of the checks.

A capture is played as the client plays it: the adapter asks, gets the bent reply for the request,
and what it yields is stored, trimmed and read. Only three ends are allowed: an error of a declared
type, a refusal with a reason, or items of which every one is sound and has the numbers that it was told with.
"""

from __future__ import annotations

import json
from collections import Counter as Tally
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from pipeline.core.capture import Ended
from pipeline.core.errors import RatchetError
from pipeline.core.listing import read_listing
from pipeline.core.model import Bounds, Counter
from pipeline.core.validation.checks import judge
from pipeline.core.validation.evidence import Evidence
from pipeline.core.windows import with_totals
from pipeline.platforms import KINDS
from pipeline.platforms.client import fetch_pages
from pipeline.platforms.protocol import Page, Platform, Unreadable
from pipeline_tests.fuzzing.bending import Bend
from pipeline_tests.platforms.accounts import ACCOUNTS
from pipeline_tests.platforms.accounts.account import NOW, Account

SHIPPED = tuple(account for account in ACCOUNTS if account.kind in KINDS)
"""The accounts of the platforms that come with Ratchet."""
MOST_REQUESTS = 60
_LARGEST = 2**63 - 1
ERROR, REFUSED, ACCEPTED = "error", "refused", "accepted"


@dataclass(frozen=True)
class Recorded:
    """An account as its stand-in told it once."""

    account: Account
    platform: Platform
    pages: tuple[Page, ...]


def recorded(account: Account) -> Recorded:
    """Told once a process: bending starts from the same replies each time."""
    return _recorded(account.name)


@cache
def _recorded(name: str) -> Recorded:
    [account] = [account for account in SHIPPED if account.name == name]
    with account.serve() as serving:
        platform = account.platform(serving.url)
        pages = fetch_pages(platform, (), max_pages=MOST_REQUESTS, max_bytes=10**7, now=lambda: NOW)
        return Recorded(account, platform, tuple(pages))


def play(told: Recorded, bent: Mapping[int, Bend]) -> str:
    """What becomes of the capture in which the replies at these places are bent. Raises AssertionError."""
    replies = {
        page.request: replace(page, body=bent[place](page.body)) if place in bent else page
        for place, page in enumerate(told.pages)
    }
    arrived: list[Page] = []
    try:
        reason = _ask(told.platform, replies, arrived)
    except RatchetError as error:
        assert error.what
        assert error.next_step
        return ERROR
    return _judge(told, arrived, reason)


def _ask(platform: Platform, replies: Mapping[str, Page], arrived: list[Page]) -> str | None:
    """As client.fetch_pages does, from memory; why the listing was left before its end."""
    asking = platform.ask(())
    pages: list[Page] | None = None
    while True:
        try:
            requests = next(asking) if pages is None else asking.send(pages)
        except StopIteration:
            return None
        except Unreadable as error:
            assert str(error)
            return str(error)
        pages = []
        for request in requests:
            if len(arrived) == MOST_REQUESTS:
                return "the bound"
            page = _reply(platform, request, replies)
            if page is None:
                return "a page that is not there"
            if (fault := platform.fault(page)) is not None:
                raise fault
            pages.append(page)
            arrived.append(page)


def _reply(platform: Platform, request: Any, replies: Mapping[str, Page]) -> Page | None:
    import httpx

    url = httpx.Request("GET", f"http://host{request.path}", params=request.params).url
    return replies.get(f"GET {url.raw_path.decode()}")


def _judge(told: Recorded, arrived: Sequence[Page], reason: str | None) -> str:
    platform = told.platform
    kept = [platform.trim(page) for page in arrived]
    counters = [Counter(name, policy, name in platform.optional_counters) for name, policy in platform.policies.items()]
    stored: list[Page | Ended] = [*kept, Ended(len(kept), 0, reason)]
    listing = read_listing(platform.read, stored, [counter.name for counter in counters], NOW)
    listing = with_totals(listing, platform.windows, None)
    findings = judge(Evidence(counters, Bounds(), listing, None))
    if any(not finding.passed for finding in findings):
        assert all(finding.reason for finding in findings)
        json.dumps([finding.reason for finding in findings]).encode()
        return REFUSED
    _require_sound(listing.items.to_dict("records"), counters, told, arrived)
    return ACCEPTED


def _require_sound(
    items: Sequence[Mapping[Any, Any]], counters: Sequence[Counter], told: Recorded, pages: Sequence[Page]
) -> None:
    """Every accepted item is one that a source may record, with its own numbers or with those that a bend put in."""
    names = [item["item_id"] for item in items]
    assert all(isinstance(name, str) and name for name in names)
    assert len(set(names)) == len(names)
    introduced = set(_numbers(pages) - _numbers(told.pages))
    for item in items:
        for field in ("title", "url"):
            assert _missing(item[field]) or isinstance(item[field], str)
        _require_moment(item["published_at"])
        unbent = told.account.items.get(item["item_id"])
        for counter in counters:
            value = item[counter.name]
            if _missing(value):
                assert counter.optional, (counter.name, item)
                continue
            assert type(value) is int, (counter.name, value)
            assert 0 <= value <= _LARGEST, (counter.name, value)
            if unbent is not None and counter.name not in told.platform.windows:
                # A cut can join the head of one item to the tail of another, which then is gone: nobody could tell.
                joined = {gone[counter.name] for name, gone in told.account.items.items() if name not in names}
                assert value == unbent[counter.name] or value in introduced | joined, (counter.name, item)


def _missing(value: Any) -> bool:
    return value is None or value != value or str(value) in ("<NA>", "NaT")


def _require_moment(value: Any) -> None:
    if not _missing(value):
        assert isinstance(value, datetime)
        assert value.tzinfo is not None
        assert value <= NOW + timedelta(minutes=5)


def _numbers(pages: Sequence[Page]) -> Tally[int]:
    """How often each whole number stands in the replies, texts of digits among them."""
    found: Tally[int] = Tally()
    for page in pages:
        try:
            stack = [json.loads(page.body)]
        except (ValueError, RecursionError):
            continue
        while stack:
            value = stack.pop()
            if isinstance(value, dict | list):
                stack += value.values() if isinstance(value, dict) else value
            elif type(value) is int or (isinstance(value, str) and value.isascii() and value.isdigit()):
                found[int(str(value)[:30])] += 1
    return found
