"""What a check expects of a column, judged by Pandera, with a capped sample of what broke it.

Pandera is asked for at most SAMPLE failure cases: a million failing rows would otherwise become a
table of gigabytes (docs/decisions.md). The count of all failing rows is taken from the predicate.
Where every predicate holds there is nothing to report, and Pandera, which would ask the very same
predicates again at several times their cost, is not called: a year of history is judged by the hour.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    import pandera.pandas as pandera

SAMPLE = 100


@dataclass(frozen=True)
class Expectation:
    """``sound`` maps the column to booleans, one a row: True where the row may stand.

    ``words`` describes a row that may not, as in "views is not a whole number".
    """

    column: str
    words: str
    sound: Callable[[pd.Series], pd.Series]


@dataclass(frozen=True)
class Breach:
    """An expectation that Pandera found broken: by how many rows, and the first of them."""

    expectation: Expectation
    failing: int
    rows: pd.DataFrame


def breaches(frame: pd.DataFrame, expectations: Sequence[Expectation]) -> list[Breach]:
    """Validate ``frame`` and return what is broken, in the order of the expectations."""
    if frame.empty or all(expectation.sound(frame[expectation.column]).all() for expectation in expectations):
        return []
    from pandera.errors import SchemaErrors

    try:
        _schema(expectations).validate(frame, lazy=True)
    except SchemaErrors as errors:
        cases = errors.failure_cases
        return [
            _breach(frame, expectation, cases[cases["check"] == str(position)]["index"])
            for position, expectation in enumerate(expectations)
            if (cases["check"] == str(position)).any()
        ]
    return []


def _schema(expectations: Sequence[Expectation]) -> pandera.DataFrameSchema:
    import pandera.pandas as pandera

    columns: dict[str, list[pandera.Check]] = {}
    for position, expectation in enumerate(expectations):
        check = pandera.Check(
            expectation.sound,
            name=str(position),
            ignore_na=False,
            n_failure_cases=SAMPLE,
            error=str(position),
        )
        columns.setdefault(expectation.column, []).append(check)
    return pandera.DataFrameSchema(
        {name: pandera.Column(None, checks=checks, nullable=True) for name, checks in columns.items()}
    )


def _breach(frame: pd.DataFrame, expectation: Expectation, positions: Any) -> Breach:
    failing = int((~expectation.sound(frame[expectation.column]).astype(bool)).sum())
    return Breach(expectation, failing, frame.loc[list(positions)[:SAMPLE]])
