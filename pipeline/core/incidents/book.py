"""The incidents of all sources as records of the lake: one file when it opens, one beside it when it is over.

Neither is ever changed. Whoever writes holds the sending lock of `Lake.project`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from pipeline.core.files import encode_json
from pipeline.core.lake import SourceLake
from pipeline.core.model import Cause
from pipeline.core.publishing import SENDING
from pipeline.core.records import decode

if TYPE_CHECKING:
    from pipeline.core.incidents.troubles import Trouble

_OVER = ".over"


class Incident(msgspec.Struct, frozen=True, omit_defaults=True):
    """``subject``: the source, or the id of a channel. ``since``: the first failure of those that led to it."""

    id: str
    subject: str
    cause: Cause
    opened_at: datetime
    since: datetime
    what: str
    next_step: str
    detail: str = ""
    ends: datetime | None = None
    rows: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, Cause, str]:
        """What makes two troubles the same one: while an incident with this key is open, no other opens."""
        return self.subject, self.cause, self.detail


class Over(msgspec.Struct, frozen=True, omit_defaults=True):
    """How an incident ended. ``recovered_at`` is None where nobody watches its subject any longer.

    ``gaps`` and ``quarantined`` are the hours that were lost meanwhile. ``decided`` and ``reason``: the owner's word
    on a refused capture and why it was given, where that ended the incident.
    """

    id: str
    over_at: datetime
    recovered_at: datetime | None = None
    gaps: int = 0
    quarantined: int = 0
    decided: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Book:
    """Reads and writes the incidents under ``lake``, which is that of the project."""

    lake: SourceLake

    def open_incidents(self) -> list[Incident]:
        """Those that are not over, oldest first. Raises LakeFault where one is damaged."""
        names = self.lake.incident_names()
        over = set(names)
        return [
            decode(self.lake.incident(name), Incident)
            for name in names
            if not name.endswith(_OVER) and name + _OVER not in over
        ]

    def ended(self, since: datetime) -> Iterator[tuple[Incident, Over]]:
        """What was over at ``since`` or later."""
        for name in reversed([name for name in self.lake.incident_names() if name.endswith(_OVER)]):
            over = decode(self.lake.incident(name), Over)
            if over.over_at >= since:
                yield decode(self.lake.incident(over.id), Incident), over

    def last(self, subject: str) -> tuple[Incident, Over | None] | None:
        """The newest incident of a subject, and how it ended if it did."""
        names = self.lake.incident_names()
        of_subject = [name for name in names if not name.endswith(_OVER) and name.split("--")[1] == subject]
        if not of_subject:
            return None
        name = of_subject[-1]
        over = decode(self.lake.incident(name + _OVER), Over) if name + _OVER in names else None
        return decode(self.lake.incident(name), Incident), over

    def open(self, trouble: Trouble, now: datetime) -> Incident:
        """Write a trouble down as an incident that began. Raises LakeFault."""
        parts = (f"{now:%Y-%m-%dT%H%M%S}", trouble.subject, trouble.cause, *filter(None, [trouble.detail]))
        incident = Incident(
            id="--".join(parts),
            subject=trouble.subject,
            cause=trouble.cause,
            opened_at=now,
            since=trouble.since,
            what=trouble.what,
            next_step=trouble.next_step,
            detail=trouble.detail,
            ends=trouble.ends,
            rows=trouble.rows,
        )
        self.lake.publish(self.lake.incident(incident.id), encode_json(incident), by=SENDING)
        return incident

    def close(self, over: Over) -> None:
        """Write down that an incident is over, beside what opened it. Raises LakeFault."""
        self.lake.publish(self.lake.incident(over.id + _OVER), encode_json(over), by=SENDING)
