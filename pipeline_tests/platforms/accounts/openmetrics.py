"""A program that is scraped over HTTP."""

from __future__ import annotations

from pipeline.sandbox.faults import Reply
from pipeline_tests.platforms.accounts.account import SECRET, Account
from pipeline_tests.platforms.stand_in import Asked, StandIn


def openmetrics_answer(asked: Asked) -> Reply:
    """A program that asks for a token and tells what it was asked for."""
    if asked.headers.get("authorization") != f"Bearer {SECRET}":
        return Reply(401, {"Content-Type": "text/plain", "WWW-Authenticate": "Bearer"}, b"")
    kind = "application/openmetrics-text; version=1.0.0; charset=utf-8"
    return Reply(200, {"Content-Type": kind}, b"# TYPE errors counter\nerrors_total 7\n# EOF\n")


def account() -> Account:
    return Account(
        "openmetrics",
        "openmetrics",
        {},
        lambda: StandIn(openmetrics_answer),
        lambda: StandIn(openmetrics_answer),
        {},
        requests=1,
        secret_key="token",
    )
