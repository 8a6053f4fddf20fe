"""Writing a source's YAML from answers, and its secret into ``.env``: what `ratchet source add` leaves behind."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import yaml
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from pipeline.core.errors import ConfigError
from pipeline.core.source_spec import NAME
from pipeline.core.sources import COMPONENT
from pipeline.platforms import adapter
from pipeline.platforms.protocol import Platform

_TEMPLATE = """\
# {title}
type: {component}
attributes:
  source: {source}
  platform:
{platform}
  # counters:                       # each with its policy; the platform's own unless you say otherwise
  # rules:
  #   - {{counter: {counter}, crosses: [100, 500, 1000]}}
  # notify: ["{{{{ env.DISCORD_URL }}}}"]
  # owner: you@example.org          # named in every message about a fault
  enabled: {enabled}
"""


_PLAIN = (str, int, float, bool, date, tuple, list, Path)


@dataclass(frozen=True)
class Question:
    """One key of a platform: ``default`` is None where an answer is needed, "" where none is."""

    key: str
    words: str
    secret: bool
    default: str | None

    def variable(self, source: str) -> str:
        """The variable of the environment that a secret of ``source`` is kept in."""
        return f"{source}_{self.key}".upper()


def plain_keys(kind: str) -> list[str]:
    """The keys of a platform that hold no secret, and that one answer can fill."""
    fields = adapter(kind).model_fields
    return [key for key, field in fields.items() if key != "kind" and _type(field) in _PLAIN]


def setting(kind: str, key: str, answer: str) -> Any:
    """What stands in the YAML for an answer: a list where several can be given, a number or a yes where one is due."""
    expected = _type(adapter(kind).model_fields[key])
    if expected in (tuple, list):
        return [part.strip() for part in answer.split(",") if part.strip()]
    try:
        return answer if expected in (str, Path) else yaml.safe_load(answer)
    except (yaml.YAMLError, ValueError):
        return answer  # which the reader of the YAML names


def questions(kind: str, defs: Path) -> list[Question]:
    """What a source of this kind is asked. Raises ConfigError where only YAML, in a folder of ``defs``, can say it."""
    model = adapter(kind)
    own = {key: field for key, field in model.model_fields.items() if key not in Platform.model_fields}
    if model.model_fields["base_url"].is_required():
        own = {"base_url": model.model_fields["base_url"], **own}
    asked = {key: field for key, field in own.items() if _type(field) in (*_PLAIN, SecretStr)}
    if any(field.is_required() for key, field in own.items() if key not in asked):
        raise ConfigError(
            f"A source of the kind {kind} describes its endpoint, which is more than questions can ask for.",
            f"Write {defs / 'NAME' / 'defs.yaml'} after the example in docs/json-api.md, NAME being what you call it"
            " under 'source:', then run: ratchet source check NAME",
        )
    # A number with a default is a bound or a pace: whoever needs another one writes it.
    return [
        _question(key, field) for key, field in asked.items() if field.is_required() or _type(field) not in (int, float)
    ]


def _question(key: str, field: FieldInfo) -> Question:
    default = None if field.is_required() else "" if field.default in (None, ()) else str(field.default).lower()
    words = field.description or key.replace("_", " ")
    many = _type(field) in (tuple, list)
    return Question(key, words + (", separated by commas" if many else ""), _type(field) is SecretStr, default)


def _type(field: FieldInfo) -> Any:
    """What a field holds, whether it may be left out or not."""
    kinds = [kind for kind in get_args(field.annotation) if kind is not type(None)]
    kind = kinds[0] if get_origin(field.annotation) in (Union, UnionType) else field.annotation
    kind = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    return get_origin(kind) or kind


def require_new_name(defs: Path, name: str) -> None:
    """Raises ConfigError for a name that cannot be, or is taken."""
    if not re.fullmatch(NAME, name):
        raise ConfigError(
            f"'{name}' cannot name a source.", "Use small letters, digits and _, beginning with a letter."
        )
    if (defs / name).exists():
        raise ConfigError(f"There is a source called '{name}' already.", f"Look at it: {defs / name / 'defs.yaml'}")


def write_source_file(defs: Path, name: str, kind: str, settings: Mapping[str, Any], *, enabled: bool) -> Path:
    """The YAML of a source; ``settings`` are the keys under its platform, secrets as ``{{ env.NAME }}``."""
    file = defs / name / "defs.yaml"
    platform = yaml.safe_dump({"kind": kind, **settings}, sort_keys=False, allow_unicode=True, width=110)
    text = _TEMPLATE.format(
        title=f"{name}: {kind}. docs/sources.md explains its keys.",
        component=COMPONENT,
        source=name,
        counter=_first_counter(kind, settings),
        platform="".join(f"    {line}\n" for line in platform.splitlines()).rstrip("\n"),
        enabled=str(enabled).lower(),
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def _first_counter(kind: str, settings: Mapping[str, Any]) -> str:
    """For an example of a rule. The settings are taken as they are: the reader of the YAML judges them."""
    return next(iter(adapter(kind).model_construct(**settings).policies))


def keep_secret(env_file: Path, variable: str, value: str) -> None:
    """Write one secret into ``.env``, which only its owner may read. Raises ConfigError for one that it cannot hold."""
    from dotenv import set_key

    if re.search(r"\$\{[^}]*\}", value):
        # There is no way to escape it; whoever reads the file, Dagster among them, puts a variable in its place.
        raise ConfigError(
            f"What was given for {variable} holds ${{...}}, in whose place readers of .env put another variable.",
            f"Set {variable} in the environment instead, then run ratchet source add again.",
        )
    if not env_file.exists():
        os.close(os.open(env_file, os.O_CREAT | os.O_WRONLY, 0o600))
    set_key(env_file, variable, value, quote_mode="always")
    env_file.chmod(0o600)
