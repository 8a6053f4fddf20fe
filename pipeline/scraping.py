"""The light collector: it scrapes a program between the hours into the spool of its source, and watches what it saw.

The spool is all that it writes, but for receipts: the hourly capture counts what lies there, by its checks and in its
history. The watcher beside it counts the same on the way, by the same code, so that what a rule says is told at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from pipeline.core.errors import ConfigError, DeadSession, RatchetError, TransportFault
from pipeline.core.lake import SourceLake
from pipeline.core.model import Source
from pipeline.notify.delivery import Delivery
from pipeline.notify.watching import Watcher
from pipeline.platforms.openmetrics.adapter import OpenMetrics
from pipeline.platforms.openmetrics.spool import Record, SpoolWriter, collecting, record_of, scraping
from pipeline.platforms.protocol import CutShort

TURNED_AWAY_SECONDS = 60.0
"""How seldom a program is asked that turned the credential away."""
_LARGEST_ANSWER = 64 * 1024 * 1024
_LAST_MESSAGE_SECONDS = 40.0


@dataclass
class Collector:
    """One source of the kind openmetrics with a spool. Raises ConfigError where it is not."""

    lake: SourceLake
    source: Source
    now: Callable[[], datetime]
    said: str = ""
    """What stood in the way of the last scrape; empty where nothing did."""
    turned_away: bool = False
    _written: threading.Event = field(default_factory=threading.Event)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        platform = self.source.platform
        if not isinstance(platform, OpenMetrics) or platform.spool is None:
            raise ConfigError(
                f"{self.source.name} has no spool to scrape into.",
                "Scrape a source of the kind openmetrics, with 'spool: FOLDER' under its platform.",
            )
        self._platform, self._spool = platform, platform.spool
        self._writer = SpoolWriter(platform.spool, platform.spool_bytes)
        self._watcher = Watcher(self.lake, self.source, self.now, needs_rules=False)

    def scrape(self) -> str | None:
        """Ask once and keep the answer, or that there was none. What stands in the way, where it did not before.

        Raises LakeFault where the spool cannot be written, ConfigError where the credential cannot be sent.
        """
        with scraping(self._spool):
            record = self._answer()
            self._writer.append(record)
        self._written.set()
        before, self.said = self.said, record.failed or ""
        return self.said if self.said != before else None

    def _answer(self) -> Record:
        most = min(self.source.bounds.max_bytes, _LARGEST_ANSWER)
        try:
            (page,) = self._platform.scrape(max_bytes=most, now=self.now, retry=False)
        except (TransportFault, DeadSession) as fault:
            self.turned_away = isinstance(fault, DeadSession)
            return Record(self.now(), failed=fault.what)
        except CutShort as fault:
            return Record(self.now(), failed=str(fault))
        self.turned_away = False
        return record_of(page)

    def look(self) -> tuple[list[Delivery], list[str]]:
        """Judge what was scraped since the last look; the messages, and why answers were refused."""
        deliveries = self._watcher.look()
        refused, self._watcher.refused = self._watcher.refused, ()
        return deliveries, sorted({str(row["reason"]) for row in refused})

    def run(self, every: float, say: Callable[[str], None], told: Callable[[list[Delivery]], None]) -> None:
        """Scrape for ever, at multiples of ``every`` seconds, so that each minute has as many scrapes.

        Raises SourceBusy where another collector does it.
        """
        with collecting(self._spool), self._watching(say, told):
            say(f"Scraping {self.source.name} every {every:g} s. Stop with Ctrl-C.")
            while True:
                try:
                    if (words := self.scrape()) is not None:
                        say(f"{words}. Trying until it works.")
                except ConfigError:
                    raise
                except RatchetError as fault:
                    if fault.what != self.said:
                        say(f"{fault.what} Trying until it works.")
                    self.said = fault.what
                pace = max(every, TURNED_AWAY_SECONDS) if self.turned_away else every
                self._stopped.wait(pace - self.now().timestamp() % pace)

    @contextmanager
    def _watching(self, say: Callable[[str], None], told: Callable[[list[Delivery]], None]) -> Iterator[None]:
        """In a thread of its own: a channel that is slow delays no scrape."""
        watching = threading.Thread(target=self._watch, args=(say, told), name="watching")
        watching.start()
        try:
            yield
        finally:
            self._stopped.set()
            self._written.set()
            watching.join(_LAST_MESSAGE_SECONDS)  # a message under way gets its receipt
            self._writer.close()

    def _watch(self, say: Callable[[str], None], told: Callable[[list[Delivery]], None]) -> None:
        said = ""
        while not self._stopped.is_set():
            self._written.wait()
            self._written.clear()
            try:
                deliveries, refused = self.look()
            except RatchetError as fault:
                words = f"{fault.what} Trying until it works."
            else:
                told(deliveries)
                words = f"Refused, and kept as evidence: {refused[0]}." if refused else ""
            if words and words != said:
                say(words)
            said = words
