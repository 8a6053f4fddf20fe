"""What a description means: its requests, its pages, and what is kept of them.

An account is described in its own YAML (`JsonApi`) or by a preset (`preset`); here is what both do.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Container, Generator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from http import HTTPStatus
from typing import Any, Literal

import msgspec
from pydantic import Field, model_validator

from pipeline.core.errors import DeadSession, RatchetError, TransportFault
from pipeline.core.policy import Policy
from pipeline.core.withheld import without_filled
from pipeline.platforms.credentials import cookie_expiry, jwt_expiry
from pipeline.platforms.json_api.description import Auth, Description, each
from pipeline.platforms.json_api.expressions import fill, fill_path, find, is_filled
from pipeline.platforms.json_api.paging import Listing, Reply
from pipeline.platforms.pacing import retry_after
from pipeline.platforms.protocol import Columns, Found, Page, Platform, Request, Unreadable
from pipeline.platforms.replies import decode

_SHORTEST_SECRET = 8
"""A shorter text could be a part of any address by chance."""


class Described(Platform, frozen=True):
    """An account on a platform that a description tells everything about."""

    @property
    @abstractmethod
    def description(self) -> Description:
        """What its YAML, or its preset, says of the endpoint."""

    @property
    def values(self) -> Mapping[str, str]:
        """What stands for ${name} in paths and parameters, before `lookup` adds to it."""
        return {}

    @property
    def sent(self) -> Auth:
        """What goes with every request and is stored nowhere."""
        return self.description.auth

    @property
    def policies(self) -> Mapping[str, Policy]:
        """Of the counters that the description names, and no others."""
        return {name: reading.as_policy for name, reading in self.description.counters.items()}

    @property
    def optional_counters(self) -> frozenset[str]:
        """Those that the description calls optional."""
        return frozenset(name for name, reading in self.description.counters.items() if reading.optional)

    @property
    def credential(self) -> str:
        """All secrets that are sent, one a line: renewing any of them is a new credential."""
        return "\n".join(self.sent.secrets)

    def headers(self) -> Mapping[str, str]:
        """Accept, and the headers and cookies of `sent`."""
        sent = {"Accept": "application/json"}
        sent |= {name: value.get_secret_value() for name, value in self.sent.headers.items()}
        if self.sent.cookies:
            cookies = self.sent.cookies.items()
            sent["Cookie"] = "; ".join(f"{name}={value.get_secret_value()}" for name, value in cookies)
        return sent

    def secret_params(self) -> Mapping[str, str]:
        """The secret parts of `sent` that go into the query."""
        return {name: value.get_secret_value() for name, value in self.sent.query.items()}

    def ask(self, known: Container[str]) -> Generator[Sequence[Request], Sequence[Page], None]:
        """The lookup first, if it gives a value that is not set, then the pages of the listing. Raises Unreadable."""
        description, values = self.description, dict(self.values)
        if description.lookup is not None and not description.lookup.gives.keys() <= values.keys():
            lookup = description.lookup
            (page,) = yield [_request(lookup.path, lookup.params, values, listing="lookup")]
            values |= {name: _looked_up(page, name, gives) for name, gives in lookup.gives.items()}
        listing = Listing(_request(description.path, description.params, values), self.base_url)
        yield from description.pages.walk(listing, self._reply)

    def first_listing(self) -> Request:
        """Not the lookup; the names of what it gives stand for their values."""
        description = self.description
        names = description.lookup.gives if description.lookup else ()
        values = {name: name for name in names} | dict(self.values)
        return description.pages.first(_request(description.path, description.params, values))

    def fault(self, answer: Page) -> RatchetError | None:
        """A dead session, or a used up limit, as the description says what such an answer looks like."""
        dead, limited = self.description.dead_session, self.description.limited
        if dead is not None and dead.holds(answer):
            what = f"{answer.request} answered {answer.status} as it does to a session that has ended"
            return DeadSession(what, self.login_hint, status=answer.status)
        if limited is not None and limited.holds(answer):
            wait = retry_after(answer.headers, answer.fetched_at)
            what = f"{answer.request} answered {answer.status}: the platform's limit is used up"
            return TransportFault(what, status=answer.status, retry_after=wait)
        return None

    def expiry(self, headers: Sequence[tuple[str, str]], now: datetime) -> datetime | None:
        """The earliest of what cookies, JSON web tokens (RFC 7519) and ``expires_on`` tell."""
        cookies = {name: value.get_secret_value() for name, value in self.sent.cookies.items()}
        told = [super().expiry(headers, now), cookie_expiry(headers, cookies, now)]
        told += [jwt_expiry(secret) for secret in self.sent.secrets]
        return min((moment for moment in told if moment), default=None)

    def trim(self, page: Page) -> Page:
        """Without the fields that `drop` names, at whatever depth; byte for byte the same where there are none."""
        if not self.description.drop or page.status != HTTPStatus.OK:
            return page
        try:
            body = decode(page, object)
            dropped = _drop(body, frozenset(self.description.drop))
            return replace(page, body=msgspec.json.encode(body), dropped=tuple(sorted(dropped))) if dropped else page
        except (Unreadable, RecursionError):
            return page  # no JSON at all: evidence for the checks

    def read(self, page: Page) -> Columns:
        """The columns that the expressions find in a page; none in the lookup's. Raises Unreadable."""
        if self._is_lookup(page):
            return {"item_id": []}
        return self.description.columns(decode(page, object), page.request)

    def _reply(self, page: Page) -> Reply:
        body = decode(page, object)
        return Reply(page, body, len(self.description.items_of(body, page.request)))

    def _is_lookup(self, page: Page) -> bool:
        path = page.request.partition(" ")[2].partition("?")[0]
        return self.description.lookup is not None and is_filled(path, self.description.lookup.path)


class JsonApi(Described, Description, frozen=True):
    """One account on a platform that its own YAML describes."""

    kind: Literal["json_api"] = "json_api"
    login_hint: str = Field(  # type: ignore[misc]  # every other adapter has one for all its accounts
        default="Log in again where the credential of this source comes from, renew its variable, and collect again."
    )

    @property
    def description(self) -> Description:
        """Itself: its YAML holds the keys of a description."""
        return self

    def read(self, page: Page) -> Columns:
        """The same, with what the YAML of this account says of each column. Raises Unreadable."""
        return Found(super().read(page), self.written)

    @model_validator(mode="after")
    def _placeholders_are_looked_up(self) -> JsonApi:
        given = self.lookup.gives.keys() if self.lookup else set()
        if self.placeholders - given or (self.lookup and self.lookup.placeholders):
            raise ValueError(f"only what lookup gives can stand in ${{}}: {', '.join(given) or 'nothing'}")
        return self

    @model_validator(mode="after")
    def _addresses_hold_no_secret(self) -> JsonApi:
        asked = [(self.path, self.params)] + ([(self.lookup.path, self.lookup.params)] if self.lookup else [])
        texts = [text for path, params in asked for text in (path, *(t for v in params.values() for t in each(v)))]
        secrets = [secret.rpartition(" ")[2] for secret in self.auth.secrets]  # after "Bearer"
        if any(secret in text for secret in secrets if len(secret) >= _SHORTEST_SECRET for text in texts):
            raise ValueError("path and params are stored beside every reply, and one holds what stands under auth")
        return self


def _request(path: str, params: Mapping[str, str | list[str]], values: Mapping[str, str], listing: str = "") -> Request:
    filled = {
        name: fill(texts, values) if isinstance(texts, str) else [fill(text, values) for text in texts]
        for name, texts in params.items()
    }
    return Request(fill_path(path, values), filled, listing=listing)


def _looked_up(page: Page, name: str, expression: str) -> str:
    found = find(expression, decode(page, object), f"{page.request}: lookup.gives.{name}")
    if isinstance(found, bool) or not isinstance(found, str | int) or found == "":
        raise Unreadable(f"{page.request} does not tell {name} (lookup.gives.{name}: {without_filled(expression)})")
    return str(found)


def _drop(body: Any, names: frozenset[str]) -> set[str]:
    """Takes every field of these names out of ``body`` and returns the names that were there."""
    dropped: set[str] = set()
    waiting = [body]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            for name in names & value.keys():
                del value[name]
                dropped.add(name)
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return dropped
