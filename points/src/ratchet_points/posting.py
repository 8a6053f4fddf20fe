"""Events to an HTTP endpoint, as CloudEvents' HTTP binding has them: a batch of JSON in one POST."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_NO_HEADERS: Mapping[str, str] = {}


def is_address(text: str) -> bool:
    """Whether events can be posted there: the address begins with http:// or https://."""
    return text.startswith(("http://", "https://"))


def post(url: str, events: Sequence[bytes], *, timeout: float, headers: Mapping[str, str] = _NO_HEADERS) -> int:
    """Post the JSON texts of events to an http(s) address within ``timeout`` seconds. The status of the answer.

    A redirect is an answer like any other. Followed, it would become a GET that takes no event, and a login page's
    200 would look like a receipt; and the headers would go to whatever host it names. Raises what urllib raises.
    """
    import urllib.error
    import urllib.request  # only here: it costs more than all the rest of this package

    class Redirects(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: Any) -> None:
            """Follow none."""

    request = urllib.request.Request(  # noqa: S310 - whoever calls lets only http and https through
        url,
        data=b"[" + b",".join(events) + b"]",
        headers={"Content-Type": "application/cloudevents-batch+json", **headers},
    )
    try:
        with urllib.request.build_opener(Redirects).open(request, timeout=timeout) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
