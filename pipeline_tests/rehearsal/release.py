"""`python -m pipeline_tests.rehearsal.release VERSION`: the checklist before a tag, stopped at the first that fails.

The tag is made here and pushed by hand: what other people get is decided by a person.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from pipeline.core.errors import ConfigError, RatchetError
from pipeline.core.hours import format_time
from pipeline.core.project import ROOT
from pipeline_tests.rehearsal.checkout import present_revision, run
from pipeline_tests.rehearsal.steps import RELEASER, Failed, Result, Step

_VERSION = re.compile(r"\d+\.\d+\.\d+((a|b|rc)\d+)?")
_TITLE = re.compile(r"^## (\S+) \(\d{4}-\d{2}-\d{2}\)$")


@dataclass(frozen=True)
class Release:
    """``commit`` is tried, and tagged. ``previous``: what the rehearsal upgrades from, None for its own choice."""

    version: str
    repository: Path
    build: Path
    commit: str
    previous: str | None = None

    @property
    def tag(self) -> str:
        return f"v{self.version}"

    def make(self, target: str) -> str:
        """Run a target of the Makefile; what it printed is kept. Raises Failed where it does not end with 0."""
        log = self.build / f"{target}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        previous = [f"PREVIOUS={self.previous}"] if self.previous else []
        with log.open("wb") as output:
            command = ["make", target, *previous]
            code = subprocess.run(command, cwd=self.repository, stdout=output, stderr=subprocess.STDOUT).returncode
        said = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        if code:
            raise Failed(f"make {target} ended with {code}; its last words: {' '.join(said[-2:])} ({log})")
        return f"make {target}: {said[-1] if said else 'no word of complaint'}"


def require_clean(release: Release) -> str:
    """The commit that is released. Raises Failed where the working tree holds anything else."""
    revision = present_revision(release.repository)
    if revision.remark:
        raise Failed(f"{revision.remark}: what is released is a commit")
    return f"commit {revision.name}, and nothing beside it"


def changelog_entry(release: Release) -> str:
    """What CHANGELOG.md says of the version. Raises Failed where it says nothing, or does not begin with it."""
    file = release.repository / "CHANGELOG.md"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    titles = [(number, found[1]) for number, line in enumerate(lines) if (found := _TITLE.match(line))]
    if not titles or titles[0][1] != release.version:
        newest = titles[0][1] if titles else "none"
        raise Failed(f"CHANGELOG.md begins with {newest}; write '## {release.version} (YYYY-MM-DD)' above it")
    end = titles[1][0] if len(titles) > 1 else len(lines)
    entry = "\n".join(lines[titles[0][0] + 1 : end]).strip()
    if not entry:
        raise Failed(f"CHANGELOG.md says nothing of {release.version} under its title")
    return entry


def require_entry(release: Release) -> str:
    return f"{len(changelog_entry(release).splitlines())} lines about {release.version}"


def require_version(release: Release) -> str:
    project = tomllib.loads((release.repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    if project["version"] != release.version:
        raise Failed(f"pyproject.toml says {project['version']}, and {release.version} is to be released")
    if not run(["git", "rev-parse", "--verify", "--quiet", f"refs/tags/{release.tag}"], release.repository).returncode:
        raise Failed(f"the tag {release.tag} is there already; a released version is never made again")
    return f"pyproject.toml says {release.version}, and {release.tag} is free"


def tag(release: Release) -> str:
    """Tag the commit that was tried, with the words of its entry. Raises Failed where another is the present one."""
    require_clean(release)
    present = present_revision(release.repository)
    if present.commit != release.commit:
        raise Failed(f"the present commit is {present.name}, and {release.commit[:7]} was tried")
    words = f"Ratchet {release.version}\n\n{changelog_entry(release)}\n"
    ended = run(
        ["git", "tag", "--annotate", "--cleanup=verbatim", "--message", words, release.tag, release.commit],
        release.repository,
    )
    if ended.returncode:
        raise Failed(f"git made no tag: {ended.stderr.strip()}")
    return f"{release.tag} stands on {present.name}; publish it: git push origin {release.tag}"


CHECKLIST: tuple[Step[Release], ...] = (
    Step(
        "nothing uncommitted",
        RELEASER,
        "The working tree is what is committed.",
        "Commit it, or put it away: `git stash`.",
        require_clean,
        at_once=True,
    ),
    Step("lint", RELEASER, "`make lint` ends well.", "Mend it in a commit.", lambda release: release.make("lint")),
    Step(
        "unit tests", RELEASER, "`make test` ends well.", "Mend it in a commit.", lambda release: release.make("test")
    ),
    Step(
        "integration check",
        RELEASER,
        "`make integration` ends well: a real stack, upgraded and rolled back, in the environment at hand.",
        "Read build/integration.md; mend it in a commit.",
        lambda release: release.make("integration"),
    ),
    Step(
        "rehearsal",
        RELEASER,
        "`make rehearse` ends well: the steps of the rehearsal, above.",
        "Read build/rehearsal.md, which names the step's own.",
        lambda release: release.make("rehearse"),
    ),
    Step(
        "changelog entry",
        RELEASER,
        "CHANGELOG.md begins with the version, its date and what changed for its users.",
        "Write it in a commit.",
        require_entry,
        at_once=True,
    ),
    Step(
        "version",
        RELEASER,
        "`version` in pyproject.toml is the one to be released.",
        "Write it in a commit.",
        require_version,
        at_once=True,
    ),
    Step(
        "tag",
        RELEASER,
        "The tag `vVERSION` stands on the commit that was tried, with the words of CHANGELOG.md.",
        "As long as it is not pushed: `git tag --delete vVERSION`. After that, release a next version.",
        tag,
    ),
)


@click.command()
@click.argument("version")
@click.option("--previous", metavar="REF", help="The version that the rehearsal upgrades from.")
@click.option(
    "--repository",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=ROOT,
    help="The clone to release from; by default this one.",
)
def main(version: str, previous: str | None, repository: Path) -> None:
    """Walk the checklist of a release and make its tag: lint, tests, rehearsal, changelog, version.

    Ends with 1 where a step fails and with 2 where VERSION cannot be released at all. The result, with a line for each
    step, stands in build/release.md and .json.

    Example: python -m pipeline_tests.rehearsal.release 0.2.0
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    repository = repository.resolve()
    try:
        if not _VERSION.fullmatch(version):
            raise ConfigError(f"'{version}' is no version.", "Write it as 1.2.3: make release VERSION=1.2.3")
        commit = present_revision(repository).commit
        release = Release(version, repository, repository / "build" / "release", commit, previous or None)
        passed = Result(f"The release of {version}", release.build, _facts(release)).walk(CHECKLIST, release)
    except RatchetError as error:
        click.echo(f"Error: {error.what}\n{error.next_step}", err=True)
        sys.exit(error.exit_code)
    click.echo(f"Written to {release.build.with_suffix('.md')} and .json")
    sys.exit(0 if passed else 1)


def _facts(release: Release) -> Callable[[], Mapping[str, Any]]:
    began = format_time(datetime.now(UTC).replace(microsecond=0))
    return lambda: {"version": release.version, "commit": release.commit, "began": began}


if __name__ == "__main__":
    main()
