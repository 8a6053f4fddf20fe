"""Plume, the example of docs/adding-a-platform.md, and the account there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pipeline.sandbox.faults import Reply
from pipeline_tests.platforms.accounts.account import SECRET, Account, Item
from pipeline_tests.platforms.stand_in import Asked, StandIn, answers


def plume_post(number: int, claps: int | None) -> dict[str, Any]:
    taken = {} if claps is None else {"claps": claps}
    told = {"title": f"Post {number}", "path": f"/p/{number}", "at": f"2026-11-{number:02}T09:00:00+09:00"}
    return {"id": number, **told, "views": str(100 * number), "text": "The whole text", **taken}


def plume_answer(pages: Sequence[Sequence[Mapping[str, Any]]]) -> Callable[[Asked], Reply]:
    def answer(asked: Asked) -> Reply:
        if asked.headers.get("authorization") != f"Bearer {SECRET}":
            return answers({"reason": "token"}, 401)
        number = int(asked.params["page"])
        return answers({"posts": pages[number - 1], "more": number < len(pages)})

    return answer


def account() -> Account:
    pages = [[plume_post(3, 30), plume_post(2, None)], [plume_post(1, 0)]]
    items: dict[str, Item] = {
        str(number): {
            "title": f"Post {number}",
            "url": f"https://plume.example/p/{number}",
            "published_at": datetime(2026, 11, number, tzinfo=UTC),
            "views": 100 * number,
            "claps": claps,
        }
        for number, claps in ((3, 30), (2, None), (1, 0))
    }
    return Account(
        "example",
        "plume",
        {},
        lambda: StandIn(plume_answer(pages)),
        lambda: StandIn(plume_answer([[]])),
        items,
        requests=2,
        secret_key="token",
    )
