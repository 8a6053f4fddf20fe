"""What only YouTube does: numbers as text, quotas that look like a dead session, channels and fifty videos at once."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from pydantic import ValidationError

from pipeline.core.errors import DeadSession, TransportFault
from pipeline.platforms.client import fetch_pages
from pipeline.platforms.protocol import CutShort, Page
from pipeline.platforms.youtube import YouTube
from pipeline.sandbox.faults import Reply
from pipeline_tests.platforms.accounts.account import NOW, SECRET
from pipeline_tests.platforms.accounts.youtube import CHANNEL, YouTubeAnswer, video_id, youtube_refusal, youtube_video
from pipeline_tests.platforms.stand_in import Asked, StandIn
from pipeline_tests.platforms.test_contract import fetch


def youtube(url: str = "https://www.googleapis.com", **settings: Any) -> YouTube:
    settings = settings or {"videos": [video_id(1)]}
    return YouTube.model_validate({"api_key": SECRET, "base_url": url, "requests_per_second": 10_000, **settings})


def page(*videos: dict[str, Any]) -> Page:
    body = json.dumps({"items": videos}).encode()
    return Page("GET /youtube/v3/videos?part=snippet%2Cstatistics&id=x", 200, {}, NOW, body)


def one(**statistics: Any) -> dict[str, Any]:
    columns = youtube().read(page(youtube_video(1) | {"statistics": statistics}))
    return {name: columns[name][0] for name in ("views", "likes", "comments")}


def test_numbers_come_as_text_and_what_is_hidden_is_missing() -> None:
    assert one(viewCount="1234", likeCount="0", favoriteCount="0") == {"views": 1234, "likes": 0, "comments": None}
    assert one() == {"views": None, "likes": None, "comments": None}
    assert one(viewCount="many", likeCount=None, commentCount="-1") == {
        "views": "many",
        "likes": None,
        "comments": "-1",
    }


def test_a_video_without_statistics_or_snippet_is_still_a_video() -> None:
    columns = youtube().read(page({"id": video_id(1)}))
    assert columns["item_id"] == [video_id(1)]
    assert columns["views"] == columns["title"] == [None]


@pytest.mark.parametrize(("count", "sizes"), [(1, [1]), (50, [50]), (51, [50, 1])])
def test_videos_are_asked_for_fifty_at_once(count: int, sizes: list[int]) -> None:
    ids = [video_id(number) for number in range(1, count + 1)]
    with StandIn(YouTubeAnswer({video: youtube_video(1) | {"id": video} for video in ids})) as serving:
        pages = fetch(youtube(serving.url, videos=ids))
    assert [len(json.loads(page.body)["items"]) for page in pages] == sizes


def test_the_videos_of_a_large_channel_are_asked_for_side_by_side() -> None:
    ids = [video_id(number) for number in range(1, 201)]
    told, four = YouTubeAnswer({video: youtube_video(1) | {"id": video} for video in ids}), threading.Barrier(4)

    def answer(asked: Asked) -> Reply:
        four.wait(timeout=10)  # breaks for good, before the client gives up, unless four requests are under way at once
        return told(asked)

    with StandIn(answer) as serving:
        platform = youtube(serving.url, videos=ids)
        pages = fetch(platform)
    assert [item for page in pages for item in platform.read(page)["item_id"]] == ids


def test_a_video_that_is_gone_or_private_is_left_out() -> None:
    with StandIn(YouTubeAnswer({video_id(1): youtube_video(1)})) as serving:
        platform = youtube(serving.url, videos=[video_id(1), video_id(2)])
        [found] = fetch(platform)
    assert platform.read(found)["item_id"] == [video_id(1)]


def test_a_channel_that_is_unknown_is_a_capture_that_says_so() -> None:
    arrived = []
    with StandIn(YouTubeAnswer({})) as serving, pytest.raises(CutShort, match="no such channel"):
        platform = youtube(serving.url, channel="UC" + "y" * 22)
        for answer in fetch_pages(platform, (), max_pages=9, max_bytes=10_000, now=lambda: NOW):
            arrived.append(answer)
    assert len(arrived) == 1


def test_a_channel_without_uploads_is_an_empty_account() -> None:
    with StandIn(YouTubeAnswer({})) as serving:
        platform = youtube(serving.url, channel=CHANNEL)
        pages = fetch(platform)
    assert [page.status for page in pages] == [200, 404]
    assert [platform.read(page) for page in pages] == [{"item_id": []}] * 2


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("quotaExceeded", "midnight Pacific"),
        ("dailyLimitExceeded", "midnight Pacific"),
        ("rateLimitExceeded", "too fast"),
    ],
)
def test_a_used_up_quota_is_a_limit_and_no_dead_session(reason: str, words: str) -> None:
    with StandIn(YouTubeAnswer({})) as serving:
        serving.fail_next(youtube_refusal(403, "You have exceeded your quota.", reason))
        with pytest.raises(TransportFault, match=words):
            fetch(youtube(serving.url))
    assert len(serving.requests) == 1


@pytest.mark.parametrize(
    "refusal",
    [
        youtube_refusal(400, "API key not valid. Please pass a valid API key.", "badRequest", "API_KEY_INVALID"),
        youtube_refusal(400, "API key expired. Please renew the API key.", "badRequest"),
        youtube_refusal(403, "YouTube Data API v3 has not been used in project 1 before.", "accessNotConfigured"),
        Reply(403, {}, b"no JSON"),
    ],
)
def test_a_key_that_may_not_is_a_dead_session(refusal: Reply) -> None:
    with StandIn(YouTubeAnswer({})) as serving:
        serving.fail_next(refusal)
        with pytest.raises(DeadSession) as dead:
            fetch(youtube(serving.url))
    assert dead.value.next_step == YouTube.login_hint


def test_another_bad_request_is_none_of_the_key() -> None:
    with StandIn(YouTubeAnswer({})) as serving:
        serving.fail_next(youtube_refusal(400, "Request contains an invalid argument.", "badRequest"))
        with pytest.raises(TransportFault, match="400"):
            fetch(youtube(serving.url))


def test_descriptions_and_pictures_are_not_stored() -> None:
    kept = youtube().trim(page(youtube_video(1)))
    assert b"description" not in kept.body
    assert {"items.etag", "items.snippet.description", "items.snippet.thumbnails"} <= set(kept.dropped)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"videos": []},
        {"videos": ["short"]},
        {"videos": ["a,b,c,d,e,f"]},
        {"videos": [video_id(1), video_id(1)]},
        {"channel": "@handle"},
        {"channel": ""},
        {"videos": [video_id(1)], "api_key": ""},
    ],
)
def test_a_setting_that_cannot_work_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        YouTube.model_validate({"api_key": SECRET, **wrong})
