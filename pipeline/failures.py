"""Ratchet's errors as Dagster's failures: one clear text, the facts as metadata, no retry by Dagster.

Faults of transport were retried where they happen, in the HTTP client; nothing else gets better
by being run again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from traceback import format_exception

import dagster as dg

from pipeline.core.errors import LakeFault, RatchetError
from pipeline.core.hours import Hour
from pipeline.core.incidents.notes import note_attempt, place
from pipeline.core.lake import SourceLake
from pipeline.core.model import Origin, Source
from pipeline.core.observe import Clock

KIND, NEXT_STEP = "ratchet/error", "ratchet/next_step"


@dataclass(frozen=True)
class Attempt:
    """What a step works on; a failure of a live one is remembered for its incident.

    ``secrets`` of the source: what holds one is written into no log.
    """

    lake: SourceLake
    hour: Hour
    clock: Clock
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @classmethod
    def of(cls, context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext, source: Source) -> Attempt:
        """A step of the run of ``context``, whose partition is an hour of ``source``."""
        lake, hour = context.resources.lake.source(source.name), Hour.parse(context.partition_key)
        secrets = (source.platform.credential, source.heartbeat_url, *source.notify)
        return cls(lake, hour, context.resources.clock, tuple(filter(None, secrets)))

    @property
    def is_live(self) -> bool:
        return self.clock.origin is Origin.LIVE

    def remember(self, error: Exception) -> None:
        if not self.is_live:
            return
        # A lake that takes no note is noticed by the sensor of incidents, which writes into it too.
        with suppress(LakeFault):
            note_attempt(self.lake, self.hour, error, self.clock.now())


@contextmanager
def failing_loudly(attempt: Attempt | None = None) -> Iterator[None]:
    try:
        yield
    except RatchetError as error:
        if attempt is not None:
            attempt.remember(error)
        raise dg.Failure(
            description=str(error),
            metadata={KIND: error.kind, NEXT_STEP: error.next_step},
            allow_retries=False,
        ) from error
    except Exception as error:
        if attempt is not None:
            attempt.remember(error)
            # Dagster keeps the words of an error and of what led to it, and a library may quote what it was given.
            words = "".join(format_exception(error))
            if any(secret in words for secret in attempt.secrets):
                withheld = f"{place(error)} Its words hold a secret of the source and are withheld."
                raise dg.Failure(withheld, allow_retries=False) from None
        raise
