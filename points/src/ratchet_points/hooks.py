"""What reports by itself, where a program asks for it: log records, and exceptions that nobody caught."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable

from ratchet_points import event, interface
from ratchet_points.caller import place_in
from ratchet_points.failure import origin

if TYPE_CHECKING:
    import asyncio

UNCAUGHT, UNCAUGHT_THREAD, UNCAUGHT_TASK = "uncaught.exception", "uncaught.thread", "uncaught.task"
_OURS = "_reports_to_ratchet_points"
_installed: set[Callable[[], None]] = set()
_SEVERITIES = ((logging.CRITICAL, "FATAL"), (logging.ERROR, "ERROR"), (logging.WARNING, "WARN"), (logging.INFO, "INFO"))


class LoggingHandler(logging.Handler):
    """Turns log records into events: ``logging.getLogger().addHandler(points.LoggingHandler())``.

    The point is ``log.error``, ``log.warning`` and so on. ``log.template`` is the text before its arguments are put
    in, so that equal messages can be counted together.
    """

    def __init__(self, level: int = logging.ERROR) -> None:
        super().__init__(level)

    def emit(self, record: logging.LogRecord) -> None:
        """Report one record. Raises nothing."""
        recorder = interface.recorder()
        if recorder is None:
            return
        try:
            attributes = {
                "log.logger": record.name,
                "log.message": record.getMessage(),
                "log.template": str(record.msg),
            }
            severity = next((text for level, text in _SEVERITIES if record.levelno >= level), "DEBUG")
            error = record.exc_info[1] if record.exc_info else None
            recorder.record_at(
                (record.pathname, record.lineno, record.funcName or ""),
                f"log.{record.levelname.lower()}",
                event.QUALITY,
                attributes,
                details=recorder.describe(error, severity),
            )
        except Exception:
            self.handleError(record)


def report_uncaught(*, threads: bool = True) -> None:
    """Report exceptions that end the program, or a thread of it. What Python printed before, it prints still.

    Called again it changes nothing: an exception would otherwise be counted twice.
    """
    _once(_report_uncaught_in_the_program)
    if threads:
        _once(_report_uncaught_in_threads)


def _once(install: Callable[[], None]) -> None:
    if install not in _installed:
        _installed.add(install)
        install()


def _report_uncaught_in_the_program() -> None:
    before = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not isinstance(error, KeyboardInterrupt):
            _report(UNCAUGHT, error)
        before(kind, error, trace)

    sys.excepthook = hook


def _report_uncaught_in_threads() -> None:
    before = threading.excepthook

    def hook(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
            _report(UNCAUGHT_THREAD, args.exc_value)
        before(args)

    threading.excepthook = hook


def report_asyncio(loop: asyncio.AbstractEventLoop | None = None) -> None:
    """Report exceptions of tasks and callbacks that nobody awaited. Without ``loop``, those of the running one.

    Raises RuntimeError if no loop is given and none is running. Called again for a loop it changes nothing.
    """
    import asyncio

    loop = loop or asyncio.get_running_loop()
    before = loop.get_exception_handler()
    if getattr(before, _OURS, False):
        return

    def handler(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, BaseException):
            _report(UNCAUGHT_TASK, error, {"asyncio.message": str(context.get("message", ""))})
        if before is not None:
            before(loop, context)
        else:
            loop.default_exception_handler(context)

    setattr(handler, _OURS, True)
    loop.set_exception_handler(handler)


def _report(name: str, error: BaseException, attributes: dict[str, object] | None = None) -> None:
    """Report an exception at the place where it was raised."""
    recorder = interface.recorder()
    if recorder is None:
        return
    with contextlib.suppress(Exception):
        step = origin(error)
        place = None if step is None else place_in(step.tb_frame, step.tb_lineno)
        recorder.record_at(place, name, event.QUALITY, attributes or {}, details=recorder.describe(error, "FATAL"))
