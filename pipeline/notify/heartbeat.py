"""The heartbeat: a call to a service outside that speaks up when it misses one, since a dead machine cannot."""

from __future__ import annotations

from datetime import datetime
from threading import Thread

from pipeline.core.incidents.notes import HEARTBEAT, Failing, failing_again, read_note
from pipeline.core.lake import SourceLake
from pipeline.core.model import Source

PATIENCE_SECONDS = 10.0
_LATE = "The heartbeat was not answered in time."


def beat(lake: SourceLake, source: Source, now: datetime) -> str | None:
    """Call the heartbeat of ``source``, if it has one; why that failed, in words without its address.

    Never raises for what the service does. The caller holds `SourceLake.writing`.
    """
    if source.heartbeat_url is None:
        return None
    fault = _call(source.heartbeat_url)
    failing = read_note(lake, HEARTBEAT, Failing)
    if fault is not None:
        lake.write_note(HEARTBEAT, failing_again(failing, fault, now))
    elif failing is not None:
        lake.drop_note(HEARTBEAT)
    return fault


def _call(url: str) -> str | None:
    """In a thread of its own: a service that sends a byte now and then would keep any timeout of a read waiting."""
    answers: list[str | None] = []
    thread = Thread(target=lambda: answers.append(_ask(url)), name="heartbeat", daemon=True)
    thread.start()
    thread.join(PATIENCE_SECONDS)
    return answers[0] if answers else _LATE


def _ask(url: str) -> str | None:
    import logging

    import httpx

    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs whole addresses, which are secrets here
    try:
        # Streamed: whatever the service sends is not read.
        with httpx.stream("GET", url, timeout=PATIENCE_SECONDS, follow_redirects=False) as response:
            if response.is_success:
                return None
            return f"The heartbeat was answered with HTTP status {response.status_code}."
    except httpx.TimeoutException:
        return _LATE
    except Exception as error:  # of a thread, whose traceback would be printed with the address in it
        return f"The heartbeat was not taken ({type(error).__name__})."
