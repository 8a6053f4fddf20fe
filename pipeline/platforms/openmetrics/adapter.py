"""The platform ``openmetrics``: what a program tells of itself where Prometheus would scrape it, counted exactly.

Answer    GET <path> with the header Accept, as OpenMetrics 1.0 (by default) or the text format 0.0.4

    total             of a cumulative series (counter, or a part of a histogram or summary): never decreases, however
                      often the program began anew
    resets            how often it began anew, as its ``_created`` told
    presumed_resets   how often it must have: it fell, and tells no ``_created``. Its total is a lower bound then,
                      which its title says
    value             of any other series: what it stood at last
    <name>            a sum of series, or a gauge, that the YAML names
    scrapes           how many answers were counted
    refused, failed   how many were refused, each with its reason, and how often there was no answer
    dropped           records of scrapes that left the spool to make room
    series            of the last answer: how many it had
    rounded_down      how many of them have decimals that are not kept
    left_out          how many of them cannot be kept at all
    behind            bytes of the spool that did not fit into this capture

(github.com/prometheus/OpenMetrics, specification; prometheus.io, exposition formats.) docs/metrics.md says what is
counted how. An item's ``published_at`` is the beginning of its first epoch, where all of that was observed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime, timedelta
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, SecretStr, model_validator

from pipeline.core.errors import ConfigError
from pipeline.core.policy import Policy, Trend
from pipeline.platforms.openmetrics.carried import carried as state_of
from pipeline.platforms.openmetrics.settings import Settings
from pipeline.platforms.openmetrics.spool import SUFFIX, scraping
from pipeline.platforms.openmetrics.tally import SCRAPING, counted
from pipeline.platforms.protocol import BASE_URL, Carried, Counted, Feed, Folded, Levels, Minutes, Page, Request

_GROWS, _STANDS = Policy(Trend.NEVER_DECREASES), Policy(Trend.GAUGE)
_OF_A_SERIES = ("total", "resets", "presumed_resets")
_OF_SCRAPING = ("scrapes", "refused", "failed", "dropped")
_OF_THE_LAST = ("series", "rounded_down", "left_out", "behind")
_ACCEPT = {
    "openmetrics": "application/openmetrics-text; version=1.0.0; charset=utf-8",
    "text": "text/plain; version=0.0.4",
}


class OpenMetrics(Settings, Feed, frozen=True):
    """One endpoint of one program. ``spool`` is where ``ratchet scrape`` keeps what it scrapes between the captures."""

    kind: Literal["openmetrics"] = "openmetrics"
    base_url: str = Field(pattern=BASE_URL, description="address of the program, as http://127.0.0.1:8000")
    path: str = Field(default="/metrics", pattern=r"^/[^\s?#]*$", description="path of its metrics")
    params: Mapping[str, str] = {}
    token: SecretStr | None = Field(default=None, description="bearer token")
    spool: Path | None = Field(default=None, description="folder for ratchet scrape")
    spool_bytes: int = Field(default=256 * 1024 * 1024, ge=16 * 1024 * 1024)
    keep_days: float = Field(default=1, ge=0, le=365)
    requests_per_second: float = Field(default=10.0, gt=0)
    timeout: float = Field(default=10.0, gt=0, le=600)

    login_hint: ClassVar[str] = "Look at 'token' in the source's YAML, and at what the program asks for."

    @model_validator(mode="after")
    def _names_are_free(self) -> OpenMetrics:
        own = [*_OF_A_SERIES, "value", *_OF_SCRAPING, *_OF_THE_LAST]
        names = [*own, *self.counters, *self.gauges]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"{name} would be the name of two counters")
        return self

    @property
    def credential(self) -> str:
        """The bearer token; empty where the program asks for none."""
        return self.token.get_secret_value() if self.token is not None else ""

    def headers(self) -> Mapping[str, str]:
        """Accept of the ``format`` that the YAML names, and the token (RFC 6750)."""
        told = {"Accept": _ACCEPT[self.format]}
        return told | {"Authorization": f"Bearer {self.credential}"} if self.credential else told

    @property
    def policies(self) -> Mapping[str, Policy]:
        """Each counter of these settings: totals and sums only grow, gauges are values."""
        grows = (*_OF_A_SERIES, *self.counters, *_OF_SCRAPING)
        return dict.fromkeys(grows, _GROWS) | dict.fromkeys(("value", *self.gauges, *_OF_THE_LAST), _STANDS)

    @property
    def optional_counters(self) -> frozenset[str]:
        """All of them: no item has every counter."""
        return frozenset(self.policies)

    def ask(self, known: Container[str]) -> Generator[Sequence[Request], Sequence[Page], None]:
        """The metrics, in one answer."""
        yield [Request(self.path, self.params)]

    def scrape(self, *, max_bytes: int, now: Callable[[], datetime], retry: bool) -> Iterator[Page]:
        """One answer of the program. Raises what `client.fetch_pages` does."""
        from pipeline.platforms.client import fetch_pages

        return fetch_pages(self, (), max_pages=1, max_bytes=max_bytes, now=now, retry=retry)

    def read_on(
        self, carried: Carried, *, max_pages: int, max_bytes: int, now: Callable[[], datetime]
    ) -> Iterator[Page]:
        """What the spool holds, and how things stand now; nobody else scrapes meanwhile."""
        with nullcontext() if self.spool is None else scraping(self.spool):
            if self.spool is not None:
                yield from self.read_between(carried, max_pages=max_pages, max_bytes=max_bytes, now=now)
            yield from self.scrape(max_bytes=max_bytes, now=now, retry=True)

    def read_between(
        self, carried: Carried, *, max_pages: int, max_bytes: int, now: Callable[[], datetime]
    ) -> Iterator[Page]:
        """What the spool holds: the program itself is asked by the collector and by captures.

        The first of them makes its folder. Raises ConfigError without a spool, in which nothing could be seen.
        """
        if self.spool is None:
            raise ConfigError(
                "Nothing is kept between the hours of a source of the kind openmetrics without a spool.",
                "Write 'spool: FOLDER' under its platform, and run: ratchet scrape SOURCE",
            )
        from pipeline.platforms.feed import spool

        if not self.spool.exists():
            return iter(())
        positions = state_of(carried.get(SCRAPING)).positions
        return spool.read_on(self.spool, positions, max_pages=max_pages, max_bytes=max_bytes, now=now, suffix=SUFFIX)

    def tidy(self, accepted: Carried, now: datetime) -> None:
        """Remove segments of the spool that are counted for good and older than ``keep_days``."""
        if self.spool is not None:
            from pipeline.platforms.feed import spool

            positions = state_of(accepted.get(SCRAPING)).positions
            spool.tidy(self.spool, positions, now - timedelta(days=self.keep_days))

    def fold(
        self,
        pages: Iterable[Page],
        before: Counted,
        carried: Carried,
        *,
        captured_at: datetime,
        latest: datetime,
        by_minute: Collection[str] = (),
    ) -> Folded:
        """Count the scrapes on. Raises LakeFault for state that cannot be read."""
        return counted(
            self,
            pages,
            before,
            carried.get(SCRAPING),
            counters=self.policies,
            captured_at=captured_at,
            latest=latest,
            by_minute=by_minute,
        )

    @property
    def minute_counters(self) -> frozenset[str]:
        """Totals and counts of scrapes: of a plain value no gain is told."""
        return frozenset(("total", *self.counters, "scrapes", "refused", "failed"))

    def minutes(self, carried: Carried) -> Minutes:
        """By item and counter what each of the last minutes gained. Raises LakeFault for state that cannot be read."""
        return state_of(carried.get(SCRAPING)).gains

    @property
    def level_counters(self) -> frozenset[str]:
        """``value``, and the gauges of the YAML."""
        return frozenset(("value", *self.gauges))

    def levels(self, carried: Carried) -> Levels:
        """By item and gauge its lowest and highest of each minute. Raises LakeFault for state that cannot be read."""
        return state_of(carried.get(SCRAPING)).levels
