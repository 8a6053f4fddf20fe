"""Every way in which Ratchet refuses to go on, as a type with its facts and its exit code.

The words for people are made here and end with the next step. Nothing in here ever holds a secret: a platform can
answer with what it was sent, and errors quote what it says.
"""

from __future__ import annotations

from pathlib import Path

from pipeline.core.withheld import without_secrets


class RatchetError(Exception):
    """A fault that its owner can act on. ``next_step`` says how."""

    exit_code = 1
    kind = "error"

    def __init__(self, what: str, next_step: str) -> None:
        self.what, self.next_step = without_secrets(what), without_secrets(next_step)
        super().__init__(f"{self.what}\n{self.next_step}")


class ConfigError(RatchetError):
    """A source's YAML, its environment or a command's arguments cannot be used."""

    exit_code = 2
    kind = "configuration"

    def __init__(self, what: str, next_step: str, *, file: Path | None = None, line: int | None = None) -> None:
        where = f"{file}:{line}: " if file and line else f"{file}: " if file else ""
        super().__init__(f"{where}{what}", next_step)
        self.file, self.line = file, line


class TransportFault(RatchetError):
    """The platform's answer never arrived: connection, timeout, 404, 429, 5xx, a strange redirect.

    ``status`` is the HTTP status, or None where there was none. ``retry_after`` is what the
    platform asked for, in seconds.
    """

    exit_code = 10
    kind = "transport"

    def __init__(
        self,
        what: str,
        next_step: str = "Nothing was recorded. The next tick tries again; "
        "if it lasts, look at the platform's status page.",
        *,
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(what, next_step)
        self.status, self.retry_after = status, retry_after


class DeadSession(RatchetError):
    """The platform no longer accepts the credential: 401, 403, a login page, HTML instead of JSON."""

    exit_code = 11
    kind = "dead_session"

    def __init__(self, what: str, next_step: str, *, status: int | None = None) -> None:
        super().__init__(what, next_step)
        self.status = status


class Refused(RatchetError):
    """A capture arrived and failed its checks. It lies in raw and in quarantine."""

    exit_code = 12
    kind = "refused"


class AlreadyObserved(RatchetError):
    """The hour had its accepted snapshot, so nothing was captured."""

    exit_code = 13
    kind = "already_observed"


class WrongHour(RatchetError):
    """Only the present hour can be captured."""

    exit_code = 14
    kind = "wrong_hour"


class SourceBusy(RatchetError):
    """Another process is working on this source."""

    exit_code = 15
    kind = "busy"


class LakeFault(RatchetError):
    """The lake cannot be written, or holds something that it cannot have written."""

    exit_code = 16
    kind = "lake"


class NothingAccepted(RatchetError):
    """A downstream step was asked for an hour that has no accepted snapshot."""

    exit_code = 12
    kind = "nothing_accepted"


class HoursRefused(RatchetError):
    """An import ended, and some of its hours were refused; the others are accepted."""

    exit_code = 17
    kind = "hours_refused"


class ChannelFault(RatchetError):
    """A channel did not take a message."""

    exit_code = 18
    kind = "channel"


def from_kind(kind: str, words: str) -> RatchetError:
    """The error that a run told of as text: what and next step on two lines, and the exit code of its kind."""
    what, _, next_step = words.rpartition("\n")
    error = RatchetError(what, next_step)
    known = {cls.kind: cls.exit_code for cls in RatchetError.__subclasses__()}
    error.kind, error.exit_code = kind, known.get(kind, 1)
    return error
