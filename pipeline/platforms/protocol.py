"""What a platform adapter is: how to ask, how pages follow each other, what a page holds.

An adapter holds everything Ratchet knows about one platform and nothing else: it opens no
connection (`client` does) and knows no lake. `read` is a pure function of stored pages, because
the lake's history is read again from the bytes that once arrived.
"""

from __future__ import annotations

from collections.abc import Container, Generator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Protocol

from pipeline.core.model import Policy

ITEM_FIELDS = ("item_id", "title", "url", "published_at")


@dataclass(frozen=True)
class Request:
    """One GET. ``path`` starts with a slash and holds no secret: it is stored beside the reply.

    ``optional``: a 404 is an answer, which the adapter gets as a page with that status.
    """

    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    optional: bool = False


@dataclass(frozen=True)
class Page:
    """One reply exactly as it was received, but for fields that its adapter drops and names."""

    request: str
    status: int
    headers: Mapping[str, str]
    fetched_at: datetime
    body: bytes
    dropped: tuple[str, ...] = ()


class Unreadable(Exception):
    """A body arrived that is not what the adapter declares. The message says what, in plain words."""


class CutShort(Exception):
    """A listing was left before its end: unreadable, repeated or endless pages, or too many bytes.

    The pages that arrived are kept; the message says in plain words why no more were asked for.
    """


Columns = dict[str, list[Any]]
"""Items of one page by column: ITEM_FIELDS and one list per counter, all of one length.

Values stand as the platform sent them (the check `required_fields` judges types and nulls);
times are datetimes with an offset, or the text that could not be read as one.
A page may also describe items that are listed on other pages: its columns are item_id and some
of the other ITEM_FIELDS, without any counter, and they fill what the listing left blank.
"""


class Platform(Protocol):
    """One account on one platform."""

    default_policies: ClassVar[Mapping[str, Policy]]
    login_hint: ClassVar[str]

    @property
    def kind(self) -> str: ...

    @property
    def base_url(self) -> str: ...

    @property
    def requests_per_second(self) -> float: ...

    @property
    def credential(self) -> str:
        """The secret of this account; only its salted fingerprint is ever stored."""
        ...

    def headers(self) -> Mapping[str, str]:
        """Headers of every request, the credential among them. Never stored."""
        ...

    def ask(self, known: Container[str]) -> Generator[Request, Page, None]:
        """Yield each request of one capture and receive its page.

        ``known`` holds the ids of items whose fixed fields (title, publication) are known
        already and need not be asked for again. Raises Unreadable where a page does not say
        how to go on.
        """
        ...

    def trim(self, page: Page) -> Page:
        """The page as it may be stored: without private or bulky fields, which ``dropped`` then names."""
        ...

    def read(self, page: Page) -> Columns:
        """The items of one page. Raises Unreadable; an empty page is empty columns."""
        ...
