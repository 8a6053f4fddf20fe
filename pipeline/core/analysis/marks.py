"""The owner's own marks: what happened outside that a chart cannot know, such as a cross-post."""

from __future__ import annotations

import uuid
from datetime import datetime

from pipeline.core.errors import ConfigError
from pipeline.core.files import encode_json
from pipeline.core.lake import VALIDATED, SourceLake
from pipeline.core.records import Mark, decode
from pipeline.core.snapshots import read_table

LONGEST = 300


def make_mark(
    lake: SourceLake, text: str, *, by: str, made_at: datetime, at: datetime | None = None, item_id: str | None = None
) -> Mark:
    """Sign a mark at ``at``, by default now. Raises ConfigError where it cannot stand; the caller holds `writing`."""
    text, by = " ".join(text.split()), by.strip()
    if not text or len(text) > LONGEST:
        raise ConfigError(f"A mark has 1 to {LONGEST} characters.", "Say shortly what happened.")
    if not by:
        raise ConfigError("A mark is signed.", "Say who makes it: --by NAME")
    if at is not None and at > made_at:
        raise ConfigError("A mark lies in the past.", "Leave out --at to mark the present.")
    _require_known(lake, item_id)
    mark = Mark(uuid.uuid4().hex[:12], made_at, by, text, at or made_at, item_id)
    lake.publish(lake.mark_path(made_at, mark.id), encode_json(mark))
    return mark


def _require_known(lake: SourceLake, item_id: str | None) -> None:
    last = lake.last_accepted()
    if item_id is None:
        return
    known = set() if last is None else set(read_table(lake.path(VALIDATED, last), ["item_id"])["item_id"].to_pylist())
    if item_id not in known:
        raise ConfigError(f"{lake.name} has no item '{item_id}'.", f"See its items: ratchet show {lake.name}")


def marks(lake: SourceLake) -> list[Mark]:
    """Every mark in order of the time that it marks. Raises LakeFault where one is damaged."""
    return sorted((decode(path, Mark) for path in lake.mark_paths()), key=lambda mark: mark.at)
