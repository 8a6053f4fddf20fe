"""A Forem and the account there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pipeline.sandbox.faults import Reply
from pipeline_tests.platforms.accounts.account import SECRET, Account
from pipeline_tests.platforms.stand_in import Asked, StandIn, answers


def forem_article(number: int, **changes: Any) -> dict[str, Any]:
    """As app/views/api/v1/articles/me.json.jbuilder lists an article."""
    return {
        "type_of": "article",
        "id": number,
        "title": f"Article {number}",
        "description": "What it is about",
        "published": True,
        "published_at": f"2026-11-{number:02}T08:00:00.000Z",
        "slug": f"article-{number}",
        "path": f"/writer/article-{number}",
        "url": f"https://dev.to/writer/article-{number}",
        "comments_count": number,
        "public_reactions_count": 10 * number,
        "page_views_count": 100 * number,
        "published_timestamp": f"2026-11-{number:02}T08:00:00Z",
        "body_markdown": "The whole text",
        "positive_reactions_count": 10 * number,
        "cover_image": None,
        "tag_list": ["testing"],
        "canonical_url": f"https://dev.to/writer/article-{number}",
        "reading_time_minutes": 3,
        "user": {"name": "The writer", "username": "writer", "twitter_username": None},
    } | changes


def forem_answer(articles: Sequence[Mapping[str, Any]], most: int = 1000) -> Callable[[Asked], Reply]:
    """A Forem that allows ``most`` articles a page, as its setting API_PER_PAGE_MAX does."""

    def answer(asked: Asked) -> Reply:
        if asked.path != "/api/articles/me/published":
            return answers({"error": "not found", "status": 404}, 404)
        if asked.headers.get("api-key") != SECRET:
            return answers({"error": "unauthorized", "status": 401}, 401)
        size = min(int(asked.params.get("per_page", "30")), most)
        first = (int(asked.params.get("page", "1")) - 1) * size
        return answers(articles[first : first + size])

    return answer


def account() -> Account:
    articles = [forem_article(number) for number in (5, 4, 3, 2)]
    articles.append(forem_article(1, published_at="2026-11-01T08:00:00+09:00", public_reactions_count=0))
    items = {
        str(article["id"]): {
            "title": article["title"],
            "url": article["url"],
            "published_at": datetime.fromisoformat(article["published_at"]),
            "views": article["page_views_count"],
            "likes": article["public_reactions_count"],
            "comments": article["comments_count"],
        }
        for article in articles
    }
    return Account(
        "forem",
        "forem",
        {},
        lambda: StandIn(forem_answer(articles, most=2)),
        lambda: StandIn(forem_answer([])),
        items,
        requests=3,
        secret_key="api_key",
    )
