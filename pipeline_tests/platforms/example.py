"""Plume, an invented place for posts: the views and claps of one's own posts.

Listing   GET /api/posts?page=N with the header Authorization, until more is false:
          {"posts": [{"id": 7, "title": "Hello", "path": "/p/7", "at": "2026-11-01T09:00:00+09:00",
          "views": "120", "claps": 3, "text": "..."}], "more": false}

    views   views   never decreases; told as text
    claps   claps   may decrease: a clap can be withdrawn; missing where a post takes none

(docs.plume.example/api.) The text of a post is dropped before a page is stored. 403 with {"reason":"asleep"} is the
nightly rest of the platform and no dead session.
"""

from __future__ import annotations

from collections.abc import Container, Generator, Mapping, Sequence
from itertools import count
from typing import Any, ClassVar, Literal

import msgspec
from pydantic import Field, SecretStr

from pipeline.core.errors import RatchetError, TransportFault
from pipeline.core.policy import Policy, Trend
from pipeline.platforms.protocol import BASE_URL, Columns, Page, Platform, Request
from pipeline.platforms.replies import decode, keep, number_or_text, time_or_text


class _Post(msgspec.Struct):
    id: int
    title: Any = None
    path: str = ""
    at: Any = None
    views: Any = None
    claps: Any = None


class _Listing(msgspec.Struct):
    posts: list[_Post]
    more: bool


class Plume(Platform, frozen=True):
    """One author on Plume."""

    kind: Literal["plume"] = "plume"
    token: SecretStr = Field(min_length=1)
    base_url: str = Field(default="https://plume.example", pattern=BASE_URL)

    default_policies: ClassVar[Mapping[str, Policy]] = {
        "views": Policy(Trend.NEVER_DECREASES),
        "claps": Policy(Trend.MAY_DECREASE),
    }
    optional: ClassVar[frozenset[str]] = frozenset({"claps"})
    login_hint: ClassVar[str] = "Make a token under Settings of Plume, renew the variable, and collect again."

    @property
    def credential(self) -> str:
        return self.token.get_secret_value()

    def headers(self) -> Mapping[str, str]:
        return {"Accept": "application/json", "Authorization": f"Bearer {self.credential}"}

    def ask(self, known: Container[str]) -> Generator[Sequence[Request], Sequence[Page], None]:
        for number in count(1):
            (page,) = yield [Request("/api/posts", {"page": str(number)})]
            if not decode(page, _Listing).more:
                return

    def trim(self, page: Page) -> Page:
        return keep(page, {"posts": dict.fromkeys(_Post.__struct_fields__), "more": None})

    def read(self, page: Page) -> Columns:
        posts = decode(page, _Listing).posts
        return {
            "item_id": [str(post.id) for post in posts],
            "title": [post.title for post in posts],
            "url": [f"https://plume.example{post.path}" for post in posts],
            "published_at": [time_or_text(post.at) for post in posts],
            "views": [number_or_text(post.views) for post in posts],
            "claps": [post.claps for post in posts],
        }

    def fault(self, answer: Page) -> RatchetError | None:
        if answer.status == 403 and b'"asleep"' in answer.body:
            return TransportFault("Plume rests for the night", status=answer.status)
        return None
