"""Sources whose hours a test tells one by one, on a clock that it moves, with channels on loopback."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pipeline.core.errors import ChannelFault, ConfigError
from pipeline.core.hours import Hour
from pipeline.core.incidents.book import Book
from pipeline.core.incidents.notes import forget_attempt, note_attempt
from pipeline.core.incidents.review import Watch
from pipeline.core.lake import Lake, SourceLake
from pipeline.core.model import Origin, Source
from pipeline.notify.delivery import Channel, Delivery
from pipeline.notify.incidents import tell_incidents
from pipeline_tests.core.account import Account, Listing, a_source, rows
from pipeline_tests.core.snapshots import START, at

MINUTE = timedelta(minutes=1)
SOUND = rows(a=10, b=20)


@dataclass
class World:
    """Times are hours after 00:17 of a day, at which every source makes its first attempt of the hour."""

    folder: Path
    sources: dict[str, Source] = field(default_factory=dict)
    broken: dict[str, ConfigError] = field(default_factory=dict)
    now: datetime = START

    @property
    def lake(self) -> Lake:
        return Lake(self.folder)

    @property
    def book(self) -> Book:
        return Book(self.lake.project)

    @property
    def watch(self) -> Watch:
        channels = {Channel(address).id for source in self.sources.values() for address in source.notify}
        return Watch(list(self.sources.values()), self.broken, channels)

    def add(self, *names: str, **changes: Any) -> None:
        for name in names:
            self.sources[name] = a_source(name=name, **changes)

    def change(self, name: str, **changes: Any) -> None:
        self.sources[name] = replace(self.sources[name], **changes)

    def of(self, name: str) -> SourceLake:
        return self.lake.source(name)

    def capture(self, hours: float, name: str = "blog", listing: Listing = SOUND) -> bool:
        """A live attempt that brought a listing; whether its hour is observed."""
        account = Account(self.of(name), self.sources[name], Origin.LIVE)
        with account.lake.writing():
            observed = account.tell(hours, listing)
            if observed:
                forget_attempt(account.lake, at(hours))
        return observed

    def fail(self, hours: float, error: Exception, name: str = "blog") -> None:
        """A live attempt that brought none."""
        with self.of(name).writing():
            note_attempt(self.of(name), Hour.of(at(hours)), error, at(hours))

    def look(self, moment: datetime) -> list[Delivery]:
        """Tell what is to be told at ``moment``; a channel that fails is left to its receiver to be seen."""
        self.now = moment
        try:
            return tell_incidents(self.lake, self.watch, lambda: self.now)
        except ChannelFault:
            return []

    def look_every(self, step: timedelta, last: datetime, then: Callable[[], None] = lambda: None) -> None:
        while self.now < last:
            self.look(self.now + step)
            then()

    def open_causes(self) -> list[str]:
        return [incident.cause.value for incident in self.book.open_incidents()]


def titles(texts: Sequence[str]) -> list[str]:
    return [text.splitlines()[0].strip() for text in texts]
