"""What a capture is judged on: its own items and the last accepted snapshot before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.core.listing import Listing
from pipeline.core.model import Bounds, Counter


@dataclass(frozen=True)
class Evidence:
    """What a capture is judged on. ``previous``: the last accepted snapshot before it, or None.

    ``credential_days``: how many days before its credential ends the owner wants to know. ``lowered``: the
    ids of items of which the owner said that their counters fell in truth.
    """

    counters: Sequence[Counter]
    bounds: Bounds
    listing: Listing
    previous: pd.DataFrame | None
    credential_days: Sequence[int] = ()
    lowered: frozenset[str] = frozenset()

    @property
    def items(self) -> pd.DataFrame:
        """A row for each listed item: item_id, title, url, published_at and a column for each counter."""
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
        places = places_of(self.items["item_id"], self.previous["item_id"])
        pairs: pd.DataFrame = self.items[places.is_valid().to_numpy(zero_copy_only=False)].reset_index(drop=True)
        for name in names:
            if name in self.previous:
                suffix = "_before" if name in self.items else ""
                pairs[f"{name}{suffix}"] = found_at(places.drop_null(), self.previous[name])
        return pairs


def places_of(wanted: pd.Series, among: pd.Series) -> pa.Array:
    """Where each of the texts stands ``among`` others, of which none stands twice; null where it does not.

    With `found_at` it does what a merge of pandas does, at a fraction of the cost, which every hour
    of a history pays.
    """
    return pc.index_in(_arrow(wanted), value_set=_arrow(among))


def found_at(places: pa.Array, column: pd.Series) -> pd.Series:
    """The values of an Arrow-backed column at those places; null where there is none."""
    found = _arrow(column).take(places)
    return pd.Series(found, dtype=pd.ArrowDtype(found.type))


def _arrow(column: pd.Series) -> pa.Array:
    array = pa.array(column)
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def is_name(column: pd.Series) -> pd.Series:
    """True where the value can be an item's id: a text that is not empty."""
    if column.dtype == object:
        return column.map(lambda value: isinstance(value, str) and value != "").astype(bool)
    return (column.notna() & (column != "")).fillna(False).astype(bool)


def allowed(items: int, share: float, total: int) -> int:
    """How many of ``total`` may be gone, or fall, at once."""
    return max(items, int(share * total))
