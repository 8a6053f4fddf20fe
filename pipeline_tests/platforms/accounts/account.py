"""What an account is, whatever its platform."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from pipeline.platforms import adapter
from pipeline.platforms.protocol import Platform
from pipeline.sandbox.faults import Reply

SECRET = "planted-secret-credential"
NOW = datetime(2026, 11, 22, 14, 17, tzinfo=UTC)
Item = Mapping[str, Any]


class Serving(Protocol):
    """What a stand-in has in common with every other."""

    requests: list[str]

    @property
    def url(self) -> str: ...

    def fail_next(self, *replies: Reply) -> None: ...


@dataclass(frozen=True)
class Account:
    """``settings`` are the keys under ``platform:``, without base_url.

    ``secret_key`` is the key of the credential, which is SECRET, with dots where it lies deeper; None where the
    platform needs none.

    ``serve`` and ``serve_empty`` start the platform with this account, and with one that has nothing to list.
    ``items``: title, url, published_at and every counter by item_id, as the first capture records them.
    ``requests``: how many the whole listing takes when nothing is known yet.
    ``left``: the items that even ``serve_empty`` lists.
    """

    name: str
    kind: str
    settings: Mapping[str, Any]
    serve: Callable[[], AbstractContextManager[Serving]]
    serve_empty: Callable[[], AbstractContextManager[Serving]]
    items: Mapping[str, Item]
    requests: int
    secret_key: str | None = None
    left: frozenset[str] = frozenset()

    def credential(self, secret: str) -> dict[str, Any]:
        """The setting that holds the credential."""
        if self.secret_key is None:
            return {}
        outer, *inner = self.secret_key.split(".")
        setting: str | dict[str, Any] = secret
        for key in reversed(inner):
            setting = {key: setting}
        return {outer: setting}

    def platform(self, url: str, secret: str = SECRET) -> Platform:
        settings = {"kind": self.kind, **self.settings, **self.credential(secret)}
        return adapter(self.kind).model_validate({**settings, "base_url": url, "requests_per_second": 10_000})

    def __str__(self) -> str:
        return self.name
