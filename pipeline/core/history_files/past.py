"""What a file of history gives: the times of its captures, and the pages of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from pathlib import Path

from pipeline.core.errors import ConfigError
from pipeline.core.hours import Hour
from pipeline.core.model import Source, outside
from pipeline.platforms.protocol import Page


class FileFormat(StrEnum):
    """Who wrote the file, as ``ratchet import --format`` names it."""

    CSV = "csv"
    PARQUET = "parquet"
    REPO_STATS = "github-repo-stats"
    SCRAPED = "git-scraped"


@dataclass(frozen=True)
class Past:
    """The captures of a file, oldest first.

    ``pages`` gives the pages of one of ``moments``; ``place`` the file that holds it, and its line where it has one.
    """

    moments: tuple[datetime, ...]
    pages: Callable[[datetime], list[Page]]
    place: Callable[[datetime], tuple[Path, int | None]]


def moment(text: str, zone: tzinfo | None) -> datetime:
    """A time of a file in UTC. Raises ValueError, which says what is wrong, where it has no offset and no ``zone``.

    A local time that the clock of ``zone`` showed twice, or skipped, is refused too: it is no one moment.
    """
    try:
        found = datetime.fromisoformat(text)
        utc = found.replace(tzinfo=found.tzinfo or zone or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"'{text[:50]}' is not a time; write it as 2026-11-22T14:17:00Z") from None
    if found.tzinfo is not None:
        return utc
    if zone is None:
        raise ValueError(f"'{text[:50]}' has no offset from UTC")
    local = found.replace(tzinfo=zone)
    if local.utcoffset() != local.replace(fold=1).utcoffset():
        raise ValueError(f"'{text[:50]}' stood on the clock of {zone} twice, or never")
    return utc


NAIVE = "Write times as 2026-11-22T14:17:00Z, or say where their clock stood: --timezone Asia/Tokyo."

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
"""What a file tells of times before is a mistake, such as a second of Unix time that was left at 0."""
_OTHER_HOURS = "Change 'start' or 'end' in its YAML, or take the row out."


def require_sound_times(past: Past, source: Source, now: datetime, path: Path) -> None:
    """Raises ConfigError where the file holds no capture, or one of no sound time or of none of the source's hours."""
    if not past.moments:
        raise ConfigError("there is no capture in it", "Choose another file.", file=path)
    for at in past.moments:
        unsound = _unsound(at, now)
        what = unsound or outside(source, Hour.of(at))
        if what:
            file, line = past.place(at)
            step = "Mend the time, or take the row out."
            raise ConfigError(what, step if unsound else _OTHER_HOURS, file=file, line=line)


def _unsound(at: datetime, now: datetime) -> str | None:
    if at < EARLIEST:
        return f"{at.isoformat()} lies before the year {EARLIEST.year}"
    return f"{at.isoformat()} lies in the future" if at > now else None
