"""The small records of a source: corrections, marks, incidents, receipts, and notes about the present.

One JSON file each, named so that a listing sorts by time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from pipeline.core.errors import LakeFault
from pipeline.core.files import encode_json, lake_faults, listing, safe_name
from pipeline.core.hours import Hour
from pipeline.core.publishing import SENDING, WRITING, Publisher
from pipeline.core.records import decode

CAPTURED_AT = "%Y%m%dT%H%M%S%fZ"
"""How a moment stands in the name of a file."""


@dataclass(frozen=True)
class SmallRecords(Publisher):
    """The records of one source, or of the whole project."""

    def correction_paths(self) -> list[Path]:
        """The owner's signed decisions in the order in which they were made."""
        return [self.root / "corrections" / f"{name}.json" for name in self._names("corrections")]

    def correction_path(self, made_at: datetime, identifier: str) -> Path:
        """Where a decision made then has its place. Raises LakeFault for an identifier that no file name can hold."""
        return self._record("corrections", _stamped(made_at, identifier))

    def mark_paths(self) -> list[Path]:
        """What the owner marked in the history, in the order in which it was written down."""
        return [self.root / "marks" / f"{name}.json" for name in self._names("marks")]

    def mark_path(self, made_at: datetime, identifier: str) -> Path:
        """Where a mark made then has its place. Raises LakeFault for an identifier that no file name can hold."""
        return self._record("marks", _stamped(made_at, identifier))

    def note(self, name: str) -> Path:
        """A small mutable mark about the present (a dead session, a rebuild under way), never about the past."""
        return self._record("notes", name)

    def read_note(self, name: str) -> dict[str, Any] | None:
        """What the note says, None where there is none. Raises LakeFault where it is damaged."""
        path = self.note(name)
        try:
            return decode(path, dict[str, Any])
        except LakeFault:
            if path.exists():
                raise
            return None

    def write_note(self, name: str, content: Mapping[str, Any] | msgspec.Struct, by: str = WRITING) -> None:
        """The caller holds `writing`, or `sending` and says so (``by=SENDING``)."""
        self._replace(self.note(name), encode_json(content), by, recorded=False)

    def note_names(self, beginning: str) -> list[str]:
        """The notes whose names begin so, in the order of their names."""
        return [name for name in self._names("notes") if name.startswith(beginning)]

    def drop_note(self, name: str) -> None:
        """Remove the note, where there is one. Raises LakeFault."""
        with lake_faults(self.note(name)):
            self.note(name).unlink(missing_ok=True)

    def incident(self, name: str) -> Path:
        """``name``: of an incident, or of how it ended. See core.incidents.book."""
        return self._record("incidents", name)

    def incident_names(self) -> list[str]:
        """Of every incident and of every end of one, in the order in which they opened. Raises LakeFault."""
        return self._names("incidents")

    # Receipts: see notify.delivery.Receipts ----------------------------------------------------

    def has(self, key: str) -> bool:
        """Whether the message with this key was taken by its channel."""
        return self._receipt(key).exists()

    def put(self, key: str, receipt: Mapping[str, Any]) -> None:
        """Keep a receipt for good; one that is there already stays. The caller holds `sending`. Raises LakeFault."""
        self.publish(self._receipt(key), encode_json(receipt), by=SENDING)

    def receipts(self, first: Hour, channel: str) -> list[Path]:
        """The receipts of one channel for the hours from ``first`` on, found by their names, in order of time."""
        names = (name for name in self._names("receipts") if name.endswith(f"--{channel}"))
        return [self._receipt(name) for name in names if name[: len(first.key)] >= first.key]

    def _receipt(self, key: str) -> Path:
        return self._record("receipts", key)

    def _names(self, folder: str) -> list[str]:
        entries = listing(self.root / folder)
        return sorted(entry.removesuffix(".json") for entry in entries if entry.endswith(".json"))

    def _record(self, folder: str, name: str) -> Path:
        return self.root / folder / f"{safe_name(name)}.json"


def _stamped(made_at: datetime, identifier: str) -> str:
    return f"{made_at.astimezone(UTC).strftime(CAPTURED_AT)}-{identifier}"
