"""Where a recorder puts its events: straight into the spool, or into a queue in memory."""

from __future__ import annotations

import os
from typing import Protocol

from ratchet_points.drops import Drops
from ratchet_points.memory import HttpReceiver, MemoryQueue, SpoolReceiver
from ratchet_points.options import Options
from ratchet_points.posting import is_address
from ratchet_points.segment import SegmentWriter


class Sink(Protocol):
    """Where a recorder puts its framed events. Nothing here raises."""

    def append(self, line: bytes) -> str | None: ...
    def check(self) -> None: ...
    def abandon(self) -> None: ...
    def close(self) -> None: ...


def sink_of(options: Options, drops: Drops) -> tuple[Sink, SegmentWriter | None]:
    """Where events go as the options say, and the writer behind the queue if there is one."""
    if is_address(options.spool):
        return MemoryQueue(HttpReceiver(options.spool, drops), drops), None
    writer = SegmentWriter(
        os.path.abspath(options.spool),
        segment_bytes=options.segment_bytes,
        spool_bytes=options.spool_bytes,
        shared=options.shared,
    )
    if options.mode == "memory":
        return MemoryQueue(SpoolReceiver(writer, drops), drops), writer
    return writer, None
