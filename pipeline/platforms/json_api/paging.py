"""How the pages of a listing follow each other, as the key `pages` describes it.

A page that does not say whether another one follows is never taken for the last: it is refused.
A link is followed only on the host and below the path of the listing, so that no reply can send
the credential elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, parse_qs, unquote, urljoin, urlsplit

from pydantic import BaseModel, Discriminator, Field, Tag, model_validator

from pipeline.core.withheld import without_filled
from pipeline.platforms.json_api.expressions import Expression, fields_of, find, find_flag, is_told
from pipeline.platforms.protocol import Page, Request, Unreadable

PATH = r'^/([!"$-.0->@-\[\]-~][!"$->@-\[\]-~]*)?$'
_LINK = re.compile(r'<([^<>]*)>((?:\s*;\s*[^\s=;,"]+(?:\s*=\s*(?:"[^"]*"|[^\s";,]*))?)*)')
_ATTRIBUTE = re.compile(r';\s*([^\s=;,"]+)(?:\s*=\s*(?:"([^"]*)"|([^\s";,]*)))?')
_NOTHING = (None, "", False, 0)
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Reply:
    """One page of a listing, decoded, and how many items it holds before `where` chooses among them."""

    page: Page
    body: Any
    items: int


@dataclass(frozen=True)
class Listing:
    """What is asked for: the first request, without the parameters of its pages, and the account's base_url."""

    request: Request
    base_url: str


class _Pages(BaseModel, frozen=True, extra="forbid"):
    """``size``: how many items a page is asked to hold, sent as ``size_param``.

    ``total``: how many items the platform itself counts, in the body or in a header: a listing
    that ends with fewer is refused.
    """

    size: int | None = Field(default=None, ge=1)
    size_param: str | None = None
    total: Expression | None = None
    total_header: Literal["total-count"] | None = None

    @model_validator(mode="after")
    def _size_is_given(self) -> _Pages:
        if self.size_param is not None and self.size is None:
            raise ValueError("size_param needs a size")
        return self

    @property
    def expressions(self) -> list[str]:
        """Every expression that is applied to a page."""
        given = [getattr(self, name, None) for name in ("total", "next", "last", "more")]
        return [expression for expression in given if expression is not None]

    @property
    def fields(self) -> set[str]:
        return {name for expression in self.expressions for name in fields_of(expression)}

    def first(self, request: Request) -> Request:
        if self.size_param is None:
            return request
        return replace(request, params={**request.params, self.size_param: str(self.size)})

    def following(self, listing: Listing, asked: Request, reply: Reply) -> Request | None:
        """What to ask for after ``reply``; None where it was the last. Raises Unreadable where it does not say."""
        return None

    def walk(
        self, listing: Listing, read: Callable[[Page], Reply]
    ) -> Generator[Sequence[Request], Sequence[Page], None]:
        """Ask for one page after the other. Raises Unreadable for a circle, and for a listing that ends too early."""
        asked: list[Request] = []
        listed = 0
        request: Request | None = self.first(listing.request)
        while request is not None:
            asked.append(request)
            (page,) = yield [request]
            reply = read(page)
            listed += reply.items
            request = self.following(listing, request, reply)
            if request in asked:
                raise Unreadable(f"{page.request} leads back to a page that was read before")
        self._require_total(reply, listed)

    def _require_total(self, reply: Reply, listed: int) -> None:
        where = f"{reply.page.request}: how many items there are in total"
        told: Any
        if self.total is not None:
            told = find(self.total, reply.body, where)
        elif self.total_header is not None:
            header = reply.page.headers.get(self.total_header, "")
            told = int(header) if re.fullmatch(r"[0-9]{1,15}", header) else None
        else:
            return
        if isinstance(told, bool) or not isinstance(told, int):
            found_by = f" (pages.total: {without_filled(self.total)})" if self.total is not None else ""
            raise Unreadable(f"{where} is not told as a number{found_by}")
        if listed < told:
            raise Unreadable(f"the platform counts {told:,} items and listed {listed:,} of them")


class OnePage(_Pages, frozen=True):
    """Everything stands on one page. This is how a description without `pages` is read."""

    by: Literal["one"] = "one"


class _Counted(_Pages, frozen=True):
    """Pages that are asked for by a number: when does the listing end?

    ``end``: with a page without items (the default), or with a page of fewer items than ``size``.
    ``last`` or ``more``: an expression that is true, or false, on the last page.
    """

    end: Literal["empty", "short"] = "empty"
    last: Expression | None = None
    more: Expression | None = None

    @model_validator(mode="after")
    def _one_end(self) -> _Counted:
        if len({"end", "last", "more"} & self.model_fields_set) > 1:
            raise ValueError("one of end, last and more says where the listing ends, not several")
        if self.end == "short" and self.size is None:
            raise ValueError("end: short needs the size of a page")
        return self

    def ends_with(self, reply: Reply) -> bool:
        if self.last is not None:
            return find_flag(self.last, reply.body, f"{reply.page.request}: whether this is the last page")
        if self.more is not None:
            return not find_flag(self.more, reply.body, f"{reply.page.request}: whether more pages follow")
        return reply.items < (self.size or 1) if self.end == "short" else reply.items == 0


class ByNumber(_Counted, frozen=True):
    """``param`` counts pages: 1, 2, 3."""

    by: Literal["number"] = "number"
    param: str = "page"
    first_page: int = Field(default=1, ge=0)

    def first(self, request: Request) -> Request:
        """The listing's own request, with the number of its first page."""
        return _with(super().first(request), self.param, self.first_page)

    def following(self, listing: Listing, asked: Request, reply: Reply) -> Request | None:
        """The next number, until a page is the last. Raises Unreadable where it does not say."""
        return None if self.ends_with(reply) else _with(asked, self.param, int(str(asked.params[self.param])) + 1)


class ByOffset(_Counted, frozen=True):
    """``param`` counts items: as many as were received, so that a platform may give smaller pages than asked for."""

    by: Literal["offset"] = "offset"
    param: str = "offset"
    first_item: int = Field(default=0, ge=0)

    def first(self, request: Request) -> Request:
        """The listing's own request, from its first item."""
        return _with(super().first(request), self.param, self.first_item)

    def following(self, listing: Listing, asked: Request, reply: Reply) -> Request | None:
        """From behind the items that came, until a page is the last. Raises Unreadable where it does not say."""
        if self.ends_with(reply):
            return None
        return _with(asked, self.param, int(str(asked.params[self.param])) + reply.items)


class _Told(_Pages, frozen=True):
    """Pages that name the next one. Null, an empty text, false and 0 end the listing.

    ``absent``: what it means that a page lacks the key: it is refused, or it was the last.
    ``more``: an expression that is false on the last page, whatever ``next`` says there.
    """

    absent: Literal["refused", "last"] = "refused"
    more: Expression | None = None

    def told(self, expression: str, reply: Reply) -> Any:
        """What a page says of the next one; None where it is the last."""
        where = f"{reply.page.request}: what follows it"
        if self.more is not None and not find_flag(self.more, reply.body, f"{reply.page.request}: whether more follow"):
            return None
        if self.absent == "refused" and not is_told(expression, reply.body):
            raise Unreadable(f"{where} is not told (pages.next: {without_filled(expression)})")
        found = find(expression, reply.body, where)
        return None if found in _NOTHING else found


class ByNext(_Told, frozen=True):
    """``next`` finds in the body what ``param`` of the next request holds: a page number or a cursor."""

    by: Literal["next"] = "next"
    param: str
    next: Expression

    def following(self, listing: Listing, asked: Request, reply: Reply) -> Request | None:
        """With what the body tells, until it tells nothing. Raises Unreadable for what is no text or number."""
        value = self.told(self.next, reply)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise Unreadable(f"{reply.page.request}: what follows it is neither a text nor a number")
        return _with(asked, self.param, value)


class ByLink(_Told, frozen=True):
    """The address of the next page stands in the header Link (RFC 8288), or where ``next`` finds it in the body.

    ``under``: the path below which it must lie; by default that of the listing.
    """

    by: Literal["link"] = "link"
    next: Expression | None = None
    under: str | None = Field(default=None, pattern=PATH)

    @model_validator(mode="after")
    def _says_it_once(self) -> ByLink:
        if self.next is None and {"absent", "more"} & self.model_fields_set:
            raise ValueError("absent and more go with next; a header Link without a next one ends the listing")
        return self

    def following(self, listing: Listing, asked: Request, reply: Reply) -> Request | None:
        """Where the header or the body leads. Raises Unreadable where that is another host, or outside of ``under``."""
        link = _linked(reply.page.headers.get("link", "")) if self.next is None else self.told(self.next, reply)
        if link is None:
            return None
        if not isinstance(link, str):
            raise Unreadable(f"{reply.page.request}: what follows it is no address")
        return self._followed(listing, asked, reply, link)

    def _followed(self, listing: Listing, asked: Request, reply: Reply, link: str) -> Request:
        base = urlsplit(listing.base_url)
        try:
            target = urlsplit(urljoin(listing.base_url.rstrip("/") + asked.path, link))
            same_host = _host(target) == _host(base)
        except ValueError:
            raise Unreadable(f"{reply.page.request}: what follows it is no address") from None
        if not same_host or target.username is not None:
            raise Unreadable(
                f"{reply.page.request} is followed by a page of another host, {str(target.hostname)[:100]!r},"
                f" which is not asked: the credential is for {base.hostname} alone"
            )
        if not _is_under(target.path, self.under or listing.request.path):
            raise Unreadable(f"{reply.page.request} is followed by a page of another path, which is not asked")
        params = parse_qs(target.query, keep_blank_values=True)
        return replace(asked, path=target.path, params={k: v[0] if len(v) == 1 else v for k, v in params.items()})


def _with(request: Request, param: str, value: str | int) -> Request:
    return replace(request, params={**request.params, param: str(value)})


def _linked(header: str) -> str | None:
    """The target of the link whose relations include next, from a Link header."""
    for target, attributes in _LINK.findall(header):
        for name, quoted, bare in _ATTRIBUTE.findall(attributes):
            if name.lower() == "rel" and "next" in (quoted or bare).lower().split():
                return str(target)
    return None


def _host(address: SplitResult) -> tuple[str | None, int | None]:
    """Host and port; a platform behind a proxy may name itself with the other scheme's default port."""
    port = address.port
    return address.hostname, None if port == _DEFAULT_PORTS.get(address.scheme) else port


def _is_under(path: str, prefix: str) -> bool:
    segments = re.split(r"[/\\]", unquote(path))
    if ".." in segments or "." in segments or re.match(PATH, path) is None:
        return False
    return path == prefix or path.startswith(prefix.rstrip("/") + "/")


_STYLES = {"one": OnePage, "number": ByNumber, "offset": ByOffset, "next": ByNext, "link": ByLink}


def _style(written: Any) -> str | None:
    by = written.get("by") if isinstance(written, dict) else getattr(written, "by", None)
    return f"[{by}]" if isinstance(by, str) and by in _STYLES else None


Pages = Annotated[
    Annotated[OnePage, Tag("[one]")]
    | Annotated[ByNumber, Tag("[number]")]
    | Annotated[ByOffset, Tag("[offset]")]
    | Annotated[ByNext, Tag("[next]")]
    | Annotated[ByLink, Tag("[link]")],
    Discriminator(
        _style,
        custom_error_type="pages_by",
        custom_error_message=f"pages has a key 'by', which is one of {', '.join(_STYLES)}",
    ),
]
