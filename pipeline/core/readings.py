"""Reading a listing until it stood still: items can move between its pages while they are asked for.

A listing that is sorted by a changing number gives one item twice and leaves out another, and one
that shrinks meanwhile leaves an item out without a trace. Both are noticed here, inside one
capture, which then is read again. What still looks torn at the last reading is for the checks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass, field

from pipeline.core.text import listed
from pipeline.platforms.protocol import Columns, Page, Unreadable, lists_items

READINGS = 3
"""How often one capture reads a listing at most."""
_NAMED, _LONGEST = 3, 100


@dataclass(frozen=True)
class Shifted:
    """The pages before this belong to a reading that is not used; ``reason`` says why in plain words."""

    reason: str


def read_until_still(
    read_once: Callable[[], Iterator[Page]],
    read: Callable[[Page], Columns],
    counters: Sequence[str],
    expected: Set[str],
) -> Iterator[Page | Shifted]:
    """The pages of every reading, each but the last followed by why it is read again.

    ``expected`` holds the items that were listed last time. A reading that lacks some of them is
    read again, unless it has a single page or the reading before it lacked the very same items.
    """
    before: Set[str] | None = None
    for reading in range(1, READINGS + 1):
        found = _Items(read, counters)
        for page in read_once():
            yield page
            found.add(page)
        gone = expected - found.times.keys()
        reason = found.repeated() or (_missing(gone) if found.pages > 1 and gone != before else None)
        if reason is None or reading == READINGS:
            return
        yield Shifted(reason)
        before = gone


@dataclass
class _Items:
    """The items of one reading, and on how many pages they stood."""

    read: Callable[[Page], Columns]
    counters: Sequence[str]
    times: Counter[str] = field(default_factory=Counter)
    pages: int = 0

    def add(self, page: Page) -> None:
        try:
            columns = self.read(page)
        except Unreadable:
            return  # the checks name it
        if lists_items(columns, self.counters):
            self.times.update(item for item in columns["item_id"] if isinstance(item, str))
            self.pages += 1

    def repeated(self) -> str | None:
        twice = [item for item, times in self.times.items() if times > 1]
        return f"{_named(twice)} stood more than once" if twice else None


def _missing(gone: Set[str]) -> str | None:
    return f"{_named(sorted(gone))} was not listed" if gone else None


def _named(items: Sequence[str]) -> str:
    return listed([repr(item[:_LONGEST]) for item in items[:_NAMED]], len(items))
