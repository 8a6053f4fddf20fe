"""What a source of the kind openmetrics says in its YAML of the numbers that it is told."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, field_validator

from pipeline.platforms.feed.counting import PlainName
from pipeline.platforms.openmetrics.exposition import OPENMETRICS, Labels, Sample, read
from pipeline.platforms.protocol import Unreadable

Metric = Annotated[str, Field(min_length=1, max_length=500)]


class SeriesSpec(BaseModel, frozen=True, extra="forbid"):
    """Series by the name of their samples, and by regular expressions that their labels match as a whole."""

    metric: Metric
    where: Mapping[str, str] = {}

    @field_validator("where")
    @classmethod
    def _can_be_matched(cls, where: Mapping[str, str]) -> Mapping[str, str]:
        for pattern in where.values():
            try:
                re.compile(pattern)
            except (re.error, RecursionError, OverflowError):
                raise ValueError("what a label has to match is no regular expression") from None
        return where

    def covers(self, name: str, labels: Labels) -> bool:
        """Whether the series belongs to it; a label that it lacks counts as empty, as for Prometheus."""
        if name != self.metric:
            return False
        told = dict(labels)
        return all(re.fullmatch(pattern, told.get(label, "")) for label, pattern in self.where.items())


def _spelled_out(written: Any) -> Any:
    """The short form, the name of the metric alone, as the long one."""
    if not isinstance(written, dict):
        return written
    return {name: {"metric": spec} if isinstance(spec, str) else spec for name, spec in written.items()}


class Settings(BaseModel, frozen=True, extra="forbid"):
    """What is asked for, and what becomes of the series that are told.

    ``format``      what the program is asked for: openmetrics, or text, the older format of Prometheus
    ``counters``    sums of cumulative series under a name of one's own
    ``gauges``      values under a name of one's own
    ``decimals``    by name of a sample, how many decimals are kept: its items count in units of the last
    ``max_items``   series, at most; further ones are left out and named
    """

    format: Literal["openmetrics", "text"] = "openmetrics"
    counters: Mapping[PlainName, SeriesSpec] = {}
    gauges: Mapping[PlainName, SeriesSpec] = {}
    decimals: Mapping[Metric, Annotated[int, Field(ge=1, le=12)]] = {}
    max_items: int = Field(default=20_000, ge=1, le=1_000_000)

    _short_form = field_validator("counters", "gauges", mode="before")(_spelled_out)

    def samples(self, body: bytes, content_type: str) -> list[Sample]:
        """The series of an answer, which has to be OpenMetrics where that was asked for, or where it says so.

        Raises Unreadable.
        """
        says_so = content_type.lower().startswith(OPENMETRICS)
        try:
            return read(body, openmetrics=says_so or self.format == "openmetrics")
        except Unreadable as fault:
            if says_so or self.format == "text" or not body.strip():
                raise
            hint = "OpenMetrics was asked for and another format came; if the program knows no other: format: text"
            raise Unreadable(f"{fault}; {hint}") from None

    def sums_of(self, name: str, labels: Labels) -> tuple[str, ...]:
        """The names under ``counters`` to which the series adds."""
        return _names(tuple(self.counters.items()), name, labels) if self.counters else ()

    def gauges_of(self, name: str, labels: Labels) -> tuple[str, ...]:
        """The names under ``gauges`` for which the series stands."""
        return _names(tuple(self.gauges.items()), name, labels) if self.gauges else ()

    def title_of_sum(self, name: str) -> str:
        """What an item's title says of a sum: its series, their labels, and the unit of its last decimal."""
        spec = self.counters.get(name)
        if spec is None:
            return name
        kept = self.decimals.get(spec.metric)
        where = ", ".join(f"{label}=~{pattern}" for label, pattern in spec.where.items())
        return f"{name}: {spec.metric}" + (f" where {where}" if where else "") + (f" in 1e-{kept}" if kept else "")


def _names(specs: tuple[tuple[str, SeriesSpec], ...], name: str, labels: Labels) -> tuple[str, ...]:
    return tuple(called for called, spec in specs if spec.metric == name and spec.covers(name, labels))
