"""The YAML of a described endpoint: what is wrong in it is named with file and line when the source is loaded."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from pipeline.core.errors import ConfigError, DeadSession
from pipeline.core.policy import Policy, Trend
from pipeline.platforms.json_api.adapter import JsonApi
from pipeline.sandbox.faults import Reply
from pipeline_tests.platforms.described import collected, fetched, loaded, posts
from pipeline_tests.platforms.stand_in import Asked, StandIn, answers

COOKIE = "planted-session-of-the-dashboard"
DASHBOARD = """\
kind: json_api
base_url: {url}
requests_per_second: 1000
path: /api/dashboard/articles
params: {sort: newest}
auth: {cookies: {session_id: "{{ env.BLOG_SESSION }}"}}
login_hint: Log in to the blog with a browser and copy its cookie session_id into BLOG_SESSION.
pages: {by: next, param: page, next: meta.next_page}
items: data.articles
where: published
fields:
  item_id: id
  title: title
  url: https://blog.example.com{path}
  published_at: {value: published_at, offset: "+09:00"}
counters:
  views: stats.page_views
  likes: {value: stats.likes, policy: may_decrease}
dead_session: {when: error}
drop: [body, email]
"""
LINE = {text.split(":")[0].strip(): number for number, text in enumerate(DASHBOARD.splitlines(), 5)}
SOUND = DASHBOARD.replace("{url}", "https://blog.example.com")


def dashboard(asked: Asked) -> Reply:
    if asked.headers.get("cookie") != f"session_id={COOKIE}":
        return answers({"error": "please log in"})
    page = int(asked.params.get("page", 1))
    shown = [
        {
            "id": item["id"],
            "title": item["title"],
            "path": f"/posts/{item['id']}",
            "published": item["id"] != 4,
            "published_at": f"2026-11-{item['id']:02} 09:00:00",
            "stats": {"page_views": item["views"], "likes": item["likes"]},
            "body": "The whole text",
        }
        for item in posts(5)[3 * page - 3 : 3 * page]
    ]
    return answers({"data": {"articles": shown}, "meta": {"next_page": 2 if page == 1 else None}})


def test_a_private_dashboard_is_a_source_of_twenty_lines(tmp_path: Path) -> None:
    assert len(DASHBOARD.splitlines()) == 20
    with StandIn(dashboard) as stand_in:
        text = DASHBOARD.replace("{url}", stand_in.url)
        items = collected(loaded(tmp_path, text, {"BLOG_SESSION": COOKIE}))
        with pytest.raises(DeadSession) as failure:
            fetched(loaded(tmp_path, text, {"BLOG_SESSION": "another-session"}))
    assert [(item["item_id"], item["views"], item["likes"]) for item in items] == [
        ("1", 100, 10),
        ("2", 200, 20),
        ("3", 300, 30),
        ("5", 500, 50),
    ]
    assert items[0]["url"] == "https://blog.example.com/posts/1"
    assert items[0]["published_at"].isoformat() == "2026-11-01T00:00:00+00:00"
    assert "copy its cookie session_id into BLOG_SESSION" in failure.value.next_step
    assert stand_in.requests[:2] == [
        "GET /api/dashboard/articles?sort=newest",
        "GET /api/dashboard/articles?sort=newest&page=2",
    ]


def test_a_source_keeps_the_policies_of_its_description(tmp_path: Path) -> None:
    platform = loaded(tmp_path, SOUND, {"BLOG_SESSION": COOKIE})
    assert isinstance(platform, JsonApi)
    assert platform.policies == {"views": Policy(Trend.NEVER_DECREASES), "likes": Policy(Trend.MAY_DECREASE)}
    assert COOKIE not in repr(platform)


def refused(folder: Path, text: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        loaded(folder, text, {"BLOG_SESSION": COOKIE, "BAD": f"{COOKIE} ["})
    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert COOKIE not in told
    assert caught.value.file == folder / "mine" / "defs.yaml"
    return caught.value


@pytest.mark.parametrize(
    ("line", "instead", "words"),
    [
        ("items", "items: data.[", "items: this is no JMESPath; it cannot be read from character 7 on"),
        ("items", "items: '@ @'", "items: this is no JMESPath"),
        ("items", "items: ''", "items: String should have at least 1 character"),
        ("items", "items: [a]", "items: a text is expected, found a list"),
        ("items", "items: '{{ env.BAD }}'", "items: this is no JMESPath"),
        ("items", "items: reversed(data)", "items: JMESPath has no such function; it has abs, avg, ceil"),
        ("items", "items: sort_by(data)", "items: JMESPath's function sort_by() does not take 1 arguments"),
        ("drop", "dropped: [body]", "there is no key 'dropped'"),
        ("where", "where: 'a &&'", "where: this is no JMESPath"),
        ("title", "  title: a..b", "fields.title: this is no JMESPath"),
        ("title", "  name: a", "there is no key 'name'"),
        ("url", "  url: https://blog.example.com{a b}", "fields.url: this is no JMESPath"),
        ("url", "  url: https://blog.example.com{path", "fields.url: a brace stands alone"),
        (
            "published_at",
            "  published_at: {value: a, offset: Tokyo}",
            "fields.published_at.offset: String",
        ),
        ("published_at", "  published_at: {value: a, written: unix}", "fields.published_at.written: 'iso', 'seconds'"),
        ("views", "  views: ", "counters.views: a mapping (key: value) is expected, found nothing"),
        ("views", "  views: {value: v, policy: tolerance}", "the policy 'tolerance' is written {policy: tolerance"),
        ("views", "  Views: v", "counters.Views"),
        ("views", "  views: {valeu: v}", "the key 'value' is missing"),
        ("path", "path: api", "path: String should match"),
        ("path", "path: //elsewhere.example/api", "path: String should match"),
        ("path", "path: /api?key=1", "path: String should match"),
        ("params", "params: {api_key: abc}", "params.api_key: params are stored beside every reply"),
        ("params", "params: {access-token: abc}", "params are stored beside every reply"),
        ("params", "params: {sort: {a: b}}", "params.sort: a text or a list is expected, found a mapping"),
        ("auth", "auth: {cookies: {sid: 4711}}", "auth.cookies.sid: a text is expected, found a number"),
        ("auth", "auth: {cookies: 4711}", "auth.cookies: a mapping (key: value) is expected, found a number"),
        ("auth", "auth: {headers: {Host: evil}}", "this header is the client's own"),
        ("auth", "auth: {headers: {'A B': x}}", "String should match"),
        ("auth", "auth: {cookies: {sid: ''}}", "auth.cookies.sid"),
        ("auth", "auth: {cookies: {sid: a}, headers: {Cookie: b}}", "auth: cookies stand under cookies"),
        ("auth", "auth: {cookie: {sid: a}}", "there is no key 'cookie'"),
        ("pages", "pages: {param: page}", "pages has a key 'by', which is one of one, number, offset, next, link"),
        ("pages", "pages: {by: cursor}", "pages has a key 'by'"),
        ("pages", "pages: number", "pages has a key 'by'"),
        ("pages", "pages: {by: number, next: a}", "there is no key 'next'"),
        ("pages", "pages: {by: next, param: p}", "the key 'next' is missing"),
        ("pages", "pages: {by: next, param: p, next: 'a['}", "pages.next: this is no JMESPath"),
        ("pages", "pages: {by: number, end: short}", "pages: end: short needs the size of a page"),
        ("pages", "pages: {by: number, size_param: n}", "pages: size_param needs a size"),
        ("pages", "pages: {by: number, last: a, more: b}", "pages: one of end, last and more"),
        ("pages", "pages: {by: link, absent: last}", "pages: absent and more go with next"),
        ("pages", "pages: {by: link, total_header: server}", "pages.total_header: 'total-count' is expected"),
        ("dead_session", "dead_session: {}", "dead_session: this needs statuses, or an expression 'when', or both"),
        ("dead_session", "dead_session: {statuses: [4000]}", "dead_session.statuses[0]: Input should be less than"),
        ("dead_session", "dead_session: {when: '['}", "dead_session.when: this is no JMESPath"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, line: str, instead: str, words: str) -> None:
    lines = SOUND.splitlines()
    lines[LINE[line] - 5] = instead
    error = refused(tmp_path, "\n".join(lines))
    assert words in error.what.splitlines()[0]
    assert error.line == LINE[line]


def test_of_a_value_that_could_be_a_text_or_a_list_one_mistake_is_named(tmp_path: Path) -> None:
    error = refused(tmp_path, SOUND.replace("{sort: newest}", "{sort: [a, [b]]}"))
    assert error.what == f"{error.file}:{LINE['params']}: platform.params.sort[1]: a text is expected, found a list"


@pytest.mark.parametrize(
    ("added", "words"),
    [
        ("drop: [stats]", "drop removes stats, which an expression reads"),
        ("drop: [path, meta, error]", "drop removes error, meta, path, which an expression reads"),
        ("path: /api/${account}", "only what lookup gives can stand in ${}: nothing"),
        ("params: {team: '${team}'}", "only what lookup gives can stand in ${}"),
        ("lookup: {path: '/api/${a}', gives: {a: id}}", "only what lookup gives can stand in ${}: a"),
        ("lookup: {path: /api/dashboard/articles, gives: {a: id}}", "the path of lookup could be one of the listing"),
        ("lookup: {path: /api/me, gives: {a: id}}\npath: /api/${a}", "the path of lookup could be one of the listing"),
        ("path: /api/{{ env.BLOG_SESSION }}", "one holds what stands under auth"),
        ("params: {sort: 'x{{ env.BLOG_SESSION }}'}", "one holds what stands under auth"),
        (
            "auth: {headers: {Authorization: 'Bearer {{ env.BLOG_SESSION }}'}}\npath: /{{ env.BLOG_SESSION }}",
            "one holds what stands under auth",
        ),
        ("auth: {query: {key: abc}}\npages: {by: link}", "links repeat the parameters of auth.query"),
    ],
)
def test_what_does_not_go_together_is_named(tmp_path: Path, added: str, words: str) -> None:
    keys = {line.partition(":")[0] for line in added.splitlines()}
    kept = [line for line in SOUND.splitlines() if line.partition(":")[0] not in keys]
    error = refused(tmp_path, "\n".join([*kept, added]))
    assert words in error.what
    assert error.line == 4


@pytest.mark.parametrize("name", ["title", "url", "captured_at", "views_max", "views_delta"])
def test_a_counter_cannot_have_a_name_that_the_lake_uses_itself(tmp_path: Path, name: str) -> None:
    error = refused(tmp_path, SOUND.replace("views:", f"{name}:"))
    assert f"a counter cannot be called '{name}'" in error.what
    assert error.line == LINE["views"]
