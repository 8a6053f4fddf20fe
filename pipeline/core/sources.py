"""A source's YAML file becomes a Source, or one clear error with file and line.

The models below are the only description of the file: they also give `dg check yaml` and editors
their JSON schema. Values from the environment are written ``{{ env.NAME }}``; no error repeats one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
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
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from pipeline.core.counter_spec import TOLERANCE_IN_FULL, CounterSpec
from pipeline.core.errors import ConfigError
from pipeline.core.hours import Hour
from pipeline.core.model import (
    FEED_STATE,
    SNAPSHOT_COLUMNS,
    Bounds,
    Counter,
    Period,
    Policy,
    Rule,
    RuleKind,
    Source,
    Trend,
)
from pipeline.core.project import Project, environment
from pipeline.core.yaml_lines import Document, read_document
from pipeline.platforms import KINDS, adapter
from pipeline.platforms.protocol import Feed, Platform

COMPONENT = "pipeline.components.CounterSource"
NAME = r"^[a-z][a-z0-9_]*$"
_VARIABLE = re.compile(r"\{\{\s*env\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
_TEMPLATE = re.compile(r"\{\{.*?\}\}")
_PYDANTIC_STEP = re.compile(r"^function-|\[|^(CounterSpec|float|str|date)$")
_RESERVED = {
    *SNAPSHOT_COLUMNS,
    "previous_captured_at",
    "elapsed_seconds",
    "listed",
    "corrected",
    "last_observed_before",
    FEED_STATE,
}
_RESERVED_ENDS = ("_max", "_peak", "_days", "_delta", "_in_delta", "_per_hour", "_before", "_now")
_SCHEDULE_MINUTES = [m for m in range(1, 40, 2) if m % 10 != 5]
_SECONDS = {"minute": 60, "hour": 3600}
_DURATION = re.compile(r"(\d+)\s*([mhd])")
_LONGEST_DURATION = len("9999999d")


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
    cooldown: str | None = Field(default=None, pattern=rf"^{_DURATION.pattern}$", description="30m, 6h, 2d")

    @property
    def kind(self) -> RuleKind:
        return next(kind for kind in RuleKind if getattr(self, kind) is not None)

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
        if cooldown is not None and len(cooldown) > _LONGEST_DURATION:
            raise ValueError("no cooldown is that long")
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


def read_source(path: Path, env: Mapping[str, str] | None = None) -> Source:
    """Read one ``defs.yaml``. Raises ConfigError with file and line."""
    document = read_document(path)
    values = document.values
    if (
        not isinstance(values, dict)
        or values.get("type") != COMPONENT
        or not isinstance(values.get("attributes"), dict)
    ):
        raise ConfigError(
            "a source begins with 'type' and 'attributes'",
            f"Write the first line as 'type: {COMPONENT}' and the source under 'attributes:'.",
            file=path,
            line=1,
        )
    attributes = _fill_in(document, values["attributes"], environment() if env is None else env)
    spec = _validated(SourceSpec, attributes, document, ("attributes",))
    if spec.source != path.parent.name:
        raise _error(
            document,
            ("attributes", "source"),
            "the source is not called as its folder is, so two folders could write into one lake",
            f"Write 'source: {path.parent.name}', or rename the folder.",
        )
    kind = spec.platform.get("kind")
    if kind not in KINDS:
        raise _error(
            document,
            ("attributes", "platform", "kind"),
            "the kind of platform is unknown",
            f"Use one of {', '.join(KINDS)}.",
        )
    platform = _validated(adapter(kind), spec.platform, document, ("attributes", "platform"))
    counters = _counters(document, spec, platform)
    return Source(
        name=spec.source,
        platform=platform,
        counters=counters,
        rules=_rules(document, spec, counters, platform),
        bounds=Bounds(**spec.bounds.model_dump()),
        notify=tuple(address.get_secret_value() for address in spec.notify),
        heartbeat_url=spec.heartbeat_url.get_secret_value() if spec.heartbeat_url else None,
        minute=spec.minute or _minute(spec.source),
        start=Hour.parse(str(spec.start)) if spec.start else None,
        end=Hour.parse(str(spec.end)) if spec.end else None,
        credential_days=tuple(spec.credential_days),
        digests=tuple(spec.digests),
        enabled=spec.enabled,
        simulated=spec.simulated,
        owner=spec.owner,
        timezone=spec.timezone,
        expected=spec.expected,
        rollback=spec.rollback,
    )


def find_source(project: Project, name: str) -> Source:
    """The source called ``name``. Raises ConfigError where it is unknown or cannot be used."""
    file = project.defs / name / "defs.yaml"
    if re.fullmatch(NAME, name) and file.exists():
        return read_source(file)
    known = ", ".join(path.parent.name for path in project.source_files()) or "none yet"
    raise ConfigError(f"There is no source called '{name}'.", f"Known sources: {known}.")


def sound_sources(project: Project) -> tuple[list[Source], list[ConfigError]]:
    """Every source that can be used, by name, and what is wrong with the others: one keeps no other back."""
    sound: list[Source] = []
    broken: list[ConfigError] = []
    for file in project.source_files():
        try:
            sound.append(read_source(file))
        except ConfigError as error:
            broken.append(error)
    return sound, broken


def _fill_in(
    document: Document, value: Any, env: Mapping[str, str], at: tuple[str | int, ...] = ("attributes",)
) -> Any:
    if isinstance(value, dict):
        return {key: _fill_in(document, child, env, (*at, key)) for key, child in value.items()}
    if isinstance(value, list):
        return [_fill_in(document, child, env, (*at, n)) for n, child in enumerate(value)]
    if not isinstance(value, str):
        return value

    def variable(found: re.Match[str]) -> str:
        name = _VARIABLE.fullmatch(found[0])
        if name is None:
            raise _error(
                document,
                at,
                "only {{ env.NAME }} can stand in double braces",
                "Write the value itself, or name a variable.",
            )
        if not env.get(name[1]):
            raise _error(
                document,
                at,
                f"the variable {name[1]} is not set",
                f"Put {name[1]}=... into .env or the environment.",
            )
        return env[name[1]]

    return _TEMPLATE.sub(variable, value)


def _validated(model: Any, values: Any, document: Document, at: tuple[str | int, ...]) -> Any:
    try:
        return model.model_validate(values)
    except ValidationError as fault:
        first = fault.errors(include_input=False, include_url=False, include_context=False)[0]
        location = tuple(step for step in first["loc"] if isinstance(step, int) or not _PYDANTIC_STEP.search(step))
        name = location[-1] if location else ""
        said = first["msg"].removeprefix("Value error, ")
        words = {
            "extra_forbidden": f"there is no key '{name}'",
            "missing": f"the key '{name}' is missing",
        }.get(first["type"], f"{'.'.join(map(str, location))}: {said}" if location else said)
        known = getattr(model, "model_fields", {})
        wrong_key = first["type"] in ("extra_forbidden", "missing") and len(location) == 1
        hint = f"The keys are: {', '.join(known)}." if wrong_key else "Mend the line."
        raise _error(document, (*at, *location), words, hint) from None


def _counters(document: Document, spec: SourceSpec, platform: Platform) -> tuple[Counter, ...]:
    policies, optional = platform.policies, platform.optional_counters
    _require_plain_names(document, spec, list(policies))
    if spec.counters is None:
        return tuple(Counter(name, policy, name in optional) for name, policy in policies.items())
    for name in spec.counters:
        if name not in policies:
            raise _error(
                document,
                ("attributes", "counters", name),
                f"the platform {spec.platform['kind']} has no counter '{name}'",
                f"Its counters are: {', '.join(policies)}.",
            )
    return tuple(_counter(name, given, name in optional) for name, given in spec.counters.items())


def _counter(name: str, given: Trend | CounterSpec, optional: bool) -> Counter:
    """``optional``: whether an item may lack the counter where the YAML does not say."""
    if isinstance(given, CounterSpec):
        said = given.optional if "optional" in given.model_fields_set else optional
        return Counter(name, given.as_policy, said)
    return Counter(name, Policy(given), optional)


def _require_plain_names(document: Document, spec: SourceSpec, names: Sequence[str]) -> None:
    """Counters become columns beside the lake's own ones: refuse those that would be mistaken for them."""
    for name in names:
        if name in _RESERVED or name.endswith(_RESERVED_ENDS):
            section = ("counters",) if name in (spec.counters or ()) else ("platform", "counters")
            raise _error(
                document,
                ("attributes", *section, name),
                f"a counter cannot be called '{name}', which the lake uses itself",
                "Choose another name.",
            )


def _rules(document: Document, spec: SourceSpec, counters: Sequence[Counter], platform: Platform) -> tuple[Rule, ...]:
    names = [counter.name for counter in counters]
    for position, written in enumerate(spec.rules):
        if written.counter not in names:
            # As it stands in the file: the value may have come from the environment.
            spelled = document.values["attributes"]["rules"][position]["counter"]
            raise _error(
                document,
                ("attributes", "rules", position, "counter"),
                f"a rule on the counter '{spelled}', which this source does not have",
                f"Its counters are: {', '.join(names)}.",
            )
    rules = tuple(_rule(rule) for rule in spec.rules)
    for position, rule in enumerate(rules):
        if isinstance(platform, Feed) and rule.by_minute and rule.counter not in platform.minute_counters:
            raise _error(
                document,
                ("attributes", "rules", position, "counter"),
                "this counter is not counted by the minute",
                f"Those are: {', '.join(sorted(platform.minute_counters))}. Or write 'per: hour'.",
            )
        names = [earlier.name for earlier in rules[:position]]
        if rule.name in names:
            first = document.line(("attributes", "rules", names.index(rule.name)))
            raise _error(
                document,
                ("attributes", "rules", position),
                f"the rule of line {first} stands here again",
                "Put all milestones of a counter into one list, or remove one of the two.",
            )
    return rules


def _rule(spec: RuleSpec) -> Rule:
    threshold = getattr(spec, spec.kind)
    share = isinstance(threshold, str)
    if share:
        threshold = float(Decimal(threshold.rstrip("%")) / 100)  # 0.029 and not 0.028999999999999998, which names it
    thresholds = tuple(map(float, sorted(threshold))) if spec.crosses else (float(threshold),)
    return Rule(
        counter=spec.counter,
        kind=spec.kind,
        thresholds=thresholds,
        per_seconds=_SECONDS[spec.per],
        rearm_below=spec.rearm_below,
        share=share,
        cooldown=_duration(spec.cooldown),
    )


def _duration(text: str | None) -> timedelta:
    found = _DURATION.fullmatch(text or "")
    return (
        timedelta(**{{"m": "minutes", "h": "hours", "d": "days"}[found[2]]: int(found[1])}) if found else timedelta(0)
    )


def _minute(name: str) -> int:
    """An odd minute that leaves room for two more attempts in the hour; the same for a name everywhere."""
    return _SCHEDULE_MINUTES[int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) % len(_SCHEDULE_MINUTES)]


def _error(document: Document, location: Sequence[str | int], what: str, next_step: str) -> ConfigError:
    return ConfigError(what, next_step, file=document.path, line=document.line(location))
