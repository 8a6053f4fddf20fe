"""What verifying finds: a file, what is wrong with it, and who can mend it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from pipeline.core.hours import Hour


class Remedy(StrEnum):
    """What ``--repair`` does about a fault."""

    REMAKE = "is made again from the raw capture"
    TABLE = "is made again from the month's archive"
    LOSS = "cannot be made again: its loss is recorded, what was accepted of it stands"
    BACKUP = "cannot be made again: restore it from a backup"
    MOVE = "move it out of the lake"


@dataclass(frozen=True)
class Fault:
    """``file``: its path within the source. ``kind`` and ``hour`` of a file that belongs to an hour."""

    file: str
    what: str
    remedy: Remedy
    kind: str | None = None
    hour: Hour | None = None


@dataclass
class Found:
    """What was looked at and found. ``unrecorded``: files whose checksum nobody recorded; ``notes``: no faults.

    ``finished_from``: the first hour of what an interrupted run had left, where the repair finished it.
    """

    files: int = 0
    faults: list[Fault] = field(default_factory=list)
    unrecorded: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    finished_from: Hour | None = None

    def add(self, other: Found) -> None:
        """Count in what was found elsewhere."""
        self.files += other.files
        self.faults += other.faults
        self.unrecorded += other.unrecorded
        self.notes += other.notes

    def one_per_file(self) -> None:
        """Keep the first fault of each file: the others follow from it."""
        self.faults = list({fault.file: fault for fault in reversed(self.faults)}.values())[::-1]
