"""Zenn, Qiita and Mastodon: descriptions that are shipped, against replies that were really recorded.

What every adapter must do, `test_contract` plays with them too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline.core import history
from pipeline.core.errors import ConfigError, DeadSession, TransportFault
from pipeline.core.hours import Hour
from pipeline.core.lake import Lake
from pipeline.core.observe import RecordedClock, observe
from pipeline.core.policy import Trend
from pipeline.core.sources import read_source
from pipeline.core.verdicts import Verdict
from pipeline.platforms import KINDS, adapter
from pipeline.platforms.json_api.adapter import JsonApi
from pipeline.platforms.json_api.preset import Preset, preset
from pipeline.platforms.protocol import CutShort, Page, Platform
from pipeline.sandbox.faults import Reply
from pipeline_tests.platforms.accounts.account import SECRET
from pipeline_tests.platforms.accounts.mastodon import MASTODON_ACCOUNT, MastodonAnswer, mastodon_status
from pipeline_tests.platforms.accounts.qiita import qiita_answer, qiita_item
from pipeline_tests.platforms.accounts.zenn import zenn_answer, zenn_article
from pipeline_tests.platforms.conftest import NOW
from pipeline_tests.platforms.described import collected, fetched, loaded, rows
from pipeline_tests.platforms.stand_in import Answer, Asked, StandIn, answers

DATA = Path(__file__).parent.parent / "data"


def recorded(name: str) -> Any:
    return json.loads((DATA / name).read_text())


def platform(kind: str, url: str | None = None, **settings: str) -> Platform:
    base = {} if url is None else {"base_url": url}
    return adapter(kind).model_validate({"kind": kind, "requests_per_second": 10_000, **base, **settings})


def zenn(url: str | None = None) -> Platform:
    return platform("zenn", url, username="writer")


def qiita(url: str | None = None, token: str = SECRET) -> Platform:
    return platform("qiita", url, token=token)


def mastodon(url: str = "https://social.example", **settings: str) -> Platform:
    return platform("mastodon", url, **(settings or {"username": "writer"}))


def stored(account: Platform, body: bytes) -> Page:
    return account.trim(Page("GET /recorded", 200, {}, NOW, body))


# Replies that were recorded -----------------------------------------------------------------------------


def test_the_recorded_articles_of_zenn_are_read_as_they_are() -> None:
    page = stored(zenn(), (DATA / "zenn_articles_by_username_2025-06.json").read_bytes())
    assert page.dropped == ()
    assert rows(zenn().read(page)) == [
        {
            "item_id": "424763",
            "title": "REDACTED",
            "url": "https://zenn.devREDACTED",
            "published_at": datetime(2025, 6, 28, 14, 41, 40, 684_000, UTC),
            "likes": 1,
            "comments": 0,
            "bookmarks": 0,
        }
    ]


@pytest.mark.parametrize(
    ("name", "found", "dropped"),
    [
        (
            "qiita_items_unauthenticated_2025-06.json",
            {
                "item_id": "b67e14a08d47447b0c37",
                "published_at": datetime(2023, 12, 14, 5, 55, 26, tzinfo=UTC),
                "views": None,
                "likes": 7,
                "comments": 0,
                "bookmarks": 1,
            },
            ("body", "rendered_body", "user"),
        ),
        (
            "qiita_item_2021_no_stocks_count_field.json",
            {
                "item_id": "70ab4e8e145318e72bd2",
                "published_at": datetime(2021, 9, 29, 15, 51, 3, tzinfo=UTC),
                "views": None,
                "likes": 0,
                "comments": 0,
                "bookmarks": None,
            },
            (),
        ),
    ],
)
def test_the_recorded_items_of_qiita_are_read_as_they_are(
    name: str, found: Mapping[str, Any], dropped: tuple[str, ...]
) -> None:
    page = stored(qiita(), (DATA / name).read_bytes())
    assert page.dropped == dropped
    assert rows(qiita().read(page)) == [{**found, "title": "REDACTED", "url": "REDACTED"}]


def test_the_recorded_status_of_mastodon_is_read_as_it_is() -> None:
    status = recorded("mastodon_status_200_trimmed.json")["body"]
    page = stored(mastodon(), json.dumps([status]).encode())
    assert page.dropped == ("content",)
    assert rows(mastodon().read(page)) == [
        {
            "item_id": "109440145478329198",
            "title": None,
            "url": "http://localhost:3000/@mastodonpy_test/109440145478329198",
            "published_at": datetime(2022, 12, 1, 19, 48, 14, 825_000, UTC),
            "likes": 0,
            "shares": 0,
            "comments": 0,
        }
    ]


@pytest.mark.parametrize(
    ("name", "account"), [("mastodon_401_home_timeline.json", mastodon), ("zenn_401_me.json", zenn)]
)
def test_a_recorded_401_is_a_dead_session(name: str, account: Callable[[str], Platform]) -> None:
    told = recorded(name)
    reply = answers(told["body"], told["status"], **told.get("headers", {}))
    with StandIn(lambda asked: reply) as stand_in, pytest.raises(DeadSession) as failure:
        fetched(account(stand_in.url))
    assert len(stand_in.requests) == 1
    assert failure.value.next_step == account(stand_in.url).login_hint


# What an account with such replies becomes --------------------------------------------------------------


def judged(folder: Path, kind: str, settings: Mapping[str, str], answer: Answer) -> Verdict:
    with StandIn(answer) as stand_in:
        file = folder / "mine" / "defs.yaml"
        file.parent.mkdir()
        described = {"kind": kind, "base_url": stand_in.url, "requests_per_second": 10_000, **settings}
        written = {"source": "mine", "platform": described}
        file.write_text(json.dumps({"type": "pipeline.components.CounterSource", "attributes": written}))
        source, lake = read_source(file, {}), Lake(folder / "lake").source("mine")
        with lake.writing():
            observed = observe(lake, source, Hour.of(NOW), RecordedClock(NOW))
            return history.verdict(lake, source, observed.capture)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"page_views_count": None}, "Views is missing"),
        ({"likes_count": "7"}, "Likes is not a whole number"),
        ({"created_at": "2026-11-01T00:00:00"}, "Published_at is not a time with an offset"),
        ({"id": None}, "Item_id is missing"),
    ],
)
def test_an_article_of_qiita_that_lacks_something_is_refused(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    verdict = judged(tmp_path, "qiita", {"token": SECRET}, qiita_answer([qiita_item(2), qiita_item(1, **changes)]))
    assert not verdict.accepted
    assert words in verdict.reason


def test_views_of_qiita_that_are_absent_are_refused_and_not_zero(tmp_path: Path) -> None:
    old = recorded("qiita_item_2021_no_stocks_count_field.json")[0]
    del old["page_views_count"]
    verdict = judged(tmp_path, "qiita", {"token": SECRET}, qiita_answer([old]))
    assert (verdict.accepted, "Views is missing" in verdict.reason) == (False, True)


def test_articles_of_zenn_may_lack_bookmarks_and_nothing_else(tmp_path: Path) -> None:
    older = {name: value for name, value in zenn_article(1).items() if name != "bookmarked_count"}
    assert judged(tmp_path, "zenn", {"username": "writer"}, zenn_answer([older])).accepted
    (tmp_path / "other").mkdir()
    verdict = judged(tmp_path / "other", "zenn", {"username": "writer"}, zenn_answer([{**older, "liked_count": None}]))
    assert (verdict.accepted, "Likes is missing" in verdict.reason) == (False, True)


def test_bookmarks_of_zenn_and_qiita_are_the_only_counters_that_may_be_missing() -> None:
    assert zenn().optional_counters == qiita().optional_counters == {"bookmarks"}
    assert mastodon().optional_counters == set()


def test_only_views_never_decrease() -> None:
    trends = {(kind, name): policy.trend for kind in ("zenn", "qiita") for name, policy in _policies(kind).items()}
    assert [key for key, trend in trends.items() if trend is Trend.NEVER_DECREASES] == [("qiita", "views")]
    assert {policy.trend for policy in mastodon().policies.values()} == {Trend.MAY_DECREASE}


def _policies(kind: str) -> Mapping[str, Any]:
    return {"zenn": zenn(), "qiita": qiita()}[kind].policies


# How each of them behaves -------------------------------------------------------------------------------


def test_an_author_whom_zenn_does_not_know_is_a_clear_error() -> None:
    with StandIn(zenn_answer([])) as stand_in, pytest.raises(TransportFault, match="/api/articles answered 404"):
        fetched(platform("zenn", stand_in.url, username="nobody"))


def test_a_list_of_zenn_that_does_not_say_whether_it_ends_is_refused() -> None:
    body = recorded("zenn_articles_by_username_2025-06.json")
    with StandIn(lambda asked: answers(body)) as stand_in, pytest.raises(CutShort, match="what follows it is not told"):
        fetched(zenn(stand_in.url))


def test_a_list_of_qiita_that_is_shorter_than_its_total_is_refused() -> None:
    def answer(asked: Asked) -> Reply:
        return answers([qiita_item(1)], total_count="2")

    with StandIn(answer) as stand_in, pytest.raises(CutShort, match="counts 2 items and listed 1"):
        fetched(qiita(stand_in.url))


def test_a_token_that_qiita_turned_away_is_not_asked_again() -> None:
    with StandIn(qiita_answer([])) as stand_in, pytest.raises(DeadSession) as failure:
        fetched(qiita(stand_in.url, token="another-token"))
    assert len(stand_in.requests) == 1
    assert "read_qiita" in failure.value.next_step
    assert "another-token" not in str(failure.value)


def test_an_exhausted_limit_of_qiita_is_waited_for_and_no_dead_session() -> None:
    limit = answers({"message": "Rate limit exceeded", "type": "rate_limit_exceeded"}, 403)
    with StandIn(lambda asked: limit) as stand_in, pytest.raises(TransportFault, match="limit is used up"):
        fetched(qiita(stand_in.url))


def test_an_account_of_mastodon_is_looked_up_by_name_or_known_by_id() -> None:
    with StandIn(MastodonAnswer([mastodon_status(1)])) as stand_in:
        assert len(collected(mastodon(stand_in.url))) == 1
        assert len(collected(mastodon(stand_in.url, account_id=MASTODON_ACCOUNT))) == 1
    statuses = f"GET /api/v1/accounts/{MASTODON_ACCOUNT}/statuses?exclude_reblogs=true&limit=40"
    assert stand_in.requests[:2] == ["GET /api/v1/accounts/lookup?acct=writer", statuses]
    assert stand_in.requests[3] == statuses


def test_a_page_of_boosts_alone_is_no_end() -> None:
    boosts = [mastodon_status(n, reblog=mastodon_status(20)) for n in (5, 4)]
    with StandIn(MastodonAnswer([*boosts, mastodon_status(3)])) as stand_in:
        assert [item["likes"] for item in collected(mastodon(stand_in.url))] == [30]


def test_a_token_goes_to_mastodon_only_where_there_is_one() -> None:
    with StandIn(MastodonAnswer([])) as stand_in:
        fetched(mastodon(stand_in.url))
        fetched(mastodon(stand_in.url, username="writer", token=SECRET))
    assert [sent.get("authorization") for sent in stand_in.sent] == [None] * 2 + [f"Bearer {SECRET}"] * 2
    assert (mastodon().credential, mastodon(username="a", token=SECRET).credential) == ("", SECRET)


# Their YAML ---------------------------------------------------------------------------------------------


def test_every_kind_has_an_adapter_of_that_name() -> None:
    for kind in KINDS:
        assert adapter(kind).model_fields["kind"].default == kind
    with pytest.raises(KeyError):
        adapter("nowhere")


def test_presets_are_descriptions_without_python() -> None:
    presets = [kind for kind in KINDS if issubclass(adapter(kind), Preset)]
    assert presets == ["mastodon", "qiita", "zenn"]
    assert not issubclass(adapter("json_api"), Preset)
    assert issubclass(adapter("json_api"), JsonApi)


@pytest.mark.parametrize(
    ("text", "words", "line"),
    [
        ("kind: zenn", "the key 'username' is missing", 4),
        ("kind: zenn\nusername: a/b", "username: String should match pattern", 6),
        ("kind: zenn\nusername: writer\ntoken: x", "there is no key 'token'", 7),
        ("kind: zenn\nusername: writer\npath: /api/me", "there is no key 'path'", 7),
        ("kind: qiita\ntoken: '{{ env.QIITA }}'\nuser: x", "there is no key 'user'", 7),
        ("kind: qiita\ntoken: ''", "token: Value should have at least 1 item", 6),
        ("kind: mastodon\nusername: writer", "the key 'base_url' is missing", 4),
        ("kind: mastodon\nbase_url: https://social.example", "the key 'username' is missing", 4),
        ("kind: mastodon\nbase_url: https://social.example/api\nusername: a", "base_url: String should match", 6),
        ("kind: mastodon\nbase_url: https://social.example\naccount_id: ..", "account_id: String should match", 7),
        ("kind: hashnode", "the kind of platform is unknown", 5),
        ("kind: medium", "the kind of platform is unknown", 5),
    ],
)
def test_what_is_wrong_in_a_source_is_named_with_its_line(tmp_path: Path, text: str, words: str, line: int) -> None:
    with pytest.raises(ConfigError) as failure:
        loaded(tmp_path, text, {"QIITA": SECRET})
    assert words in failure.value.what
    assert failure.value.line == line
    assert SECRET not in str(failure.value)


def test_a_key_that_is_unknown_is_answered_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as failure:
        loaded(tmp_path, "kind: zenn\nname: writer", {})
    assert failure.value.next_step == (
        "The keys in platform are: kind, base_url, requests_per_second, concurrency, conditional, timeout,"
        " expires_on, username."
    )


def test_numbers_of_the_yaml_are_taken_as_text(tmp_path: Path) -> None:
    account = loaded(tmp_path, f"kind: mastodon\nbase_url: https://a.example\naccount_id: {MASTODON_ACCOUNT}", {})
    (request,) = next(account.ask(()))
    assert request.path == f"/api/v1/accounts/{MASTODON_ACCOUNT}/statuses"


def test_a_preset_with_an_unknown_placeholder_is_a_fault_of_the_preset(tmp_path: Path) -> None:
    file = tmp_path / "odd.yaml"
    file.write_text(
        "login_hint: x\npath: /${who}\nitems: a\nfields: {item_id: i}\ncounters: {views: v}\nbase_url: https://a.example"
    )
    with pytest.raises(ValueError, match="no parameter is called who"):
        preset(file)
