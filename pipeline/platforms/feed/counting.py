"""What every feed does alike while it counts: its bounds, evidence of each refused record, the columns at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from pipeline.platforms.protocol import ITEM_FIELDS, Columns

MINUTES_KEPT = 10
EVIDENCE_ROWS = 1_000
_EVIDENCE_LENGTH = 2_000

PlainName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
"""A name of one's own in the YAML, which a counter is called by or after."""


class Refusals:
    """How many records were refused, and the first EVIDENCE_ROWS of them with their place, reason and text."""

    def __init__(self) -> None:
        self.count = 0
        self._rows: list[Mapping[str, Any]] = []

    @property
    def rows(self) -> tuple[Mapping[str, Any], ...]:
        """The evidence: place, position, reason, and the beginning of the event as legible text."""
        return tuple(self._rows)

    def add(self, place: str, position: int, reason: str, text: bytes) -> None:
        """Count a record that was refused. ``position`` is its byte or its offset in ``place``."""
        self.count += 1
        if len(self._rows) < EVIDENCE_ROWS:
            shown = text[:_EVIDENCE_LENGTH].decode("utf-8", "backslashreplace")
            self._rows.append({"place": place, "position": position, "reason": reason, "event": shown})


def columns(
    counts: Mapping[str, Mapping[str, int]],
    counters: Sequence[str],
    titles: Mapping[str, str | None],
    published: Mapping[str, datetime | None],
) -> Columns:
    """Every item in the order of its name. What has no title or time here stays as it is known already."""
    items = sorted(counts)
    found: Columns = {name: [None] * len(items) for name in ITEM_FIELDS}
    found |= {"item_id": items, "title": [titles.get(item) for item in items]}
    found["published_at"] = [published.get(item) for item in items]
    return found | {counter: [counts[item].get(counter) for item in items] for counter in counters}
