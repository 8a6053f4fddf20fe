"""Ratchet's errors as Dagster's failures: one clear text, the facts as metadata, no retry by Dagster.

Faults of transport were retried where they happen, in the HTTP client; nothing else gets better
by being run again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from pipeline.core.errors import RatchetError

KIND, NEXT_STEP = "ratchet/error", "ratchet/next_step"


@contextmanager
def failing_loudly() -> Iterator[None]:
    try:
        yield
    except RatchetError as error:
        raise dg.Failure(
            description=str(error),
            metadata={KIND: error.kind, NEXT_STEP: error.next_step},
            allow_retries=False,
        ) from error
