"""What a source of points says in its YAML: where events come from and which of them count how."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, SecretStr, field_validator, model_validator

from pipeline.platforms.feed.counting import PlainName

PointName = Annotated[str, Field(min_length=1, max_length=200)]
FieldType = Literal["integer", "number", "text", "boolean"]


class _Strict(BaseModel, frozen=True, extra="forbid"):
    pass


class FieldSpec(_Strict, frozen=True):
    """One attribute of an event. ``required``: an event without it is refused."""

    type: FieldType
    required: bool = False


class EventSpec(_Strict, frozen=True):
    """One declared point.

    ``sums``      attributes that are added up, each with the decimals that are kept: ``{amount: 2}`` counts cents
    ``distinct``  keys of which the different values are counted: who, where, host, or an attribute
    ``fields``    the schema of its attributes; an event that breaks it is refused
    """

    sums: dict[PlainName, Annotated[int, Field(ge=0, le=9)]] = {}
    distinct: tuple[PlainName, ...] = ()
    fields: dict[str, FieldSpec] = {}

    @field_validator("sums", mode="before")
    @classmethod
    def _whole_where_nothing_is_said(cls, written: Any) -> Any:
        return dict.fromkeys(written, 0) if isinstance(written, list | tuple) else written


class ConversionSpec(_Strict, frozen=True):
    """How many of those who were at the point ``first`` came to ``then``: within some days, or on a certain day.

    ``by``       the key that tells one from another: who, where, trace_id, host, or an attribute
    ``on_day``   the day after the first one (UTC) on which ``then`` counts: retention
    """

    first: PointName
    then: PointName
    by: PlainName = "who"
    within_days: int = Field(default=30, ge=1, le=365)
    on_day: int | None = Field(default=None, ge=1, le=365)


class TopicSpec(_Strict, frozen=True):
    """A topic of Kafka. ``settings``: others of librdkafka, for TLS and SASL, with secrets as ``{{ env.NAME }}``."""

    bootstrap: str = Field(min_length=1, max_length=1000)
    topic: str = Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")
    settings: Mapping[str, int | bool | SecretStr] = {}


class Settings(_Strict, frozen=True):
    """Where events come from, which is exactly one of ``spool`` and ``kafka``, and what of them is counted.

    ``keep_days``         how long a segment stays in the spool after it was counted; null for ever
    ``only_declared``     events of points that ``events`` does not name are read and not counted
    ``errors_by_place``   the place of an error, its file, line and function, is an item of its own
    ``max_keys``          of one distinct count or conversion, at most; more is a refused capture
    ``max_items``         points and places together; events of further ones are refused
    """

    spool: Path | None = Field(default=None, description="the folder into which programs write their events")
    kafka: TopicSpec | None = None
    keep_days: float | None = Field(default=7, ge=0, description="how long segments stay that were counted")
    events: dict[PointName, EventSpec] = {}
    conversions: dict[PlainName, ConversionSpec] = {}
    only_declared: bool = False
    errors_by_place: bool = True
    max_keys: int = Field(default=100_000, ge=1, le=10_000_000)
    max_items: int = Field(default=20_000, ge=1, le=1_000_000)

    @model_validator(mode="after")
    def _from_one_place(self) -> Settings:
        if (self.spool is None) == (self.kafka is None):
            raise ValueError("points come from exactly one of spool and kafka")
        return self

    @model_validator(mode="after")
    def _one_number_of_decimals(self) -> Settings:
        decimals: dict[str, int] = {}
        for spec in self.events.values():
            for name, kept in spec.sums.items():
                if decimals.setdefault(name, kept) != kept:
                    raise ValueError(f"the sum of {name} is kept with unlike decimals, and would be one counter")
        return self
