"""A private dashboard that YAML describes, and the account there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from pipeline.sandbox.faults import Reply
from pipeline_tests.platforms.accounts.account import SECRET, Account
from pipeline_tests.platforms.stand_in import Asked, StandIn, answers


def dashboard_answer(count: int) -> Callable[[Asked], Reply]:
    """A private dashboard: two posts a page by offset, numbers as text, and 200 for a session that has ended."""
    rows = [
        {
            "key": number,
            "name": f"Post {number}",
            "date": f"2026-11-{number:02} 09:30:00",
            "stats": {"views": str(100 * number), **({} if number == 2 else {"shares": str(number)})},
            "author": {"email": "planted@example.org"},
        }
        for number in range(1, count + 1)
    ]

    def answer(asked: Asked) -> Reply:
        if asked.headers.get("cookie") != f"sid={SECRET}":
            return answers({"error": {"code": "signed_out"}})
        first = int(asked.params["skip"])
        return answers({"rows": rows[first : first + 2], "total": len(rows)})

    return answer


def account() -> Account:
    items = {
        str(number): {
            "title": f"Post {number}",
            "url": f"https://blog.example.org/posts/{number}",
            "published_at": datetime(2026, 11, number, 0, 30, tzinfo=UTC),
            "views": 100 * number,
            "shares": None if number == 2 else number,
        }
        for number in (1, 2, 3)
    }
    settings = {
        "path": "/dashboard/posts",
        "pages": {"by": "offset", "param": "skip", "total": "total"},
        "items": "rows",
        "fields": {
            "item_id": "key",
            "title": "name",
            "url": "https://blog.example.org/posts/{key}",
            "published_at": {"value": "date", "offset": "+09:00"},
        },
        "counters": {"views": "stats.views", "shares": {"value": "stats.shares", "optional": True}},
        "integers": "text",
        "dead_session": {"when": "error.code == 'signed_out'"},
        "drop": ["email"],
    }
    return Account(
        "json_api",
        "json_api",
        settings,
        lambda: StandIn(dashboard_answer(3)),
        lambda: StandIn(dashboard_answer(0)),
        items,
        requests=3,
        secret_key="auth.cookies.sid",
    )
