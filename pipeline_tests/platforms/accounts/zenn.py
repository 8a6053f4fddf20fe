"""Zenn and the account there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pipeline.sandbox.faults import Reply
from pipeline_tests.platforms.accounts.account import Account
from pipeline_tests.platforms.stand_in import Asked, StandIn, answers


def zenn_article(number: int, **changes: Any) -> dict[str, Any]:
    """As the recorded list of 2025-06 has an article."""
    return {
        "id": 400_000 + number,
        "post_type": "Article",
        "title": f"記事 {number}",
        "slug": f"article-{number}",
        "comments_count": number,
        "liked_count": 10 * number,
        "bookmarked_count": 2 * number,
        "body_letters_count": 3566,
        "article_type": "tech",
        "emoji": "⚙",
        "published_at": f"2026-11-{number:02}T07:41:40.684+09:00",
        "source_repo_updated_at": None,
        "path": f"/writer/articles/article-{number}",
        "user": {"id": 1, "username": "writer"},
        "publication": None,
    } | changes


def zenn_answer(articles: Sequence[Mapping[str, Any]], size: int = 2) -> Callable[[Asked], Reply]:
    def answer(asked: Asked) -> Reply:
        if asked.path != "/api/articles" or asked.params.get("username") != "writer":
            return answers({"message": "not found"}, 404)
        number = int(asked.params.get("page", "1"))
        shown = articles[(number - 1) * size : number * size]
        following = number + 1 if number * size < len(articles) else None
        return answers({"articles": shown, "next_page": following, "total_count": None})

    return answer


def account() -> Account:
    articles = [zenn_article(number) for number in (4, 3, 2)]
    articles.append({name: value for name, value in zenn_article(1).items() if name != "bookmarked_count"})
    items = {
        str(article["id"]): {
            "title": article["title"],
            "url": f"https://zenn.dev{article['path']}",
            "published_at": datetime.fromisoformat(article["published_at"]),
            "likes": article["liked_count"],
            "comments": article["comments_count"],
            "bookmarks": article.get("bookmarked_count"),
        }
        for article in articles
    }
    return Account(
        "zenn",
        "zenn",
        {"username": "writer"},
        lambda: StandIn(zenn_answer(articles)),
        lambda: StandIn(zenn_answer([])),
        items,
        requests=2,
    )
