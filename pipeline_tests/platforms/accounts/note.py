"""The account at note.com, in the sandbox that Ratchet brings along."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pipeline.sandbox.article import Article
from pipeline.sandbox.server import NoteSandbox
from pipeline_tests.platforms.accounts.account import SECRET, Account


def _article(number: int) -> Article:
    published_at = datetime(2026, 11, 1, tzinfo=UTC) + timedelta(days=number)
    return Article(f"n{number:03}", f"Article {number}", published_at, 100 * number, 10 * number, number)


def account() -> Account:
    articles = [_article(number) for number in (3, 2, 1)]
    return Account(
        "note",
        "note",
        {},
        lambda: NoteSandbox(lambda: articles, cookie=SECRET, page_size=2),
        lambda: NoteSandbox(list, cookie=SECRET),
        {
            article.key: {
                "title": article.title,
                "url": f"https://note.com/notes/{article.key}",
                "published_at": article.published_at,
                "views": article.views,
                "likes": article.likes,
                "comments": article.comments,
            }
            for article in articles
        },
        requests=5,
        secret_key="session_cookie",
    )
