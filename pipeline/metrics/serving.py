"""Serving the vital signs over HTTP on loopback: OpenMetrics, or Prometheus' older text, as the scraper asks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, start_wsgi_server

from pipeline.core.errors import ConfigError
from pipeline.metrics.collector import VitalSigns

HOST = "127.0.0.1"


@contextmanager
def serving(signs: VitalSigns, port: int) -> Iterator[str]:
    """The address under which they are served meanwhile; any free port where ``port`` is 0. Raises ConfigError."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(signs)
    for _ in signs.collect():
        pass  # what is read once is read before anybody waits for it: reports of a year take seconds
    try:
        server, thread = start_wsgi_server(port, HOST, registry)
    except OSError as fault:
        raise ConfigError(
            f"The port {port} of {HOST} cannot be used: {fault.strerror}",
            "Name another one: ratchet metrics --port 9465",
        ) from fault
    try:
        yield f"http://{HOST}:{server.server_port}/metrics"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
