"""YouTube: the views, likes and comments of videos by id, and of all uploads of a channel (Data API v3).

Uploads   GET /youtube/v3/channels?part=contentDetails&id=CHANNEL tells the playlist of a channel's uploads,
          GET /youtube/v3/playlistItems?part=contentDetails&playlistId=...&maxResults=50&pageToken=... its
          videos, newest first, until there is no nextPageToken. A channel without any upload has no such
          playlist: 404.
Videos    GET /youtube/v3/videos?part=snippet,statistics&id=... for 50 ids at once. Ids that are unknown or
          private are left out of the reply: such a video is gone, which `complete_listing` names.

    views        statistics.viewCount     within 1 % of its highest value: recorded views fall about once in
                                          230 hourly steps, by well under 1 %, and are back soon
    likes        statistics.likeCount     may decrease; missing where a video hides it
    comments     statistics.commentCount  may decrease; missing where comments are switched off
    item_id      id                       eleven letters, digits, - and _
    title, published_at                   snippet.title, snippet.publishedAt
    url          https://www.youtube.com/watch?v=<id>

(developers.google.com/youtube/v3/docs; a recorded reply.) Numbers come as decimal text and become numbers
where the text is nothing but digits. Descriptions and pictures are dropped before a page is stored.

Each request costs one unit of 10,000 a day: 100 videos of a channel are 1 + 2 + 2 an hour. The key goes in
the header X-Goog-Api-Key (cloud.google.com/docs/authentication/api-keys-use), so it is in no address. An answer that
the quota is used up is 403 with the reason quotaExceeded: no dead session, but a limit until midnight in
California. A key that is not valid is 400. The quota is by the day, not by what is under way at once: pages of
videos are asked for side by side.
"""

from __future__ import annotations

from collections.abc import Container, Generator, Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from pydantic import Field, SecretStr, model_validator

from pipeline.core.errors import DeadSession, RatchetError, TransportFault
from pipeline.core.policy import Policy, Trend
from pipeline.platforms.protocol import BASE_URL, Columns, Page, Platform, Request, Unreadable
from pipeline.platforms.replies import Kept, decode, keep, number_or_text, time_or_text, told

_API = "/youtube/v3/"
_LISTS_VIDEOS = f"GET {_API}videos?"
_AT_ONCE = 50
_LIMITS = {"quotaExceeded", "dailyLimitExceeded", "rateLimitExceeded", "userRateLimitExceeded"}
_KEPT: Kept = {
    "items": {
        "id": None,
        "snippet": {"title": None, "publishedAt": None},
        "statistics": None,
        "contentDetails": {"videoId": None, "relatedPlaylists": {"uploads": None}},
    },
    "nextPageToken": None,
}

_VideoId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{11}$")]


class _Snippet(msgspec.Struct):
    title: Any = None
    publishedAt: Any = None


class _Statistics(msgspec.Struct):
    viewCount: Any = None
    likeCount: Any = None
    commentCount: Any = None


class _Video(msgspec.Struct):
    """One video. Any value is let through: the checks judge it, and name the item."""

    id: Any = None
    snippet: _Snippet = msgspec.field(default_factory=_Snippet)
    statistics: _Statistics = msgspec.field(default_factory=_Statistics)


class _Videos(msgspec.Struct):
    items: list[_Video]


class _Playlists(msgspec.Struct):
    uploads: str


class _ChannelDetails(msgspec.Struct):
    relatedPlaylists: _Playlists


class _Channel(msgspec.Struct):
    contentDetails: _ChannelDetails


class _Channels(msgspec.Struct):
    """YouTube leaves the items out where there are none."""

    items: list[_Channel] = []


class _UploadDetails(msgspec.Struct):
    videoId: str


class _Upload(msgspec.Struct):
    contentDetails: _UploadDetails


class _Uploads(msgspec.Struct):
    items: list[_Upload]
    nextPageToken: str | None = None


class _Reason(msgspec.Struct):
    reason: str = ""


class _Fault(msgspec.Struct):
    message: str = ""
    errors: list[_Reason] = []
    details: list[_Reason] = []


class _Refusal(msgspec.Struct):
    error: _Fault


class YouTube(Platform, frozen=True):
    """Videos on YouTube: those named one by one, and all uploads of a channel."""

    kind: Literal["youtube"] = "youtube"
    api_key: SecretStr = Field(min_length=1)
    videos: tuple[_VideoId, ...] = ()
    channel: str | None = Field(default=None, pattern=r"^UC[A-Za-z0-9_-]{22}$")
    base_url: str = Field(default="https://www.googleapis.com", pattern=BASE_URL)
    requests_per_second: float = Field(default=5.0, gt=0)
    concurrency: int = Field(default=4, ge=1, le=16)

    default_policies: ClassVar[Mapping[str, Policy]] = {
        "views": Policy(Trend.TOLERANCE, 0.01),
        "likes": Policy(Trend.MAY_DECREASE),
        "comments": Policy(Trend.MAY_DECREASE),
    }
    optional: ClassVar[frozenset[str]] = frozenset({"likes", "comments"})
    login_hint: ClassVar[str] = (
        "In the Google Cloud console switch on the YouTube Data API v3, make an API key that may use it, put it into"
        " the variable that the source's api_key names, and collect again."
    )

    @model_validator(mode="after")
    def _counts_something(self) -> YouTube:
        if not self.videos and self.channel is None:
            raise ValueError("give videos (a list of ids), a channel (UC...), or both")
        if len(set(self.videos)) < len(self.videos):
            raise ValueError("a video stands twice among videos")
        return self

    @property
    def credential(self) -> str:
        """The API key, whose project may spend 10,000 units a day."""
        return self.api_key.get_secret_value()

    def headers(self) -> Mapping[str, str]:
        """The key in a header, so that it is in no address."""
        return {"Accept": "application/json", "X-Goog-Api-Key": self.credential}

    def ask(self, known: Container[str]) -> Generator[Sequence[Request], Sequence[Page], None]:
        """The ids of the channel's uploads, then the numbers of all videos, fifty a request."""
        ids = dict.fromkeys(self.videos)
        if self.channel is not None:
            uploads = yield from self._uploads(self.channel)
            ids |= dict.fromkeys(uploads)
        videos = list(ids)
        yield [_videos(videos[at : at + _AT_ONCE]) for at in range(0, len(videos), _AT_ONCE)]

    def first_listing(self) -> Request:
        """Not the channel, which is asked first for its uploads."""
        return _videos(self.videos[:_AT_ONCE])

    def _uploads(self, channel: str) -> Generator[Sequence[Request], Sequence[Page], list[str]]:
        (page,) = yield [Request(f"{_API}channels", {"part": "contentDetails", "id": channel}, listing="channel")]
        found = decode(page, _Channels).items
        if not found:
            raise Unreadable(f"{page.request} knows no such channel")
        asked = {"part": "contentDetails", "maxResults": str(_AT_ONCE)}
        asked["playlistId"] = found[0].contentDetails.relatedPlaylists.uploads
        ids: list[str] = []
        while True:
            (page,) = yield [Request(f"{_API}playlistItems", asked, optional=True, listing="uploads")]
            if page.status == HTTPStatus.NOT_FOUND:
                return ids
            uploads = decode(page, _Uploads)
            ids += [upload.contentDetails.videoId for upload in uploads.items]
            if uploads.nextPageToken is None:
                return ids
            asked = {**asked, "pageToken": uploads.nextPageToken}

    def trim(self, page: Page) -> Page:
        """Without descriptions, pictures and whatever else is not counted."""
        return keep(page, _KEPT)

    def read(self, page: Page) -> Columns:
        """The videos of a page of videos; the pages before it only say which ones to ask for."""
        if not page.request.startswith(_LISTS_VIDEOS):
            return {"item_id": []}
        videos = decode(page, _Videos).items
        return {
            "item_id": [video.id for video in videos],
            "title": [video.snippet.title for video in videos],
            "url": [_url(video.id) for video in videos],
            "published_at": [time_or_text(video.snippet.publishedAt) for video in videos],
            "views": [number_or_text(video.statistics.viewCount) for video in videos],
            "likes": [number_or_text(video.statistics.likeCount) for video in videos],
            "comments": [number_or_text(video.statistics.commentCount) for video in videos],
        }

    def fault(self, answer: Page) -> RatchetError | None:
        """403 is a used up quota more often than a key that may not; 400 is a key that is none."""
        if answer.status not in (HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS):
            return None
        answered = told(answer, _Refusal)
        if answered is None:
            return None
        refusal = answered.error
        reasons = {given.reason for given in (*refusal.errors, *refusal.details)}
        where = answer.request.partition("?")[0]
        if reasons & _LIMITS:
            return TransportFault(_limit_words(where, reasons), status=answer.status)
        if "API_KEY_INVALID" in reasons or refusal.message.startswith("API key"):
            return DeadSession(
                f"{where}: the API key is not valid, or has expired", self.login_hint, status=answer.status
            )
        return None


def _limit_words(where: str, reasons: set[str]) -> str:
    if reasons & {"quotaExceeded", "dailyLimitExceeded"}:
        return f"{where}: the quota of the day is used up; YouTube grants the next one at midnight Pacific Time"
    return f"{where}: asked too fast for the limit of this API key"


def _videos(ids: Sequence[str]) -> Request:
    return Request(f"{_API}videos", {"part": "snippet,statistics", "id": ",".join(ids)})


def _url(video: Any) -> str | None:
    return f"https://www.youtube.com/watch?v={video}" if isinstance(video, str) else None
