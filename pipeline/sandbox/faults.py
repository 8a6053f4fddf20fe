"""What can happen to an answer of the sandbox instead of its arriving whole.

`NoteSandbox.fail_next` queues these; each is used up by one request. A Reply is sent as it is,
whatever was asked; the others spoil the answer that would have been given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus


@dataclass(frozen=True)
class Reply:
    """A whole answer. Content-Length is the body's unless ``headers`` says otherwise."""

    status: int = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Drop:
    """The connection is closed before anything was answered."""


@dataclass(frozen=True)
class DropInBody:
    """The connection is closed after half of the body that was announced."""


@dataclass(frozen=True)
class Hang:
    """Nothing is answered until the sandbox is released or closed; then the connection ends."""


@dataclass(frozen=True)
class Drip:
    """The body comes byte by byte, ``pause`` seconds apart, until it ends or the sandbox closes."""

    pause: float = 0.01


@dataclass(frozen=True)
class TruncatedJson:
    """Half of the JSON, announced and sent as if it were all of it."""


Fault = Reply | Drop | DropInBody | Hang | Drip | TruncatedJson

HTML_PAGE = Reply(
    headers={"Content-Type": "text/html; charset=utf-8"},
    body=b"<!DOCTYPE html>\n<html><body>Please log in.</body></html>\n",
)
LOGIN_REDIRECT = Reply(HTTPStatus.FOUND, {"Location": "/login?redirectPath=%2Fdashboard"})
OTHER_REDIRECT = Reply(HTTPStatus.MOVED_PERMANENTLY, {"Location": "/announcements/api"})
