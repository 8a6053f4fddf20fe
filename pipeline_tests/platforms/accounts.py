"""One account for each adapter, behind a stand-in that behaves as its platform does: `test_contract` runs them all.

An account says what its adapter is configured with, and which items the whole listing is, in the
values that a source records. Each is larger than one page and holds what the platform is known for:
numbers as text, counters that are missing, offsets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import reduce
from typing import Any, Protocol

from pipeline.platforms import adapter
from pipeline.platforms.protocol import Platform
from pipeline.sandbox.article import Article
from pipeline.sandbox.faults import Reply
from pipeline.sandbox.server import NoteSandbox
from pipeline_tests.platforms.stand_in import Asked, StandIn, answers

SECRET = "planted-secret-credential"
NOW = datetime(2026, 11, 22, 14, 17, tzinfo=UTC)
Item = Mapping[str, Any]


class Serving(Protocol):
    """What a stand-in has in common with every other."""

    requests: list[str]

    @property
    def url(self) -> str: ...

    def fail_next(self, *replies: Reply) -> None: ...


@dataclass(frozen=True)
class Account:
    """``settings`` are the keys under ``platform:``, without base_url.

    ``secret_key`` is the key of the credential, which is SECRET, with dots where it lies deeper; None where the
    platform needs none.

    ``serve`` and ``serve_empty`` start the platform with this account, and with one that has nothing to list.
    ``items``: title, url, published_at and every counter by item_id, as the first capture records them.
    ``requests``: how many the whole listing takes when nothing is known yet.
    ``left``: the items that even ``serve_empty`` lists.
    """

    name: str
    kind: str
    settings: Mapping[str, Any]
    serve: Callable[[], AbstractContextManager[Serving]]
    serve_empty: Callable[[], AbstractContextManager[Serving]]
    items: Mapping[str, Item]
    requests: int
    secret_key: str | None = None
    left: frozenset[str] = frozenset()

    def credential(self, secret: str) -> dict[str, Any]:
        """The setting that holds the credential."""
        if self.secret_key is None:
            return {}
        outer, *inner = self.secret_key.split(".")
        return {outer: reduce(lambda value, key: {key: value}, reversed(inner), secret)}

    def platform(self, url: str, secret: str = SECRET) -> Platform:
        settings = {"kind": self.kind, **self.settings, **self.credential(secret)}
        return adapter(self.kind).model_validate({**settings, "base_url": url, "requests_per_second": 10_000})

    def __str__(self) -> str:
        return self.name


# note.com -----------------------------------------------------------------------------------


def _article(number: int) -> Article:
    published_at = datetime(2026, 11, 1, tzinfo=UTC) + timedelta(days=number)
    return Article(f"n{number:03}", f"Article {number}", published_at, 100 * number, 10 * number, number)


def note() -> Account:
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


# Forem --------------------------------------------------------------------------------------


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


def forem() -> Account:
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


# The example of docs/adding-a-platform.md ---------------------------------------------------


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


def example() -> Account:
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


# GitHub -------------------------------------------------------------------------------------

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
            return answers(repository, **GITHUB_LIMITS)
        if part == ["releases"]:
            return self._releases(f"{owner}/{name}", asked)
        if authorization is None:
            return github_refusal(403, "Must have push access to repository")
        days = self.traffic.get(f"{owner}/{name}", {})
        return answers(github_traffic(part[1], days), **GITHUB_LIMITS)

    def _releases(self, name: str, asked: Asked) -> Reply:
        releases = self.releases.get(name, [])
        size, number = min(int(asked.params.get("per_page", "30")), 100), int(asked.params.get("page", "1"))
        address = f"https://api.github.com/repositories/1000/releases?per_page={size}&page="
        last = max(1, -(-len(releases) // size))
        links = [f'<{address}{number - 1}>; rel="prev"', f'<{address}1>; rel="first"'] if number > 1 else []
        if number < last:
            links += [f'<{address}{number + 1}>; rel="next"', f'<{address}{last}>; rel="last"']
        shown = releases[(number - 1) * size : number * size]
        return answers(shown, **GITHUB_LIMITS, **({"link": ", ".join(links)} if links else {}))


def github() -> Account:
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


# YouTube ------------------------------------------------------------------------------------

CHANNEL = "UC" + "x" * 22
_UPLOADS = "UU" + "x" * 22


def youtube_refusal(status: int, message: str, reason: str, detail: str | None = None) -> Reply:
    error: dict[str, Any] = {"code": status, "message": message}
    error["errors"] = [{"message": message, "domain": "global", "reason": reason}]
    if detail is not None:
        error |= {"status": "INVALID_ARGUMENT", "details": [{"@type": "google.rpc.ErrorInfo", "reason": detail}]}
    return answers({"error": error}, status)


def video_id(number: int) -> str:
    return f"video{number:06}"


def youtube_video(number: int, **statistics: str) -> dict[str, Any]:
    counted = {"viewCount": str(1000 * number), "likeCount": str(number), "favoriteCount": "0", "commentCount": "0"}
    return {
        "kind": "youtube#video",
        "etag": "made-up",
        "id": video_id(number),
        "snippet": {
            "publishedAt": "2026-10-01T09:00:00Z",
            "channelId": CHANNEL,
            "title": f"Video {number}",
            "description": "The whole description",
            "thumbnails": {"default": {"url": "https://i.ytimg.com/vi/x/default.jpg"}},
        },
        "statistics": statistics or counted,
    }


@dataclass
class YouTubeAnswer:
    """The Data API with some public videos and one channel whose uploads are those and a private one."""

    videos: dict[str, dict[str, Any]]
    uploads: list[str] = field(default_factory=list)

    def __call__(self, asked: Asked) -> Reply:
        if asked.headers.get("x-goog-api-key") != SECRET:
            message = "API key not valid. Please pass a valid API key."
            return youtube_refusal(400, message, "badRequest", "API_KEY_INVALID")
        match asked.path.removeprefix("/youtube/v3/"):
            case "videos":
                ids = asked.params["id"].split(",")
                if len(ids) > 50:
                    return youtube_refusal(400, "The request specifies an invalid filter parameter.", "invalidFilters")
                return answers({"kind": "youtube#videoListResponse", "items": self._found(ids)})
            case "channels":
                return self._channel(asked.params["id"])
            case "playlistItems":
                return self._playlist(asked)
        return youtube_refusal(404, "Not Found", "notFound")

    def _found(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        return [self.videos[video] for video in ids if video in self.videos]

    def _channel(self, channel: str) -> Reply:
        if channel != CHANNEL:
            return answers({"kind": "youtube#channelListResponse", "pageInfo": {"totalResults": 0}})
        return answers({"items": [{"id": channel, "contentDetails": {"relatedPlaylists": {"uploads": _UPLOADS}}}]})

    def _playlist(self, asked: Asked) -> Reply:
        if not self.uploads or asked.params["playlistId"] != _UPLOADS:
            return youtube_refusal(404, "The playlist cannot be found.", "playlistNotFound")
        size, first = min(int(asked.params["maxResults"]), 50), int(asked.params.get("pageToken", "0"))
        page: dict[str, Any] = {
            "items": [
                {"id": f"item-{video}", "contentDetails": {"videoId": video}}
                for video in self.uploads[first : first + size]
            ]
        }
        if first + size < len(self.uploads):
            page["nextPageToken"] = str(first + size)
        return answers(page)


def youtube() -> Account:
    hidden, switched_off = 2, 3
    videos = {video_id(number): youtube_video(number) for number in range(1, 53)}
    videos[video_id(hidden)] = youtube_video(hidden, viewCount="2000", commentCount="1")
    videos[video_id(switched_off)] = youtube_video(switched_off, viewCount="3000", likeCount="3")
    uploads = [video_id(number) for number in range(51, 0, -1)]
    uploads.insert(20, "privatevide")
    items: dict[str, Item] = {
        video_id(number): {
            "title": f"Video {number}",
            "url": f"https://www.youtube.com/watch?v={video_id(number)}",
            "published_at": datetime(2026, 10, 1, 9, tzinfo=UTC),
            "views": 1000 * number,
            "likes": None if number == hidden else number,
            "comments": {hidden: 1, switched_off: None}.get(number, 0),
        }
        for number in range(1, 53)
    }
    return Account(
        "youtube",
        "youtube",
        {"channel": CHANNEL, "videos": [video_id(52), video_id(1)]},
        lambda: StandIn(YouTubeAnswer(videos, uploads)),
        lambda: StandIn(YouTubeAnswer({})),
        items,
        requests=5,
        secret_key="api_key",
    )


# A dashboard that YAML describes ------------------------------------------------------------


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


def dashboard() -> Account:
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


# Zenn ---------------------------------------------------------------------------------------


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


def zenn() -> Account:
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


# Qiita --------------------------------------------------------------------------------------


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
        return answers(shown, link=link, total_count=str(len(items)), **limits)

    return answer


def qiita() -> Account:
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


# Mastodon -----------------------------------------------------------------------------------

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
                {"id": MASTODON_ACCOUNT, "username": "writer", "note": "<p>planted@example.org</p>"}, **limits
            )
        if asked.path != f"/api/v1/accounts/{MASTODON_ACCOUNT}/statuses":
            return answers({"error": "Record not found"}, 404, **limits)
        older = [status for status in self.statuses if status["id"] < asked.params.get("max_id", "2")]
        shown = [status for status in older if self.boosts or status["reblog"] is None][:2]
        return answers(shown, **limits, **self._link(asked, shown))

    def _link(self, asked: Asked, shown: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        """As Mastodon does, as long as a page holds anything: the last one before the end has a next page too."""
        if not shown:
            return {}
        address = f"http://{asked.headers['host']}{asked.path}?exclude_reblogs=true&limit=40"
        older, newer = f"{address}&max_id={shown[-1]['id']}", f"{address}&min_id={shown[0]['id']}"
        return {"link": f'<{older}>; rel="next", <{newer}>; rel="prev"'}


def mastodon() -> Account:
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


ACCOUNTS: tuple[Account, ...] = (
    example(),
    note(),
    forem(),
    github(),
    youtube(),
    dashboard(),
    zenn(),
    qiita(),
    mastodon(),
)


# A feed over HTTP ----------------------------------------------------------------------------


def openmetrics_answer(asked: Asked) -> Reply:
    """A program that asks for a token and tells what it was asked for."""
    if asked.headers.get("authorization") != f"Bearer {SECRET}":
        return Reply(401, {"Content-Type": "text/plain", "WWW-Authenticate": "Bearer"}, b"")
    kind = "application/openmetrics-text; version=1.0.0; charset=utf-8"
    return Reply(200, {"Content-Type": kind}, b"# TYPE errors counter\nerrors_total 7\n# EOF\n")


FEEDS: tuple[Account, ...] = (
    Account(
        "openmetrics",
        "openmetrics",
        {},
        lambda: StandIn(openmetrics_answer),
        lambda: StandIn(openmetrics_answer),
        {},
        requests=1,
        secret_key="token",
    ),
)
"""Their pages are counted and list no items by themselves, so of the contract they play what is about asking."""
