"""``ratchet alert``: the channels of the sources, tried out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pipeline.core.model import Source
    from pipeline.core.project import Project


@click.group()
def command() -> None:
    """Try out the channels of the sources.

    \b
    Example: ratchet alert test
    """


@command.command()
@click.argument("source", required=False)
def test(source: str | None) -> None:
    """Send a test message to every channel of SOURCE, or of every source, and report each.

    Ends with 18 when a channel did not take it.

    \b
    Example: ratchet alert test my_blog
    """
    from pipeline.cli.saying import end_with, say_error
    from pipeline.core.errors import ConfigError
    from pipeline.core.project import Project
    from pipeline.core.sources import chosen_sources

    project = Project.here()
    sources, broken = chosen_sources(project, source)
    if source is not None and not sources[0].notify:
        raise ConfigError(f"{source} has no channels.", "Add addresses under 'notify' in its YAML.")
    failed = [channel for address, names in _channels(sources).items() for channel in _test(project, address, names)]
    if failed:
        for error in broken:
            say_error(error)
        _explain(failed)
    end_with(broken)


def _channels(sources: Sequence[Source]) -> dict[str, list[str]]:
    """Each address with the names of the sources that use it."""
    channels: dict[str, list[str]] = {}
    for source in sources:
        if not source.notify:
            click.echo(f"{source.name}: no channels; add addresses under 'notify' in its YAML.")
        for address in source.notify:
            channels.setdefault(address, []).append(source.name)
    return channels


def _test(project: Project, address: str, names: list[str]) -> list[str]:
    """Send to one channel; its id if that failed."""
    from pipeline.notify.channels import forgive
    from pipeline.notify.delivery import send_once
    from pipeline.notify.incident_wording import trial_message

    delivery = send_once(trial_message(names), address)
    click.echo(f"{delivery.channel} ({', '.join(names)}): {delivery.result}. {delivery.detail}".rstrip())
    if delivery.result != "sent":
        return [delivery.channel]
    for sender in (project.lake.project, *map(project.lake.source, names)):
        forgive(sender, delivery.channel)
    return []


def _explain(failed: list[str]) -> None:
    from pipeline.core.errors import ChannelFault
    from pipeline.core.text import counted

    raise ChannelFault(
        f"{counted(len(failed), 'channel')} did not take the test: {', '.join(failed)}.",
        "Compare its address in .env with the form that https://appriseit.com/services/ gives for the service.",
    )
