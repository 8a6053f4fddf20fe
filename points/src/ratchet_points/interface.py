"""The calls that programs make. What they put into an event is ``event.py``'s to say."""

from __future__ import annotations

import atexit
import functools
import os
import sys
import time
from collections.abc import Iterable, Mapping
from types import FrameType, TracebackType
from typing import Any, Callable, TypeVar, cast

from ratchet_points import event
from ratchet_points.caller import place_of
from ratchet_points.context import Binding, narrowed
from ratchet_points.drops import tell
from ratchet_points.options import SEGMENT_BYTES, SPOOL_BYTES, BeforeSend, usable
from ratchet_points.recorder import Recorder
from ratchet_points.values import shown

_Function = TypeVar("_Function", bound=Callable[..., Any])
_recorder: Recorder | None = None
_said = False


def init(
    *,
    app: str,
    version: str = "",
    environment: str = "",
    spool: str | os.PathLike[str] | None = None,
    mode: str = "embedded",
    before_send: BeforeSend | None = None,
    sample: float | Mapping[str, float] = 1.0,
    redact: bool | Iterable[str] = True,
    region: str | None = None,
    operator: str | None = None,
    with_locals: bool = False,
    with_source: bool = False,
    spool_bytes: int = SPOOL_BYTES,
    segment_bytes: int = SEGMENT_BYTES,
) -> None:
    """Begin to record. Called once, where the program starts; a second call replaces the first.

    ``app``, ``version``, ``environment``: who speaks, as OpenTelemetry's service.name, service.version and
    deployment.environment.name.
    ``spool``: the folder for events; by default $POINTS_SPOOL, else ``points-spool`` in the working folder. With
    ``mode="memory"`` also the http(s) address of a receiver of CloudEvents.
    ``mode``: "embedded", where each event is in the spool when the call returns, or "memory", where events wait in a
    bounded queue for a thread and are lost when the process is killed.
    ``before_send``: gets each event as a dict and returns it, changed or not, or None to leave it out.
    ``sample``: the share of events that is kept, from 0 to 1, or a share by point; errors are kept unless named.
    ``redact``: True, further names of keys whose values are secret, or False.
    ``region``, ``operator``: where the program runs and over whose network, told once in its start event.
    ``with_locals``, ``with_source``: local variables and source lines in the frames of errors.
    ``spool_bytes``, ``segment_bytes``: at which size of the folder events are dropped, and of a file the next begins.

    Raises nothing: what cannot be used is said on standard error, and nothing is recorded.
    """
    global _recorder
    try:
        made = Recorder(usable(**locals()))  # every argument by its name, before anything else has one
    except Exception as error:
        tell(f"init() cannot begin: {error} Nothing is recorded.")
        made = None
    # Only now: what other threads report meanwhile is still the first one's.
    previous, _recorder = _recorder, made
    if previous is not None:
        previous.close()


def track(
    name: str,
    /,
    *,
    kind: str = event.BEHAVIOUR,
    who: object | None = None,
    where: object | None = None,
    stacklevel: int = 1,
    **attributes: object,
) -> str | None:
    """Record that something happened: ``track("checkout.paid", who=user.id, amount=3)``.

    ``stacklevel`` says whose file, line and function the event bears: 1 is the caller's, 2 its caller's.
    The event's id, or None if none was recorded. In the embedded mode an event with an id survives this process.
    """
    recorder = _recorder
    if recorder is None:
        return _not_begun()
    return recorder.record(_frame(stacklevel), name, kind, attributes, who, where)


def gauge(
    name: str,
    value: float,
    /,
    *,
    who: object | None = None,
    where: object | None = None,
    stacklevel: int = 1,
    **attributes: object,
) -> str | None:
    """Record a value that goes up and down: ``gauge("queue.size", 17)``. It is the attribute ``value``."""
    recorder = _recorder
    if recorder is None:
        return _not_begun()
    attributes["value"] = value
    return recorder.record(_frame(stacklevel), name, event.OPERATION, attributes, who, where)


def error(
    name: str,
    exception: BaseException | None = None,
    /,
    *,
    who: object | None = None,
    where: object | None = None,
    stacklevel: int = 1,
    **attributes: object,
) -> str | None:
    """Record that something failed: ``error("db.pool_exhausted", exc)``.

    Without ``exception`` it is the one that is being handled, if any. Returns as ``track()`` does.
    """
    recorder = _recorder
    if recorder is None:
        return _not_begun()
    if exception is None:
        exception = sys.exc_info()[1]
    return recorder.record(
        _frame(stacklevel), name, event.QUALITY, attributes, who, where, recorder.describe(exception)
    )


def bind(
    *,
    trace_id: object | None = None,
    who: object | None = None,
    where: object | None = None,
    **attributes: object,
) -> Binding:
    """Give every event of this request these values: from now on, or within ``with bind(...):``.

    What is not given keeps the value that was bound before. The binding follows the context of the thread or the
    asyncio task. ``bind(...).undo()`` ends it where a ``with`` does not fit.
    """
    trace_id, who, where = (None if value is None else shown(value) for value in (trace_id, who, where))
    return Binding(narrowed(trace_id, who, where, attributes))


class timed:
    """Record how long something took, and whether it failed: ``@timed("job.step")`` or ``with timed("job.step"):``.

    The event has the attributes ``seconds`` and ``outcome``, "ok" or "error", and then ``exception.type``. The
    exception itself goes on its way. In a generator function use ``with`` inside: a decorator would only see it begin.
    """

    def __init__(self, name: str, /, **attributes: object) -> None:
        self._name, self._attributes = name, attributes
        self._place: tuple[str, int, str] | None = None
        self._begun = 0.0

    def __enter__(self) -> timed:
        self._begun = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        seconds = time.perf_counter() - self._begun
        recorder = _recorder
        if recorder is None:
            _not_begun()
            return
        attributes = {**self._attributes, "seconds": round(seconds, 9), "outcome": "ok" if kind is None else "error"}
        if kind is not None:
            attributes["exception.type"] = kind.__qualname__
        if self._place is None:
            recorder.record(sys._getframe(1), self._name, event.QUALITY, attributes)
        else:
            recorder.record_at(self._place, self._name, event.QUALITY, attributes)

    def __call__(self, function: _Function) -> _Function:
        import inspect

        place = place_of(function)

        def measured() -> timed:
            one = timed(self._name, **self._attributes)
            one._place = place
            return one

        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def timed_coroutine(*args: Any, **kwargs: Any) -> Any:
                with measured():
                    return await function(*args, **kwargs)

            return cast(_Function, timed_coroutine)

        @functools.wraps(function)
        def timed_function(*args: Any, **kwargs: Any) -> Any:
            with measured():
                return function(*args, **kwargs)

        return cast(_Function, timed_function)


def flush(timeout: float = 2.0) -> bool:
    """Hand on what waits in memory. False if that took longer than ``timeout`` seconds. Embedded, nothing waits."""
    recorder = _recorder
    return recorder is None or recorder.flush(timeout)


def close() -> None:
    """End recording, in memory mode after a flush of at most two seconds."""
    global _recorder
    recorder, _recorder = _recorder, None
    if recorder is not None:
        recorder.close()


def recorder() -> Recorder | None:
    """The recorder in force, for the other modules of this package."""
    return _recorder


def _frame(stacklevel: int) -> FrameType:
    """The frame that reports, ``stacklevel`` above the function that was called; that function's if there is none."""
    try:
        return sys._getframe(stacklevel + 1)
    except (ValueError, TypeError, OverflowError):
        return sys._getframe(1)


def _not_begun() -> str | None:
    """Say once that nothing is recorded. No id."""
    global _said
    if not _said:
        _said = True
        tell("a point was reported before init(). Nothing is recorded until it is called.")
    return None


def _at_exit() -> None:
    """Hand on what is left. The recorder stays: what other exit handlers report is still written."""
    if _recorder is not None:
        _recorder.close()


def _after_fork() -> None:
    if _recorder is not None:
        _recorder.after_fork()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
