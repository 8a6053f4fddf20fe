"""How findings speak of items and values: short, counted, and with text from outside cut and never interpreted."""

from __future__ import annotations

from typing import Any

import pandas as pd

from pipeline.core.hours import format_time
from pipeline.core.text import legible, listed

NAMED = 3


def names(rows: pd.DataFrame, total: int | None = None) -> str:
    total = len(rows) if total is None else total
    first = [
        f"{legible(str(row['title'] or '(untitled)'))} [{legible(str(row['item_id']))}]"
        for row in records(rows.head(NAMED))
    ]
    return listed(first, total)


def sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def records(rows: pd.DataFrame) -> tuple[dict[str, Any], ...]:
    return tuple({str(k): cell(v) for k, v in row.items()} for row in rows.to_dict("records"))


def cell(value: Any) -> Any:
    """A value as JSON and a table can hold it; text from outside is cut, never interpreted."""
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if hasattr(value, "tzinfo"):
        return format_time(value) if value.tzinfo else str(value)
    if isinstance(value, bool | int | float):
        return value if not isinstance(value, int) or abs(value) < 2**63 else str(value)
    return str(value)[:200]
