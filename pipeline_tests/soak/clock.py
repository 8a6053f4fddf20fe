"""A clock that stands where the soak puts it, for every process that it starts.

Its time lies in a file of eight bytes that all of them map. Dagster reads the time through two functions
that its own tests replace; here they read this file, so schedules, partitions and runs live in one time.
"""

from __future__ import annotations

import mmap
import os
import struct
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

import dagster._time as dagster_time

from pipeline.core.model import Origin

VARIABLE = "RATCHET_SOAK_CLOCK"
_SECONDS = struct.Struct("d")


class DrivenClock:
    """What a capture takes for the present, so that it is a live one."""

    origin: ClassVar[Origin] = Origin.LIVE

    def __init__(self, file: Path) -> None:
        self._file = file
        with file.open("r+b") as opened:
            self._memory = mmap.mmap(opened.fileno(), _SECONDS.size)

    @classmethod
    def made(cls, file: Path, moment: datetime) -> DrivenClock:
        """A new clock, which the processes started from here on find through the environment."""
        file.write_bytes(_SECONDS.pack(moment.timestamp()))
        os.environ[VARIABLE] = str(file)
        return cls.here()

    @classmethod
    def here(cls) -> DrivenClock:
        """The clock of this process, which Dagster goes by from now on."""
        clock = cls(Path(os.environ[VARIABLE]))
        dagster_time._mockable_get_current_datetime = clock.now
        dagster_time._mockable_get_current_timestamp = clock.seconds
        return clock

    def put(self, moment: datetime) -> None:
        _SECONDS.pack_into(self._memory, 0, moment.timestamp())

    def seconds(self) -> float:
        (found,) = _SECONDS.unpack_from(self._memory, 0)
        return float(found)

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds(), UTC)
