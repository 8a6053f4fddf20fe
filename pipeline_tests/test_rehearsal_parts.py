"""The parts of a rehearsal: which version is the previous one, what staging is made of, what counts as a refusal."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from pipeline.core.errors import ConfigError
from pipeline.core.project import ROOT
from pipeline.core.sources import COMPONENT
from pipeline_tests.rehearsal.checkout import Ended, at_hand, present_revision, previous_revision
from pipeline_tests.rehearsal.staging import SESSION, Staging
from pipeline_tests.rehearsal.steps import Failed, Result, Step
from pipeline_tests.rehearsal.upgrading import refusal
from pipeline_tests.repositories import commit, git, new_repository

INSTALLABLE = {"Makefile": "", "requirements.lock": ""}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return new_repository(tmp_path / "repository")


# The previous version ------------------------------------------------------------------------------


def test_the_newest_tag_before_the_present_commit_is_the_previous_version(repository: Path) -> None:
    commit(repository, "first", INSTALLABLE)
    git(repository, "tag", "v0.1.0")
    tagged = commit(repository, "second")
    git(repository, "tag", "v0.2.0")
    commit(repository, "between")
    commit(repository, "third")
    git(repository, "tag", "v0.3.0")
    found = previous_revision(repository, None)
    assert (found.commit, found.name, found.remark) == (tagged, f"v0.2.0 ({tagged[:7]})", "")


def test_without_a_tag_the_nearest_first_parent_that_can_be_installed_stands_for_it(repository: Path) -> None:
    installable = commit(repository, "first", INSTALLABLE)
    git(repository, "checkout", "--quiet", "-b", "side")
    commit(repository, "on a side branch")
    git(repository, "checkout", "--quiet", "main")
    commit(repository, "second", {"requirements.lock": None})
    git(repository, "merge", "--no-ff", "-m", "merged", "side", "-s", "ours")
    commit(repository, "third")
    found = previous_revision(repository, None)
    assert found.commit == installable
    assert "no tag of an earlier release" in found.remark


def test_a_named_version_is_taken_and_one_that_cannot_be_is_refused(repository: Path) -> None:
    first = commit(repository, "first", INSTALLABLE)
    git(repository, "branch", "old")
    commit(repository, "second", {"Makefile": None})
    assert previous_revision(repository, "old").commit == first
    with pytest.raises(ConfigError, match="There is no revision called 'nonsense'"):
        previous_revision(repository, "nonsense")
    with pytest.raises(ConfigError, match="has no Makefile"):
        previous_revision(repository, "main")


def test_what_is_not_committed_is_not_rehearsed_and_named(repository: Path) -> None:
    commit(repository, "first", INSTALLABLE)
    assert present_revision(repository).remark == ""
    (repository / "new").write_text("")
    assert present_revision(repository).remark.startswith("1 files of the working tree are not committed")


def test_a_version_at_hand_runs_its_own_code(repository: Path, tmp_path: Path) -> None:
    commit(repository, "first", {"pipeline/__init__.py": "WHOSE = 'of the commit'\n"})
    (repository / "pipeline" / "__init__.py").write_text("WHOSE = 'of the working tree'\n")
    checkout = at_hand(repository, present_revision(repository), tmp_path / "present")
    environment = Staging().environment
    assert checkout.must("python", "-P", "-c", "import pipeline; print(pipeline.WHOSE)", environment=environment) == (
        "of the commit\n"
    )


# Staging -------------------------------------------------------------------------------------------


def written(production: Path, **attributes: object) -> None:
    file = production / "blog" / "defs.yaml"
    file.parent.mkdir(parents=True)
    platform = {"kind": "note", "session_cookie": "{{ env.COOKIE }}", "base_url": "{{ env.PLATFORM }}"}
    content = {"source": "blog", "platform": platform, **attributes}
    file.write_text(yaml.safe_dump({"type": COMPONENT, "attributes": content}))


def test_every_variable_gets_a_value_of_the_form_that_its_place_asks_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("COOKIE", "PLATFORM", "CHANNEL", "TOKEN", "BEAT", "MINUTE"):
        monkeypatch.setenv(name, "of production")
    monkeypatch.setenv("STAGING_MINUTE", "7")
    notify = ["{{ env.CHANNEL }}", "discord://1/{{ env.TOKEN }}"]
    written(tmp_path / "production", notify=notify, heartbeat_url="{{ env.BEAT }}", minute="{{ env.MINUTE }}")
    staging = Staging()
    [copy] = staging.copied(tmp_path / "production", tmp_path / "copied")
    source = staging.staged(copy, tmp_path / "staged", "http://127.0.0.1:9", "json://127.0.0.1:9/up")
    assert set(staging.values) == {"COOKIE", "PLATFORM", "CHANNEL", "TOKEN", "BEAT", "MINUTE"}
    assert "of production" not in staging.environment.values()
    assert source.minute == 7
    assert source.platform.base_url == "http://127.0.0.1:9"
    assert source.platform.credential == staging.environment[SESSION]
    assert source.notify == ("json://127.0.0.1:9/up",)
    assert source.heartbeat_url is None
    assert [rule.name for rule in source.rules] == ["views gained 1"]


def test_a_rule_that_is_there_already_is_not_written_twice(tmp_path: Path) -> None:
    written(tmp_path / "production", rules=[{"counter": "views", "gained": 1}])
    staging = Staging()
    [copy] = staging.copied(tmp_path / "production", tmp_path / "copied")
    source = staging.staged(copy, tmp_path / "staged", "http://127.0.0.1:9", "json://127.0.0.1:9/up")
    assert [rule.name for rule in source.rules] == ["views gained 1"]


def test_a_configuration_that_cannot_be_used_fails_with_file_and_line(tmp_path: Path) -> None:
    written(tmp_path / "production", minute=15)
    staging = Staging()
    [copy] = staging.copied(tmp_path / "production", tmp_path / "copied")
    with pytest.raises(ConfigError, match=r"copied/blog/defs\.yaml:2: minute"):
        staging.staged(copy, tmp_path / "staged", "http://127.0.0.1:9", "json://127.0.0.1:9/up")


def test_no_source_at_all_is_nothing_to_rehearse(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="holds no source"):
        Staging().copied(tmp_path, tmp_path / "copied")


# What a step comes to ------------------------------------------------------------------------------


def test_a_version_that_refuses_in_plain_words_may() -> None:
    words = "Error: this lake was written by a later version.\nInstall that one.\n"
    assert "written by a later version. Install that one." in refusal(Ended([], 16, "", words), "v0.1.0")


@pytest.mark.parametrize(
    "ended",
    [
        Ended([], 1, "", "Traceback (most recent call last):\nKeyError: 'x'\nThis is a fault in Ratchet.\n"),
        Ended([], -9, "", ""),
        Ended([], 16, "", "Error: no next step\n"),
    ],
)
def test_a_version_that_breaks_does_not_pass_for_one_that_refuses(ended: Ended) -> None:
    with pytest.raises(Failed, match="neither reads it nor refuses in plain words"):
        refusal(ended, "v0.1.0")


def test_the_walk_stops_at_the_first_step_that_fails_and_writes_down_which(tmp_path: Path) -> None:
    played: list[str] = []

    def pass_well(stage: str) -> str:
        played.append(stage)
        return "went well"

    def fail(stage: str) -> str:
        raise Failed(f"{stage} | no")

    def step(name: str, play: Callable[[str], str]) -> Step[str]:
        return Step(name, "somebody", f"{name} is good.", "Go back.", play)

    steps = [
        step("first", pass_well),
        step("second", fail),
        step("third", fail),
    ]
    result = Result("A walk", tmp_path / "walk", lambda: {"commit": "abc"})
    assert not result.walk(steps, "stage")
    assert played == ["stage"]
    markdown = (tmp_path / "walk.md").read_text()
    assert "| 1 | first | **passed** |" in markdown
    assert "| 2 | second | **failed** |" in markdown
    assert r"stage \| no" in markdown
    assert "| 3 | third | **not reached** |" in markdown
    assert "Not every step passed." in markdown
    assert "Rollback: Go back." in markdown


# The command ---------------------------------------------------------------------------------------


def test_the_command_says_in_two_sentences_what_it_cannot_do(repository: Path) -> None:
    commit(repository, "first", INSTALLABLE)
    for arguments, words in (
        ([], "no earlier commit that can be installed"),
        (["--previous", "nonsense"], "There is no revision called 'nonsense'"),
    ):
        command = [sys.executable, "-m", "pipeline_tests.rehearsal", "--repository", str(repository), *arguments]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 2
        assert words in done.stderr
        assert len(done.stderr.splitlines()) == 2
