"""What is wrong in a source's YAML, all of it at once and in YAML's words, made of what pydantic says of a model.

No value is repeated but a number, or true or false, where no secret can stand: a text may have come from the
environment, or be a secret in the wrong place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, get_args

from pydantic import BaseModel, SecretStr, ValidationError

from pipeline.core.errors import ConfigError
from pipeline.core.text import unlisted
from pipeline.core.yaml_lines import Document, Place

MOST = 10
"""Mistakes that one error names; what is mended first often takes others along."""
_LOOKED_AT = 100
"""Mistakes whose lines are looked for: each costs a walk through the file."""
_LIST, _MAPPING, _TEXT = "a list", "a mapping (key: value)", "a text"
_WHOLE, _NUMBER, _FLAG = "a whole number", "a number", "true or false"
_EXPECTED = {
    "list_type": _LIST,
    "tuple_type": _LIST,
    "dict_type": _MAPPING,
    "model_type": _MAPPING,
    "string_type": _TEXT,
    "path_type": _TEXT,
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "bool_type": _FLAG,
    "bool_parsing": _FLAG,
}
"""Pydantic's types of errors; of any other its own sentence stands."""
_CHOICES = ("enum", "literal_error")
_NAME = re.compile(r"[\w.\[\]-]{1,60}")
"""What a key looks like. Of anything else it is not known what it is: a secret, or an end of the line."""


@dataclass(frozen=True)
class Mistake:
    """``place`` in the file, what is wrong there, and what to do about it where that is more than mending the line."""

    place: Place
    words: str
    hint: str | None = None


def mistakes(model: type[BaseModel], values: Any, fault: ValidationError, at: Place) -> list[Mistake]:
    """What ``fault`` says of the ``values`` that stand at ``at``, one for each place.

    Of a value that could have been one thing or another there is an error for each: the one that looked deepest counts.
    """
    found: dict[Place, list[Mapping[str, Any]]] = {}
    for error in fault.errors(include_url=False):
        found.setdefault(_place(error, values), []).append(error)
    above = {place[:length] for place in found for length in range(len(place))}
    return [_mistake(model, place, errors, at) for place, errors in found.items() if place not in above]


def all_in_one(document: Document, found: Sequence[Mistake]) -> ConfigError:
    """One error for the first of them, in the order of their lines; it is at the line of the first."""
    ordered = sorted(found[:_LOOKED_AT], key=lambda mistake: document.line(mistake.place))[:MOST]
    first, *others = ordered
    lines = [f"{document.path}:{document.line(other.place)}: {other.words}" for other in others]
    what = "\n".join([first.words, *lines, *unlisted(ordered, len(found))])
    mend = "Mend these lines." if others else "Mend the line."
    hints = dict.fromkeys(mistake.hint or mend for mistake in ordered)
    return ConfigError(what, " ".join(hints), file=document.path, line=document.line(first.place))


def _place(error: Mapping[str, Any], values: Any) -> Place:
    """Where the error is in the file: pydantic's way there, without the steps that are of its models alone."""
    place: list[str | int] = []
    for left, step in zip(reversed(range(len(error["loc"]))), error["loc"], strict=True):
        inside = step in values if isinstance(values, dict) else isinstance(values, list) and isinstance(step, int)
        if inside:
            values = values[step]
        if inside or (not left and error["type"] == "missing"):
            place.append(step)
    return tuple(place)


def _mistake(model: type[BaseModel], place: Place, errors: Sequence[Mapping[str, Any]], at: Place) -> Mistake:
    kind, within = errors[0]["type"], (*at[1:], *place)  # below 'attributes', where all of a source stands
    if kind in ("extra_forbidden", "missing"):
        *above, name = within
        where = f" in {_spelled(above)}" if above else ""
        named = f"'{_shown(name)}'"
        words = f"there is no key {named}" if kind == "extra_forbidden" else f"the key {named} is missing"
        hint = f"The keys{where} are: {', '.join(model.model_fields)}." if len(place) == 1 else None
        return Mistake((*at, *place), words + where, hint)
    words = _expectation(errors, _is_open(model, place)) or errors[0]["msg"].removeprefix("Value error, ")
    return Mistake((*at, *place), f"{_spelled(within)}: {words}" if within else words)


def _expectation(errors: Sequence[Mapping[str, Any]], is_open: bool) -> str | None:
    """What was due and what was found; None where the table does not say."""
    if errors[0]["type"] in _CHOICES:
        return f"{errors[0]['ctx']['expected']} is expected"
    expected = list(dict.fromkeys(_EXPECTED.get(error["type"]) for error in errors))
    if None in expected:
        return None
    found = _found(errors[0]["input"], is_open)
    example = f" (like [{found}])" if expected == [_LIST] and not found.startswith(("a ", "nothing")) else ""
    return f"{' or '.join(map(str, expected))} is expected{example}, found {found}"


def _found(value: Any, is_open: bool) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool | int | float):
        return str(value).lower() if is_open else _FLAG if isinstance(value, bool) else _NUMBER
    kinds = {str: _TEXT, list: _LIST, dict: "a mapping", date: "a date"}
    return next((words for kind, words in kinds.items() if isinstance(value, kind)), "something else")


def _is_open(model: type[BaseModel], place: Place) -> bool:
    """Whether no secret can stand under the key that leads to the place."""
    field = model.model_fields.get(str(place[0])) if place else None
    return field is not None and not _can_hold_secret(field.annotation)


def _can_hold_secret(kind: Any) -> bool:
    if kind is SecretStr or kind is Any:
        return True
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return any(_can_hold_secret(field.annotation) for field in kind.model_fields.values())
    return any(map(_can_hold_secret, get_args(kind)))


def _spelled(place: Sequence[str | int]) -> str:
    """``rules[0].crosses``."""
    return "".join(
        f"[{step}]" if isinstance(step, int) and not isinstance(step, bool) else f".{_shown(step)}" for step in place
    ).removeprefix(".")


def _shown(key: Any) -> str:
    return str(key) if _NAME.fullmatch(str(key)) else "..."
