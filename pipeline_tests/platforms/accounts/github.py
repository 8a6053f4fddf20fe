"""GitHub and the account there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from pipeline.sandbox.faults import Reply
from pipeline_tests.platforms.accounts.account import NOW, SECRET, Account, Item
from pipeline_tests.platforms.stand_in import Asked, StandIn, answers

GITHUB_LIMITS = {"x_ratelimit_limit": "5000", "x_ratelimit_remaining": "4999", "x_ratelimit_reset": "1795360000"}
_GITHUB_DOCS = "https://docs.github.com/rest"


def github_refusal(status: int, message: str, **headers: str) -> Reply:
    return answers({"message": message, "documentation_url": _GITHUB_DOCS, "status": str(status)}, status, **headers)


def github_repository(name: str, stars: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": 1000 + stars,
        "name": name.partition("/")[2],
        "full_name": name,
        "private": False,
        "owner": {"login": name.partition("/")[0], "email": "planted@example.org"},
        "html_url": f"https://github.com/{name}",
        "description": None,
        "created_at": "2017-10-10T16:00:00Z",
        "stargazers_count": stars,
        "watchers_count": stars,
        "forks_count": stars // 10,
        "subscribers_count": stars // 2,
        "organization": {"login": name.partition("/")[0]},
    } | changes


def github_release(number: int, downloads: Sequence[int], **changes: Any) -> dict[str, Any]:
    return {
        "id": number,
        "tag_name": f"v{number}",
        "name": f"Version {number}",
        "draft": False,
        "html_url": f"https://github.com/octo/busy/releases/tag/v{number}",
        "author": {"login": "octo", "email": "planted@example.org"},
        "created_at": "2026-01-01T00:00:00Z",
        "published_at": "2026-02-01T00:00:00Z",
        "body": "The notes of this release",
        "assets": [
            {
                "id": 10 * number + place,
                "name": f"tool-{place}.tar.gz",
                "label": None,
                "uploader": {"login": "octo"},
                "state": "uploaded",
                "download_count": count,
                "created_at": "2026-01-15T00:00:00Z",
                "browser_download_url": f"https://github.com/octo/busy/releases/download/v{number}/tool-{place}.tar.gz",
            }
            for place, count in enumerate(downloads)
        ],
    } | changes


def github_traffic(counter: str, days: Mapping[date, int]) -> dict[str, Any]:
    told = [{"timestamp": f"{day}T00:00:00Z", "count": number, "uniques": 1} for day, number in days.items()]
    return {"count": sum(days.values()), "uniques": len(days), counter: told}


@dataclass
class GitHubAnswer:
    """GitHub with some repositories, their releases and, for a token that may push, their traffic."""

    repositories: dict[str, dict[str, Any]]
    releases: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    traffic: dict[str, dict[date, int]] = field(default_factory=dict)

    def __call__(self, asked: Asked) -> Reply:
        authorization = asked.headers.get("authorization")
        if "user-agent" not in asked.headers:
            return github_refusal(403, "Request forbidden by administrative rules.")
        if authorization not in (None, f"Bearer {SECRET}"):
            return github_refusal(401, "Bad credentials")
        _, repos, owner, name, *part = asked.path.split("/")
        repository = self.repositories.get(f"{owner}/{name}")
        if repos != "repos" or repository is None:
            return github_refusal(404, "Not Found")
        if not part:
            return answers(repository, 200, **GITHUB_LIMITS)
        if part == ["releases"]:
            return self._releases(f"{owner}/{name}", asked)
        if authorization is None:
            return github_refusal(403, "Must have push access to repository")
        days = self.traffic.get(f"{owner}/{name}", {})
        return answers(github_traffic(part[1], days), 200, **GITHUB_LIMITS)

    def _releases(self, name: str, asked: Asked) -> Reply:
        releases = self.releases.get(name, [])
        size, number = min(int(asked.params.get("per_page", "30")), 100), int(asked.params.get("page", "1"))
        address = f"https://api.github.com/repositories/1000/releases?per_page={size}&page="
        last = max(1, -(-len(releases) // size))
        links = [f'<{address}{number - 1}>; rel="prev"', f'<{address}1>; rel="first"'] if number > 1 else []
        if number < last:
            links += [f'<{address}{number + 1}>; rel="next"', f'<{address}{last}>; rel="last"']
        shown = releases[(number - 1) * size : number * size]
        return answers(shown, 200, **GITHUB_LIMITS, **({"link": ", ".join(links)} if links else {}))


def account() -> Account:
    yesterday = NOW.date() - timedelta(days=1)
    platform = GitHubAnswer(
        {"octo/busy": github_repository("octo/busy", 40), "octo/quiet": github_repository("octo/quiet", 2)},
        {"octo/busy": [github_release(number, [number, 2 * number]) for number in range(101, 0, -1)]},
        {"octo/busy": {yesterday: 30, NOW.date(): 4}},
    )
    nothing = {"stars": None, "forks": None, "subscribers": None, "downloads": None, "views": None, "clones": None}
    items: dict[str, Item] = {
        name: nothing
        | {
            "title": name,
            "url": f"https://github.com/{name}",
            "published_at": datetime(2017, 10, 10, 16, tzinfo=UTC),
            "stars": stars,
            "forks": stars // 10,
            "subscribers": stars // 2,
            "views": views,
            "clones": views,
        }
        for name, stars, views in (("octo/busy", 40, 34), ("octo/quiet", 2, 0))
    }
    items |= {
        f"asset:{10 * number + place}": nothing
        | {
            "title": f"octo/busy v{number} tool-{place}.tar.gz",
            "url": f"https://github.com/octo/busy/releases/tag/v{number}",
            "published_at": datetime(2026, 2, 1, tzinfo=UTC),
            "downloads": number * (place + 1),
        }
        for number in range(1, 102)
        for place in (0, 1)
    }
    return Account(
        "github",
        "github",
        {"repositories": ["octo/busy", "octo/quiet"], "traffic": True},
        lambda: StandIn(platform, etags=True),
        lambda: StandIn(GitHubAnswer(platform.repositories)),
        items,
        requests=9,
        secret_key="token",
        left=frozenset(platform.repositories),
    )
