"""``ratchet digest``: what a source did in the last whole day or week, printed or sent. Imports no Dagster."""

from __future__ import annotations

import click


@click.command()
@click.argument("source")
@click.option("--weekly", is_flag=True, help="The last week, Monday to Sunday; the last day by default.")
@click.option("--send", is_flag=True, help="Send it to the channels of the source that were not sent it yet.")
def command(source: str, weekly: bool, send: bool) -> None:
    """Print the digest of SOURCE: what was gained, what moved, spikes and what came before them.

    Days are those of the source's time zone. With Dagster's daemon a schedule sends it: digests: [daily]
    in the YAML of the source. From cron, run this with --send.

    \b
    Examples: ratchet digest my_blog
              ratchet digest my_blog --weekly --send
    """
    from datetime import UTC, datetime

    from pipeline.cli.saying import say_messages
    from pipeline.core.errors import ConfigError
    from pipeline.core.model import Period
    from pipeline.core.project import Project
    from pipeline.core.sources import find_source, find_source_of_history
    from pipeline.core.text import as_data
    from pipeline.notify.digest import digest_message, last_stretch, send_digest
    from pipeline.site.build import cache_folder

    project = Project.here()
    found = find_source(project, source) if send else find_source_of_history(project, source)
    lake, cache = project.lake.source(found.name), cache_folder(project, found.name)
    now = datetime.now(UTC)
    stretch = last_stretch(Period.WEEKLY if weekly else Period.DAILY, now, found.timezone)
    if not send:
        message = digest_message(lake, found, stretch, now, cache)
        click.echo(as_data(f"{message.title}\n\n{message.body}"))
        return
    if not found.notify:
        raise ConfigError(f"{source} has no channels.", "Add addresses under 'notify' in its YAML.")
    sent = send_digest(lake, found, stretch, lambda: datetime.now(UTC), cache)
    say_messages(sent)
    if not sent:
        click.echo(f"Every channel was sent the digest of {stretch.words}.")
