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

    def append(self, line: bytes) -> str | None:
        """Take one framed event. None, or the reason why it is dropped."""

    def check(self) -> None:
        """Notice what others did to it meanwhile. Called once a second, before an event."""

    def abandon(self) -> None:
        """Leave what there is to the parent, and begin anew: this is a forked child."""

    def close(self) -> None:
        """Hand on what waits, and end. A later event begins anew."""


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
