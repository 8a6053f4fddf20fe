"""The workflows of deploy/hosted, their `run` steps carried out by bash as a hosted CI does it.

Steps that use an action are what the test lays out itself: the checkout, Python, and the cached .venv.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipeline.core.project import ROOT
from pipeline_tests.deploy.git_host import REPOSITORY, TOKEN, GitHost

_EXPRESSION = re.compile(r"\$\{\{\s*(.+?)\s*\}\}")
_OUTCOME = re.compile(r"steps\.(\w+)\.outcome == 'success'")


@dataclass(frozen=True)
class Step:
    """How one step ended; ``code`` is None where it was left out."""

    name: str
    code: int | None
    said: str


@dataclass(frozen=True)
class Runner:
    """A machine of the hosted CI: a checkout at its place, and the host that it belongs to."""

    checkout: Path
    host: GitHost

    def run(self, workflow: str, **contexts: str) -> dict[str, Step]:
        """One job on a fresh machine: of the run before it only what the workflow caches is left.

        ``contexts`` gives expressions their values, ``vars_NAME`` standing for ``vars.NAME``.
        """
        shutil.rmtree(self.checkout / "data", ignore_errors=True)
        content = yaml.safe_load((self.checkout / "deploy/hosted/workflows" / workflow).read_text())
        (job,) = content["jobs"].values()
        cached = [step["with"]["path"] for step in job["steps"] if step.get("uses", "").startswith("actions/cache@")]
        assert cached == [".venv"]
        values = self._values() | {name.replace("_", ".", 1): value for name, value in contexts.items()}
        ended: dict[str, Step] = {}
        outcomes: dict[str, bool] = {}
        for step in (step for step in job["steps"] if "run" in step):
            done = Step(step["name"], None, "")
            if _is_wanted(step, ended, outcomes):
                done = self._step(step, values)
            ended[done.name] = done
            outcomes[step.get("id", done.name)] = done.code == 0
        return ended

    def shell(self, command: str, **environment: str) -> Step:
        """A command in the checkout, as the owner of the lake gives it on a machine of theirs."""
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", command],
            cwd=self.checkout,
            env={**_bare_environment(), **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=1_800,  # the installation, on a machine that is busy with other work
            check=False,
        )
        return Step(command, done.returncode, done.stdout + done.stderr)

    def _values(self) -> dict[str, str]:
        return {
            "github.token": TOKEN,
            "github.server_url": self.host.url,
            "github.repository": REPOSITORY,
            "github.event.repository.private": "true",
        }

    def _step(self, step: Mapping[str, Any], values: Mapping[str, str]) -> Step:
        given = {
            name: _EXPRESSION.sub(lambda found: values.get(found[1], ""), str(value))
            for name, value in step.get("env", {}).items()
        }
        always = {"GITHUB_REPOSITORY": REPOSITORY, "GITHUB_API_URL": self.host.url, "CI": "true"}
        done = self.shell(step["run"], **always, **given)
        return Step(step["name"], done.code, done.said)


def _is_wanted(step: Mapping[str, Any], ended: Mapping[str, Step], outcomes: Mapping[str, bool]) -> bool:
    """What a step's ``if`` says; without one it wants that none before it failed."""
    terms = str(step.get("if", "success()")).split(" && ")
    known = {"always()": True, "success()": all(before.code in (0, None) for before in ended.values())}
    return all(known[term] if term in known else outcomes[_OUTCOME.fullmatch(term)[1]] for term in terms)  # type: ignore[index]


def _bare_environment() -> dict[str, str]:
    """What a fresh machine has, and what pip needs to find its registry here."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
    named = {name: value for name, value in os.environ.items() if name in kept or name.startswith("PIP_")}
    return {**named, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}


def checkout_of_this_repository(folder: Path) -> Path:
    """The files that git knows of here, as they are now."""
    known = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(known, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file() and not name.startswith(("data/recordings/", "docs/pictures/")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder
