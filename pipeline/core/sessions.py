"""The dead session: which credential the platform turned away, so that the scheduler does not knock again."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime

from pipeline.core.errors import DeadSession
from pipeline.core.hours import format_time
from pipeline.core.lake import SourceLake
from pipeline.core.model import Source

DEAD_SESSION = "dead_session"


def remember_dead_session(lake: SourceLake, source: Source, dead: DeadSession, now: datetime) -> None:
    """The caller holds `SourceLake.writing`; a capture that succeeds drops the note."""
    salt = secrets.token_hex(8)
    lake.write_note(
        DEAD_SESSION,
        {
            "since": format_time(now),
            "what": dead.what,
            "salt": salt,
            "credential": _fingerprint(salt, source.platform.credential),
        },
    )


def known_dead_session(lake: SourceLake, source: Source) -> str | None:
    """Why the scheduler must not call the platform: this very credential was turned away before.

    None once the credential changed or a capture succeeded, and where there is no credential to change.
    """
    note = lake.read_note(DEAD_SESSION)
    if note is None or not source.platform.credential:
        return None
    if note["credential"] != _fingerprint(note["salt"], source.platform.credential):
        return None
    return f"{note['what']} (since {note['since']})"


def _fingerprint(salt: str, credential: str) -> str:
    """Tells two credentials apart and gives none away: 32 bits of a salted hash match any of countless texts."""
    return hashlib.sha256(f"{salt}{credential}".encode()).hexdigest()[:8]
