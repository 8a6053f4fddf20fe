"""How the pages of a described endpoint follow each other, each way over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from pipeline.platforms.client import fetch_pages
from pipeline.platforms.protocol import CutShort, Platform
from pipeline.sandbox.faults import Reply
from pipeline_tests.platforms.conftest import NOW
from pipeline_tests.platforms.described import POSTS, collected, described, fetched, posts
from pipeline_tests.platforms.stand_in import Answer, Asked, StandIn, answers

ALL = [{**post, "author": {"name": "planted"}} for post in posts(5)]
IDS = ["1", "2", "3", "4", "5"]


def numbered(asked: Asked) -> Reply:
    """Two items a page, or as many as are asked for up to three; `more` and `last` say what is true."""
    size = min(int(asked.params.get("per_page", 2)), 3)
    page = int(asked.params.get("page", 1))
    shown = ALL[(page - 1) * size : page * size]
    more = page * size < len(ALL)
    return answers({"posts": shown, "more": more, "last": not more, "pages": -(-len(ALL) // size), "page": page})


def by_offset(asked: Asked) -> Reply:
    start, size = int(asked.params.get("offset", 0)), min(int(asked.params.get("limit", 2)), 2)
    return answers({"posts": ALL[start : start + size], "total": len(ALL)})


def by_next(asked: Asked) -> Reply:
    page = int(asked.params.get("page", 1))
    return answers({"posts": ALL[2 * page - 2 : 2 * page], "next_page": page + 1 if 2 * page < len(ALL) else None})


def by_cursor(asked: Asked) -> Reply:
    after = asked.params.get("after", "c0")
    start = int(after[1:])
    info = {"endCursor": f"c{start + 2}", "hasNextPage": start + 2 < len(ALL)}
    return answers({"posts": ALL[start : start + 2], "pageInfo": info})


def linked(asked: Asked) -> Reply:
    page = int(asked.params.get("page", 1))
    link = f'<http://{asked.headers["host"]}/api/posts?page={page + 1}&tag=a&tag=b%26c>; rel="next", </x>; rel=last'
    headers = {"link": link} if 2 * page < len(ALL) else {"link": '</api/posts?page=1>; rel="first"'}
    return answers({"posts": ALL[2 * page - 2 : 2 * page]}, 200, total_count=str(len(ALL)), **headers)


def linked_in_body(asked: Asked) -> Reply:
    page = int(asked.params.get("page", 1))
    following = f"?page={page + 1}" if 2 * page < len(ALL) else None
    return answers({"posts": ALL[2 * page - 2 : 2 * page], "links": {"next": following}})


def collect(pages: str, answer: Answer) -> tuple[list[str], list[str]]:
    with StandIn(answer) as stand_in:
        items = collected(described(POSTS + f"\npages: {pages}", stand_in.url))
        return [item["item_id"] for item in items], stand_in.requests


@pytest.mark.parametrize(
    ("pages", "answer", "requests"),
    [
        ("{by: number}", numbered, 4),
        ("{by: number, size: 3, size_param: per_page}", numbered, 3),
        ("{by: number, size: 3, size_param: per_page, end: short}", numbered, 2),
        ("{by: number, more: more}", numbered, 3),
        ("{by: number, last: last}", numbered, 3),
        ("{by: number, last: page >= pages}", numbered, 3),
        ("{by: offset}", by_offset, 4),
        ("{by: offset, total: total}", by_offset, 4),
        ("{by: offset, size: 1000, size_param: limit}", by_offset, 4),
        ("{by: offset, size: 2, size_param: limit, end: short}", by_offset, 3),
        ("{by: next, param: page, next: next_page}", by_next, 3),
        ("{by: next, param: after, next: pageInfo.endCursor, more: pageInfo.hasNextPage}", by_cursor, 3),
        ("{by: link}", linked, 3),
        ("{by: link, total_header: total-count}", linked, 3),
        ("{by: link, next: links.next}", linked_in_body, 3),
    ],
)
def test_a_listing_is_read_to_its_end(pages: str, answer: Answer, requests: int) -> None:
    ids, asked = collect(pages, answer)
    assert ids == IDS
    assert len(asked) == requests


def test_a_listing_without_pages_is_one_request() -> None:
    with StandIn(lambda asked: answers({"posts": ALL})) as stand_in:
        assert [item["item_id"] for item in collected(described(POSTS, stand_in.url))] == IDS
        assert len(stand_in.requests) == 1


@pytest.mark.parametrize("first", [0, 7])
def test_the_first_number_is_the_platforms_own(first: int) -> None:
    def answer(asked: Asked) -> Reply:
        page = int(asked.params.get("p", -1)) - first
        return answers({"posts": ALL[2 * page : 2 * page + 2] if page >= 0 else None})

    assert collect(f"{{by: number, param: p, first_page: {first}}}", answer)[0] == IDS


def test_every_page_is_asked_with_the_parameters_of_the_listing() -> None:
    with StandIn(numbered) as stand_in:
        collected(
            described(POSTS + "\nparams: {sort: new, tag: [a, b], draft: false}\npages: {by: number}", stand_in.url)
        )
        listing = "GET /api/posts?sort=new&tag=a&tag=b&draft=false&page="
        assert stand_in.requests == [f"{listing}{number}" for number in (1, 2, 3, 4)]


def test_a_link_is_followed_with_all_its_parameters() -> None:
    _, asked = collect("{by: link}", linked)
    assert asked[1] == "GET /api/posts?page=2&tag=a&tag=b%26c"


@pytest.mark.parametrize(
    "pages",
    [
        "{by: number}",
        "{by: number, size: 50, end: short}",
        "{by: offset}",
        "{by: next, param: p, next: next_page}",
        "{by: link}",
    ],
)
def test_an_empty_account_is_a_listing_without_items(pages: str) -> None:
    ids, asked = collect(pages, lambda asked: answers({"posts": [], "next_page": None}))
    assert ids == []
    assert len(asked) == 1


def test_where_chooses_among_the_items_and_not_among_the_pages() -> None:
    with StandIn(numbered) as stand_in:
        text = POSTS + "\nwhere: id == `5`\npages: {by: number}"
        assert [item["item_id"] for item in collected(described(text, stand_in.url))] == ["5"]


# What is refused ----------------------------------------------------------------------------------------


def cut_short(platform: Platform, max_pages: int = 100) -> tuple[int, str]:
    """How many pages arrived, and why no more were asked for."""
    arrived = 0

    def counted() -> Iterator[Any]:
        nonlocal arrived
        for page in fetch_pages(platform, (), max_pages=max_pages, max_bytes=100_000, now=lambda: NOW):
            arrived += 1
            yield page

    with pytest.raises(CutShort) as cut:
        list(counted())
    return arrived, str(cut.value)


def refused(pages: str, answer: Answer, max_pages: int = 100) -> tuple[StandIn, str]:
    with StandIn(answer) as stand_in:
        arrived, reason = cut_short(described(POSTS + f"\npages: {pages}", stand_in.url), max_pages)
        assert arrived == len(stand_in.requests)
        return stand_in, reason


@pytest.mark.parametrize(
    ("pages", "words"),
    [
        ("{by: number, more: more}", "whether more pages follow (more) is neither true nor false"),
        ("{by: number, last: last}", "whether this is the last page (last) is neither true nor false"),
        ("{by: number, last: page >= pages}", "the last page (page >= pages) is neither true nor false"),
        ("{by: next, param: page, next: next_page}", "what follows it is not told"),
        ("{by: next, param: page, next: meta.next}", "what follows it is not told (pages.next: meta.next)"),
        ("{by: next, param: page, next: posts, absent: last}", "what follows it is neither a text nor a number"),
        ("{by: link, next: next}", "what follows it is not told"),
        ("{by: number, total: total}", "in total is not told as a number (pages.total: total)"),
        ("{by: link, total_header: total-count}", "how many items there are in total is not told as a number"),
    ],
)
def test_a_page_that_does_not_say_how_to_go_on_is_never_the_last(pages: str, words: str) -> None:
    def answer(asked: Asked) -> Reply:
        return answers({"posts": ALL if int(asked.params.get("page", 1)) == 1 else []})

    assert words in refused(pages, answer)[1]


@pytest.mark.parametrize("end", [None, "", False, 0])
def test_a_platform_has_its_own_word_for_nothing(end: Any) -> None:
    assert collect("{by: next, param: p, next: next}", lambda asked: answers({"posts": ALL, "next": end}))[0] == IDS


def test_a_last_page_may_lack_the_key_where_the_yaml_says_so() -> None:
    pages = "{by: next, param: page, next: next_page, absent: last}"
    assert collect(pages, lambda asked: answers({"posts": ALL}))[0] == IDS


@pytest.mark.parametrize("pages", ["{by: number, total: total}", "{by: link, total_header: total-count}"])
def test_a_listing_with_fewer_items_than_the_platform_counts_is_refused(pages: str) -> None:
    def answer(asked: Asked) -> Reply:
        shown = ALL if int(asked.params.get("page", 1)) == 1 else []
        return answers({"posts": shown, "total": 7}, total_count="7")

    assert "the platform counts 7 items and listed 5 of them" in refused(pages, answer)[1]


def test_a_circle_is_left_where_it_closes() -> None:
    shown = count()

    def answer(asked: Asked) -> Reply:
        return answers({"posts": [], "shown": next(shown), "next": int(asked.params.get("page", 1)) % 3 + 1})

    stand_in, reason = refused("{by: next, param: page, next: next}", answer)
    assert len(stand_in.requests) == 4  # the first is asked without its number
    assert "leads back to a page that was read before" in reason


def test_a_cursor_that_no_address_can_hold_cuts_the_listing_short() -> None:
    def answer(asked: Asked) -> Reply:
        return answers({"posts": ALL, "next": "x" * 70_000})

    stand_in, reason = refused("{by: next, param: page, next: next}", answer)
    assert len(stand_in.requests) == 1
    assert "asks for an address that cannot be sent" in reason


def test_pages_that_never_end_are_left_at_the_bound() -> None:
    def answer(asked: Asked) -> Reply:
        page = int(asked.params.get("page", 1))
        return answers({"posts": [], "next": page + 1})

    assert "the listing goes on after 6 pages" in refused("{by: next, param: page, next: next}", answer, 6)[1]


def test_a_page_number_that_is_not_heeded_is_a_repeated_page() -> None:
    assert "repeats an earlier page" in refused("{by: number}", lambda asked: answers({"posts": ALL}))[1]


@pytest.mark.parametrize(
    ("link", "words"),
    [
        ("http://elsewhere.example/api/posts?page=2", "of another host, 'elsewhere.example'"),
        ("//elsewhere.example/api/posts?page=2", "of another host, 'elsewhere.example'"),
        ("http://127.0.0.1:1/api/posts?page=2", "of another host"),
        ("http://user@{host}/api/posts?page=2", "of another host"),
        ("http://{host}@elsewhere.example/api/posts", "of another host, 'elsewhere.example'"),
        ("http://{host}/api/users?page=2", "of another path"),
        ("/api/postscript?page=2", "of another path"),
        ("/api/posts/../secrets", "of another path"),
        ("/api/posts/%2e%2e/secrets", "of another path"),
        ("/api/posts/..%2fsecrets", "of another path"),
        ("/api/posts/..\\secrets", "of another path"),
        ("http://[", "is no address"),
        ("http://{host}:port/api/posts", "is no address"),
    ],
)
@pytest.mark.parametrize("pages", ["{by: link}", "{by: link, next: next}"])
def test_a_link_that_leads_away_is_not_followed(link: str, words: str, pages: str) -> None:
    def answer(asked: Asked) -> Reply:
        target = link.replace("{host}", asked.headers["host"])
        return answers({"posts": ALL, "next": target}, link=f'<{target}>; rel="next"')

    stand_in, reason = refused(pages, answer)
    assert words in reason
    assert len(stand_in.requests) == 1


def test_a_link_with_the_other_scheme_is_followed_on_the_accounts_own_connection() -> None:
    def answer(asked: Asked) -> Reply:
        following = None if "page" in asked.params else f"https://{asked.headers['host']}/api/posts?page=2"
        return answers({"posts": ALL[:2] if following else ALL[2:], "next": following})

    assert collect("{by: link, next: next}", answer)[0] == IDS


def test_pages_that_still_stand_are_gone_on_from() -> None:
    with StandIn(linked, etags=True) as stand_in:
        platform = described(POSTS + "\nconditional: true\npages: {by: link}\ndrop: [author]", stand_in.url)
        known = {page.request: platform.trim(page) for page in fetched(platform)}
        again = list(fetch_pages(platform, (), max_pages=9, max_bytes=99_999, now=lambda: NOW, remembered=known.get))
    assert stand_in.statuses == [200] * 3 + [304] * 3
    assert [page.body for page in again] == [page.body for page in known.values()]
    assert [item for page in again for item in platform.read(page)["item_id"]] == IDS


def test_a_link_may_lead_where_the_yaml_allows() -> None:
    def answer(asked: Asked) -> Reply:
        following = None if asked.path == "/api/v2/more" else "/api/v2/more"
        return answers({"posts": ALL[:2] if following else ALL[2:], "next": following})

    assert collect("{by: link, next: next, under: /api}", answer)[0] == IDS


@pytest.mark.parametrize(
    "header",
    ["", "nonsense", '<a>; title="x; rel=next"', '<a>; title="next"', '<a>; rel="prev"', "<a>", '; rel="next"'],
)
def test_a_header_without_a_next_link_ends_the_listing(header: str) -> None:
    assert collect("{by: link}", lambda asked: answers({"posts": ALL}, link=header))[0] == IDS


@pytest.mark.parametrize(
    "attributes", ['rel="next"', "rel=next", 'REL="last NEXT"', 'title="a, b; c"; rel="next"', 'x ; rel = "next"']
)
def test_the_next_link_is_found_among_its_attributes(attributes: str) -> None:
    def answer(asked: Asked) -> Reply:
        if "page" in asked.params:
            return answers({"posts": ALL[3:]})
        link = f'</api/posts>; rel="first", </api/posts?page=2>;{attributes}, </api/posts?page=9>; rel="last"'
        return answers({"posts": ALL[:3]}, link=link)

    assert collect("{by: link}", answer)[0] == IDS
