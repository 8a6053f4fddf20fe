"""When a credential ends, read from what it is or from what a platform says of it."""

from __future__ import annotations

import base64
import http.cookies
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

_SECONDS = re.compile(r"\d{1,12}", re.ASCII)


def jwt_expiry(credential: str) -> datetime | None:
    """The claim ``exp`` of a JSON Web Token (RFC 7519, section 4.1.4); None where it is none or has none.

    The signature is not looked at: the platform judges the token, this only reads its date.
    """
    parts = credential.split(".")
    if len(parts) != 3:
        return None
    try:
        claims: Any = msgspec.json.decode(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        return datetime.fromtimestamp(claims["exp"], UTC)
    except (msgspec.DecodeError, ValueError, TypeError, KeyError, OverflowError, OSError, RecursionError):
        return None


def cookie_expiry(headers: Sequence[tuple[str, str]], sent: Mapping[str, str], now: datetime) -> datetime | None:
    """When the first of the cookies that were sent ends, from the Set-Cookie headers of an answer (RFC 6265).

    A cookie that the answer gives another value is not the one that was sent, and tells nothing.
    """
    ends = []
    for name, value in headers:
        if name != "set-cookie":
            continue
        try:
            cookies = http.cookies.SimpleCookie(value)
        except http.cookies.CookieError:
            continue
        ends += [_end(cookie, now) for key, cookie in cookies.items() if sent.get(key) == cookie.value]
    return min((end for end in ends if end), default=None)


def _end(cookie: http.cookies.Morsel[str], now: datetime) -> datetime | None:
    if _SECONDS.fullmatch(cookie["max-age"].strip()):
        return now + timedelta(seconds=min(int(cookie["max-age"]), 10**9))
    try:
        moment = parsedate_to_datetime(cookie["expires"].replace("-", " "))
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
