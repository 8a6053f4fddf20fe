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

from pipeline.core.files import encode_json, lake_faults, listing, read_json, safe_name
from pipeline.core.hours import Hour
from pipeline.core.publishing import SENDING, WRITING, Publisher

CAPTURED_AT = "%Y%m%dT%H%M%S%fZ"
"""How a moment stands in the name of a file."""


@dataclass(frozen=True)
class SmallRecords(Publisher):
    """The records of one source, or of the whole project."""

    def correction_paths(self) -> list[Path]:
        """The owner's signed decisions in the order in which they were made."""
        folder = self.root / "corrections"
        return [folder / name for name in sorted(listing(folder)) if name.endswith(".json")]

    def correction_path(self, made_at: datetime, identifier: str) -> Path:
        stamp = made_at.astimezone(UTC).strftime(CAPTURED_AT)
        return self.root / "corrections" / f"{stamp}-{safe_name(identifier)}.json"

    def mark_paths(self) -> list[Path]:
        """What the owner marked in the history, in the order in which it was written down."""
        folder = self.root / "marks"
        return [folder / name for name in sorted(listing(folder)) if name.endswith(".json")]

    def mark_path(self, made_at: datetime, identifier: str) -> Path:
        stamp = made_at.astimezone(UTC).strftime(CAPTURED_AT)
        return self.root / "marks" / f"{stamp}-{safe_name(identifier)}.json"

    def note(self, name: str) -> Path:
        """A small mutable mark about the present (a dead session, a rebuild under way), never about the past."""
        return self.root / "notes" / f"{safe_name(name)}.json"

    def read_note(self, name: str) -> dict[str, Any] | None:
        path = self.note(name)
        return read_json(path) if path.exists() else None

    def write_note(self, name: str, content: Mapping[str, Any] | msgspec.Struct, by: str = WRITING) -> None:
        """The caller holds `writing`, or `sending` and says so (``by=SENDING``)."""
        self._replace(self.note(name), encode_json(content), by, recorded=False)

    def note_names(self, beginning: str) -> list[str]:
        """The notes whose names begin so, in the order of their names."""
        names = (entry.removesuffix(".json") for entry in listing(self.root / "notes") if entry.endswith(".json"))
        return sorted(name for name in names if name.startswith(beginning))

    def drop_note(self, name: str) -> None:
        with lake_faults(self.note(name)):
            self.note(name).unlink(missing_ok=True)

    def incident(self, name: str) -> Path:
        """``name``: of an incident, or of how it ended. See core.incidents.book."""
        return self.root / "incidents" / f"{safe_name(name)}.json"

    def incident_names(self) -> list[str]:
        entries = listing(self.root / "incidents")
        return sorted(entry.removesuffix(".json") for entry in entries if entry.endswith(".json"))

    # Receipts: see notify.delivery.Receipts ----------------------------------------------------

    def has(self, key: str) -> bool:
        return self._receipt(key).exists()

    def put(self, key: str, receipt: Mapping[str, Any]) -> None:
        self.publish(self._receipt(key), encode_json(receipt), by=SENDING)

    def receipts(self, first: Hour, channel: str) -> list[Path]:
        """The receipts of one channel for the hours from ``first`` on, found by their names, in order of time."""
        folder, ending = self.root / "receipts", f"--{channel}.json"
        names = sorted(name for name in listing(folder) if name.endswith(ending))
        return [folder / name for name in names if name[: len(first.key)] >= first.key]

    def _receipt(self, key: str) -> Path:
        return self.root / "receipts" / f"{safe_name(key)}.json"
