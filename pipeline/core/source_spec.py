"""What a source's YAML file can hold: the models that also give `dg check yaml` and editors their JSON schema.

Each judges one value, or values that stand beside each other; what needs the platform is for `sources` to judge.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Discriminator,
    Field,
    SecretStr,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from pipeline.core.counter_spec import TOLERANCE_IN_FULL, CounterSpec
from pipeline.core.hours import SPAN, Hour, parse_span
from pipeline.core.model import Bounds, Period, Rule, RuleKind, Source
from pipeline.core.policy import Trend

NAME = r"^[a-z][a-z0-9_]*$"
"""How a source is called. A folder of the lake is called as it is."""
_SECONDS = {"minute": 60, "hour": 3600}


class _Strict(BaseModel, extra="forbid", allow_inf_nan=False):
    pass


def _spelling(written: Any) -> str:
    """Which of its two spellings a counter has, so that an error speaks of that one only."""
    return _IN_FULL if isinstance(written, dict | CounterSpec) else _IN_SHORT


def _needs_no_share(trend: Trend) -> Trend:
    if trend is Trend.TOLERANCE:
        raise ValueError(TOLERANCE_IN_FULL)
    return trend


def _no_boolean(written: Any) -> Any:
    if isinstance(written, bool):
        raise ValueError("a milestone is a whole number")  # Pydantic would take true for 1
    return written


def _milestones_once(marks: list[int] | None) -> list[int] | None:
    if marks is not None and len(set(marks)) < len(marks):
        raise ValueError("a milestone stands here twice")
    return marks


def _plain_name(name: str) -> str:
    if not re.fullmatch(NAME, name):
        raise ValueError("a name is small letters, digits and _, and begins with a letter")
    return name


_IN_SHORT, _IN_FULL = "[policy]", "[counter]"
_InShort = Annotated[Trend, AfterValidator(_needs_no_share), Tag(_IN_SHORT)]
_InFull = Annotated[CounterSpec, Tag(_IN_FULL)]
_Milestone = Annotated[int, Field(gt=0), BeforeValidator(_no_boolean)]


class RuleSpec(_Strict):
    """One threshold: a counter and exactly one of crosses, rate_above, gained, above, below."""

    counter: str
    crosses: Annotated[list[_Milestone] | None, AfterValidator(_milestones_once)] = Field(default=None, min_length=1)
    rate_above: float | None = Field(default=None, ge=0)
    per: Literal["hour", "minute"] = "hour"
    rearm_below: float | None = None
    gained: float | str | None = Field(default=None, description="a number, or a share such as 10%")
    above: float | None = None
    below: float | None = None
    cooldown: str | None = Field(default=None, pattern=rf"^{SPAN}$", description="30m, 6h, 2d")

    @property
    def kind(self) -> RuleKind:
        """Which of the five it is: the one that has a value."""
        return next(kind for kind in RuleKind if getattr(self, kind) is not None)

    @property
    def as_rule(self) -> Rule:
        """The same in the core's words: 10% is a share of 0.1, milestones stand in order, a cool-down is a duration."""
        threshold = getattr(self, self.kind)
        share = isinstance(threshold, str)
        if share:
            threshold = float(Decimal(threshold.rstrip("%")) / 100)  # 0.029 and not 0.028999999999999998, its name
        return Rule(
            counter=self.counter,
            kind=self.kind,
            thresholds=tuple(map(float, sorted(threshold))) if self.crosses else (float(threshold),),
            per_seconds=_SECONDS[self.per],
            rearm_below=self.rearm_below,
            share=share,
            cooldown=parse_span(self.cooldown) if self.cooldown else timedelta(0),
        )

    @model_validator(mode="after")
    def _one_threshold(self) -> RuleSpec:
        given = [kind for kind in RuleKind if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError(f"a rule has exactly one of {', '.join(RuleKind)}")
        if self.rearm_below is not None and (self.rate_above is None or self.rearm_below > self.rate_above):
            raise ValueError("rearm_below goes with rate_above and is not larger")
        if self.per != "hour" and self.rate_above is None:
            raise ValueError("per goes with rate_above")
        if self.cooldown is not None and given[0] in (RuleKind.CROSSES, RuleKind.RATE_ABOVE):
            raise ValueError(f"{given[0]} fires once by itself and has no cooldown")
        return self

    @field_validator("cooldown")
    @classmethod
    def _short_enough(cls, cooldown: str | None) -> str | None:
        if cooldown is not None:
            parse_span(cooldown)
        return cooldown

    @field_validator("gained", mode="before")
    @classmethod
    def _amount_is_no_boolean(cls, gained: Any) -> Any:
        if isinstance(gained, bool):
            raise ValueError("gained is a number, or a share such as 10%")  # Pydantic would take true for 1
        return gained

    @field_validator("gained")
    @classmethod
    def _amount_or_share(cls, gained: float | str | None) -> float | str | None:
        if isinstance(gained, str) and not re.fullmatch(r"\d+(\.\d+)?%", gained, re.ASCII):
            raise ValueError("gained is a number, or a share such as 10%")
        if gained is not None and float(str(gained).rstrip("%")) <= 0:
            raise ValueError("gained is more than 0, or the rule would fire for items that gained nothing")
        return gained


class BoundsSpec(_Strict):
    """Beyond these a capture is refused."""

    gone_items: int = Field(default=Bounds.gone_items, ge=0)
    gone_share: float = Field(default=Bounds.gone_share, ge=0, le=1)
    fallen_items: int = Field(default=Bounds.fallen_items, ge=0)
    fallen_share: float = Field(default=Bounds.fallen_share, ge=0, le=1)
    max_pages: int = Field(default=Bounds.max_pages, gt=0)
    max_bytes: int = Field(default=Bounds.max_bytes, gt=0)


class SourceSpec(_Strict):
    """One configured account on one platform."""

    source: Annotated[str, AfterValidator(_plain_name)] = Field(
        max_length=60, description="its name: lower-case letters, digits, _", json_schema_extra={"pattern": NAME}
    )
    platform: dict[str, Any] = Field(description="kind: one of the platforms, and the keys of that platform")
    counters: dict[str, Annotated[_InShort | _InFull, Discriminator(_spelling)]] | None = Field(
        default=None, min_length=1, description="each counter and its policy; the platform's own by default"
    )
    rules: list[RuleSpec] = []
    bounds: BoundsSpec = BoundsSpec()
    notify: list[SecretStr] = Field(default=[], description="addresses of channels, in apprise's spelling")
    heartbeat_url: SecretStr | None = Field(
        default=None, description="an address to call after each accepted live capture, of a service that misses calls"
    )
    minute: int | None = Field(
        default=None, ge=1, le=59, description="of its schedule; derived from the name by default"
    )
    start: date | str | None = Field(
        default=None, description="first hour of its partitions, as 2026-11-22 or 2026-11-22T14"
    )
    end: date | str | None = Field(default=None, description="last hour of its partitions; of a day, its last")
    credential_days: list[Annotated[int, Field(gt=0)]] = Field(
        default=list(Source.credential_days), description="days before its credential ends at which a warning begins"
    )
    digests: list[Period] = Field(
        default=[], description="daily, weekly: what the last day or week brought, told at 8 in its time zone"
    )
    enabled: bool = Field(default=True, description="whether its schedule and sensor start running")
    simulated: bool = Field(default=False, description="label every report and message as a simulation")
    owner: str | None = None
    timezone: str = Field(default=Source.timezone, description="of the owner, as Europe/Berlin: the hours of the pages")
    expected: str | None = Field(default=None, description="what a sound hour looks like, for whoever is woken")
    rollback: str | None = Field(default=None, description="how to go back, for whoever is woken")

    @field_validator("heartbeat_url")
    @classmethod
    def _is_a_web_address(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not re.match(r"https?://[^\s/]", url.get_secret_value()):
            raise ValueError("a heartbeat goes to an address that begins with https:// or http://")
        return url

    @field_validator("timezone")
    @classmethod
    def _is_a_time_zone(cls, timezone: str) -> str:
        try:
            ZoneInfo(timezone)
        except (LookupError, ValueError, OSError):  # OSError: a folder of the database
            raise ValueError("a time zone is a name of the IANA database, such as Europe/Berlin or UTC") from None
        return timezone

    @field_validator("minute")
    @classmethod
    def _not_with_everybody_else(cls, minute: int | None) -> int | None:
        if minute is not None and minute % 15 == 0:
            raise ValueError("minutes 15, 30 and 45 are when everybody calls; choose an odd one beside them")
        return minute

    @field_validator("start", "end", mode="before")
    @classmethod
    def _is_an_hour(cls, moment: Any, field: ValidationInfo) -> str | None:
        if moment is None:
            return None
        of_a_day = "T23" if field.field_name == "end" else "T00"
        try:
            return Hour.parse(str(moment) + (of_a_day if re.fullmatch(r"\d{4}-\d\d-\d\d", str(moment)) else "")).key
        except ValueError:  # says what was written, which can come from the environment
            raise ValueError("an hour is written 2026-11-22T14 (UTC), a day 2026-11-22") from None

    @model_validator(mode="after")
    def _starts_before_it_ends(self) -> SourceSpec:
        if self.start is not None and self.end is not None and str(self.end) < str(self.start):
            raise ValueError("end lies before start")
        return self
