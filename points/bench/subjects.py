"""The libraries that are compared, each with the same two calls: one event, and one exception of 20 frames.

Run as a program, it measures one of them in a process of its own: ``python -m bench.subjects NAME PORT FOLDER CALLS``.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any, Callable, NamedTuple

FRAMES = 20
EXCEPTION_SHARE = 5  # one exception is measured for so many events: the slow libraries take milliseconds


class Calls(NamedTuple):
    """What a library is asked to do."""

    track: Callable[[], object]
    error: Callable[[ValueError], object]


def deep(frames: int) -> None:
    """Raise under so many frames."""
    if frames <= 1:
        raise ValueError("no connection left in the pool")
    deep(frames - 1)


def failure() -> ValueError:
    """An exception whose traceback has FRAMES frames."""
    try:
        deep(FRAMES - 1)
    except ValueError as error:
        return error
    raise AssertionError


def ratchet(port: int, folder: str) -> Calls:
    import ratchet_points as points

    points.init(app="bench", version="1", environment="test", spool=folder)
    return Calls(
        lambda: points.track("checkout.paid", who="alice", amount=3, currency="EUR"),
        lambda error: points.error("db.pool_exhausted", error, pool="orders"),
    )


def ratchet_memory(port: int, folder: str) -> Calls:
    import ratchet_points as points

    points.init(app="bench", version="1", environment="test", spool=f"http://127.0.0.1:{port}/", mode="memory")
    return Calls(
        lambda: points.track("checkout.paid", who="alice", amount=3, currency="EUR"),
        lambda error: points.error("db.pool_exhausted", error, pool="orders"),
    )


def sentry(port: int, folder: str) -> Calls:
    import sentry_sdk

    sentry_sdk.init(dsn=f"http://key@127.0.0.1:{port}/1", release="1", environment="test")
    sentry_sdk.set_user({"id": "alice"})

    def track() -> None:
        with sentry_sdk.new_scope() as scope:
            scope.set_extra("amount", 3)
            scope.set_extra("currency", "EUR")
            sentry_sdk.capture_message("checkout.paid")

    return Calls(track, sentry_sdk.capture_exception)


def posthog(port: int, folder: str) -> Calls:
    from posthog import Posthog

    client = Posthog("phc_bench", host=f"http://127.0.0.1:{port}", disable_geoip=True)
    return Calls(
        lambda: client.capture("checkout.paid", distinct_id="alice", properties={"amount": 3, "currency": "EUR"}),
        lambda error: client.capture_exception(error, distinct_id="alice"),
    )


def opentelemetry(port: int, folder: str) -> Calls:
    """Log records, which are what OpenTelemetry calls events."""
    from opentelemetry._logs import LogRecord, SeverityNumber
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.resources import Resource

    provider = LoggerProvider(resource=Resource.create({"service.name": "bench", "service.version": "1"}))
    provider.add_log_record_processor(
        BatchLogRecordProcessor(OTLPLogExporter(endpoint=f"http://127.0.0.1:{port}/v1/logs"))
    )
    logger = provider.get_logger("bench")

    def emit(name: str, number: SeverityNumber, attributes: dict[str, Any], exception: ValueError | None) -> None:
        record = LogRecord(
            timestamp=time.time_ns(),
            severity_number=number,
            event_name=name,
            attributes=attributes,
            exception=exception,
        )
        logger.emit(record)

    return Calls(
        lambda: emit("checkout.paid", SeverityNumber.INFO, {"user.id": "alice", "amount": 3, "currency": "EUR"}, None),
        lambda error: emit("db.pool_exhausted", SeverityNumber.ERROR, {"pool": "orders"}, error),
    )


SUBJECTS: dict[str, Callable[[int, str], Calls]] = {
    "ratchet-points": ratchet,
    "ratchet-points, memory": ratchet_memory,
    "opentelemetry-sdk": opentelemetry,
    "posthog": posthog,
    "sentry-sdk": sentry,
}


def measure(call: Callable[..., object], calls: int, *prepare: Callable[[], object]) -> tuple[float, float]:
    """Median and 99th percentile of a burst of calls, in microseconds.

    ``prepare`` makes an argument anew for each call, outside of the time that is measured.
    """
    clock, times = time.perf_counter_ns, []
    for number in range(-max(20, calls // 20), calls):
        arguments = [make() for make in prepare]
        began = clock()
        call(*arguments)
        if number >= 0:
            times.append(clock() - began)
    times.sort()
    return times[calls // 2] / 1000, times[calls * 99 // 100] / 1000


def main(name: str, port: int, folder: str, calls: int) -> None:
    logging.disable(logging.CRITICAL)
    subject = SUBJECTS[name](port, folder)
    result = {
        "track": measure(subject.track, calls),
        "error": measure(subject.error, calls // EXCEPTION_SHARE, failure),
    }
    print(json.dumps(result), flush=True)
    # The measurement is over; what the libraries still hold is not what is measured.
    import os

    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
