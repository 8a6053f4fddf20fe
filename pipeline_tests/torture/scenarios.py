"""What is disturbed: each scenario prepares a lake of the recorded account and then does one thing to it.

A scenario runs in a process of its own and can be run again after that process was killed: like
any start it first finishes what was interrupted. Clocks stand still and the names of decisions
are fixed, so that two lakes that were told the same are the same.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Literal

from pipeline.core import corrections
from pipeline.core.history import (
    finish_interrupted,
    publish_delta,
    publish_report,
    publish_snapshot,
    record_refusal,
    verdict,
)
from pipeline.core.hours import Hour
from pipeline.core.lake import VALIDATED, Lake, SourceLake
from pipeline.core.model import Counter, Origin, Rule, RuleKind, Source
from pipeline.core.observe import RecordedClock, observe
from pipeline.core.project import Project
from pipeline.notify.sending import send_report
from pipeline.platforms.note import Note
from pipeline.sandbox.article import Article
from pipeline.sandbox.recording import Recording

COOKIE = "tortured-session"
NAME = "tortured"
BROKEN = datetime(2026, 3, 19, 13, 2, 1, tzinfo=UTC)  # the recorded capture that is refused
DECIDED_AT = datetime(2026, 3, 20, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Place:
    """Where a scenario runs: a project's data, the sandbox it asks, the channel it tells."""

    data: Path
    platform: str
    channel: str

    @property
    def source(self) -> Source:
        platform = Note.model_validate(
            {"session_cookie": COOKIE, "base_url": self.platform, "requests_per_second": 1_000_000}
        )
        counters = tuple(Counter(name, policy) for name, policy in platform.policies.items())
        rules = (Rule("views", RuleKind.CROSSES, (100.0, 200.0, 500.0, 1000.0)),)
        return Source(NAME, platform, counters, rules, notify=(self.channel,))

    @property
    def lake(self) -> SourceLake:
        return Lake(self.data / "lake").source(NAME)


Act = Callable[[Place, Sequence[datetime]], None]


@dataclass(frozen=True)
class Scenario:
    """``history``: captures that are in the lake before; ``moments``: those that ``act`` is about.

    ``share``: of a hundred kills so many are given to it. ``tells``: it sends one message.
    """

    name: str
    history: Sequence[datetime]
    moments: Sequence[datetime]
    act: Act
    share: int
    tells: bool = False


def capture(place: Place, moments: Sequence[datetime], origin: Origin = Origin.REPLAY) -> None:
    """One hour by the steps of the core. A refused hour that has its verdict is left at that."""
    lake, source = place.lake, place.source
    for moment in moments:
        hour = Hour.of(moment)
        with lake.writing():
            finish_interrupted(lake, source, before=hour)
            if lake.refused(hour, hour) == lake.captures(hour, hour) != []:
                continue
            judged = verdict(lake, source, observe(lake, source, hour, RecordedClock(moment, origin)).capture)
            if judged.accepted:
                if not lake.exists(VALIDATED, hour):
                    publish_snapshot(lake, judged)
                publish_delta(lake, hour)
                publish_report(lake, source, hour)
            else:
                record_refusal(lake, judged)
            finish_interrupted(lake, source)


def reject(place: Place, moments: Sequence[datetime]) -> None:
    """Take an accepted hour back: it becomes quarantined and every later hour is made again."""
    _decide(place, Hour.of(moments[0]), "reject")


def accept(place: Place, moments: Sequence[datetime]) -> None:
    """Take a refused hour as true: every later hour is made again, now after this one."""
    _decide(place, Hour.of(moments[0]), "accept")


def _decide(place: Place, hour: Hour, action: Literal["accept", "reject"]) -> None:
    corrections.uuid = SimpleNamespace(uuid4=lambda: uuid.UUID(int=7 << 96))  # type: ignore[attr-defined, assignment]
    lake, source = place.lake, place.source
    with lake.writing():
        if not lake.correction_paths():
            corrections.decide(lake, source, hour, action, by="Ada", reason="I know it", made_at=DECIDED_AT)
        finish_interrupted(lake, source)


def notify(place: Place, moments: Sequence[datetime]) -> None:
    """A live hour with crossings, then its message with a receipt."""
    capture(place, moments, Origin.LIVE)
    for moment in moments:
        send_report(place.lake, place.source, Hour.of(moment), lambda: DECIDED_AT)


def dagster_run(place: Place, moments: Sequence[datetime]) -> None:
    """The whole run of an hour: assets, checks, the lock as a resource, Dagster's own database."""
    import os

    from pipeline.running import SourceRuns, dagster_instance

    os.environ["RATCHET_DATA"] = str(place.data)
    source = replace(place.source, start=Hour.of(moments[0]) + -24, end=Hour.of(moments[-1]) + 24)
    with dagster_instance(Project.here()) as instance:
        runs = SourceRuns.of(source, instance)
        for moment in moments:
            outcome = runs.capture(Hour.of(moment), RecordedClock(moment))
            if not outcome.success:
                raise outcome.error()


def made_deletion(recording: Recording) -> tuple[datetime, tuple[Article, ...]]:
    """An hour after the broken capture, with a third of the articles that were there before it gone."""
    before = recording.captures[recording.captures.index(BROKEN) - 1]
    return BROKEN + timedelta(hours=1), recording.articles(before)[::3] + recording.articles(before)[1::3]


def scenarios(captures: Sequence[datetime], deleted: datetime) -> list[Scenario]:
    """``captures``: the times of the recording; ``deleted``: that of the made capture that lacks a third."""
    at = captures.index(BROKEN)
    before, after = captures[at - 4 : at], captures[at + 1 : at + 4]
    return [
        Scenario("capture", before, after[:1], capture, share=30),
        Scenario("first capture", (), captures[:1], capture, share=6),
        Scenario("refused capture", before, (BROKEN,), capture, share=8),
        Scenario("reject an hour, rebuild", (*before, *after), before[1:2], reject, share=16),
        Scenario("accept an hour, rebuild", (*before, deleted, *after), (deleted,), accept, share=16),
        Scenario("late capture, rebuild", (before[0], *before[2:], *after), before[1:2], capture, share=10),
        Scenario("message and receipt", before[:-1], before[-1:], notify, share=8, tells=True),
        Scenario("Dagster run", before, after[:1], dagster_run, share=6),
    ]
