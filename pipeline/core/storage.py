"""How much room a source takes on the disk, and how much a year of it would take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.core import archives
from pipeline.core.files import listing, room
from pipeline.core.lake import PACKED, SourceLake

_HOURS_A_YEAR = 8_760


@dataclass(frozen=True)
class Storage:
    """Bytes as the disk counts them, in whole blocks, so that small files weigh what they cost.

    ``hours``: with a capture, of which ``packed_hours`` lie in archives. ``bytes_per_year`` is that of hours as they
    are captured, ``packed_bytes_per_year`` that of compacted ones; None where there are no such hours.
    """

    source: str
    files: int
    bytes: int
    packed_bytes: int
    hours: int
    packed_hours: int

    @property
    def bytes_per_year(self) -> int | None:
        """As if every hour of a year were captured and none packed."""
        return _per_year(self.bytes, self.hours - self.packed_hours)

    @property
    def packed_bytes_per_year(self) -> int | None:
        """As if every hour of a year were captured and packed."""
        return _per_year(self.packed_bytes, self.packed_hours)


def storage_of(lake: SourceLake) -> Storage:
    """Archives that lie elsewhere count as well, where they are found. Raises LakeFault."""
    packed_months = set(archives.packed_months(lake.root))
    fresh, packed = list[Path](), list[Path]()
    for month in sorted({month for kind in PACKED for month in lake.months(kind)}):
        files = [folder / n for folder in {lake.folder(kind, month) for kind in PACKED} for n in listing(folder)]
        if month in packed_months:
            packed += [*files, *_archived(lake, month)]
        else:
            fresh += files
    hours = {capture.hour for capture in lake.captures()}
    return Storage(
        lake.name,
        sum(1 for path in lake.root.rglob("*") if path.is_file()),
        sum(map(room, fresh)),
        sum(map(room, packed)),
        len(hours),
        sum(hour.month in packed_months for hour in hours),
    )


def storage_lines(found: Sequence[Storage]) -> Iterator[str]:
    """One plain line a source, for the terminal."""
    for source in found:
        line = f"{source.source}: {_size(source.bytes + source.packed_bytes)} in {source.files:,} files"
        line += f" for {source.hours:,} hours"
        if source.bytes_per_year is not None:
            line += f"; a year of its hours takes {_size(source.bytes_per_year)}"
        if source.packed_bytes_per_year is not None:
            line += f", compacted {_size(source.packed_bytes_per_year)}"
        yield f"{line}."


def _archived(lake: SourceLake, month: str) -> list[Path]:
    found = archives.packed(lake.root, month)
    if found is None:
        return []
    folders = [lake.root / archives.FOLDER, *lake.archives]
    return [archives.index_path(lake.root, month), *(folder / found.index.archive for folder in folders)]


def _per_year(room: int, hours: int) -> int | None:
    return round(room / hours * _HOURS_A_YEAR) if hours else None


def _size(amount: int) -> str:
    return f"{amount / 1e9:,.2f} GB" if amount >= 1e9 else f"{amount / 1e6:,.1f} MB"
