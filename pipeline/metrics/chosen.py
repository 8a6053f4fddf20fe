"""Which items of a source are given, where it has more of them than are wanted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

Counts = Mapping[str, Mapping[str, int]]
"""By item its counters."""


def chosen(counts: Counts, counters: Sequence[str], most: int) -> list[str]:
    """At most ``most`` items: those with a counter that few others have, then those with the highest first counter.

    What the owner of a program named (the sum of its errors, its queue) is of one item or a few. Its thousands of
    series would otherwise stand before it.
    """
    if len(counts) <= most:
        return list(counts)
    holders = Counter(counter for of_item in counts.values() for counter in of_item)

    def order(item: str) -> tuple[int, int, str]:
        of_item = counts[item]
        rarest = min((holders[counter] for counter in of_item), default=len(counts))
        return rarest, -of_item.get(counters[0], -1), item

    return sorted(counts, key=order)[:most]
