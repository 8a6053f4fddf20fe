"""An instance of Mastodon and the account there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipeline.sandbox.faults import Reply
from pipeline_tests.platforms.accounts.account import SECRET, Account
from pipeline_tests.platforms.stand_in import Asked, StandIn, answers

MASTODON_ACCOUNT = "109440145400000001"


def mastodon_status(number: int, **changes: Any) -> dict[str, Any]:
    """As the recorded status has it; ids are larger than what a floating-point number holds."""
    return {
        "id": str(109440145478329000 + number),
        "created_at": f"2026-11-{number:02}T19:48:14.825Z",
        "url": f"https://social.example/@writer/{number}",
        "uri": f"https://social.example/users/writer/statuses/{number}",
        "replies_count": number,
        "reblogs_count": 2 * number,
        "favourites_count": 10 * number,
        "visibility": "public",
        "content": "<p>The whole text</p>",
        "reblog": None,
        "account": {"id": MASTODON_ACCOUNT, "username": "writer", "note": "planted@example.org"},
    } | changes


@dataclass
class MastodonAnswer:
    """An instance with one account, two statuses a page; one too old to know exclude_reblogs where ``boosts``."""

    statuses: Sequence[Mapping[str, Any]]
    boosts: bool = True

    def __call__(self, asked: Asked) -> Reply:
        limits = {"x_ratelimit_limit": "300", "x_ratelimit_remaining": "281"}
        limits["x_ratelimit_reset"] = "2026-11-22T14:20:00.846373Z"
        if asked.headers.get("authorization") not in (None, f"Bearer {SECRET}"):
            challenge = 'Bearer realm="Doorkeeper", error="invalid_token"'
            return answers({"error": "The access token is invalid"}, 401, www_authenticate=challenge)
        if asked.path == "/api/v1/accounts/lookup" and asked.params.get("acct") == "writer":
            return answers(
                {"id": MASTODON_ACCOUNT, "username": "writer", "note": "<p>planted@example.org</p>"}, 200, **limits
            )
        if asked.path != f"/api/v1/accounts/{MASTODON_ACCOUNT}/statuses":
            return answers({"error": "Record not found"}, 404, **limits)
        older = [status for status in self.statuses if status["id"] < asked.params.get("max_id", "2")]
        shown = [status for status in older if self.boosts or status["reblog"] is None][:2]
        return answers(shown, 200, **limits, **self._link(asked, shown))

    def _link(self, asked: Asked, shown: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        """As Mastodon does, as long as a page holds anything: the last one before the end has a next page too."""
        if not shown:
            return {}
        address = f"http://{asked.headers['host']}{asked.path}?exclude_reblogs=true&limit=40"
        older, newer = f"{address}&max_id={shown[-1]['id']}", f"{address}&min_id={shown[0]['id']}"
        return {"link": f'<{older}>; rel="next", <{newer}>; rel="prev"'}


def account() -> Account:
    statuses = [mastodon_status(number) for number in (5, 4, 3, 2)]
    statuses[1] |= {"url": None}
    statuses[2] |= {"reblog": mastodon_status(9), "favourites_count": 0}
    items = {
        status["id"]: {
            "title": None,
            "url": status["url"] or status["uri"],
            "published_at": datetime.fromisoformat(status["created_at"]),
            "likes": status["favourites_count"],
            "shares": status["reblogs_count"],
            "comments": status["replies_count"],
        }
        for status in statuses
        if status["reblog"] is None
    }
    return Account(
        "mastodon",
        "mastodon",
        {"username": "writer"},
        lambda: StandIn(MastodonAnswer(statuses)),
        lambda: StandIn(MastodonAnswer([])),
        items,
        requests=4,
        secret_key="token",
    )
