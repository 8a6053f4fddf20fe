"""The two versions of a rehearsal: the commit that is to be released, and the one that production runs."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.core.errors import ConfigError
from pipeline_tests.rehearsal.steps import Failed

Ended = subprocess.CompletedProcess[str]
NEEDED = ("Makefile", "requirements.lock")
"""Without these a revision cannot be installed."""
PATIENCE_SECONDS = 1_800
"""What one command may take: an installation on a slow line is the longest."""

_RELEASES = "v[0-9]*"


@dataclass(frozen=True)
class Revision:
    """A commit, what people call it, and what has to be said of its choice."""

    commit: str
    name: str
    remark: str = ""


@dataclass(frozen=True)
class Checkout:
    """A revision's files in a folder of their own, and the environment whose programs run them."""

    revision: Revision
    root: Path
    bin: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    def run(self, *command: str, environment: Mapping[str, str]) -> Ended:
        """Run one of its programs to the end, in its folder."""
        return run([str(self.bin / command[0]), *command[1:]], self.root, {**environment, **self.variables})

    def must(self, *command: str, environment: Mapping[str, str]) -> str:
        """What the program printed. Raises Failed, with the end of what it said, where it does not end with 0."""
        ended = self.run(*command, environment=environment)
        if ended.returncode:
            raise Failed(f"{' '.join(command)} of {self.revision.name} {_end(ended)}")
        return ended.stdout


def run(command: list[str], folder: Path, environment: Mapping[str, str] | None = None) -> Ended:
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def _end(ended: Ended) -> str:
    lines = [line for line in (ended.stdout + "\n" + ended.stderr).splitlines() if line.strip()]
    return f"ended with {ended.returncode}: {' '.join(lines[-3:]) or 'it said nothing'}"


# Which -----------------------------------------------------------------------------------------------


def present_revision(repository: Path) -> Revision:
    """What is committed, and how much of the working tree is not. Raises ConfigError outside of a git repository."""
    commit = _asked(repository, "rev-parse", "HEAD")
    if commit is None:
        what = f"{repository} is no git repository, or git is not installed."
        raise ConfigError(what, "A release is rehearsed as it is committed: run it in a clone of the repository.")
    changed = len((_asked(repository, "status", "--porcelain") or "").splitlines())
    remark = f"{changed} files of the working tree are not committed and were not rehearsed" if changed else ""
    return Revision(commit, commit[:7], remark)


def previous_revision(repository: Path, ref: str | None) -> Revision:
    """``ref``, else the newest release before the present commit, else the nearest first parent that can be installed.

    Raises ConfigError where there is none, or ``ref`` names none that can be installed.
    """
    if ref:
        commit = _asked(repository, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
        if commit is None:
            raise ConfigError(f"There is no revision called '{ref}'.", "Name a tag, a branch or a commit: PREVIOUS=REF")
        missing = [name for name in NEEDED if not _has(repository, commit, name)]
        if missing:
            raise ConfigError(
                f"The revision '{ref}' has no {missing[0]}.", "Name one that can be installed: PREVIOUS=REF"
            )
        return Revision(commit, f"{ref} ({commit[:7]})" if ref != commit else commit[:7])
    tag = _asked(repository, "describe", "--tags", "--abbrev=0", "--match", _RELEASES, "HEAD^")
    if tag:
        return previous_revision(repository, tag)
    for commit in (_asked(repository, "rev-list", "--first-parent", "HEAD^") or "").split():
        if all(_has(repository, commit, name) for name in NEEDED):
            remark = "there is no tag of an earlier release yet, so the nearest first parent stands for it"
            return Revision(commit, commit[:7], remark)
    raise ConfigError(
        "There is no tag of an earlier release, and no earlier commit that can be installed.",
        "Name what production runs: PREVIOUS=REF. A clone without its history gets it by: git fetch --unshallow --tags",
    )


def _has(repository: Path, commit: str, name: str) -> bool:
    return _asked(repository, "cat-file", "-t", f"{commit}:{name}") == "blob"


def _asked(repository: Path, *arguments: str) -> str | None:
    """What git answers; None where it says no."""
    try:
        ended = run(["git", *arguments], repository)
    except OSError:
        return None
    return None if ended.returncode else ended.stdout.strip()


# Where it runs ---------------------------------------------------------------------------------------


def at_hand(repository: Path, revision: Revision, folder: Path) -> Checkout:
    """Its code over the libraries of the environment at hand: nothing is installed."""
    _export(repository, revision, folder)
    return Checkout(revision, folder, Path(sys.executable).parent, {"PYTHONPATH": str(folder)})


def installed(repository: Path, revision: Revision, folder: Path) -> Checkout:
    """Set up as its README says, in a new environment, from its own lock. Raises Failed where that fails."""
    _export(repository, revision, folder)
    strange = ("VIRTUAL_ENV", "PYTHONPATH", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    environment = {name: value for name, value in os.environ.items() if name not in strange}
    ended = run(["make", "setup", f"PYTHON={Path(sys.executable).resolve()}"], folder, environment)
    if ended.returncode:
        raise Failed(f"make setup of {revision.name} {_end(ended)}")
    return Checkout(revision, folder, folder / ".venv" / "bin")


def _export(repository: Path, revision: Revision, folder: Path) -> None:
    packed = subprocess.run(
        ["git", "archive", "--format=tar", revision.commit], cwd=repository, capture_output=True, check=True
    )
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        # As an attribute: Python knows the argument `filter` from 3.11.4 on, and older ones let this one lie.
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(folder)
