"""The schema of a point's attributes, as its YAML declares it, judged by Pandera."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pipeline.platforms.points.settings import FieldSpec

if TYPE_CHECKING:
    import pandera.pandas as pandera


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_SOUND: Mapping[str, Callable[[Any], bool]] = {
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": _is_number,
    "text": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
}


def broken_fields(fields: Mapping[str, FieldSpec], attributes: Sequence[Mapping[str, Any]]) -> dict[int, str]:
    """By place in ``attributes``, why an event breaks the schema. An attribute that is null is missing.

    All events of one page are judged at once, so what Pandera makes of failures is bounded by a page.
    """
    import pandas as pd
    from pandera.errors import SchemaErrors

    frame = pd.DataFrame(
        {name: pd.Series([one.get(name) for one in attributes], dtype=object) for name in fields},
        index=range(len(attributes)),
    )
    try:
        _schema(tuple(fields.items())).validate(frame, lazy=True)
    except SchemaErrors as errors:
        cases = errors.failure_cases
        found: dict[int, str] = {}
        for place, words in zip(cases["index"], cases["check"], strict=True):
            found.setdefault(int(place), str(words))
        return found
    return {}


@lru_cache(maxsize=256)
def _schema(fields: tuple[tuple[str, FieldSpec], ...]) -> pandera.DataFrameSchema:
    import pandera.pandas as pandera

    columns = {}
    for name, spec in fields:
        checks = [_check(_typed(spec), f"its {name} is no {spec.type}")]
        if spec.required:
            checks.append(_check(lambda value: value is not None, f"its {name} is missing"))
        columns[name] = pandera.Column(None, checks=checks, nullable=True)
    return pandera.DataFrameSchema(columns)


def _typed(spec: FieldSpec) -> Callable[[Any], bool]:
    sound = _SOUND[spec.type]
    return lambda value: value is None or sound(value)


def _check(sound: Callable[[Any], bool], words: str) -> pandera.Check:
    import pandera.pandas as pandera

    # map keeps objects: element_wise would let pandas turn None into NaN on the way.
    return pandera.Check(
        lambda column: column.map(sound, na_action=None).astype(bool), name=words, error=words, ignore_na=False
    )
