"""GitHub: stars, forks and subscribers of repositories, downloads of their releases, and their traffic.

Repository   GET /repos/OWNER/NAME
Releases     GET /repos/OWNER/NAME/releases?per_page=100&page=N while the header Link names a next page
Traffic      GET /repos/OWNER/NAME/traffic/views?per=day and .../clones?per=day, with `traffic: true`

Two kinds of items:

    a repository     item_id OWNER/NAME as the source names it, and as its other pages can name it
      stars          stargazers_count   may decrease
      forks          forks_count        may decrease
      subscribers    subscribers_count  may decrease (watchers_count is the stars once more)
      views, clones  count of each day  a window of 14 days, which pipeline/core/windows.py makes cumulative
      published_at   created_at

    a file of a release   item_id asset:<id>: the id outlives a new name, and a file that was deleted and
                          uploaded again is another one, whose downloads begin at 0
      downloads      download_count     never decreases
      published_at   when it was uploaded or its release was published, whichever was later
      url            the release's page; the file's own address would count a download

(docs.github.com/rest: repos, releases, metrics/traffic; octokit/fixtures.) Drafts are not counted. `uniques` of
the traffic are not used: a person who comes on two days is one in each and would be two in the sum. Days without
traffic are left out or zero, and numbers of past days are revised. Traffic needs a token that may push (classic:
repo; fine-grained: administration, read); the rest is public.

60 requests an hour without a token, 5,000 with one; a reply with an ETag is asked for with If-None-Match, and with a
token a 304 costs nothing (docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api). A used up
limit is 403 or 429, a token that may not read is 403, a repository that the token may not see is 404, a renamed one
is 301. The end of a token stands in the header github-authentication-token-expiration; for some fine-grained tokens it
holds the present time instead (google/go-github#3708), which is not believed.
"""

from __future__ import annotations

import re
from collections.abc import Container, Generator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from http import HTTPStatus
from itertools import count
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from pydantic import AfterValidator, Field, SecretStr, model_validator

from pipeline.core.errors import DeadSession, RatchetError, TransportFault
from pipeline.core.policy import Policy, Trend
from pipeline.platforms.pacing import retry_after
from pipeline.platforms.protocol import BASE_URL, Columns, Details, Page, Platform, Request, Unreadable
from pipeline.platforms.replies import Kept, decode, keep, time_or_text, told

TRAFFIC = ("views", "clones")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}")
_REQUEST = re.compile(r"GET /repos/([^/]+/[^/?]+)(?:/(releases|traffic/(?:views|clones)))?(?:\?.*)?")
_NEXT = re.compile(r'<[^>]*>;[^,]*\brel="next"')
_EXPIRATION = "github-authentication-token-expiration"
_STILL_VALID = timedelta(minutes=10)
"""A token that was accepted a moment ago does not end now."""


def _repository(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError("a repository is written OWNER/NAME")
    return name


class _Repository(msgspec.Struct):
    """Every counter has to be there; the checks judge its value, and name the item."""

    stargazers_count: Any
    forks_count: Any
    subscribers_count: Any
    full_name: Any = None
    html_url: Any = None
    created_at: Any = None


class _Asset(msgspec.Struct):
    id: Any
    download_count: Any
    name: Any = None
    created_at: Any = None


class _Release(msgspec.Struct):
    assets: list[_Asset]
    draft: bool = False
    tag_name: Any = None
    html_url: Any = None
    published_at: Any = None


class _Day(msgspec.Struct):
    timestamp: Any = None
    count: Any = None


class _Refusal(msgspec.Struct):
    message: str = ""


_RELEASE_KEPT: Kept = {
    **dict.fromkeys(("id", *_Release.__struct_fields__)),
    "assets": dict.fromkeys(_Asset.__struct_fields__),
}
_REPOSITORY_KEPT: Kept = dict.fromkeys(("id", *_Repository.__struct_fields__))


class GitHub(Platform, frozen=True):
    """Repositories on GitHub, public ones without a token."""

    kind: Literal["github"] = "github"
    repositories: tuple[Annotated[str, AfterValidator(_repository)], ...] = Field(min_length=1)
    token: SecretStr | None = None
    traffic: bool = False
    releases: bool = True
    base_url: str = Field(default="https://api.github.com", pattern=BASE_URL)
    requests_per_second: float = Field(default=5.0, gt=0)
    conditional: bool = True

    default_policies: ClassVar[Mapping[str, Policy]] = {
        "stars": Policy(Trend.MAY_DECREASE),
        "forks": Policy(Trend.MAY_DECREASE),
        "subscribers": Policy(Trend.MAY_DECREASE),
        "downloads": Policy(Trend.NEVER_DECREASES),
        **dict.fromkeys(TRAFFIC, Policy(Trend.NEVER_DECREASES)),
    }
    optional: ClassVar[frozenset[str]] = frozenset(default_policies)  # a file has no stars, a repository no downloads
    windows: ClassVar[frozenset[str]] = frozenset(TRAFFIC)
    login_hint: ClassVar[str] = (
        "Make a token under Settings, Developer settings of GitHub; to read traffic it needs the repository permission"
        " Administration (read), or as a classic one the scope repo. Put it into the variable that the source's"
        " token names, and collect again."
    )

    @model_validator(mode="after")
    def _can_be_asked_for(self) -> GitHub:
        if len({name.lower() for name in self.repositories}) < len(self.repositories):
            raise ValueError("a repository stands twice; GitHub does not tell capital and small letters apart")
        if self.traffic and not self.credential:
            raise ValueError("traffic is read with a token that may push; name its variable as token")
        return self

    @property
    def policies(self) -> Mapping[str, Policy]:
        """Without the traffic, or the downloads, that the settings leave out."""
        not_asked = {*(() if self.traffic else TRAFFIC), *(() if self.releases else ("downloads",))}
        return {name: policy for name, policy in self.default_policies.items() if name not in not_asked}

    @property
    def credential(self) -> str:
        """The token; empty where public repositories are read without one."""
        return self.token.get_secret_value() if self.token else ""

    def headers(self) -> Mapping[str, str]:
        """Version 2022-11-28 of the API, and the token where there is one."""
        sent = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
        return sent | ({"Authorization": f"Bearer {self.credential}"} if self.credential else {})

    def ask(self, known: Container[str]) -> Generator[Sequence[Request], Sequence[Page], None]:
        """Every repository with its traffic, then the pages of their releases side by side."""
        yield [
            Request(f"/repos/{name}{part}", asked, listing=name + part)
            for name in self.repositories
            for part, asked in self._parts()
        ]
        names = list(self.repositories) if self.releases else []
        for number in count(1):
            if not names:
                return
            asked = {"per_page": "100", "page": str(number)}
            pages = yield [Request(f"/repos/{name}/releases", asked, listing=f"{name}/releases") for name in names]
            names = [
                name for name, page in zip(names, pages, strict=True) if _NEXT.search(page.headers.get("link", ""))
            ]

    def _parts(self) -> list[tuple[str, dict[str, str]]]:
        traffic = [(f"/traffic/{counter}", {"per": "day"}) for counter in TRAFFIC] if self.traffic else []
        return [("", {}), *traffic]

    def trim(self, page: Page) -> Page:
        """Without notes, profiles and the addresses of everything else."""
        found = _REQUEST.fullmatch(page.request)
        kept = {None: _REPOSITORY_KEPT, "releases": _RELEASE_KEPT}.get(found[2]) if found else None
        return keep(page, kept) if kept else page

    def read(self, page: Page) -> Columns:
        """A repository, files of releases, or days of traffic as Details, by what was asked for. Raises Unreadable."""
        repository, part = _asked_for(page)
        if part is None:
            return self._read_repository(repository, page)
        if part == "releases":
            return _read_releases(repository, page)
        counter = part.removeprefix("traffic/")
        days = decode(page, dict[str, Any]).get(counter)
        if not isinstance(days, list):
            raise Unreadable(f"{page.request} tells no {counter}")
        return Details({"item_id": [repository], counter: [_pairs(days, page)]})

    def _read_repository(self, name: str, page: Page) -> Columns:
        repository = decode(page, _Repository)
        told_elsewhere: Columns = {counter: [None] for counter in TRAFFIC} if self.traffic else {}
        return {
            "item_id": [name],
            "title": [repository.full_name],
            "url": [repository.html_url],
            "published_at": [time_or_text(repository.created_at)],
            "stars": [repository.stargazers_count],
            "forks": [repository.forks_count],
            "subscribers": [repository.subscribers_count],
            **told_elsewhere,
        }

    def fault(self, answer: Page) -> RatchetError | None:
        """GitHub says in words what a status alone does not tell."""
        if answer.status == HTTPStatus.OK or not _REQUEST.fullmatch(answer.request):
            return None
        (name, part), status, message = _asked_for(answer), answer.status, _message(answer)
        if status in (HTTPStatus.MOVED_PERMANENTLY, HTTPStatus.PERMANENT_REDIRECT, HTTPStatus.TEMPORARY_REDIRECT):
            return TransportFault(f"{name} was renamed or moved; write its present name into the source", status=status)
        if status == HTTPStatus.NOT_FOUND:
            why = "or this token may not see it" if self.credential else "or it is private and needs a token"
            return TransportFault(f"GitHub knows no repository {name}, {why}", status=status)
        if status in (HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS) and "rate limit" in message:
            most = "" if self.credential else " (60 requests an hour without a token, 5,000 with one)"
            wait = retry_after(answer.headers, answer.fetched_at)
            what = "the limit of GitHub is used up" + (f" for {wait:.0f} s" if wait is not None else "") + most
            return TransportFault(what, status=status, retry_after=wait)
        if status == HTTPStatus.FORBIDDEN and part and ("push access" in message or "not accessible" in message):
            what = f"the token may not read the traffic of {name}: it needs push access"
            return DeadSession(what, f"{self.login_hint} Or leave the traffic out: traffic: false.", status=status)
        return None

    def expiry(self, headers: Sequence[tuple[str, str]], now: datetime) -> datetime | None:
        """What a header tells, or ``expires_on``, if that is sooner. The present time is not believed (see above)."""
        ends = [_moment(value) for name, value in headers if name == _EXPIRATION] + [super().expiry(headers, now)]
        return min((end for end in ends if end and abs(end - now) > _STILL_VALID), default=None)


def _asked_for(page: Page) -> tuple[str, str | None]:
    """The repository that a page tells of, and which part of it; None where the repository itself."""
    found = _REQUEST.fullmatch(page.request)
    if found is None:
        raise Unreadable(f"{page.request} is none of the requests for repositories")
    return found[1], found[2]


def _read_releases(repository: str, page: Page) -> Columns:
    published = [release for release in decode(page, list[_Release]) if not release.draft]
    files = [(release, asset) for release in published for asset in release.assets]
    return {
        "item_id": [f"asset:{asset.id}" if isinstance(asset.id, int) else asset.id for _, asset in files],
        "title": [f"{repository} {release.tag_name} {asset.name}" for release, asset in files],
        "url": [release.html_url for release, _ in files],
        "published_at": [_later(time_or_text(asset.created_at), time_or_text(r.published_at)) for r, asset in files],
        "downloads": [asset.download_count for _, asset in files],
    }


def _later(uploaded: Any, published: Any) -> Any:
    both = isinstance(uploaded, datetime) and isinstance(published, datetime)
    return max(uploaded, published) if both else uploaded


def _pairs(days: list[Any], page: Page) -> list[tuple[Any, Any]]:
    try:
        found = msgspec.convert(days, list[_Day])
    except msgspec.ValidationError as fault:
        raise Unreadable(f"{page.request} is not of the shape that GitHub documents: {fault}") from None
    return [(_day(day.timestamp), day.count) for day in found]


def _day(timestamp: Any) -> date | Any:
    """The day that begins at a midnight in UTC; anything else as it was sent."""
    moment = time_or_text(timestamp)
    return moment.date() if isinstance(moment, datetime) and moment.time() == time.min else timestamp


def _message(answer: Page) -> str:
    refusal = told(answer, _Refusal)
    return refusal.message.lower() if refusal else ""


def _moment(value: str) -> datetime | None:
    """``2026-12-01 00:00:00 UTC``, or with an offset such as +0900."""
    moment = time_or_text(value.strip().replace(" UTC", "+00:00").replace(" +", "+").replace(" -", "-"))
    return moment if isinstance(moment, datetime) else None
