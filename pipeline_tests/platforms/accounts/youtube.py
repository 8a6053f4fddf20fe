"""The Data API of YouTube and the account there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pipeline.sandbox.faults import Reply
from pipeline_tests.platforms.accounts.account import SECRET, Account, Item
from pipeline_tests.platforms.stand_in import Asked, StandIn, answers

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


def account() -> Account:
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
