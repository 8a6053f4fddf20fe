"""What note.com's replies become, and what of its articles is asked for."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from pipeline.core.errors import DeadSession
from pipeline.platforms import adapter
from pipeline.platforms.note import DETAILS_PER_CAPTURE, Note
from pipeline.platforms.protocol import ITEM_FIELDS, Page, Platform, Unreadable
from pipeline.sandbox.article import Article
from pipeline.sandbox.faults import Reply
from pipeline.sandbox.server import NoteSandbox
from pipeline_tests.platforms.conftest import COOKIE, NOW, Fetch, article

ROW = {"key": "n1", "name": "A", "read_count": 5, "like_count": 2, "comment_count": 1}


def listing(*rows: Any, **data: Any) -> Page:
    body = json.dumps({"data": {"note_stats": rows, "last_page": True, **data}}).encode()
    return Page("GET /api/v1/stats/pv?filter=all&page=1&sort=pv", 200, {}, NOW, body)


def detail(**data: Any) -> Page:
    return Page("GET /api/v3/notes/n1", 200, {}, NOW, json.dumps({"data": {"key": "n1", **data}}).encode())


@pytest.fixture
def reader() -> Platform:
    return Note.model_validate({"kind": "note", "session_cookie": COOKIE})


def test_the_kind_note_is_this_adapter() -> None:
    assert adapter("note") is Note
    with pytest.raises(KeyError):
        adapter("nowhere")


def test_an_account_becomes_columns_in_the_order_of_the_listing(note: Note, fetch: Fetch) -> None:
    first, second, *details = [note.read(page) for page in fetch(known=("n002",))]
    assert set(first) == {*ITEM_FIELDS, *Note.default_policies}
    assert first["item_id"] + second["item_id"] == ["n003", "n002", "n001"]
    assert first["views"] == [300, 200]
    assert first["likes"] == [30, 20]
    assert first["comments"] == [3, 2]
    assert first["title"] == ["Article 3", "Article 2"]
    assert details == [
        {"item_id": ["n003"], "published_at": [datetime(2026, 11, 4, tzinfo=UTC)]},
        {"item_id": ["n001"], "published_at": [datetime(2026, 11, 2, tzinfo=UTC)]},
    ]


def test_known_articles_are_not_asked_for_again(sandbox: NoteSandbox, fetch: Fetch) -> None:
    fetch(known={"n001", "n002", "n003"})
    assert not any("/api/v3/" in request for request in sandbox.requests)


def test_details_of_a_large_account_follow_with_later_captures(note: Note, fetch: Fetch) -> None:
    known: set[str] = set()
    with NoteSandbox(lambda: [article(n) for n in range(250)], cookie=COOKIE, page_size=100) as large:
        platform = note.model_copy(update={"base_url": large.url})
        told = []
        for _ in range(3):
            pages = fetch(platform, known, max_pages=1000)[3:]
            told.append(len(pages))
            known |= {item for page in pages for item in note.read(page)["item_id"]}
    assert told == [DETAILS_PER_CAPTURE, 50, 0]


@pytest.mark.parametrize("key", ["../../admin", "..", "a/b", "a?b", "", "é", "x" * 101, 7, None])
def test_a_key_that_could_mean_another_address_is_not_asked_for(reader: Platform, key: Any) -> None:
    asking = reader.ask(())
    next(asking)
    with pytest.raises(StopIteration):
        asking.send([listing({**ROW, "key": key})])


def test_an_article_listed_twice_is_asked_for_once(reader: Platform) -> None:
    asking = reader.ask(())
    next(asking)
    assert [request.path for request in asking.send([listing(ROW, ROW)])] == ["/api/v3/notes/n1"]
    with pytest.raises(StopIteration):
        asking.send([detail()])


def test_the_answer_about_another_article_is_unreadable(reader: Platform) -> None:
    asking = reader.ask(())
    next(asking)
    asking.send([listing(ROW)])
    with pytest.raises(Unreadable, match="another article"):
        asking.send([detail(key="n2")])


def test_an_error_with_status_200_is_a_dead_session_and_an_error_that_is_null_is_none(
    sandbox: NoteSandbox, fetch: Fetch, reader: Platform
) -> None:
    sandbox.fail_next(Reply(body=b'{"error":{"code":"auth","message":"login"}}'))
    with pytest.raises(DeadSession, match="200 with an error"):
        fetch()
    body = json.dumps({"error": None, "data": {"note_stats": [ROW], "last_page": True}}).encode()
    assert reader.read(Page("GET /api/v1/stats/pv", 200, {}, NOW, body))["views"] == [5]


def test_an_article_without_a_public_detail_does_not_stop_the_capture(note: Note, fetch: Fetch) -> None:
    catalogue = [article(2), article(1)]
    asked = iter([catalogue])

    def listed_and_then_without_the_first() -> list[Article]:
        return next(asked, catalogue[1:])

    with NoteSandbox(listed_and_then_without_the_first, cookie=COOKIE) as sandbox:
        listed, missing, found = fetch(note.model_copy(update={"base_url": sandbox.url}), known=())
    assert note.read(listed)["item_id"] == ["n002", "n001"]
    assert missing.status == 404
    assert note.read(missing) == {"item_id": []}
    assert note.read(found)["item_id"] == ["n001"]


def test_of_a_detail_only_what_is_read_is_kept_and_the_rest_is_named(reader: Platform) -> None:
    page = detail(publish_at="2026-11-01T00:00:00+09:00", name="A", body="the whole text", user={"email": "x"})
    kept = reader.trim(page)
    assert json.loads(kept.body) == {"data": {"key": "n1", "name": "A", "publish_at": "2026-11-01T00:00:00+09:00"}}
    assert kept.dropped == ("data.body", "data.user")
    assert reader.read(kept) == reader.read(page)


def test_a_listing_and_what_is_no_detail_are_kept_as_they_came(reader: Platform) -> None:
    for page in (listing(ROW), Page("GET /api/v3/notes/n1", 200, {}, NOW, b"no JSON"), detail()):
        assert reader.trim(page).body in (page.body, b'{"data":{"key":"n1"}}')
        assert reader.trim(page).dropped == ()


def test_a_wrong_value_is_passed_on_for_the_checks_to_judge(reader: Platform) -> None:
    columns = reader.read(listing({"key": 7, "name": None, "read_count": "many", "like_count": -1.5}))
    assert columns == {
        "item_id": [7],
        "title": [None],
        "url": [None],
        "published_at": [None],
        "views": ["many"],
        "likes": [-1.5],
        "comments": [None],
    }


def test_an_empty_account_is_empty_columns(reader: Platform) -> None:
    assert set(map(len, reader.read(listing()).values())) == {0}


@pytest.mark.parametrize(
    ("user", "url"),
    [
        ({"urlname": "writer"}, "https://note.com/writer/n/n1"),
        ({"urlname": "a/../b?c"}, "https://note.com/a%2F..%2Fb%3Fc/n/n1"),
        ({"urlname": None}, "https://note.com/notes/n1"),
        ("writer", "https://note.com/notes/n1"),
        (None, "https://note.com/notes/n1"),
    ],
)
def test_the_address_of_an_article_names_its_author_where_the_reply_does(reader: Platform, user: Any, url: str) -> None:
    assert reader.read(listing({**ROW, "user": user}))["url"] == [url]


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("2026-03-08T17:46:05.000+09:00", datetime(2026, 3, 8, 8, 46, 5, tzinfo=UTC)),
        ("2026-03-08T17:46:05", "2026-03-08T17:46:05"),
        ("yesterday", "yesterday"),
        ("0001-01-01T00:00:00+09:00", "0001-01-01T00:00:00+09:00"),
        (None, None),
        (12, 12),
    ],
)
def test_a_publication_is_a_time_where_it_can_be_read_as_one(reader: Platform, sent: Any, read: Any) -> None:
    assert reader.read(detail(publish_at=sent))["published_at"] == [read]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not JSON"),
        (b'{"data": {"note_stats": [{"key": "n', "not JSON"),
        (b'{"data": {"note_stats": [{"key": "\xff"}], "last_page": true}}', "not JSON"),
        (b'{"data": {"note_stats": [{"key": ' + b"[" * 1_000_000, "not JSON"),
        (b"[]", "shape"),
        (b"{}", "without data"),
        (b'{"data": null}', "shape"),
        (b'{"data": {"last_page": true}}', "note_stats"),
        (b'{"data": {"note_stats": []}}', "last_page"),
        (b'{"data": {"note_stats": [], "last_page": 1}}', "last_page"),
        (b'{"data": {"note_stats": {}, "last_page": true}}', "note_stats"),
        (b'{"data": {"note_stats": [null], "last_page": true}}', "note_stats"),
    ],
)
def test_a_listing_of_another_shape_is_unreadable(reader: Platform, body: bytes, words: str) -> None:
    page = Page("GET /api/v1/stats/pv?filter=all&page=1&sort=pv", 200, {}, NOW, body)
    with pytest.raises(Unreadable, match=words):
        reader.read(page)
    asking = reader.ask(())
    next(asking)
    with pytest.raises(Unreadable, match=words):
        asking.send([page])


def test_the_session_is_hidden_wherever_the_adapter_is_shown(reader: Platform) -> None:
    assert COOKIE not in f"{reader!r} {reader}"
    assert reader.credential == COOKIE
    assert reader.headers()["Cookie"] == f"_note_session_v5={COOKIE}"


@pytest.mark.parametrize(
    "wrong",
    [
        {"session_cookie": ""},
        {"requests_per_second": 0},
        {"base_url": "note.com"},
        {"base_url": "http://["},
        {"base_url": "https://note.com/path"},
        {"base_url": "https://user:secret@note.com"},
        {"kind": "qiita"},
        {"api_key": "x"},
    ],
)
def test_a_setting_that_cannot_work_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Note.model_validate({"session_cookie": COOKIE, **wrong})
