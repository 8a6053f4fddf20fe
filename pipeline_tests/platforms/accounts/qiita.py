"""Qiita and the account there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pipeline.sandbox.faults import Reply
from pipeline_tests.platforms.accounts.account import SECRET, Account
from pipeline_tests.platforms.stand_in import Asked, StandIn, answers


def qiita_item(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "rendered_body": "<p>The whole text</p>",
        "body": "The whole text",
        "coediting": False,
        "comments_count": number,
        "created_at": f"2026-11-{number:02}T14:55:26+09:00",
        "group": None,
        "id": f"{number:020x}",
        "likes_count": 10 * number,
        "private": False,
        "reactions_count": 0,
        "stocks_count": 3 * number,
        "tags": [{"name": "Testing", "versions": []}],
        "title": f"記事 {number}",
        "updated_at": f"2026-11-{number:02}T15:00:00+09:00",
        "url": f"https://qiita.com/writer/items/{number:020x}",
        "user": {"id": "writer", "description": "planted@example.org"},
        "page_views_count": 100 * number,
        "team_membership": None,
    } | changes


def qiita_answer(items: Sequence[Mapping[str, Any]], most: int = 100) -> Callable[[Asked], Reply]:
    limits = {"rate_limit": "1000", "rate_remaining": "999", "rate_reset": "1795360000"}

    def answer(asked: Asked) -> Reply:
        if asked.headers.get("authorization") != f"Bearer {SECRET}":
            return answers({"message": "Unauthorized", "type": "unauthorized"}, 401, **limits)
        if asked.path != "/api/v2/authenticated_user/items":
            return answers({"message": "Not found", "type": "not_found"}, 404, **limits)
        size, number = min(int(asked.params.get("per_page", "20")), most), int(asked.params.get("page", "1"))
        address = f"http://{asked.headers['host']}{asked.path}?page={{}}&per_page={size}"
        last = max(1, -(-len(items) // size))
        links = {"first": 1, "prev": number - 1, "next": number + 1 if number < last else 0, "last": last}
        link = ", ".join(f'<{address.format(page)}>; rel="{rel}"' for rel, page in links.items() if page)
        shown = items[(number - 1) * size : number * size]
        return answers(shown, 200, link=link, total_count=str(len(items)), **limits)

    return answer


def account() -> Account:
    articles = [qiita_item(number) for number in (3, 2)]
    articles.append({name: value for name, value in qiita_item(1).items() if name != "stocks_count"})
    items = {
        article["id"]: {
            "title": article["title"],
            "url": article["url"],
            "published_at": datetime.fromisoformat(article["created_at"]),
            "views": article["page_views_count"],
            "likes": article["likes_count"],
            "comments": article["comments_count"],
            "bookmarks": article.get("stocks_count"),
        }
        for article in articles
    }
    return Account(
        "qiita",
        "qiita",
        {},
        lambda: StandIn(qiita_answer(articles, most=2)),
        lambda: StandIn(qiita_answer([])),
        items,
        requests=2,
        secret_key="token",
    )
