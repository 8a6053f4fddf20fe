"""``ratchet verify``: whether the lake still is what was published, and making again what is not."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pipeline.core.lake import SourceLake
    from pipeline.core.project import Project
    from pipeline.core.verify.faults import Found

_SHOWN, _LONGEST = 50, 2_000


@click.command()
@click.argument("source", required=False)
@click.option("--repair", "repairing", is_flag=True, help="Make again what can be made again, and verify once more.")
def command(source: str | None, repairing: bool) -> None:
    """Look at every file of SOURCE, or of every source: is it there, sound, and what was published?

    Every file is opened, its checksum compared with the one recorded at publication, and its numbers with those of the
    files it was made from. Ends with 0 where all is sound and with 16 where it is not.

    \b
    Examples: ratchet verify recorded
              ratchet verify recorded --repair
    """
    from pipeline.core.errors import LakeFault
    from pipeline.core.project import Project

    project = Project.here()
    failed = []
    for lake in _lakes(project, source):
        found = _repair(project, lake) if repairing else _verify(lake)
        _tell(lake.name, found, repairing)
        if found.faults:
            failed.append(lake.name)
    if failed:
        raise LakeFault(f"Damaged: {', '.join(failed)}.", _next_step(failed[0], repairing))


def _lakes(project: Project, source: str | None) -> list[SourceLake]:
    """By their folders, that of the project among them: verifying asks for no YAML and no credential."""
    from pipeline.core.sources import find_lake

    return project.lake.senders() if source is None else [find_lake(project, source)]


def _verify(lake: SourceLake) -> Found:
    from pipeline.core.verify.checking import verify

    with _progress(lake, "Verifying") as done:
        return verify(lake, done)


def _repair(project: Project, lake: SourceLake) -> Found:
    """What is still wrong after the repair."""
    from datetime import UTC, datetime

    from pipeline.core.sources import find_source
    from pipeline.core.verify.checking import verify
    from pipeline.core.verify.repairing import repair

    if lake == project.lake.project:
        return _verify(lake)
    source = find_source(project, lake.name)
    with lake.writing(), lake.sending():
        with _progress(lake, "Verifying") as done:
            first = repair(lake, source, datetime.now(UTC), done)
        if first.finished_from is not None:
            click.echo(f"{lake.name}: finished what an earlier run left, from {first.finished_from.key} on.")
        elif not first.faults:
            return first
        _print_faults(lake.name, first)
        with _progress(lake, "Verifying again") as done:
            return verify(lake, done)


def _tell(name: str, found: Found, repaired: bool) -> None:
    for note in found.notes[:_SHOWN]:
        click.echo(f"{name}: {note}")
    if found.unrecorded and not repaired:
        click.echo(
            f"{name}: the checksums of {len(found.unrecorded):,} files were never recorded; "
            f"ratchet verify {name} --repair records them."
        )
    if found.faults:
        _print_faults(name, found)
    else:
        click.echo(f"{name}: {found.files:,} files are sound.")


def _print_faults(name: str, found: Found) -> None:
    from pipeline.core.text import legible

    for fault in found.faults[:_SHOWN]:
        click.echo(legible(f"{name}/{fault.file}: {fault.what} ({fault.remedy.value})", _LONGEST), err=True)
    if len(found.faults) > _SHOWN:
        click.echo(f"{name}: and {len(found.faults) - _SHOWN:,} more.", err=True)


def _next_step(name: str, repaired: bool) -> str:
    if repaired:
        return "What is named above cannot be made again from what is left: restore it from a backup."
    return f"Make again what can be: ratchet verify {name} --repair"


def _progress(lake: SourceLake, doing: str) -> AbstractContextManager[Callable[[str], None]]:
    """A bar over the months."""
    from pipeline.cli.progress import on_stderr
    from pipeline.core.verify.checking import months_to_verify

    return on_stderr(f"{doing} {lake.name}", lambda: len(months_to_verify(lake)))
