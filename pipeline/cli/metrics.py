"""``ratchet metrics``: the pipeline's vital signs for Prometheus, served on loopback."""

from __future__ import annotations

import threading

import click


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=9464, show_default=True, help="0: any that is free.")
@click.option(
    "--items",
    type=click.IntRange(0),
    default=1_000,
    show_default=True,
    help="Give the counters of so many items of each source: of those that have a counter few others have, "
    "then of those with the highest first counter.",
)
@click.option("--once", is_flag=True, help="Print them in OpenMetrics and end.")
def command(port: int, items: int, once: bool) -> None:
    """Serve the vital signs of Ratchet and the latest counters on 127.0.0.1, for Prometheus.

    OpenMetrics, or Prometheus' text where that is asked for. Everything is read from the lake at the time of the
    scrape, without a lock. docs/metrics.md lists what there is.

    \b
    Example: ratchet metrics --port 9464
    """
    from pipeline.core.observe import PRESENT
    from pipeline.core.project import Project
    from pipeline.core.text import printable
    from pipeline.metrics.collector import VitalSigns
    from pipeline.metrics.serving import serving

    signs = VitalSigns(Project.here(), PRESENT.now, items, lambda words: click.echo(printable(words), err=True))
    if once:
        from prometheus_client import CollectorRegistry
        from prometheus_client.openmetrics.exposition import generate_latest

        registry = CollectorRegistry(auto_describe=False)
        registry.register(signs)
        click.echo(printable(generate_latest(registry).decode()), nl=False)  # type: ignore[no-untyped-call]
        return
    with serving(signs, port) as address:
        click.echo(f"Serving {address}. Stop with Ctrl-C.")
        threading.Event().wait()
