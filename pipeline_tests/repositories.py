"""Git repositories for the tests of releases: small ones, and one of this code with a past."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from pipeline.core.project import ROOT

_AUTHOR = {
    "user.name": "Tests",
    "user.email": "tests@example.invalid",
    "commit.gpgsign": "false",
    "tag.gpgsign": "false",
}
_LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "build", "data", "__pycache__", ".*_cache", ".hypothesis", ".env")


def git(repository: Path, *arguments: str) -> str:
    settings = [part for name, value in _AUTHOR.items() for part in ("-c", f"{name}={value}")]
    command = ["git", *settings, *arguments]
    return subprocess.run(command, cwd=repository, check=True, capture_output=True, text=True).stdout.strip()


def commit(repository: Path, title: str, files: Mapping[str, str | None] = MappingProxyType({})) -> str:
    """Write files, or remove one that is None, and commit all that is there; the commit."""
    for name, content in files.items():
        path = repository / name
        path.parent.mkdir(exist_ok=True)
        path.unlink() if content is None else path.write_text(content)
    git(repository, "add", "--all")
    git(repository, "commit", "--allow-empty", "-m", title)
    return git(repository, "rev-parse", "HEAD")


def new_repository(folder: Path) -> Path:
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch", "main")
    return folder


def this_code(folder: Path, tag: str) -> Path:
    """The code as it lies here, uncommitted changes with it, as two commits; the first has ``tag``."""
    shutil.copytree(ROOT, folder, ignore=_LEFT_OUT)
    git(folder, "init", "--quiet", "--initial-branch", "main")
    commit(folder, "What production runs")
    git(folder, "tag", tag)
    commit(folder, "What is to be released")
    return folder
