"""An endpoint that YAML alone describes: what is asked, what is found, what a dead session is, what is dropped."""

from __future__ import annotations

import base64
import json
import logging
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from pipeline.core.errors import DeadSession, TransportFault
from pipeline.core.policy import Policy, Trend
from pipeline.platforms.protocol import CutShort, Page, Unreadable
from pipeline.sandbox.faults import Reply
from pipeline_tests.platforms.conftest import NOW
from pipeline_tests.platforms.described import POSTS, collected, described, fetched, post, posts, rows
from pipeline_tests.platforms.stand_in import Asked, StandIn, answers

SECRET = "planted-secret-of-the-dashboard"
DASHBOARD = answers({"posts": posts(2)})


def page(body: Any, request: str = "GET /api/posts", status: int = 200) -> Page:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Page(request, status, {"content-type": "application/json"}, NOW, raw)


def read(text: str, *items: Any) -> list[dict[str, Any]]:
    return rows(described(text).read(page({"posts": list(items)})))


# What is found ------------------------------------------------------------------------------------------


def test_an_item_is_what_the_expressions_find() -> None:
    assert read(POSTS, post(3)) == [
        {
            "item_id": "3",
            "title": "Post 3",
            "url": "https://a.example/3",
            "published_at": datetime(2026, 11, 3, 0, 0, tzinfo=UTC),
            "views": 300,
            "likes": 30,
        }
    ]


def test_counters_have_the_policy_that_the_description_gives() -> None:
    text = POSTS.replace(
        "counters: {", "counters: {shares: {value: s, policy: tolerance, tolerance: 0.1, optional: true}, "
    )
    platform = described(text)
    assert platform.policies == {
        "shares": Policy(Trend.TOLERANCE, 0.1),
        "views": Policy(Trend.NEVER_DECREASES),
        "likes": Policy(Trend.MAY_DECREASE),
    }
    assert platform.optional_counters == {"shares"}


@pytest.mark.parametrize("odd", ["100", "1e3", 1.5, True, [], {"n": 1}, -1, "", 2**70])
def test_a_counter_is_passed_on_as_it_was_sent(odd: Any) -> None:
    (item,) = read(POSTS, post(1, views=odd))
    assert (item["views"], type(item["views"])) == (odd, type(odd))


def test_a_counter_that_is_absent_or_null_is_missing_and_not_zero() -> None:
    absent = {name: value for name, value in post(1).items() if name != "views"}
    assert [item["views"] for item in read(POSTS, absent, post(2, views=None), post(3, views=0))] == [None, None, 0]


@pytest.mark.parametrize(
    ("sent", "found"),
    [("0", 0), ("007", 7), ("123456789012345678", 123456789012345678), (12, 12), (None, None)]
    + [(odd, odd) for odd in ("", "-1", "1.0", "1e3", " 1", "1,000", "١", "9" * 19)],
)
def test_numbers_that_are_sent_as_text_become_numbers_where_the_yaml_says_so(sent: Any, found: Any) -> None:
    (item,) = read(POSTS + "\nintegers: text", post(1, views=sent))
    assert (item["views"], type(item["views"])) == (found, type(found))


@pytest.mark.parametrize(
    ("written", "sent", "found"),
    [
        ("at", "2025-06-28T23:41:40.684+09:00", "2025-06-28T14:41:40.684000+00:00"),
        ("at", "2025-06-28T23:41:40Z", "2025-06-28T23:41:40+00:00"),
        ("at", "2025-06-28T23:41:40", None),
        ("at", "yesterday", None),
        ("at", 1751121700, None),
        ("{value: at, offset: '+09:00'}", "2025-06-28 23:41:40", "2025-06-28T14:41:40+00:00"),
        ("{value: at, offset: '-03:30'}", "2025-06-28", "2025-06-28T03:30:00+00:00"),
        ("{value: at, offset: '+09:00'}", "2025-06-28T23:41:40Z", "2025-06-28T23:41:40+00:00"),
        ("{value: at, offset: '+09:00'}", "0001-01-01", None),
        ("{value: at, written: seconds}", 1751121700, "2025-06-28T14:41:40+00:00"),
        ("{value: at, written: milliseconds}", 1751121700684, "2025-06-28T14:41:40.684000+00:00"),
        ("{value: at, written: seconds}", 10**20, None),
        ("{value: at, written: seconds}", True, None),
        ("{value: at, written: seconds}", "1751121700", None),
    ],
)
def test_a_time_of_publication_is_read_as_it_is_written(written: str, sent: Any, found: str | None) -> None:
    (item,) = read(POSTS.replace("published_at: at", f"published_at: {written}"), post(1, at=sent))
    assert item["published_at"] == (sent if found is None else datetime.fromisoformat(found))


@pytest.mark.parametrize(("sent", "found"), [(7, "7"), ("n7", "n7"), (None, None), (True, True), (1.5, 1.5), ([], [])])
def test_an_id_that_is_a_number_becomes_its_text(sent: Any, found: Any) -> None:
    (item,) = read(POSTS, post(1, id=sent))
    assert (item["item_id"], type(item["item_id"])) == (found, type(found))


@pytest.mark.parametrize(
    ("address", "changes", "found"),
    [
        ("https://a.example{link}", {"link": "/u/posts/1?x=1#y"}, "https://a.example/u/posts/1?x=1#y"),
        ("https://a.example/{user.name}/{id}", {"user": {"name": "me & you"}}, "https://a.example/me%20&%20you/1"),
        ("https://a.example/{link}", {"link": '"><script>記'}, "https://a.example/%22%3E%3Cscript%3E%E8%A8%98"),
        ("https://a.example/{link}", {"link": None}, None),
        ("https://a.example/{link}", {"link": {}}, None),
        ("link || other", {"link": None, "other": "http://b.example"}, "http://b.example"),
    ],
)
def test_an_address_is_found_or_put_together(address: str, changes: dict[str, Any], found: str | None) -> None:
    (item,) = read(POSTS.replace("url: link", f'url: "{address}"'), post(1, **changes))
    assert item["url"] == found


def test_only_what_is_an_item_needs_an_id_and_a_counter() -> None:
    text = "path: /x\nitems: '[@]'\nfields: {item_id: name}\ncounters: {downloads: pulls}"
    assert rows(described(text).read(page({"name": "image", "pulls": 9}))) == [
        {"item_id": "image", "title": None, "url": None, "published_at": None, "downloads": 9}
    ]


def test_where_chooses_items() -> None:
    found = read(POSTS + '\nwhere: "!repost"', post(1), post(2, repost={"id": 9}), post(3, repost=None))
    assert [item["item_id"] for item in found] == ["1", "3"]


@pytest.mark.parametrize(
    ("text", "body", "words"),
    [
        (POSTS, {}, "GET /api/posts holds no list where its items were due (items: posts)"),
        (POSTS, {"posts": None}, "holds no list"),
        (POSTS, {"posts": {"1": {}}}, "holds no list"),
        (POSTS, b'{"posts": [', "GET /api/posts is not JSON"),
        (POSTS, b"", "is not JSON"),
        (POSTS, b'{"posts": "\xff"}', "is not JSON"),
        (POSTS, b"[" * 100_000, "is not JSON"),
        (
            POSTS.replace("items: posts", "items: keys(posts)"),
            {"posts": 1},
            "items (keys(posts)) cannot be read: keys() takes no number",
        ),
        (
            POSTS.replace("views: views", "views: length(v)"),
            {"posts": [{}]},
            "item 1: counters.views (length(v)) cannot be read",
        ),
        (
            POSTS.replace("views: views", "views: 'contains(title, v)'"),
            {"posts": [{"title": "a", "v": 5}]},
            "item 1: counters.views (contains(title, v)) cannot be read: TypeError",
        ),
        (POSTS + "\nwhere: public", {"posts": [{"public": None}]}, "item 1: where (public) is neither true nor false"),
    ],
)
def test_a_page_of_another_shape_is_unreadable(text: str, body: Any, words: str) -> None:
    with pytest.raises(Unreadable) as failure:
        described(text).read(page(body))
    assert words in str(failure.value)


def test_ten_thousand_items_are_read_in_seconds() -> None:
    platform, large = described(POSTS), page({"posts": posts(28) * 360})
    started = time.process_time()
    assert len(platform.read(large)["item_id"]) == 10_080
    assert time.process_time() - started < 5


# What is sent -------------------------------------------------------------------------------------------


def session(asked: Asked) -> Reply:
    """A dashboard that knows one cookie, one header and one parameter."""
    sound = (
        asked.headers.get("cookie") == f"sid={SECRET}; user=7"
        and asked.headers.get("authorization") == f"Bearer {SECRET}"
        and asked.params.get("key") == SECRET
    )
    return DASHBOARD if sound else answers({"error": "who are you?"}, 401)


AUTH = f"""
auth:
  cookies: {{sid: "{SECRET}", user: "7"}}
  headers: {{Authorization: "Bearer {SECRET}"}}
  query: {{key: "{SECRET}"}}
"""


def test_a_credential_goes_with_every_request_and_is_stored_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with StandIn(session) as stand_in:
        platform = described(POSTS + AUTH, stand_in.url)
        pages = fetched(platform)
        stand_in.answer = lambda asked: answers({}, 401)
        with pytest.raises(DeadSession) as failure:
            fetched(platform)
    assert pages[0].request == "GET /api/posts"
    assert len(stand_in.requests) == 2
    told = [repr(platform), str(platform), repr(pages), repr(failure.value), str(failure.value), caplog.text]
    assert SECRET not in "".join(told)


def test_the_credential_changes_with_each_of_its_parts() -> None:
    texts = (POSTS + AUTH, POSTS + AUTH.replace('user: "7"', 'user: "8"'), POSTS + AUTH.replace("Bearer", "Basic"))
    assert len({described(text).credential for text in texts}) == 3
    assert described(POSTS).credential == ""


def test_json_is_asked_for_unless_the_yaml_asks_for_more() -> None:
    with StandIn(lambda asked: DASHBOARD) as stand_in:
        collected(described(POSTS, stand_in.url))
        collected(described(POSTS + "\nauth: {headers: {Accept: application/vnd.api+json}}", stand_in.url))
    assert [sent["accept"] for sent in stand_in.sent] == ["application/json", "application/vnd.api+json"]


def test_a_credential_that_ends_says_when() -> None:
    claims = base64.urlsafe_b64encode(b'{"exp":1800000000}').decode().rstrip("=")
    bearer = described(POSTS + f'\nauth: {{headers: {{Authorization: "Bearer e30.{claims}.x", X-Key: abc}}}}')
    assert bearer.expiry((), NOW) == datetime.fromtimestamp(1800000000, UTC)
    cookie = described(POSTS + "\nauth: {cookies: {sid: abc}}")
    assert cookie.expiry([("set-cookie", "sid=abc; Max-Age=60")], NOW) == NOW.replace(minute=NOW.minute + 1)
    assert described(POSTS + AUTH).expiry((), NOW) is None


# Dead sessions ------------------------------------------------------------------------------------------

DEAD = "\ndead_session: {statuses: [419], when: \"error.code == 'AUTH'\"}\nlogin_hint: Ask Ann for a new cookie."


@pytest.mark.parametrize(
    "answer",
    [
        Reply(419),
        answers({"error": {"code": "AUTH"}}),
        answers({"error": {"code": "AUTH"}}, 400),
        answers({"message": "no"}, 401),
        answers({"message": "no"}, 403),
        Reply(302, {"Location": "/users/sign_in"}),
        Reply(200, {"Content-Type": "text/html"}, b"<!doctype html><title>Log in</title>"),
        Reply(200, {"Content-Type": "application/json"}, b"<html>"),
    ],
)
def test_a_dead_session_is_asked_once_and_says_what_to_do(answer: Reply) -> None:
    with StandIn(lambda asked: answer) as stand_in, pytest.raises(DeadSession) as failure:
        fetched(described(POSTS + DEAD, stand_in.url))
    assert failure.value.next_step == "Ask Ann for a new cookie."
    assert failure.value.status == answer.status
    assert len(stand_in.requests) == 1


@pytest.mark.parametrize("found", [None, False, "", [], {}, 0])
def test_a_condition_that_finds_nothing_does_not_hold(found: Any) -> None:
    with StandIn(lambda asked: answers({"posts": posts(2), "error": found})) as stand_in:
        assert len(collected(described(POSTS + "\ndead_session: {when: error}", stand_in.url))) == 2


def test_a_condition_that_cannot_be_applied_does_not_hold() -> None:
    with StandIn(lambda asked: DASHBOARD) as stand_in:
        text = POSTS + "\ndead_session: {when: \"contains(error, 'expired')\"}"
        assert len(collected(described(text, stand_in.url))) == 2


@pytest.mark.parametrize("status", [200, 403])
def test_a_limit_that_is_used_up_is_no_dead_session(status: int) -> None:
    limited = answers({"type": "rate_limit"}, status)
    text = POSTS + DEAD + "\nlimited: {when: \"type == 'rate_limit'\"}"
    with (
        StandIn(lambda asked: limited) as stand_in,
        pytest.raises(TransportFault, match="limit is used up") as failure,
    ):
        fetched(described(text, stand_in.url))
    assert failure.value.status == status


def test_a_redirect_to_an_announcement_is_one_clear_error() -> None:
    """What became of Hashnode's free API on 2026-05-13: every request is sent to a page of HTML."""
    announcement = Reply(
        301, {"Location": "/changelog/graphql-api-paid-access", "Content-Type": "text/html"}, b"<html>"
    )

    def answer(asked: Asked) -> Reply:
        return announcement if asked.path == "/" else Reply(200, {"Content-Type": "text/html"}, b"<!doctype html>")

    text = """
path: /
params: {query: "{publication(host: $host) {posts(first: 20) {edges {node {id title url views}}}}}"}
items: data.publication.posts.edges[].node
fields: {item_id: id, title: title, url: url}
counters: {views: views}
"""
    with StandIn(answer) as stand_in, pytest.raises(TransportFault) as failure:
        fetched(described(text, stand_in.url))
    assert failure.value.what.endswith("/ answered 301 (a redirect, which is not followed)")
    assert failure.value.status == 301
    assert len(stand_in.requests) == 1


# What is dropped ----------------------------------------------------------------------------------------


def test_what_is_private_or_bulky_is_dropped_at_any_depth() -> None:
    platform = described(POSTS + "\ndrop: [email, body]")
    sent = page({"posts": [post(1, body="long", user={"name": "A", "email": "a@a"})], "viewer": [{"email": "b@b"}]})
    stored = platform.trim(sent)
    assert stored.dropped == ("body", "email")
    assert json.loads(stored.body) == {"posts": [post(1, user={"name": "A"})], "viewer": [{}]}
    assert platform.read(stored) == platform.read(sent)
    assert platform.trim(stored) is stored


@pytest.mark.parametrize("text", [POSTS, POSTS + "\ndrop: [email]"])
@pytest.mark.parametrize("body", [b'{"posts" : [ ] }', b'{"posts": [{"id": 1.0}', b"", b"[" * 100_000])
def test_a_page_without_such_fields_is_kept_byte_for_byte(text: str, body: bytes) -> None:
    sent = page(body)
    assert described(text).trim(sent) is sent


# The request before the listing -------------------------------------------------------------------------

LOOKUP = """
lookup: {path: /api/me, params: {full: true}, gives: {account: user.id, team: "teams[0]"}}
path: /api/${account}/posts
params: {team: "${team}"}
items: posts
fields: {item_id: id}
counters: {views: views}
"""


def looked_up(me: Any) -> Any:
    return lambda asked: answers(me) if asked.path == "/api/me" else DASHBOARD


@pytest.mark.parametrize(("account", "path"), [(42, "/api/42/posts"), ("a/../b?c", "/api/a%2F..%2Fb%3Fc/posts")])
def test_a_value_is_looked_up_before_the_listing(account: Any, path: str) -> None:
    with StandIn(looked_up({"user": {"id": account}, "teams": ["red & blue"]})) as stand_in:
        items = collected(described(LOOKUP, stand_in.url))
    assert [item["item_id"] for item in items] == ["1", "2"]
    assert stand_in.requests == ["GET /api/me?full=true", f"GET {path}?team=red+%26+blue"]


def test_a_reply_that_tells_the_value_and_the_items_alike_is_no_repeated_page() -> None:
    both = answers({"user": {"id": 1}, "teams": ["red"], "posts": posts(2)})
    with StandIn(lambda asked: both) as stand_in:
        assert len(collected(described(LOOKUP, stand_in.url))) == 2


@pytest.mark.parametrize("me", [{}, {"user": {"id": None}}, {"user": {"id": ""}}, {"user": {"id": True}}, []])
def test_a_value_that_is_not_told_ends_the_capture(me: Any) -> None:
    with StandIn(looked_up(me)) as stand_in, pytest.raises(CutShort, match=r"GET /api/me.* does not tell account"):
        fetched(described(LOOKUP, stand_in.url))
    assert len(stand_in.requests) == 1


@pytest.mark.parametrize("account", [".", ".."])
def test_a_value_that_would_lead_elsewhere_is_not_asked_for(account: str) -> None:
    with StandIn(looked_up({"user": {"id": account}, "teams": ["a"]})) as stand_in:
        with pytest.raises(CutShort, match="would lead to another address"):
            fetched(described(LOOKUP, stand_in.url))
        assert len(stand_in.requests) == 1
