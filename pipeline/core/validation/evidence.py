"""What a capture is judged on: its own items and the last accepted snapshot before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd
import pyarrow as pa

from pipeline.core.model import Bounds, Counter
from pipeline.core.validation.listing import Listing


@dataclass(frozen=True)
class Evidence:
    """What a capture is judged on. ``previous``: the last accepted snapshot before it, or None."""

    counters: Sequence[Counter]
    bounds: Bounds
    listing: Listing
    previous: pd.DataFrame | None

    @property
    def items(self) -> pd.DataFrame:
        return self.listing.items

    @cached_property
    def named(self) -> pd.DataFrame:
        """The items whose item_id is a text; where some is not, that is for required_fields to say."""
        if self.items["item_id"].dtype != object:
            return self.items
        sound = self.items[is_name(self.items["item_id"])]
        return sound.assign(item_id=sound["item_id"].astype(pd.ArrowDtype(pa.string())))

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """Items of the capture that were accepted before, old columns with the suffix ``_before``."""
        if self.previous is None:
            return self.items.head(0)
        names = [f"{c.name}{kept}" for c in self.counters for kept in ("", "_max", "_peak")]
        before = self.previous[["item_id", *(name for name in names if name in self.previous)]]
        return self.items.merge(before, on="item_id", how="inner", suffixes=("", "_before"))


def is_name(column: pd.Series) -> pd.Series:
    """True where the value can be an item's id: a text that is not empty."""
    if column.dtype == object:
        return column.map(lambda value: isinstance(value, str) and value != "").astype(bool)
    return (column.notna() & (column != "")).fillna(False).astype(bool)


def allowed(items: int, share: float, total: int) -> int:
    """How many of ``total`` may be gone, or fall, at once."""
    return max(items, int(share * total))
