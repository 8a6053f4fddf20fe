"""What reports by itself, once it is asked to."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Callable

import ratchet_points as points


def test_log_records_become_events(begin: Callable[..., Any]) -> None:
    lake = begin()
    logger = logging.getLogger("shop.orders")
    handler = points.LoggingHandler(logging.WARNING)
    logger.addHandler(handler)
    logger.propagate = False
    try:
        logger.info("too quiet")
        logger.warning("slow: %d ms", 12)
        try:
            raise ValueError("no stock")
        except ValueError:
            logger.exception("order %s failed", 7)
        logger.critical("bad format %d", "x")
    finally:
        logger.removeHandler(handler)
        logger.propagate = True
    slow, failed = lake.events()
    assert slow["type"] == "log.warning"
    assert slow["data"]["severity_text"] == "WARN"
    assert slow["data"]["attributes"] == {
        "log.logger": "shop.orders",
        "log.message": "slow: 12 ms",
        "log.template": "slow: %d ms",
    }
    assert slow["data"]["code.file.path"] == __file__
    assert slow["data"]["code.function.name"] == "test_log_records_become_events"
    assert failed["data"]["exception.type"] == "ValueError"
    assert failed["data"]["exception.frames"][0]["code.file.path"] == __file__


def test_uncaught_exceptions_of_program_and_threads(run: Callable[..., Any], lake: Any) -> None:
    done = run("""
        import threading
        points.init(app="a", spool=SPOOL)
        points.report_uncaught(threads=False)
        points.report_uncaught()
        points.report_uncaught()  # counts nothing twice
        def work():
            raise KeyError("in a thread")
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        def main():
            raise ValueError("at the top")
        main()
        """, code=1)  # fmt: skip
    assert "ValueError: at the top" in done.stderr
    assert "KeyError: 'in a thread'" in done.stderr
    in_thread, at_top = lake.events()
    assert in_thread["type"] == "uncaught.thread"
    assert at_top["type"] == "uncaught.exception"
    assert at_top["data"]["severity_text"] == "FATAL"
    assert at_top["data"]["code.function.name"] == "__main__.main"
    assert at_top["data"]["exception.frames"][-1]["code.line.number"] == at_top["data"]["code.line.number"]


def test_an_interrupt_is_no_error(run: Callable[..., Any], lake: Any) -> None:
    run("""
        points.init(app="a", spool=SPOOL)
        points.report_uncaught()
        raise KeyboardInterrupt
        """, code=None)  # fmt: skip
    assert lake.events() == []


def test_tasks_that_nobody_awaits(begin: Callable[..., Any]) -> None:
    lake = begin()
    seen: list[Any] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: seen.append(context["message"]))
        points.report_asyncio()
        points.report_asyncio()  # counts nothing twice
        loop.call_soon(lambda: 1 / 0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(main())
    (one,) = lake.events()
    assert one["type"] == "uncaught.task"
    assert one["data"]["exception.type"] == "ZeroDivisionError"
    assert len(seen) == 1


def test_without_init_hooks_do_nothing(run: Callable[..., Any]) -> None:
    done = run("""
        import logging
        logging.getLogger().addHandler(points.LoggingHandler())
        logging.error("nobody listens")
        points.report_uncaught()
        raise ValueError("at the top")
        """, code=1)  # fmt: skip
    assert done.stderr.rstrip().endswith("ValueError: at the top")
