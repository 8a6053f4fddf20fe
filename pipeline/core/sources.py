"""A source's YAML file becomes a Source, or one clear error with file and line.

`source_spec` says what the file can hold; here it is read, filled from the environment by `variables` and judged with
its platform. No error repeats a value from the environment. A source whose variables are not all set can be read for
its history, and for nothing else.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from pipeline.core.counter_spec import CounterSpec
from pipeline.core.errors import ConfigError
from pipeline.core.hours import Hour
from pipeline.core.lake import SourceLake
from pipeline.core.model import FEED_STATE, SNAPSHOT_COLUMNS, Bounds, Counter, Rule, Source
from pipeline.core.policy import Policy, Trend
from pipeline.core.project import Project, environment
from pipeline.core.source_mistakes import Mistake, all_in_one, mistakes
from pipeline.core.source_spec import NAME, SourceSpec
from pipeline.core.variables import fill_in
from pipeline.core.withheld import withhold
from pipeline.core.yaml_lines import Document, Place, error_at, read_document
from pipeline.platforms import KINDS, adapter
from pipeline.platforms.protocol import Feed, Platform

COMPONENT = "pipeline.components.CounterSource"
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


def read_source(path: Path, env: Mapping[str, str] | None = None) -> Source:
    """Read one ``defs.yaml``. Raises ConfigError, with file and line, and nothing else: one keeps no other back."""
    source = read_source_of_history(path, env)
    if source.unset is not None:
        raise source.unset
    return source


def read_source_of_history(path: Path, env: Mapping[str, str] | None = None) -> Source:
    """The same for whoever only reads its lake: a variable that is not set is named by ``Source.unset``.

    Raises that error where the source makes no sense without the variable's value.
    """
    try:
        return _read(path, environment() if env is None else env)
    except ConfigError:
        raise
    except Exception as fault:  # without its words, which can quote a value of the environment
        raise ConfigError(
            f"the source cannot be read ({type(fault).__name__})",
            "Compare it with docs/sources.md. If nothing there speaks against it, report it: a line should be named.",
            file=path,
        ) from None


def _read(path: Path, env: Mapping[str, str]) -> Source:
    document = read_document(path)
    wrong: list[Mistake] = []
    attributes, unset = fill_in(document, _attributes(document), env)
    spec = _validated(SourceSpec, attributes, ("attributes",), wrong)
    folder = document.path.parent.name
    if spec is not None and spec.source != folder:
        what = "the source is not called as its folder is, so two folders could write into one lake"
        step = f"Write 'source: {folder}', or rename the folder."
        wrong.append(Mistake(("attributes", "source"), what, step))
    platform = _platform(attributes.get("platform"), wrong)
    if unset is not None:
        wrong = [mistake for mistake in wrong if not unset.explains(mistake)]
    named = [unset.mistake, *wrong] if unset is not None else wrong
    error = all_in_one(document, named) if named else None
    if error is not None and (wrong or spec is None or platform is None):
        raise error
    withhold(spec, platform)
    try:
        source = _source(document, spec, platform)
    except ConfigError as fault:
        raise error or fault from None
    return source if error is None else replace(source, notify=(), heartbeat_url=None, unset=error)


def _platform(settings: Any, wrong: list[Mistake]) -> Any:
    """The platform; None where ``wrong`` says why not, be it of ``settings`` that are no mapping at all."""
    if not isinstance(settings, dict):
        return None
    kind, at = settings.get("kind"), ("attributes", "platform")
    if isinstance(kind, str) and kind in KINDS:
        return _validated(adapter(kind), settings, at, wrong)
    wrong.append(Mistake((*at, "kind"), "the kind of platform is unknown", f"Use one of {', '.join(KINDS)}."))
    return None


def _attributes(document: Document) -> dict[str, Any]:
    values = document.values
    if isinstance(values, dict) and values.get("type") == COMPONENT and isinstance(values.get("attributes"), dict):
        return dict(values["attributes"])
    raise ConfigError(
        "a source begins with 'type' and 'attributes'",
        f"Write the first line as 'type: {COMPONENT}' and the source under 'attributes:'.",
        file=document.path,
        line=1,
    )


def _source(document: Document, spec: SourceSpec, platform: Platform) -> Source:
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
    return read_source(_file(project, name))


def find_source_of_history(project: Project, name: str) -> Source:
    """The same for whoever only reads its lake, as `read_source_of_history` does."""
    return read_source_of_history(_file(project, name))


def _file(project: Project, name: str) -> Path:
    file = project.defs / name / "defs.yaml"
    if re.fullmatch(NAME, name) and file.exists():
        return file
    known = ", ".join(path.parent.name for path in project.source_files()) or "none yet"
    raise ConfigError(f"There is no source called '{name}'.", f"Known sources: {known}.")


def find_lake(project: Project, name: str) -> SourceLake:
    """The lake of a source. Its YAML is asked only where there is no lake yet: it may have left.

    Raises ConfigError where the source is unknown.
    """
    stored = {lake.name: lake for lake in project.lake.senders()}
    return stored.get(name) or project.lake.source(find_source_of_history(project, name).name)


def chosen_sources(project: Project, name: str | None) -> tuple[list[Source], list[ConfigError]]:
    """The source called ``name``, or all `sound_sources` where none is named. Raises as `find_source` does."""
    return sound_sources(project) if name is None else ([find_source(project, name)], [])


def sound_sources(project: Project) -> tuple[list[Source], list[ConfigError]]:
    """Every source that can be used, by name, and what is wrong with the others: one keeps no other back."""
    return _sound(project, read_source)


def sources_of_history(project: Project) -> tuple[list[Source], list[ConfigError]]:
    """The same for whoever only reads their lakes, as `read_source_of_history` does."""
    return _sound(project, read_source_of_history)


def _sound(project: Project, read: Callable[[Path], Source]) -> tuple[list[Source], list[ConfigError]]:
    sound: list[Source] = []
    broken: list[ConfigError] = []
    for file in project.source_files():
        try:
            sound.append(read(file))
        except ConfigError as error:
            broken.append(error)
    return sound, broken


def _validated(model: type[BaseModel], values: Any, at: Place, wrong: list[Mistake]) -> Any:
    """The model; None where ``wrong`` gets what keeps it from being one."""
    try:
        return model.model_validate(values)
    except ValidationError as fault:
        wrong += mistakes(model, values, fault, at)
        return None


def _counters(document: Document, spec: SourceSpec, platform: Platform) -> tuple[Counter, ...]:
    policies, optional = platform.policies, platform.optional_counters
    _require_plain_names(document, spec, list(policies))
    if spec.counters is None:
        return tuple(Counter(name, policy, name in optional) for name, policy in policies.items())
    for name in spec.counters:
        if name not in policies:
            raise error_at(
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
            raise error_at(
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
            raise error_at(
                document,
                ("attributes", "rules", position, "counter"),
                f"a rule on the counter '{spelled}', which this source does not have",
                f"Its counters are: {', '.join(names)}.",
            )
    rules = tuple(rule.as_rule for rule in spec.rules)
    for position, rule in enumerate(rules):
        if isinstance(platform, Feed) and rule.by_minute and rule.counter not in platform.minute_counters:
            raise error_at(
                document,
                ("attributes", "rules", position, "counter"),
                "this counter is not counted by the minute",
                f"Those are: {', '.join(sorted(platform.minute_counters))}. Or write 'per: hour'.",
            )
        names = [earlier.name for earlier in rules[:position]]
        if rule.name in names:
            first = document.line(("attributes", "rules", names.index(rule.name)))
            raise error_at(
                document,
                ("attributes", "rules", position),
                f"the rule of line {first} stands here again",
                "Put all milestones of a counter into one list, or remove one of the two.",
            )
    return rules


def _minute(name: str) -> int:
    """An odd minute that leaves room for two more attempts in the hour; the same for a name everywhere."""
    return _SCHEDULE_MINUTES[int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) % len(_SCHEDULE_MINUTES)]
