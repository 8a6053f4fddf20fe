"""A capture on disk: the pages of one fetch exactly as received, one JSON line each, compressed.

The first line says what the capture is, the last one how it ended. A body that is UTF-8 is kept
as text, any other as base64; either way the very bytes come back.
"""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from pipeline.core.files import damaged
from pipeline.core.hours import Hour, format_time, parse_time
from pipeline.core.imported import is_rows
from pipeline.core.lake import CaptureRef, SourceLake
from pipeline.core.model import Origin, Source
from pipeline.core.readings import Shifted
from pipeline.platforms.protocol import CutShort, Page

_MOMENTS = ("unchanged_since", "credential_expires")


@dataclass(frozen=True)
class Ended:
    """How a capture ended, with the pages and bytes of all its readings.

    ``reason`` is None for a listing read to its end.
    """

    pages: int
    bytes: int
    reason: str | None


@dataclass(frozen=True)
class CaptureHead:
    """What the first line of a raw file says. ``source`` and ``platform``: their names when it was captured."""

    source: str
    platform: str
    origin: Origin
    captured_at: datetime


def store_capture(
    lake: SourceLake, source: Source, origin: Origin, captured_at: datetime, pages: Iterable[Page | Shifted]
) -> tuple[CaptureRef, Ended]:
    """Write the pages as they arrive. Whatever ``pages`` raises, but CutShort, leaves no file.

    ``captured_at`` carries its offset and says in which hour (UTC) the capture lies. Raises what ``pages`` raises
    (TransportFault, DeadSession), and LakeFault.
    """
    count, size, reason = 0, 0, None
    with (
        lake.new_capture(Hour.of(captured_at), captured_at) as (capture, file),
        # Arrow closes what it is given, the lake must still sync its own file: hence the duplicate.
        pa.CompressedOutputStream(pa.PythonFile(os.fdopen(os.dup(file.fileno()), "wb")), "zstd") as stream,
    ):
        _write_line(
            stream,
            {
                "ratchet": 1,
                "source": source.name,
                "platform": source.platform.kind,
                "origin": origin,
                "captured_at": format_time(captured_at),
            },
        )
        try:
            for part in pages:
                if isinstance(part, Shifted):
                    _write_line(stream, {"shifted": part.reason})
                    continue
                _write_line(stream, _page_line(part if is_rows(part) else source.platform.trim(part)))
                count, size = count + 1, size + len(part.body)
        except CutShort as cut:
            reason = str(cut)
        _write_line(stream, {"pages": count, "bytes": size, "cut_short": reason})
    return capture, Ended(count, size, reason)


def read_head(lake: SourceLake, capture: CaptureRef) -> CaptureHead:
    """Of which source and time a stored capture is. Raises LakeFault where the file is damaged."""
    with _reading(lake.raw(capture)):
        return _head(next(_lines(lake.raw(capture))))


def read_pages(lake: SourceLake, capture: CaptureRef) -> Iterator[Page | Shifted | Ended]:
    """The stored pages one after the other, then how the capture ended. Raises LakeFault where damaged.

    After Shifted the same listing follows once more; what came before it is not used.
    """
    path = lake.raw(capture)
    with _reading(path):
        lines = _lines(path)
        _head(next(lines))
        ended = None
        for line in lines:
            if "request" in line:
                yield _page(line)
            elif "shifted" in line:
                yield Shifted(line["shifted"])
            else:
                ended = Ended(line["pages"], line["bytes"], line["cut_short"])
    if ended is None:
        raise damaged(path, "its last line is missing")
    yield ended


def _head(line: dict[str, Any]) -> CaptureHead:
    return CaptureHead(line["source"], line["platform"], Origin(line["origin"]), parse_time(line["captured_at"]))


def _page_line(page: Page) -> dict[str, Any]:
    line: dict[str, Any] = {
        "request": page.request,
        "status": page.status,
        "headers": dict(page.headers),
        "fetched_at": format_time(page.fetched_at),
    }
    if page.dropped:
        line["dropped"] = page.dropped
    for name in _MOMENTS:
        if (moment := getattr(page, name)) is not None:
            line[name] = format_time(moment)
    try:
        line["body"] = page.body.decode()
    except UnicodeDecodeError:
        line["body_base64"] = base64.b64encode(page.body).decode()
    return line


def _page(line: dict[str, Any]) -> Page:
    body = line["body"].encode() if "body" in line else base64.b64decode(line["body_base64"])
    fetched_at, dropped = parse_time(line["fetched_at"]), tuple(line.get("dropped", ()))
    moments = {name: parse_time(line[name]) for name in _MOMENTS if name in line}
    return Page(line["request"], line["status"], line["headers"], fetched_at, body, dropped, **moments)


def _write_line(stream: pa.NativeFile, line: dict[str, Any]) -> None:
    stream.write(msgspec.json.encode(line) + b"\n")


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with pa.input_stream(path, compression="zstd") as stream:
        for line in io.BufferedReader(stream, 1 << 20):
            yield msgspec.json.decode(line, type=dict[str, Any])


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except StopIteration:
        raise damaged(path, "it holds nothing") from None
    except KeyError as fault:
        raise damaged(path, f"a line lacks {fault}") from fault
    except (OSError, ValueError, TypeError, pa.ArrowException) as fault:
        raise damaged(path, str(fault)) from fault
