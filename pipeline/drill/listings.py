"""What the drill's account shows: sound listings, and the ways in which a listing can be wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pipeline.core.model import Bounds
from pipeline.sandbox.article import Article
from pipeline.sandbox.faults import Reply
from pipeline.sandbox.server import NoteSandbox

PAGE_SIZE = 20
FEWEST, MOST = 2 * PAGE_SIZE, 1_000
FIELDS = {"views": "read_count", "likes": "like_count", "comments": "comment_count"}
"""The counters by the names that a source gives them, and by those of the listing."""

_PATH = "/api/v1/stats/pv?filter=all&sort=pv&page="


def articles(bounds: Bounds) -> list[Article]:
    """An account with so many articles that its owner's bounds do not let half of them vanish."""
    count = min(max(FEWEST, 2 * max(bounds.gone_items, bounds.fallen_items) + 2), MOST)
    published = datetime.now(UTC).replace(microsecond=0) - timedelta(days=30)
    return [
        Article(f"drill{n:04}", f"Article {n} of the drill", published, 1_000 + 10 * n, 100 + n, 10 + n)
        for n in range(count)
    ]


def grown(before: Sequence[Article]) -> list[Article]:
    """The same articles a while later."""
    return [replace(each, views=each.views + 7, likes=each.likes + 2, comments=each.comments + 1) for each in before]


def page(sandbox: NoteSandbox, number: int = 1) -> Reply:
    """A page of the listing as the sandbox would answer it now."""
    return sandbox.answer(f"{_PATH}{number}", f"_note_session_v5={sandbox.cookie}")


def bent(sandbox: NoteSandbox, bend: Callable[[dict[str, Any]], object]) -> Reply:
    """The first page of the listing, its first article bent."""
    content = json.loads(page(sandbox).body)
    bend(content["data"]["note_stats"][0])
    return _with_content(page(sandbox), content)


def endless(sandbox: NoteSandbox, pages: int) -> list[Reply]:
    """Pages with one article each, none of which is the last one."""
    sound = page(sandbox)
    content = json.loads(sound.body)
    article = content["data"]["note_stats"][0]
    return [
        _with_content(
            sound,
            {"data": {**content["data"], "note_stats": [{**article, "key": f"endless{n}"}], "last_page": False}},
        )
        for n in range(pages)
    ]


def _with_content(reply: Reply, content: Any) -> Reply:
    return replace(reply, body=json.dumps(content).encode())
