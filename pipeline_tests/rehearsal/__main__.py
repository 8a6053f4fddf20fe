"""`python -m pipeline_tests.rehearsal`: the rehearsal, one line a step, and the written result."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tomllib
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

import click

from pipeline.core.errors import RatchetError
from pipeline.core.hours import format_time
from pipeline.core.project import ROOT
from pipeline_tests.rehearsal.checkout import Revision, present_revision, previous_revision
from pipeline_tests.rehearsal.order import LONG, SHORT
from pipeline_tests.rehearsal.rehearsal import PRESENT, PREVIOUS, Rehearsal
from pipeline_tests.rehearsal.stage import platform
from pipeline_tests.rehearsal.staging import Staging
from pipeline_tests.rehearsal.steps import Result


@click.command()
@click.option(
    "--previous", metavar="REF", help="The version to upgrade from; by default the newest tag before this one."
)
@click.option("--quick", is_flag=True, help="Install nothing: both versions run in the environment at hand.")
@click.option(
    "--repository",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=ROOT,
    help="The clone whose present commit is rehearsed; by default this one.",
)
@click.option(
    "--build", type=click.Path(file_okay=False, path_type=Path), help="Where the result goes; by default build/."
)
@click.option("--keep", is_flag=True, help="Leave the folder that it works in, with its logs, also where all passed.")
def main(previous: str | None, quick: bool, repository: Path, build: Path | None, keep: bool) -> None:
    """Rehearse a release: staging configuration, installation, deployment, integration, upgrade and way back.

    Ends with 1 where a step fails and with 2 where there is nothing to rehearse. The result stands in
    build/rehearsal.md and .json, of the short form in build/integration.md and .json.

    Example: python -m pipeline_tests.rehearsal --previous v0.1.0
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    repository = repository.resolve()
    file = (build or repository / "build") / ("integration" if quick else "rehearsal")
    try:
        present, old = present_revision(repository), previous_revision(repository, previous or None)
        passed = _rehearsed(repository, file.resolve(), {PRESENT: present, PREVIOUS: old}, quick)
    except RatchetError as error:
        click.echo(f"Error: {error.what}\n{error.next_step}", err=True)
        sys.exit(error.exit_code)
    if passed and not keep:
        shutil.rmtree(file)
    else:
        click.echo(f"What it worked with, and the logs: {file}")
    click.echo(f"Written to {file.with_suffix('.md')} and .json")
    sys.exit(0 if passed else 1)


def _rehearsed(repository: Path, folder: Path, versions: Mapping[str, Revision], quick: bool) -> bool:
    """Whether every step passed. Everything happens in ``folder``, and the result stands beside it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    staging = Staging()
    with ExitStack() as held:
        on_loopback = held.enter_context(platform(staging.session))
        production = Path(os.environ.get("RATCHET_DEFS") or repository / "pipeline" / "defs").resolve()
        rehearsal = Rehearsal(folder, repository, production, versions, quick, on_loopback, staging, held)
        title = "The integration check" if quick else "A rehearsed release"
        return Result(title, folder, _facts(rehearsal)).walk(SHORT if quick else LONG, rehearsal)


def _facts(rehearsal: Rehearsal) -> Callable[[], Mapping[str, Any]]:
    began, clock = datetime.now(UTC), perf_counter()

    def facts() -> Mapping[str, Any]:
        present, previous = (rehearsal.revisions[version] for version in (PRESENT, PREVIOUS))
        project = tomllib.loads((rehearsal.repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        return {
            "rehearsed": ", ".join(filter(None, (f"{project['version']} ({present.name})", present.remark))),
            "commit": present.commit,
            "upgraded_from": ", ".join(filter(None, (previous.name, previous.remark))),
            "form": "short: nothing was installed" if rehearsal.quick else "long",
            "instance": rehearsal.database,
            "python": sys.version.split()[0],
            "began": format_time(began.replace(microsecond=0)),
            "seconds": round(perf_counter() - clock),
        }

    return facts


if __name__ == "__main__":
    main()
