"""Forem: DEV (dev.to) and every other Forem, the views, likes and comments of one's own published articles.

Listing   GET /api/articles/me/published?per_page=1000&page=N with the header api-key; a bare list, newest
          first, without a total and without links. An instance can allow fewer than 1,000 a page and says
          so nowhere, so only a page that is empty, or shorter than the first one, is the last
          (forem/forem app/controllers/concerns/api/articles_controller.rb, swagger/v1/api_v1.json).

    views         page_views_count        never decreases: its worker writes larger numbers only
                                          (app/workers/articles/update_page_views_worker.rb). Views without
                                          a login are counted as ten, one time in ten: steps of 10 are normal.
    likes         public_reactions_count  may decrease: a reaction can be withdrawn
    comments      comments_count          may decrease: a comment can be deleted
    item_id       id                      a number, as text
    title, url, published_at              as they are called there
                                          (app/views/api/v1/articles/me.json.jbuilder)

page_views_count is missing from Forem's published API description but not from its replies; a reply without
it is refused, item by item. The text of an article, its author and everything else that is not counted are
dropped before a page is stored. A deleted article vanishes from the list.

A missing or wrong key and a suspended account are one answer: 401 {"error":"unauthorized","status":401}.
Three requests a second and address, then 429 with Retry-After (config/initializers/rack_attack.rb).
"""

from __future__ import annotations

from collections.abc import Container, Generator, Mapping, Sequence
from itertools import count
from typing import Any, ClassVar, Literal

import msgspec
from pydantic import Field, SecretStr

from pipeline.core.policy import Policy, Trend
from pipeline.platforms.protocol import BASE_URL, Columns, Page, Platform, Request
from pipeline.platforms.replies import Kept, decode, id_text, keep, time_or_text

_LISTING = "/api/articles/me/published"
_PAGE_SIZE = 1000


class _Article(msgspec.Struct):
    """One article. Any value is let through: the checks judge it, and name the item."""

    id: Any = None
    title: Any = None
    url: Any = None
    published_at: Any = None
    page_views_count: Any = None
    public_reactions_count: Any = None
    comments_count: Any = None


_KEPT: Kept = dict.fromkeys(_Article.__struct_fields__)


class Forem(Platform, frozen=True):
    """One author on DEV or another Forem, read with an API key."""

    kind: Literal["forem"] = "forem"
    api_key: SecretStr = Field(min_length=1)
    base_url: str = Field(default="https://dev.to", pattern=BASE_URL)
    requests_per_second: float = Field(default=3.0, gt=0)

    default_policies: ClassVar[Mapping[str, Policy]] = {
        "views": Policy(Trend.NEVER_DECREASES),
        "likes": Policy(Trend.MAY_DECREASE),
        "comments": Policy(Trend.MAY_DECREASE),
    }
    login_hint: ClassVar[str] = (
        "Make an API key under Settings, Extensions (https://dev.to/settings/extensions), put it into the variable"
        " that the source's api_key names, and collect again. A suspended account gets the same answer."
    )

    @property
    def credential(self) -> str:
        """The API key, which every request sends."""
        return self.api_key.get_secret_value()

    def headers(self) -> Mapping[str, str]:
        """The key, and version 1 of the API."""
        return {"Accept": "application/vnd.forem.api-v1+json", "api-key": self.credential}

    def ask(self, known: Container[str]) -> Generator[Sequence[Request], Sequence[Page], None]:
        """Pages until one is empty, or shorter than the first."""
        full = 1
        for number in count(1):
            (page,) = yield [Request(_LISTING, {"per_page": str(_PAGE_SIZE), "page": str(number)})]
            articles = len(decode(page, list[_Article]))
            full = articles if number == 1 else full
            if articles == 0 or articles < full:
                return

    def trim(self, page: Page) -> Page:
        """Without the text of an article, its author and everything else that is not counted."""
        return keep(page, _KEPT)

    def read(self, page: Page) -> Columns:
        """A row an article; a page of none gives empty columns. Raises Unreadable."""
        articles = decode(page, list[_Article])
        return {
            "item_id": [id_text(article.id) for article in articles],
            "title": [article.title for article in articles],
            "url": [article.url for article in articles],
            "published_at": [time_or_text(article.published_at) for article in articles],
            "views": [article.page_views_count for article in articles],
            "likes": [article.public_reactions_count for article in articles],
            "comments": [article.comments_count for article in articles],
        }
