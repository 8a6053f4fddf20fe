"""What a platform adapter is: how to ask, how pages follow each other, what a page holds.

An adapter holds everything Ratchet knows about one platform and nothing else: it opens no
connection (`client` does) and knows no lake. `read` is a pure function of stored pages, because
the lake's history is read again from the bytes that once arrived.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Container, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import Any, ClassVar

from pydantic import BaseModel, Field

from pipeline.core.errors import RatchetError
from pipeline.core.policy import Policy
from pipeline.platforms.credentials import jwt_expiry

ITEM_FIELDS = ("item_id", "title", "url", "published_at")
BASE_URL = r"^https?://[A-Za-z0-9.-]+(:\d{1,5})?/?$"


@dataclass(frozen=True)
class Request:
    """One GET. ``path`` starts with a slash and holds no secret: it is stored beside the reply.

    ``optional``: a 404 is an answer, which the adapter gets as a page with that status.
    ``listing``: what the page is a part of; two pages of one listing are never alike.
    """

    path: str
    params: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    optional: bool = False
    listing: str = ""


@dataclass(frozen=True)
class Page:
    """One reply exactly as it was received, but for fields that its adapter drops and names.

    ``unchanged_since``: when the body arrived, where the platform now answered that it still stands.
    ``credential_expires``: the end of the credential, where this reply or the credential tells.
    """

    request: str
    status: int
    headers: Mapping[str, str]
    fetched_at: datetime
    body: bytes
    dropped: tuple[str, ...] = ()
    unchanged_since: datetime | None = None
    credential_expires: datetime | None = None


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
A page may also tell of items that are listed on other pages: see `Details`.
"""


class Details(Columns):
    """Columns about items that other pages list: item_id and some others, which fill what is blank there.

    Columns without any of the source's counters are details too: what has none of them is no item.
    """


class Found(Columns):
    """Columns that expressions of the source's own YAML found: ``written`` says of a column ``key: expression``."""

    def __init__(self, columns: Columns, written: Mapping[str, str]) -> None:
        super().__init__(columns)
        self.written = written


def lists_items(columns: Columns, counters: Iterable[str]) -> bool:
    """Whether the columns of a page list items, and do not only tell more of items listed elsewhere."""
    return not isinstance(columns, Details) and any(counter in columns for counter in counters)


class Platform(BaseModel, ABC, frozen=True, extra="forbid"):
    """One account on one platform: its settings in the YAML, and all that Ratchet knows about it.

    ``base_url``             scheme and host, without a path
    ``requests_per_second``  how fast the platform may be asked, all its sources together
    ``concurrency``          how many pages may be asked for at once
    ``conditional``          ask with If-None-Match: the platform answers 304 without the body
    ``timeout``              seconds that it may be silent, while connecting or within a page
    ``expires_on``           the last day of the credential, where nothing else tells
    """

    kind: str
    base_url: str = Field(pattern=BASE_URL)
    requests_per_second: float = Field(default=1.0, gt=0)
    concurrency: int = Field(default=1, ge=1, le=16)
    conditional: bool = False
    timeout: float = Field(default=20.0, gt=0, le=600)
    expires_on: date | None = None

    login_hint: ClassVar[str]
    """What the owner does about a credential that was turned away."""
    default_policies: ClassVar[Mapping[str, Policy]] = {}
    """The counters in common words, each with the policy that the platform's numbers deserve."""
    optional: ClassVar[frozenset[str]] = frozenset()
    """Counters that an item may lack; such a counter is missing then, not zero."""
    windows: ClassVar[frozenset[str]] = frozenset()
    """Counters that the platform tells per day, for the last days only: `read` gives pairs (day, number) for an item.

    `pipeline.core.windows` makes a cumulative counter of them.
    """

    @property
    def policies(self) -> Mapping[str, Policy]:
        """The counters of this very account; the platform's own unless its settings name them."""
        return self.default_policies

    @property
    def optional_counters(self) -> frozenset[str]:
        """Which of `policies` an item may lack where the source's YAML does not say."""
        return self.optional

    @property
    @abstractmethod
    def credential(self) -> str:
        """The secret of this account; only its salted fingerprint is ever stored. Empty where none is needed."""

    @abstractmethod
    def headers(self) -> Mapping[str, str]:
        """Headers of every request, the credential among them. Never stored."""

    def secret_params(self) -> Mapping[str, str]:
        """Parameters of every request that are secret, for platforms that take a key nowhere else. Never stored."""
        return {}

    @abstractmethod
    def ask(self, known: Container[str]) -> Generator[Sequence[Request], Sequence[Page], None]:
        """Yield the requests that can be made at once and receive their pages in that order, until the end.

        ``known`` holds the ids of items whose fixed fields (title, publication) are known
        already and need not be asked for again. Raises Unreadable where a page does not say
        how to go on.
        """

    def first_listing(self) -> Request:
        """The first request whose answer lists items: what a reply that somebody else kept is taken for."""
        return next(self.ask(()))[0]

    @abstractmethod
    def read(self, page: Page) -> Columns:
        """The items of one page. Raises Unreadable; an empty page is empty columns."""

    def trim(self, page: Page) -> Page:
        """The page as it may be stored: without private or bulky fields, which ``dropped`` then names.

        What is left must do for `ask` and `read`, and trimming it again changes nothing.
        """
        return page

    def fault(self, answer: Page) -> RatchetError | None:
        """What is wrong with an answer that means something else here than anywhere.

        Asked of every answer, whatever its status, before the rules for all platforms are; ``body``
        is cut to 64 KiB where the status is not 200.
        """
        return None

    def expiry(self, headers: Sequence[tuple[str, str]], now: datetime) -> datetime | None:
        """When the credential ends, from an answer's headers (names in small letters) or from itself."""
        told = [jwt_expiry(self.credential)]
        if self.expires_on is not None:
            told.append(datetime.combine(self.expires_on, time.max, UTC))
        return min((moment for moment in told if moment), default=None)


Counted = Mapping[str, Mapping[str, int]]
"""By item the counters that it has: what the accepted snapshot before says."""

Minutes = Mapping[str, Mapping[str, Mapping[int, int]]]
"""By item and counter how much it gained in each minute, counted from 1970, of the time at which things happened."""

Levels = Mapping[str, Mapping[str, Mapping[int, tuple[int, int]]]]
"""By item and counter the lowest and the highest value that it was seen to have in each minute, counted from 1970."""

Carried = Mapping[str, bytes]
"""By item what a feed has to remember from one accepted snapshot to the next."""


@dataclass(frozen=True)
class Folded:
    """What the pages of a feed make of the counts before them.

    ``columns``   every item, those without news too: ITEM_FIELDS and the counters. A title or a time that is None
                  stays as it is known already
    ``carried``   by item, what `Feed.fold` and `Feed.read_on` are given back next time; the same for the same input
    ``refused``   evidence of the first records that were refused one by one, of ``refused_count``
    ``problems``  why no sound counts can be made, in plain words
    """

    columns: Columns
    carried: Mapping[str, bytes]
    refused: tuple[Mapping[str, Any], ...]
    refused_count: int
    problems: tuple[str, ...]


class Feed(Platform, frozen=True):
    """A platform whose counters are made here, out of what is told since the last accepted capture.

    It tells what happened, or numbers that begin anew whenever a program does. Where reading goes on stands in the
    accepted snapshot beside the counts, so that no crash can part them; what a refused capture read is counted by the
    next one.
    """

    @property
    def credential(self) -> str:
        """Empty: what a feed reads is told without one, unless it says otherwise."""
        return ""

    def headers(self) -> Mapping[str, str]:
        """Empty, unless the feed asks a server."""
        return {}

    def ask(self, known: Container[str]) -> Generator[Sequence[Request], Sequence[Page], None]:
        """Nothing: what a feed tells is read by `read_on`."""
        yield from ()

    def read(self, page: Page) -> Columns:
        """Raises Unreadable, as a page of a feed lists no items by itself."""
        raise Unreadable("a page of this platform is counted, and lists no items by itself")

    @abstractmethod
    def read_on(
        self, carried: Carried, *, max_pages: int, max_bytes: int, now: Callable[[], datetime]
    ) -> Iterator[Page]:
        """What happened since ``carried``, in pages; what exceeds the bounds is left for the next time.

        Raises TransportFault and DeadSession, as `client.fetch_pages` does.
        """

    def read_between(
        self, carried: Carried, *, max_pages: int, max_bytes: int, now: Callable[[], datetime]
    ) -> Iterator[Page]:
        """The same for whoever watches between the captures, of what is kept until a capture holds it too."""
        return self.read_on(carried, max_pages=max_pages, max_bytes=max_bytes, now=now)

    @abstractmethod
    def fold(
        self,
        pages: Iterable[Page],
        before: Counted,
        carried: Carried,
        *,
        captured_at: datetime,
        latest: datetime,
        by_minute: Collection[str] = (),
    ) -> Folded:
        """Count what ``pages`` tell. A page that is told again, by a capture that was refused, counts once.

        A pure function. ``latest``: what claims to have happened later is refused. ``by_minute``: the counters that
        are counted, or kept, by the minute too.
        """

    def tidy(self, accepted: Carried, now: datetime) -> None:
        """Remove what is counted for good. ``accepted`` is what the last accepted snapshot carries, nothing newer."""

    @property
    def minute_counters(self) -> frozenset[str]:
        """The counters that can be counted by the minute in which things happened."""
        return frozenset()

    def minutes(self, carried: Carried) -> Minutes:
        """What `fold` counted by the minute, in the pages that it was given and in the last minutes before them."""
        return {}

    @property
    def level_counters(self) -> frozenset[str]:
        """Those of its counters that are values instead, and are judged on every look that was taken at them."""
        return frozenset()

    def levels(self, carried: Carried) -> Levels:
        """Between what such values stood, in the minutes of `minutes`."""
        return {}
