"""Git-scraped JSON: a folder of files named by their time, each a raw reply of the platform.

The names that are understood: ``2026-03-01T10-00-00Z``, ``2026-03-01T10:00Z``, ``20260301T100000Z``, the
same with another offset or with none, which `--timezone` then gives, and Ratchet's own hours,
``2026-03-01T10`` (UTC). Words before or after the time do not matter. A file stands for the whole
listing: it is kept byte for byte as the answer to the first request of the adapter that lists items, and
the adapter reads it.
"""

from __future__ import annotations

import re
from datetime import datetime, tzinfo
from functools import partial
from http import HTTPStatus
from pathlib import Path

from pipeline.core.errors import ConfigError
from pipeline.core.history_files.past import NAIVE, Past, moment
from pipeline.core.model import Source
from pipeline.platforms.protocol import Page, Request

_STAMP = re.compile(
    r"(?<!\d)(\d{4})-?(\d\d)-?(\d\d)[T_ ](\d\d)(?:[-:_]?(\d\d)(?:[-:_]?(\d\d))?)?(Z|[+-]\d\d:?\d\d)?(?!\d)", re.ASCII
)
_WITH_SECONDS = "2026-03-01T10-00-00Z.json"


def read_scraped(path: Path, source: Source, zone: tzinfo | None) -> Past:
    """The files of a folder, each a capture. Raises ConfigError with the file that cannot be used."""
    files: dict[datetime, Path] = {}
    for file in sorted(path.glob("*.json")):
        at = _captured_at(file, zone)
        if at in files:
            raise ConfigError(f"it is of the same time as {files[at].name}", "Take one of them away.", file=file)
        if _size(file) > source.bounds.max_bytes:
            step = "Take it away, or raise 'max_bytes' under 'bounds' in the source's YAML."
            raise ConfigError("it is larger than the source's bound for a capture", step, file=file)
        files[at] = file
    request = f"GET {_target(source.platform.first_listing())}"
    return Past(tuple(sorted(files)), partial(_pages, files, request), lambda at: (files[at], None))


def is_scraped(path: Path) -> bool:
    """Whether a folder holds JSON files that are named by a time."""
    return any(_STAMP.search(file.stem) for file in path.glob("*.json"))


def _captured_at(file: Path, zone: tzinfo | None) -> datetime:
    found = _STAMP.search(file.stem)
    if found is None:
        raise ConfigError("its name tells no time", f"Name it as {_WITH_SECONDS}.", file=file)
    year, month, day, hour, minute, second, offset = found.groups()
    if minute is None and offset is None and zone is None:
        offset = "Z"  # an hour as Ratchet writes it
    try:
        return moment(f"{year}-{month}-{day}T{hour}:{minute or '00'}:{second or '00'}{offset or ''}", zone)
    except ValueError as fault:
        raise ConfigError(f"its name: {fault}", NAIVE, file=file) from None


def _target(request: Request) -> str:
    import httpx

    return httpx.URL(request.path, params=dict(request.params)).raw_path.decode("ascii")


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError as fault:
        raise _unreadable(file, fault) from None


def _pages(files: dict[datetime, Path], request: str, at: datetime) -> list[Page]:
    try:
        body = files[at].read_bytes()
    except OSError as fault:
        raise _unreadable(files[at], fault) from None
    return [Page(request, HTTPStatus.OK, {"imported-from": files[at].name}, at, body)]


def _unreadable(file: Path, fault: OSError) -> ConfigError:
    return ConfigError(f"it cannot be read: {fault.strerror}", "Mend it and import again.", file=file)
