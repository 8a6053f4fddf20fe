"""`make release`: a small repository whose checks are trivial, walked by the real checklist."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.project import ROOT
from pipeline_tests.repositories import commit, git, new_repository

STEPS = [
    "nothing uncommitted",
    "lint",
    "unit tests",
    "integration check",
    "rehearsal",
    "changelog entry",
    "version",
    "tag",
]
CHANGELOG = """# Changelog

## 1.2.0 (2026-11-26)

- A thing that its users notice.

## 1.1.0 (2026-10-01)

- An older thing.
"""
MAKEFILE = """
lint test integration rehearse:
\t@echo "$@ from $(PREVIOUS)" | tee -a walked.log
"""
FILES = {
    "Makefile": MAKEFILE,
    "CHANGELOG.md": CHANGELOG,
    "pyproject.toml": '[project]\nname = "small"\nversion = "1.2.0"\n',
    ".gitignore": "build/\nwalked.log\n",
}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    repository = new_repository(tmp_path / "repository")
    for name, value in (("user.name", "Tests"), ("user.email", "tests@example.invalid")):
        git(repository, "config", name, value)
    commit(repository, "Small, and ready to be released", FILES)
    return repository


def release(repository: Path, version: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    where = ["--repository", str(repository), *arguments]
    return subprocess.run(
        [sys.executable, "-m", "pipeline_tests.rehearsal.release", version, *where],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("MAKE")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def outcomes(repository: Path) -> dict[str, str]:
    result: Any = json.loads((repository / "build" / "release.json").read_text())
    return {step["step"]: step["outcome"] for step in result["steps"]}


def tags(repository: Path) -> list[str]:
    return git(repository, "tag", "--list").split()


def walked(repository: Path) -> list[str]:
    log = repository / "walked.log"
    return [line.split()[0] for line in log.read_text().splitlines()] if log.exists() else []


def test_a_release_walks_every_step_and_tags_the_commit_with_its_entry(repository: Path) -> None:
    done = release(repository, "1.2.0", "--previous", "v1.1.0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert outcomes(repository) == dict.fromkeys(STEPS, "passed")
    assert (repository / "walked.log").read_text().splitlines() == [
        f"{target} from v1.1.0" for target in ("lint", "test", "integration", "rehearse")
    ]
    assert tags(repository) == ["v1.2.0"]
    assert git(repository, "rev-parse", "v1.2.0^{commit}") == git(repository, "rev-parse", "HEAD")
    words = git(repository, "for-each-ref", "--format=%(contents)", "refs/tags/v1.2.0")
    assert "- A thing that its users notice." in words
    assert "An older thing" not in words
    assert all(f"| {step} | **passed** |" in (repository / "build" / "release.md").read_text() for step in STEPS)


@pytest.mark.parametrize(
    ("target", "step"),
    [("lint", "lint"), ("test", "unit tests"), ("integration", "integration check"), ("rehearse", "rehearsal")],
)
def test_it_stops_at_the_first_step_that_fails(repository: Path, target: str, step: str) -> None:
    others = " ".join({"lint", "test", "integration", "rehearse"} - {target})
    makefile = f'{others}:\n\t@echo $@ >> walked.log\n{target}:\n\t@echo "it is broken"; exit 1\n'
    commit(repository, "Broken", {"Makefile": makefile})
    done = release(repository, "1.2.0")
    assert done.returncode == 1
    position = STEPS.index(step)
    assert list(outcomes(repository).values()) == (
        ["passed"] * position + ["failed"] + ["not reached"] * (len(STEPS) - position - 1)
    )
    assert "it is broken" in done.stdout
    assert "Rollback: " in done.stderr
    assert len(walked(repository)) == position - 1
    assert tags(repository) == []


@pytest.mark.parametrize(
    ("files", "step", "words"),
    [
        ({"CHANGELOG.md": "# Changelog\n"}, "changelog entry", "write '## 1.2.0 (YYYY-MM-DD)' above it"),
        ({"CHANGELOG.md": "## 1.2.0 (2026-11-26)\n\n## 1.1.0 (2026-10-01)\n"}, "changelog entry", "says nothing"),
        ({"CHANGELOG.md": None}, "changelog entry", "begins with none"),
        ({"pyproject.toml": FILES["pyproject.toml"].replace("1.2", "1.3")}, "version", "pyproject.toml says 1.3.0"),
    ],
)
def test_what_costs_nothing_is_found_before_the_tests_are_waited_for(
    repository: Path, files: dict[str, str | None], step: str, words: str
) -> None:
    commit(repository, "Not ready", files)
    done = release(repository, "1.2.0")
    assert done.returncode == 1
    assert {name: outcome for name, outcome in outcomes(repository).items() if outcome != "not reached"} == {
        step: "failed"
    }
    assert words in done.stdout
    assert walked(repository) == []
    assert tags(repository) == []


def test_what_is_not_committed_is_not_released(repository: Path) -> None:
    (repository / "new").write_text("")
    assert release(repository, "1.2.0").returncode == 1
    assert outcomes(repository)["nothing uncommitted"] == "failed"


def test_a_version_is_released_once(repository: Path) -> None:
    git(repository, "tag", "v1.2.0")
    done = release(repository, "1.2.0")
    assert done.returncode == 1
    assert "v1.2.0 is there already" in done.stdout


def test_a_commit_that_comes_while_the_checks_run_is_not_tagged(repository: Path) -> None:
    meanwhile = '\t@test "$@" != rehearse || git commit --quiet --allow-empty -m meanwhile\n'
    commit(repository, "Busy", {"Makefile": f"lint test integration rehearse:\n{meanwhile}"})
    done = release(repository, "1.2.0")
    assert done.returncode == 1
    assert outcomes(repository)["tag"] == "failed"
    assert tags(repository) == []


def test_what_is_no_version_is_said_in_two_sentences(repository: Path) -> None:
    done = release(repository, "soon; rm -rf .")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "Error: 'soon; rm -rf .' is no version.",
        "Write it as 1.2.3: make release VERSION=1.2.3",
    ]
