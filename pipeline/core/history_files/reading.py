"""Reading a file of history in whatever format it is, and judging it as a whole."""

from __future__ import annotations

from datetime import datetime, tzinfo
from pathlib import Path

from pipeline.core.errors import ConfigError
from pipeline.core.history_files.past import FileFormat, Past, require_sound_times
from pipeline.core.history_files.repo_stats import is_repo_stats, read_repo_stats
from pipeline.core.history_files.rows import read_csv, read_parquet
from pipeline.core.history_files.scraped import is_scraped, read_scraped
from pipeline.core.model import Source
from pipeline.platforms.protocol import Feed


def read_past(
    path: Path, source: Source, now: datetime, kind: FileFormat | None, zone: tzinfo | None, item: str | None
) -> Past:
    """What ``path`` tells of the past of ``source``.

    ``zone`` is that of times without an offset; ``item`` names the item of a format that does not.
    Raises ConfigError, with file and line, for what is wrong with the whole.
    """
    if isinstance(source.platform, Feed):
        what = f"{source.name} counts what its platform {source.platform.kind} tells; no file can stand for that"
        raise ConfigError(what, "Import it into a source of another platform.")
    if not path.exists():
        raise ConfigError("there is no such file or folder", "Name another one.", file=path)
    kind = kind or guessed(path)
    if (kind in (FileFormat.CSV, FileFormat.PARQUET)) != path.is_file() and kind is not FileFormat.REPO_STATS:
        wanted = "a folder of files" if kind is FileFormat.SCRAPED else "a file"
        raise ConfigError(f"the format {kind} is {wanted}, which this is not", "Name it, or another format.", file=path)
    if item is not None and kind is not FileFormat.REPO_STATS:
        step = "Leave out --item."
        raise ConfigError(f"a file of the format {kind} names its items itself", step, file=path)
    if kind is FileFormat.REPO_STATS:
        past = read_repo_stats(path, source, item, now)
    elif kind is FileFormat.SCRAPED:
        past = read_scraped(path, source, zone)
    else:
        past = (read_csv if kind is FileFormat.CSV else read_parquet)(path, source, zone)
    require_sound_times(past, source, now, path)
    return past


def guessed(path: Path) -> FileFormat:
    """The format that a name, a first line or the names in a folder tell. Raises ConfigError."""
    if path.is_dir():
        if is_scraped(path):
            return FileFormat.SCRAPED
        if any(is_repo_stats(file) for file in path.glob("*.csv")):
            return FileFormat.REPO_STATS
    elif path.suffix.lower() in (".parquet", ".pq"):
        return FileFormat.PARQUET
    elif path.suffix.lower() == ".csv":
        return FileFormat.REPO_STATS if is_repo_stats(path) else FileFormat.CSV
    raise ConfigError(
        "its format cannot be told from its name", f"Add --format, one of {', '.join(FileFormat)}.", file=path
    )
