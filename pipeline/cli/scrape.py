"""``ratchet scrape``: scrape a program between the hours, and tell of it within seconds."""

from __future__ import annotations

import re

import click

_LONGEST_SECONDS = 60


class _Seconds(click.ParamType[float]):
    name = "time"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> float:
        found = re.fullmatch(r"(\d{1,3})\s*(s|m)?", str(value), re.ASCII)
        seconds = int(found[1]) * (60 if found[2] == "m" else 1) if found else 0
        if not 1 <= seconds <= _LONGEST_SECONDS:
            self.fail(f"'{value}' is no time from 1s to {_LONGEST_SECONDS}s")
        return float(seconds)


@click.command()
@click.argument("source")
@click.option("--every", type=_Seconds(), default="5s", show_default=True, help="Between two scrapes: 1s to 60s.")
@click.option("--once", is_flag=True, help="Scrape once, tell what there is to tell, and end.")
def command(source: str, every: float, once: bool) -> None:
    """Scrape SOURCE, an openmetrics source with a spool, between the hours, and tell of its rules at once.

    Run it beside the daemon or cron: their captures count what it scraped. Rates per minute and values above or below a
    threshold are told within seconds, and the hourly message leaves them out.

    \b
    Example: ratchet scrape shop_server --every 5s
    """
    from pipeline.cli.saying import say_messages
    from pipeline.core.errors import TransportFault
    from pipeline.core.observe import PRESENT
    from pipeline.core.project import Project
    from pipeline.core.sources import find_source
    from pipeline.core.text import printable
    from pipeline.scraping import Collector

    project = Project.here()
    found = find_source(project, source)
    collector = Collector(project.lake.source(found.name), found, PRESENT.now)
    if not once:
        collector.run(every, lambda words: click.echo(printable(words)), say_messages)
        return
    words = collector.scrape()
    deliveries, refused = collector.look()
    say_messages(deliveries)
    for reason in refused:
        click.echo(printable(f"Refused, and kept as evidence: {reason}."), err=True)
    if words is not None:
        raise TransportFault(f"{words}.")
