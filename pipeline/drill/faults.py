"""Faults of the platform and of what it sends: each spoils the stage, then the hour is collected.

What has to happen is written down beside each; `verdict` compares. Faults of the machine are in `mishaps`.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

from pipeline.core.hours import Hour
from pipeline.core.model import Counter, Source
from pipeline.core.policy import Trend
from pipeline.drill.listings import FIELDS, bent, endless, page
from pipeline.drill.stage import TIMEOUT_SECONDS, Stage
from pipeline.drill.verdict import Expected, Left, files, look, problems
from pipeline.platforms.client import ATTEMPTS
from pipeline.sandbox.article import Article
from pipeline.sandbox.faults import HTML_PAGE, LOGIN_REDIRECT, Drip, Hang, Reply, TruncatedJson

_FEW_PAGES, _FEW_BYTES = 20, 100_000
"""The bounds under which endless pages and oversized bodies are tried: what counts is that there is a bound."""
_MINUTES_TO_WAIT = 10


class NotHere(Exception):
    """The fault cannot be injected on this machine, or means nothing under this configuration. Says why."""


@dataclass(frozen=True)
class Outcome:
    """``problems`` is empty where the fault was loud."""

    happened: str
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fault:
    """``play`` injects the fault into a stage, and says what came of it in the hour."""

    name: str
    expected: str
    play: Callable[[Stage, Hour], Outcome]


Spoil = Callable[[Stage], AbstractContextManager[object] | None]


def collected(name: str, expected: Expected, spoil: Spoil) -> Fault:
    """A fault under which the hour is collected once; a context that ``spoil`` gives is held meanwhile."""

    def play(stage: Stage, hour: Hour) -> Outcome:
        with spoil(stage) or nullcontext():
            before = files(stage.lake.root)
            seen = look(stage, stage.collect(), before, hour)
        return Outcome(seen.words, tuple(problems(expected, seen, stage)))

    return Fault(name, expected.words, play)


def platform_faults() -> Iterator[Fault]:
    """What never arrived, and a session that is no longer taken."""
    unreachable, expired = "the platform cannot be reached", "the session has expired"
    yield collected("connection refused", Expected(10, "could not be reached", unreachable), _refuse_connections)
    yield collected("timeout", Expected(10, "did not answer within", unreachable), _answer(*[Hang()] * ATTEMPTS))
    drip = Drip(TIMEOUT_SECONDS / 2)
    yield collected("slow drip", Expected(10, "did not finish its page", unreachable), _answer(*[drip] * ATTEMPTS))
    limit = Reply(429, {"Retry-After": str(60 * _MINUTES_TO_WAIT)})
    yield collected("429", Expected(10, "answered 429", unreachable), _answer(limit))
    yield collected("500 in the middle of pages", Expected(10, "answered 500", unreachable), _break_in_the_middle)
    yield collected("401", Expected(11, "answered 401", expired), _answer(Reply(401)))
    yield collected("403", Expected(11, "answered 403", "the platform forbids the access"), _answer(Reply(403)))
    yield collected("redirect to login", Expected(11, "its login page", expired), _answer(LOGIN_REDIRECT))
    yield collected("HTML with 200", Expected(11, "an HTML page", expired), _answer(HTML_PAGE))


def content_faults() -> Iterator[Fault]:
    """What arrived and cannot be right."""
    for name, check, spoil in (
        ("truncated JSON", "readable_listing", _answer(TruncatedJson())),
        ("endless pages", "readable_listing", _never_end),
        ("oversized body", "readable_listing", _send_too_much),
        ("wrong type", "required_fields", _bend(lambda row, field: row.update({field: "many"}))),
        ("missing field", "required_fields", _bend(lambda row, field: row.pop(field))),
        ("null counter", "required_fields", _bend(lambda row, field: row.update({field: None}))),
        ("negative", "required_fields", _bend(lambda row, field: row.update({field: -1}))),
        ("duplicate", "unique_items", _show(lambda account: [*account, account[0]])),
        ("vanished items", "complete_listing", _show(lambda account: account[:1])),
        ("empty list", "complete_listing", _show(lambda account: [])),
        ("decrease of one", "non_decreasing_counts", _fall_by_one),
        ("mass decrease", "non_decreasing_counts", _fall_together),
    ):
        yield collected(name, Expected(12, check, "the capture was refused", Left.EVIDENCE), spoil)


# How each is injected ------------------------------------------------------------------------------


def _answer(*faults: Any) -> Spoil:
    return lambda stage: stage.sandbox.fail_next(*faults)


def _refuse_connections(stage: Stage) -> AbstractContextManager[object]:
    @contextmanager
    def closed_door() -> Iterator[None]:
        with socket.socket() as door:
            door.bind(("127.0.0.1", 0))  # and never listens
            stage.configure(url=f"http://127.0.0.1:{door.getsockname()[1]}")
            yield

    return closed_door()


def _break_in_the_middle(stage: Stage) -> None:
    stage.sandbox.fail_next(page(stage.sandbox), *[Reply(500)] * ATTEMPTS)


def _never_end(stage: Stage) -> None:
    stage.configure(bounds={"max_pages": _FEW_PAGES})
    stage.sandbox.fail_next(*endless(stage.sandbox, _FEW_PAGES + 1))


def _send_too_much(stage: Stage) -> None:
    stage.configure(bounds={"max_bytes": _FEW_BYTES})
    stage.sandbox.fail_next(bent(stage.sandbox, lambda row: row.update(name="x" * 2 * _FEW_BYTES)))


def _bend(bend: Callable[[dict[str, Any], str], object]) -> Spoil:
    """Bend the field of a counter that every item must have."""

    def spoil(stage: Stage) -> None:
        counter = _counter(stage.source, lambda each: not each.optional, "every counter of this source is optional")
        stage.sandbox.fail_next(bent(stage.sandbox, lambda row: bend(row, FIELDS[counter.name])))

    return spoil


def _show(changed: Callable[[list[Article]], list[Article]]) -> Spoil:
    def spoil(stage: Stage) -> None:
        stage.account[:] = changed(stage.account)

    return spoil


def _fall_by_one(stage: Stage) -> None:
    counter = _counter(
        stage.source,
        lambda each: each.policy.trend is Trend.NEVER_DECREASES,
        "no counter of this source has the policy never_decreases",
    )
    stage.account[0] = _with(stage.account[0], counter, _before(stage, counter) - 1)


def _fall_together(stage: Stage) -> None:
    """Under the mass rule, which meets counters that may decrease too."""
    may_fall = [each for each in stage.source.counters if each.policy.trend is Trend.MAY_DECREASE]
    counter = (may_fall or stage.source.counters)[0]
    stage.account[:] = [_with(each, counter, getattr(each, counter.name) // 2) for each in stage.account]


def _before(stage: Stage, counter: Counter) -> int:
    """The accepted value of the first item."""
    accepted: int = getattr(stage.accepted[0], counter.name)
    return accepted


def _with(article: Article, counter: Counter, value: int) -> Article:
    values: Mapping[str, Any] = {counter.name: value}
    return replace(article, **values)


def _counter(source: Source, fits: Callable[[Counter], bool], otherwise: str) -> Counter:
    for counter in source.counters:
        if fits(counter):
            return counter
    raise NotHere(otherwise)
