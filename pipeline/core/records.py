"""The JSON records of the lake as types: quarantine, correction, report. Their schemas are in docs/schemas.

What is written here is read again after years, so fields are only ever added.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from pipeline.core.files import damaged
from pipeline.core.model import Bounds, Counter, Crossing, Finding, Origin, Rule


class Terms(msgspec.Struct, frozen=True):
    """What a capture was judged by. A rebuild uses the terms of the time, not those of today's YAML."""

    counters: tuple[Counter, ...]
    bounds: Bounds
    rules: tuple[Rule, ...]


class Lineage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Stands in the metadata of an accepted snapshot: what it was made from.

    ``credential_expires``: the end of the credential, where the capture told.
    """

    source: str
    hour: str
    capture: str
    origin: Origin
    previous_hour: str | None
    first_accepted_at: datetime
    corrections: tuple[str, ...]
    terms: Terms
    credential_expires: datetime | None = None


class Quarantine(msgspec.Struct, frozen=True):
    """Why a capture was refused. ``compared_with`` is the accepted hour that it was judged against.

    ``terms`` is None in records of before they were written down.
    """

    source: str
    hour: str
    capture: str
    captured_at: datetime
    origin: Origin
    compared_with: str | None
    failed: tuple[str, ...]
    reason: str
    findings: tuple[Finding, ...]
    terms: Terms | None = None


class RefusedRecords(msgspec.Struct, frozen=True):
    """What a feed told that could not be counted, in a capture that may well be accepted.

    ``rows``: the first of ``count``, each with its place, position, reason and the record itself, cut.
    """

    source: str
    capture: str
    captured_at: datetime
    count: int
    rows: tuple[Mapping[str, Any], ...]


Action = Literal["accept", "lower", "reject"]


class Correction(msgspec.Struct, frozen=True, omit_defaults=True):
    """A signed decision of the owner about one capture. The latest decision on a capture counts.

    ``items``: of the action ``lower`` the ids of the items whose fall is true; whatever else the checks
    found in the capture still stands against it.
    """

    id: str
    made_at: datetime
    by: str
    reason: str
    action: Action
    hour: str
    capture: str
    items: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """What was decided, as in "accepted by Ada". Ids and names are text from outside."""
        if self.action == "lower":
            named = "item" if len(self.items) == 1 else "items"
            return f"lower values of {named} {', '.join(self.items)} accepted by {self.by}"
        return f"{self.action}ed by {self.by}"


class Mark(msgspec.Struct, frozen=True):
    """What the owner says happened at ``at``, to one item or to the source: a sign on the charts, no more."""

    id: str
    made_at: datetime
    by: str
    text: str
    at: datetime
    item_id: str | None


class Receipt(msgspec.Struct, frozen=True):
    """That a channel took a message. ``channel`` names it without its secrets."""

    key: str
    channel: str
    sent_at: datetime
    title: str
    crossings: tuple[str, ...]


class Movement(msgspec.Struct, frozen=True):
    """One counter over the whole catalogue. ``total`` counts observed and carried items.

    ``delta`` sums what is known; it is None where no item has a predecessor.
    """

    total: int
    delta: int | None
    per_hour: float | None
    items_moved: int


class Mover(msgspec.Struct, frozen=True):
    """An item that gained much of a counter in the hour. ``delta``: since its last observation.

    ``per_hour`` is None where no time lies between.
    """

    item_id: str
    title: str | None
    url: str | None
    counter: str
    value: int
    delta: int
    per_hour: float | None


class Coverage(msgspec.Struct, frozen=True):
    """Hours of a window that ends with the report's hour and starts no earlier than the first capture."""

    hours: int
    observed: int
    quarantined: int
    gaps: int


class Items(msgspec.Struct, frozen=True):
    """How many items of a snapshot were observed, some of them for the first time, and how many are carried."""

    observed: int
    carried: int
    first_seen: int


class Revision(msgspec.Struct, frozen=True):
    """What a platform changed about a day that it had told before. ``before`` is None where it had left it out."""

    item_id: str
    title: str | None
    counter: str
    day: date
    before: int | None
    after: int


class Signal(msgspec.Struct, frozen=True, omit_defaults=True):
    """One evaluation of one check, before any word of the owner.

    ``passed`` with ``failing`` items is a warning. ``judged``: False where the ground of the check failed.
    ``seconds`` that it took; None where nobody measured, as in signals that were made again.
    ``measures``: the numbers that it found, whether it passed or not.
    """

    check: str
    passed: bool
    failing: int = 0
    judged: bool = True
    seconds: float | None = None
    measures: dict[str, float] = {}


class Volume(msgspec.Struct, frozen=True, omit_defaults=True):
    """How much a capture held. ``nulls``: by column the items without it. ``refused_records``: of a feed.

    ``bytes`` are those of all readings; None of a feed, which reads on. ``fields``: as the platform names them, with
    dots between an object and what is in it, of the first pages; those that the adapter drops are among them.
    """

    items: int
    pages: int
    nulls: dict[str, int]
    bytes: int | None = None
    fields: tuple[str, ...] = ()
    refused_records: int = 0


class Signals(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the checks measured when they first judged a capture, or the delta of an hour, which has no ``volume``.

    Of live captures alone: ``late_seconds`` after the source's minute, ``capture_seconds`` from the first request to
    the last reply.
    """

    source: str
    hour: str
    capture: str
    captured_at: datetime
    origin: Origin
    checks: tuple[Signal, ...]
    volume: Volume | None = None
    late_seconds: float | None = None
    capture_seconds: float | None = None


class Report(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one accepted hour says. ``rule_state`` is what the rules carry to the next hour.

    ``warnings`` are what the owner should see to while data still flows, in plain sentences.

    ``revisions`` are the largest ones of ``revised``, of counters that the platform tells per day.
    """

    source: str
    hour: str
    captured_at: datetime
    origin: Origin
    simulated: bool
    owner: str | None
    previous_hour: str | None
    elapsed_seconds: float | None
    items: Items
    movement: dict[str, Movement]
    top_movers: tuple[Mover, ...]
    crossings: tuple[Crossing, ...]
    coverage: dict[str, Coverage]
    corrections: tuple[Correction, ...]
    rule_state: dict[str, dict[str, Any]]
    credential_expires: datetime | None = None
    warnings: tuple[str, ...] = ()
    revisions: tuple[Revision, ...] = ()
    revised: int = 0


T = TypeVar("T")


def decode(path: Path, kind: type[T]) -> T:
    """Read a record. Raises LakeFault where the file is not one, or is missing."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (ValueError, OSError) as fault:
        raise damaged(path, str(fault)) from fault
