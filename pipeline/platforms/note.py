"""note.com: the views, likes and comments of one author's articles.

note.com documents no API; its own dashboard asks for what is asked for here, and the clients named
below, written independently of each other, agree on it.

Listing   GET /api/v1/stats/pv?filter=all&page=N&sort=pv with the cookie _note_session_v5, until
          data.last_page is true. data.note_stats is a list of articles (public code:
          ganden0807-collab/note-stats-tracker scripts/fetch_stats.py, sekinet813/noteDailyReportGAS).
          Pages of a list that is sorted by views can shift while they are read.
Detail    GET /api/v3/notes/<key>; data.publish_at is the time of publication. Asked once per
          article, at most DETAILS_PER_CAPTURE in one capture; the others follow with later captures.

    views       read_count     never decreases
    likes       like_count     may decrease: a like can be withdrawn
    comments    comment_count  never decreases
    item_id     key            "n" and some letters and digits
    title       name
    url         https://note.com/<user.urlname>/n/<key>, or https://note.com/notes/<key> where the
                reply names no user (both forms are in public use)
    published_at  publish_at of the detail

The policies are what a recorded account showed over 158 captures. The totals of the newer GraphQL
dashboard differ from read_count by about 8 %; the two must not be mixed in one series. A dead
session shows as 401 or 403, or as status 200 with "error". A body without data.note_stats can be
that or a change of the platform: it is kept, refused and shown.
"""

from __future__ import annotations

import re
from collections.abc import Container, Generator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from http import HTTPStatus
from itertools import count
from typing import Any, ClassVar, Literal, TypeVar
from urllib.parse import quote

import msgspec
from pydantic import Field, SecretStr

from pipeline.core.errors import DeadSession
from pipeline.core.policy import Policy, Trend
from pipeline.platforms.credentials import cookie_expiry
from pipeline.platforms.protocol import BASE_URL, Columns, Page, Platform, Request, Unreadable
from pipeline.platforms.replies import Kept, decode, keep, time_or_text, told

DETAILS_PER_CAPTURE = 200

_COOKIE = "_note_session_v5"
_DETAIL = "/api/v3/notes/"
_DETAIL_KEPT: Kept = {"data": dict.fromkeys(("key", "name", "publish_at")), "error": None}
_SAFE_KEY = re.compile(r"[A-Za-z0-9_-]{1,100}")
_FieldsT = TypeVar("_FieldsT")


class _Article(msgspec.Struct):
    """One row of the listing. Any value is let through: the checks judge it, and name the item."""

    key: Any = None
    name: Any = None
    user: Any = None
    read_count: Any = None
    like_count: Any = None
    comment_count: Any = None


class _Listing(msgspec.Struct):
    note_stats: list[_Article]
    last_page: bool


class _Detail(msgspec.Struct):
    key: str
    publish_at: Any = None


class _Reply(msgspec.Struct):
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class Note(Platform, frozen=True):
    """One account on note.com, read with the session of its owner."""

    kind: Literal["note"] = "note"
    session_cookie: SecretStr = Field(min_length=1)
    base_url: str = Field(default="https://note.com", pattern=BASE_URL)

    default_policies: ClassVar[Mapping[str, Policy]] = {
        "views": Policy(Trend.NEVER_DECREASES),
        "likes": Policy(Trend.MAY_DECREASE),
        "comments": Policy(Trend.NEVER_DECREASES),
    }
    login_hint: ClassVar[str] = (
        "Log in to note.com with a browser, copy the value of its cookie _note_session_v5 into the variable"
        " that the source's session_cookie names, and collect again."
    )

    @property
    def credential(self) -> str:
        """The value of the session's cookie."""
        return self.session_cookie.get_secret_value()

    def headers(self) -> Mapping[str, str]:
        """The session as a cookie."""
        return {"Accept": "application/json", "Cookie": f"{_COOKIE}={self.credential}"}

    def ask(self, known: Container[str]) -> Generator[Sequence[Request], Sequence[Page], None]:
        """The listing to its last page, then the details of articles that are not ``known``.

        A key that could mean another address when it stands in a path is not asked for.
        """
        keys: dict[str, None] = {}
        for number in count(1):
            (page,) = yield [Request("/api/v1/stats/pv", {"filter": "all", "page": str(number), "sort": "pv"})]
            listing = _decode(page, _Listing)
            for article in listing.note_stats:
                if isinstance(article.key, str) and _SAFE_KEY.fullmatch(article.key):
                    keys[article.key] = None
            if listing.last_page:
                break
        wanted = [key for key in keys if key not in known][:DETAILS_PER_CAPTURE]
        details = (yield [Request(_DETAIL + key, optional=True) for key in wanted]) if wanted else ()
        for key, page in zip(wanted, details, strict=True):
            if page.status != HTTPStatus.NOT_FOUND and _decode(page, _Detail).key != key:
                raise Unreadable(f"{page.request} was answered with another article")

    def fault(self, answer: Page) -> DeadSession | None:
        """A dead session hides behind status 200, in place of articles."""
        if answer.status != HTTPStatus.OK or answer.request.startswith(f"GET {_DETAIL}") or not _has_error(answer):
            return None
        what = f"{answer.request} answered 200 with an error instead of articles"
        return DeadSession(what, self.login_hint, status=200)

    def expiry(self, headers: Sequence[tuple[str, str]], now: datetime) -> datetime | None:
        """The end that a reply gives the session's cookie, or ``expires_on``, whichever is sooner."""
        ends = cookie_expiry(headers, {_COOKIE: self.credential}, now), super().expiry(headers, now)
        return min((moment for moment in ends if moment), default=None)

    def trim(self, page: Page) -> Page:
        """A detail without the article's text and its author's profile: only what `read` takes from it."""
        return keep(page, _DETAIL_KEPT) if page.request.startswith(f"GET {_DETAIL}") else page

    def read(self, page: Page) -> Columns:
        """The articles of a listing page, or the time of publication that a detail page tells."""
        if page.status == HTTPStatus.NOT_FOUND:
            return {"item_id": []}
        if page.request.startswith(f"GET {_DETAIL}"):
            detail = _decode(page, _Detail)
            return {"item_id": [detail.key], "published_at": [time_or_text(detail.publish_at)]}
        articles = _decode(page, _Listing).note_stats
        return {
            "item_id": [article.key for article in articles],
            "title": [article.name for article in articles],
            "url": [_url(article) for article in articles],
            "published_at": [None] * len(articles),
            "views": [article.read_count for article in articles],
            "likes": [article.like_count for article in articles],
            "comments": [article.comment_count for article in articles],
        }


def _decode(page: Page, shape: type[_FieldsT]) -> _FieldsT:
    """What "data" of a reply holds. Raises Unreadable where it is not of the declared shape."""
    reply = decode(page, _Reply)
    if _is_error(reply):
        raise Unreadable(f"{page.request} answered with an error where articles were due")
    if reply.data is msgspec.UNSET:
        raise Unreadable(f"{page.request} answered without data")
    return decode(replace(page, body=bytes(reply.data)), shape)


def _is_error(reply: _Reply) -> bool:
    return reply.error is not msgspec.UNSET and bytes(reply.error) != b"null"


def _has_error(answer: Page) -> bool:
    """Whether this is how note.com answers 200 to a session that it no longer knows."""
    reply = told(answer, _Reply)  # None of something else, which is for the checks to name
    return reply is not None and _is_error(reply)


def _url(article: _Article) -> str | None:
    if not isinstance(article.key, str):
        return None
    key = quote(article.key, safe="")
    user = article.user.get("urlname") if isinstance(article.user, dict) else None
    if isinstance(user, str) and user:
        return f"https://note.com/{quote(user, safe='')}/n/{key}"
    return f"https://note.com/notes/{key}"
