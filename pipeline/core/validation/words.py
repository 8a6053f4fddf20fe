"""How findings speak of items and values: short, counted, and with text from outside cut and never interpreted."""

from __future__ import annotations

from typing import Any

import pandas as pd

from pipeline.core.hours import format_time
from pipeline.core.policy import LARGEST
from pipeline.core.text import legible, listed

NAMED = 3


def names(rows: pd.DataFrame, total: int | None = None) -> str:
    """The items of the first rows, each as ``title [id]``, and how many more of ``total`` there are.

    ``rows`` has the columns item_id and title; ``total`` is the number of rows unless more were found.
    """
    total = len(rows) if total is None else total
    return listed([called(row) for row in records(rows.head(NAMED))], total)


def called(row: dict[str, Any]) -> str:
    """``title [id]`` of a row with both: commands take the id."""
    return f"{legible(str(row['title'] or '(untitled)'))} [{legible(str(row['item_id']))}]"


def sentence(text: str) -> str:
    """With a capital letter at its beginning and one full stop at its end."""
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def records(rows: pd.DataFrame) -> tuple[dict[str, Any], ...]:
    """The rows as JSON can hold them, by the names of their columns."""
    return tuple({str(k): cell(v) for k, v in row.items()} for row in rows.to_dict("records"))


def cell(value: Any) -> Any:
    """A value as JSON and a table can hold it; text from outside is cut, never interpreted."""
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if hasattr(value, "tzinfo"):
        return format_time(value) if value.tzinfo else str(value)
    if isinstance(value, bool | int | float):
        return value if not isinstance(value, int) or abs(value) <= LARGEST else str(value)
    return str(value)[:200]
