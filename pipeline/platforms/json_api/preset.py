"""A description that is shipped: a YAML file under `platforms/presets/`, and a platform kind of the file's name.

It has the keys of `json_api`, and `parameters`: the keys that a source of this kind gives beside
those of every platform. Their values stand for ${name} in paths, params and auth; a part of auth
that needs one that was not given is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, Field, SecretStr, create_model, model_validator

from pipeline.core.yaml_lines import read_document
from pipeline.platforms.json_api.adapter import Described
from pipeline.platforms.json_api.description import Auth, Description, as_text
from pipeline.platforms.json_api.expressions import fill, placeholders
from pipeline.platforms.protocol import BASE_URL, Platform


class Parameter(BaseModel, frozen=True, extra="forbid"):
    """One key of a source of this kind. ``pattern`` is a regular expression for the whole of its value."""

    description: str
    pattern: str | None = None
    secret: bool = False
    optional: bool = False

    def as_field(self) -> tuple[Any, Any]:
        """Type and field, as pydantic.create_model takes them."""
        kind: Any = SecretStr if self.secret else Annotated[str, BeforeValidator(as_text)]
        limits: dict[str, Any] = {"min_length": 1} | ({"pattern": f"^(?:{self.pattern})$"} if self.pattern else {})
        default = None if self.optional else ...
        return (kind | None) if self.optional else kind, Field(default, description=self.description, **limits)


class PresetFile(Description, frozen=True):
    """The YAML of a preset."""

    login_hint: str
    parameters: Mapping[str, Parameter] = Field(default={})
    base_url: str | None = None
    requests_per_second: float = 1.0

    @model_validator(mode="after")
    def _every_placeholder_is_a_parameter(self) -> PresetFile:
        known = set(self.parameters) | (set(self.lookup.gives) if self.lookup else set())
        asked = self.placeholders | (self.lookup.placeholders if self.lookup else set())
        if unknown := (asked | {name for secret in self.auth.secrets for name in placeholders(secret)}) - known:
            raise ValueError(f"no parameter is called {' or '.join(sorted(unknown))}")
        return self


class Preset(Described, frozen=True):
    """One account on a platform that a preset describes."""

    described: ClassVar[PresetFile]

    @property
    def description(self) -> Description:
        """That of the file of its kind, which all its accounts share."""
        return self.described

    @property
    def values(self) -> Mapping[str, str]:
        """The parameters that are not secret, for the ${name} in paths and params."""
        given = {name: getattr(self, name) for name in self.described.parameters}
        return {name: value for name, value in given.items() if isinstance(value, str)}

    @property
    def secrets(self) -> Mapping[str, str]:
        """The parameters that are, for the ${name} in what is sent as auth."""
        given = {name: getattr(self, name) for name in self.described.parameters}
        return {name: value.get_secret_value() for name, value in given.items() if isinstance(value, SecretStr)}

    @property
    def credential(self) -> str:
        """All its secrets, one a line: renewing any of them is a new credential."""
        return "\n".join(self.secrets.values())

    @property
    def sent(self) -> Auth:
        """What goes with each request, filled with `secrets`; a part whose value was not given is left out."""
        auth, secrets = self.described.auth, self.secrets
        return Auth(
            headers=_filled(auth.headers, secrets),
            cookies=_filled(auth.cookies, secrets),
            query=_filled(auth.query, secrets),
        )

    @model_validator(mode="after")
    def _everything_is_given(self) -> Preset:
        lookup, given = self.described.lookup, self.values.keys()
        needed = self.described.placeholders
        if lookup is not None and not lookup.gives.keys() <= given:
            needed = (needed - lookup.gives.keys()) | lookup.placeholders
        if missing := sorted(needed - given):
            raise ValueError(f"the key '{missing[0]}' is missing")
        return self


@cache
def preset(file: Path) -> type[Platform]:
    """The adapter's class of the preset that ``file`` holds; its kind is the file's name."""
    described = PresetFile.model_validate(read_document(file).values)
    kind = file.stem
    fields: dict[str, Any] = {
        "kind": (Literal[kind], kind),
        "base_url": (str, Field(described.base_url or ..., pattern=BASE_URL)),
        "requests_per_second": (float, Field(described.requests_per_second, gt=0)),
    }
    fields |= {name: parameter.as_field() for name, parameter in described.parameters.items()}
    made = create_model(kind.title(), __base__=Preset, __module__=__name__, **fields)
    made.described, made.login_hint = described, described.login_hint
    return made


def _filled(sent: Mapping[str, SecretStr], secrets: Mapping[str, str]) -> dict[str, SecretStr]:
    """What is sent, without what needs a secret that was not given."""
    texts = {name: value.get_secret_value() for name, value in sent.items()}
    return {
        name: SecretStr(fill(text, secrets)) for name, text in texts.items() if placeholders(text) <= secrets.keys()
    }
