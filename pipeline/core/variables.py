"""Variables of the environment in a source's YAML, written ``{{ env.NAME }}``: the only place where they are filled in.

One that is not set leaves a stand-in, and the error that says so: whoever captures or sends raises it, and whoever
only reads the lake goes on, as no history needs a secret.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.core.source_mistakes import Mistake
from pipeline.core.withheld import withhold_filled
from pipeline.core.yaml_lines import Document, Place, error_at

STAND_IN = "https://unset.invalid"
"""For the value of a variable that is not set: an address that leads nowhere, which passes for a secret as well."""
_VARIABLE = re.compile(r"\{\{\s*env\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
_TEMPLATE = re.compile(r"\{\{.*?\}\}")


def fill_in(
    document: Document, attributes: dict[str, Any], env: Mapping[str, str]
) -> tuple[dict[str, Any], Unset | None]:
    """The attributes with their variables filled in, and what has to be said of those that are not set.

    Raises ConfigError where something else stands in double braces.
    """
    filling = _Filling(document, env)
    filled = {key: filling.fill(value, ("attributes", key)) for key, value in attributes.items()}
    return filled, Unset(filling.unset) if filling.unset else None


@dataclass(frozen=True)
class Unset:
    """``places``: by variable those where a stand-in is."""

    places: Mapping[str, Sequence[Place]]

    @property
    def mistake(self) -> Mistake:
        """One for all of them, at the place of the first."""
        names = list(self.places)
        what = f"the variable {names[0]} is" if len(names) == 1 else f"the variables {', '.join(names)} are"
        settings = ", ".join(f"{name}=..." for name in names)
        return Mistake(self.places[names[0]][0], f"{what} not set", f"Put {settings} into .env or the environment.")

    def explains(self, mistake: Mistake) -> bool:
        """Whether the mistake may be that of a stand-in, which is at its place or within it."""
        return any(place[: len(mistake.place)] == mistake.place for found in self.places.values() for place in found)


@dataclass
class _Filling:
    document: Document
    env: Mapping[str, str]
    unset: dict[str, list[Place]] = field(default_factory=dict)

    def fill(self, value: Any, at: Place) -> Any:
        if isinstance(value, dict):
            return {key: self.fill(child, (*at, key)) for key, child in value.items()}
        if isinstance(value, list):
            return [self.fill(child, (*at, n)) for n, child in enumerate(value)]
        if not isinstance(value, str):
            return value
        return _TEMPLATE.sub(lambda found: self._variable(found, at), value)

    def _variable(self, found: re.Match[str], at: Place) -> str:
        name = _VARIABLE.fullmatch(found[0])
        if name is None:
            raise error_at(
                self.document,
                at,
                "only {{ env.NAME }} can stand in double braces",
                "Write the value itself, or name a variable.",
            )
        value = self.env.get(name[1])
        if not value:
            self.unset.setdefault(name[1], []).append(at)
            return STAND_IN
        withhold_filled(value)
        return value
