"""An exception into the text of an event: type, message, frames, and what it came from."""

from __future__ import annotations

import linecache
from collections import deque
from types import TracebackType

from ratchet_points import event
from ratchet_points.caller import Places
from ratchet_points.values import MESSAGE_LIMIT, Encoder, shown

FRAMES, CAUSES, LOCALS = 50, 5, 20


class Describer:
    """Describes exceptions. Local variables and source lines only where they were asked for."""

    def __init__(
        self, places: Places, encoder: Encoder, *, with_locals: bool = False, with_source: bool = False
    ) -> None:
        self._places, self._encoder = places, encoder
        self._with_locals, self._with_source = with_locals, with_source

    def describe(self, error: object) -> str:
        """The fragment of one exception, with at most the innermost ``FRAMES`` frames, outermost first.

        A type of exceptions, or anything else that somebody handed over as the failure, is told as what it is.
        """
        if not isinstance(error, BaseException):
            return event.exception(type_name(error), self._encoder.text(shown(error), MESSAGE_LIMIT), "", 0, "")
        steps: deque[TracebackType] = deque(maxlen=FRAMES)
        count, step = 0, error.__traceback__
        while step is not None:
            steps.append(step)
            count, step = count + 1, step.tb_next
        if self._with_locals or self._with_source:
            frames = ",".join([self._full_frame(step) for step in steps])
        else:
            frames = ",".join([self._places.frame(step) for step in steps])
        return event.exception(type_name(error), self._message(error), frames, count - len(steps), self._causes(error))

    def _message(self, error: BaseException) -> str:
        try:
            message = str(error)
        except Exception:
            message = "(its text cannot be had: __str__ raised)"
        return self._encoder.text(message, MESSAGE_LIMIT)

    def _causes(self, error: BaseException) -> str:
        """The exceptions that led to this one, nearest first; and those that a group holds."""
        found: list[BaseException] = []
        cause: BaseException | None = error
        while cause is not None and len(found) <= CAUSES:
            before, cause = cause, cause.__cause__
            if cause is None and not before.__suppress_context__:
                cause = before.__context__
            # By identity: an exception of the host may compare as it likes, and have no truth.
            if cause is None or any(cause is one for one in (error, *found)):
                break
            found.append(cause)
        found += _members(error)
        return ",".join(event.cause(type_name(one), self._message(one)) for one in found)

    def _full_frame(self, step: TracebackType) -> str:
        frame, source, variables = step.tb_frame, None, None
        if self._with_source:
            line = linecache.getline(frame.f_code.co_filename, step.tb_lineno or 0, frame.f_globals).strip()
            source = self._encoder.text(line)
        if self._with_locals:
            variables = self._encoder.attributes(dict(list(frame.f_locals.items())[:LOCALS]))
        return event.full_frame(self._places.frame(step), source, variables)


def _members(error: BaseException) -> list[BaseException]:
    """The first exceptions of a group; none of any other."""
    try:
        members = getattr(error, "exceptions", ())
    except Exception:  # a property of the host's own
        return []
    if not isinstance(members, (tuple, list)):
        return []
    return [member for member in members[:CAUSES] if isinstance(member, BaseException)]


def type_name(error: object) -> str:
    """The exception's type with its module, as OpenTelemetry wants it; a builtin one without."""
    kind = error if isinstance(error, type) else type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def origin(error: BaseException) -> TracebackType | None:
    """The innermost step of an exception's traceback: where it was raised."""
    step = error.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    return step
