"""What every adapter has to do, played by each of them against a stand-in of its platform.

A new adapter passes when its account stands in `accounts.ACCOUNTS`; nothing is written here for it.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from pipeline.core import history
from pipeline.core.capture import Ended, read_pages
from pipeline.core.errors import DeadSession, RatchetError
from pipeline.core.hours import Hour
from pipeline.core.lake import VALIDATED, Lake
from pipeline.core.listing import Listing, read_listing
from pipeline.core.model import Source
from pipeline.core.observe import RecordedClock, observe
from pipeline.core.snapshots import read_table
from pipeline.core.sources import read_source
from pipeline.core.trial import MOST_REQUESTS, try_source
from pipeline.core.windows import with_totals
from pipeline.platforms import KINDS
from pipeline.platforms.client import fetch_pages
from pipeline.platforms.protocol import ITEM_FIELDS, Feed, Page, Platform, Unreadable, lists_items
from pipeline.sandbox.faults import Reply
from pipeline_tests.platforms.accounts import ACCOUNTS, FEEDS
from pipeline_tests.platforms.accounts.account import NOW, SECRET, Account, Item

EACH = pytest.mark.parametrize("account", ACCOUNTS, ids=str)
EACH_WITH_A_CREDENTIAL = pytest.mark.parametrize(
    "account", [a for a in (*ACCOUNTS, *FEEDS) if a.secret_key is not None], ids=str
)
EACH_AND_FEEDS = pytest.mark.parametrize("account", (*ACCOUNTS, *FEEDS), ids=str)

WRONG = "another-planted-credential"
ODD_VALUES: Sequence[Any] = (None, [], {}, "", "x", -1, True, 1.5, [None], {"x": None})
OTHER_BODIES = (
    b"",
    b"null",
    b"true",
    b"7",
    b'"text"',
    b"[]",
    b"{}",
    b"[null]",
    b'{"error": "made up"}',
    b"<!DOCTYPE html>",
    b'{"\xff": 1}',
    b"[" * 100_000,
    b'{"a":' * 100_000,
)


@pytest.fixture(autouse=True)
def _the_example_is_a_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "plume", "pipeline_tests.platforms.example:Plume")


def fetch(platform: Platform, known: Sequence[str] = ()) -> list[Page]:
    return list(fetch_pages(platform, known, max_pages=100, max_bytes=10_000_000, now=lambda: NOW))


def listed(platform: Platform, pages: Sequence[Page]) -> Listing:
    """The items of a whole listing as a source would record them first."""
    stored: list[Page | Ended] = [*map(platform.trim, pages), Ended(len(pages), 0, None)]
    return with_totals(read_listing(platform.read, stored, list(platform.policies), NOW), platform.windows, None)


def items(platform: Platform, listing: Listing) -> dict[str, Item]:
    assert listing.problems == ()
    columns = (*ITEM_FIELDS, *platform.policies)
    rows: list[dict[str, Any]] = [
        {str(name): None if _is_missing(value) else value for name, value in row.items()}
        for row in listing.items[list(columns)].to_dict("records")
    ]
    assert len({row["item_id"] for row in rows}) == len(rows)
    return {row.pop("item_id"): row for row in rows}


def _is_missing(value: Any) -> bool:
    return value is None or value != value  # NaT is unlike itself


@EACH
def test_the_whole_listing_is_read_item_by_item(account: Account) -> None:
    with account.serve() as serving:
        platform = account.platform(serving.url)
        pages = fetch(platform)
    assert len(pages) == len(serving.requests) == account.requests > 1
    assert items(platform, listed(platform, pages)) == account.items


@EACH
def test_an_account_with_nothing_to_list_is_no_item_and_no_problem(account: Account) -> None:
    with account.serve_empty() as serving:
        platform = account.platform(serving.url)
        listing = listed(platform, fetch(platform))
    assert items(platform, listing).keys() == account.left


@EACH
def test_items_that_are_known_cost_no_more_and_lose_no_counter(account: Account) -> None:
    with account.serve() as serving:
        platform = account.platform(serving.url)
        found = items(platform, listed(platform, fetch(platform, list(account.items))))
    assert len(serving.requests) <= account.requests
    assert {key: _counters(platform, row) for key, row in found.items()} == {
        key: _counters(platform, row) for key, row in account.items.items()
    }


def _counters(platform: Platform, row: Item) -> dict[str, Any]:
    return {counter: row[counter] for counter in platform.policies}


@EACH
def test_every_counter_has_a_policy_and_is_read(account: Account) -> None:
    with account.serve() as serving:
        platform = account.platform(serving.url)
        columns = [platform.read(page) for page in fetch(platform)]
    policies = platform.policies.keys()
    assert {name for page in columns for name in page} == {*ITEM_FIELDS, *policies}
    assert platform.optional_counters & policies <= policies
    assert platform.windows.isdisjoint(ITEM_FIELDS)
    for page in columns:
        assert len({len(values) for values in page.values()}) == 1
        if lists_items(page, policies):
            assert page.keys() >= set(ITEM_FIELDS)


@EACH
def test_a_reply_that_somebody_else_kept_is_read_as_one_that_lists_items(account: Account) -> None:
    with account.serve() as serving:
        platform = account.platform(serving.url)
        page = next(page for page in fetch(platform) if lists_items(platform.read(page), platform.policies))
    target = httpx.URL(platform.first_listing().path, params=dict(platform.first_listing().params)).raw_path.decode()
    assert lists_items(platform.read(replace(page, request=f"GET {target}")), platform.policies)


@EACH
def test_a_trimmed_page_is_read_and_gone_on_from_like_the_whole_one(account: Account) -> None:
    with account.serve() as serving:
        platform = account.platform(serving.url)
        pages = fetch(platform)
    trimmed = [platform.trim(page) for page in pages]
    assert [platform.trim(page) for page in trimmed] == trimmed
    assert [platform.read(page) for page in trimmed] == [platform.read(page) for page in pages]
    assert _asked(platform, trimmed) == _asked(platform, pages)
    for page, kept in zip(pages, trimmed, strict=True):
        assert replace(kept, body=page.body, dropped=()) == page
        assert bool(kept.dropped) == (kept.body != page.body)


def _asked(platform: Platform, pages: Sequence[Page]) -> list[str]:
    """What is asked for when these pages arrive."""
    asked, arriving, asking = [], iter(pages), platform.ask(())
    requests = next(asking)
    while True:
        asked += [f"{request.path} {dict(request.params)}" for request in requests]
        try:
            requests = asking.send([next(arriving) for _ in requests])
        except StopIteration:
            return asked


@EACH
def test_reading_is_pure_and_refuses_what_it_cannot_use_in_words(account: Account) -> None:
    with account.serve() as serving:
        platform = account.platform(serving.url)
        pages = fetch(platform)
    one_of_each_kind = {tuple(platform.read(page)): page for page in pages}
    for page in one_of_each_kind.values():
        before = copy.deepcopy(page)
        assert platform.read(page) == platform.read(page)
        for body in _other_bodies(page.body):
            _endure(platform, replace(page, body=body))
        assert page == before


def _other_bodies(body: bytes) -> Iterator[bytes]:
    yield from OTHER_BODIES
    yield from (body[: len(body) * part // 4] for part in (1, 2, 3))
    for changed in _with_odd_values(json.loads(body)):
        yield json.dumps(changed).encode()


def _with_odd_values(value: Any) -> Iterator[Any]:
    """The JSON with one of its values replaced by an odd one, or one of its fields left out."""
    if isinstance(value, dict):
        for name in value:
            yield {key: child for key, child in value.items() if key != name}
            yield from ({**value, name: changed} for changed in (*ODD_VALUES, *_with_odd_values(value[name])))
    elif isinstance(value, list) and value:
        yield from ([changed, *value[1:2]] for changed in (*ODD_VALUES, *_with_odd_values(value[0])))


def _endure(platform: Platform, page: Page) -> None:
    """A page of another shape is Unreadable, or columns that the checks can judge; nothing else happens."""
    trimmed = platform.trim(page)
    platform.fault(page)
    with suppress(Unreadable):
        columns = platform.read(trimmed)
        assert len({len(values) for values in columns.values()}) == 1
        listed(platform, [trimmed])


@EACH
def test_a_listing_is_asked_for_to_its_end_or_given_up_in_words(account: Account) -> None:
    with account.serve() as serving:
        platform = account.platform(serving.url)
        pages = fetch(platform)
    for body in _other_bodies(pages[0].body):
        asking = platform.ask(())
        requests = next(asking)
        with suppress(Unreadable, StopIteration):
            asking.send([replace(pages[0], body=body), *pages[1 : len(requests)]])


@EACH_WITH_A_CREDENTIAL
def test_the_credential_travels_in_headers_only_and_shows_nowhere(account: Account) -> None:
    with account.serve() as serving:
        platform = account.platform(serving.url)
        pages = fetch(platform)
    assert platform.credential == SECRET
    assert any(SECRET in value for value in platform.headers().values())
    assert SECRET not in f"{serving.requests} {pages} {platform!r} {platform}"


@EACH_WITH_A_CREDENTIAL
def test_a_credential_that_is_turned_away_is_a_dead_session_that_says_what_to_do(account: Account) -> None:
    with account.serve() as serving:
        platform = account.platform(serving.url, WRONG)
        with pytest.raises(DeadSession) as dead:
            fetch(platform)
    assert len(serving.requests) == 1
    assert dead.value.next_step == platform.login_hint
    assert WRONG not in f"{dead.value} {dead.value!r}"


@EACH_AND_FEEDS
def test_a_platform_that_asks_for_patience_is_asked_again(account: Account) -> None:
    with account.serve() as serving:
        platform = account.platform(serving.url)
        serving.fail_next(Reply(429, {"Retry-After": "0"}, b"{}"), Reply(503, {}, b"{}"))
        pages = fetch(platform)
    assert len(serving.requests) == account.requests + 2
    if not isinstance(platform, Feed):
        assert items(platform, listed(platform, pages)).keys() == account.items.keys()


@pytest.mark.parametrize("status", [400, 403, 404, 422, 500])
@EACH_AND_FEEDS
def test_an_answer_without_a_page_is_one_clear_error(account: Account, status: int) -> None:
    body = json.dumps({"error": "made up", "message": "made up", "status": status}).encode()
    with account.serve() as serving:
        platform = account.platform(serving.url)
        serving.fail_next(*[Reply(status, {"Content-Type": "application/json"}, body)] * 4)
        with pytest.raises(RatchetError) as fault:
            fetch(platform)
    assert fault.value.exit_code in (10, 11)
    assert SECRET not in str(fault.value)


# A source of this account, from its YAML to its lake -----------------------------------------


def a_source(account: Account, url: str, folder: Path, **more: Any) -> Source:
    credential = account.credential("{{ env.PLANTED }}")
    platform = {"kind": account.kind, **account.settings, **credential, "base_url": url, "requests_per_second": 10_000}
    platform |= more
    written = {"type": "pipeline.components.CounterSource", "attributes": {"source": "mine", "platform": platform}}
    file = folder / "defs" / "mine" / "defs.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(written))  # JSON is YAML
    return read_source(file, {"PLANTED": SECRET})


@EACH
def test_a_trial_asks_for_no_more_than_it_shows(account: Account, tmp_path: Path) -> None:
    with account.serve() as serving:
        trial = try_source(a_source(account, serving.url, tmp_path, concurrency=4), lambda: NOW)
    assert len(serving.requests) == trial.requests <= MOST_REQUESTS
    assert trial.problems == []
    assert account.items.keys() >= {item["item_id"] for item in trial.items} > set()


@EACH
def test_a_source_of_this_account_passes_every_check_hour_after_hour(account: Account, tmp_path: Path) -> None:
    with account.serve() as serving:
        source = a_source(account, serving.url, tmp_path)
        lake = Lake(tmp_path / "lake").source("mine")
        with lake.writing():
            for moment in (NOW, NOW + timedelta(hours=1)):
                _observe(lake, source, moment)
                recorded = read_table(lake.path(VALIDATED, Hour.of(moment))).to_pylist()
                assert {row["item_id"]: _counters(source.platform, row) for row in recorded} == {
                    key: _counters(source.platform, row) for key, row in account.items.items()
                }
            assert [hour for hour, changed in history.settle(lake, source, Hour.of(NOW)) if changed] == []
            stored = [part for capture in lake.captures() for part in read_pages(lake, capture)]
    assert SECRET not in str(stored)
    assert not any(SECRET.encode() in file.read_bytes() for file in (tmp_path / "lake").rglob("*") if file.is_file())


def _observe(lake: Any, source: Source, moment: datetime) -> None:
    observed = observe(lake, source, Hour.of(moment), RecordedClock(moment))
    judged = history.verdict(lake, source, observed.capture)
    assert judged.accepted, judged.reason
    history.settle_hour(lake, source, Hour.of(moment))
