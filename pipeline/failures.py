"""Ratchet's errors as Dagster's failures: one clear text, the facts as metadata, no retry by Dagster.

Faults of transport were retried where they happen, in the HTTP client; nothing else gets better
by being run again. Dagster keeps the words of an error and of what led to it for as long as the run,
and a library may quote what it was given, so words that hold a secret are kept without it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from traceback import format_exception

import dagster as dg

from pipeline.core.errors import LakeFault, RatchetError
from pipeline.core.hours import Hour
from pipeline.core.incidents.notes import note_attempt
from pipeline.core.lake import SourceLake
from pipeline.core.model import Origin, Source
from pipeline.core.observe import Clock
from pipeline.core.withheld import without_secrets

KIND, NEXT_STEP = "ratchet/error", "ratchet/next_step"


@dataclass(frozen=True)
class Step:
    """What a step of an hour's run works on; a failure of a live one is remembered for its incident."""

    lake: SourceLake
    hour: Hour
    clock: Clock

    @classmethod
    def of(cls, context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext, source: Source) -> Step:
        """A step of the run of ``context``, whose partition is an hour of ``source``."""
        lake, hour = context.resources.lake.source(source.name), Hour.parse(context.partition_key)
        return cls(lake, hour, context.resources.clock)

    @property
    def is_live(self) -> bool:
        """Whether it works on the present; a replay's failures are no incidents."""
        return self.clock.origin is Origin.LIVE

    def remember(self, error: Exception) -> None:
        """Note a live failure for its incident; a lake that takes no note is told of by the sensor."""
        if not self.is_live:
            return
        with suppress(LakeFault):
            note_attempt(self.lake, self.hour, error, self.clock.now())


@contextmanager
def keeping_secrets() -> Iterator[None]:
    """Let a crash end a tick, or what a run needs, without the secrets in its words."""
    try:
        yield
    except dg.Failure:  # told by `failing_loudly` already
        raise
    except Exception as error:
        told = _without_secrets(error)
        if told is not None:
            raise dg.Failure(f"A fault, told without the secrets in it.\n{told}", allow_retries=False) from None
        raise


@contextmanager
def failing_loudly(step: Step | None = None) -> Iterator[None]:
    """Turn what a step or a job raises into dg.Failure; a crash stays as it is where its words hold no secret."""
    with keeping_secrets():
        try:
            yield
        except Exception as error:
            if step is not None:
                step.remember(error)
            if not isinstance(error, RatchetError):
                raise
            raise dg.Failure(
                description=str(error),
                metadata={KIND: error.kind, NEXT_STEP: error.next_step},
                allow_retries=False,
            ) from (error if _without_secrets(error) is None else None)


def _without_secrets(error: Exception) -> str | None:
    """The traceback of an error and of what led to it, without the secrets in it; None where it holds none."""
    words = "".join(format_exception(error))
    told = without_secrets(words)
    return told if told != words else None
