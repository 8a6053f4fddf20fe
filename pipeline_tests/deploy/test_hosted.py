"""A hosted CI that collects: the steps of its workflows in a shell, against a git server and releases on loopback.

One story, told once; each test looks at a part of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from pipeline.sandbox.server import NoteSandbox
from pipeline_tests.dagster_parts import Account
from pipeline_tests.deploy.git_host import TOKEN, GitHost, git_host
from pipeline_tests.deploy.workflow import Runner, Step, checkout_of_this_repository
from pipeline_tests.receiver import GATEWAY_TOKEN, receiving

COOKIE = "planted-session-of-the-hosted-ci"
LONG_AGO = datetime.now(UTC) - timedelta(days=70)
MONTH = f"{LONG_AGO:%Y-%m}"
TAG, ARCHIVE = f"lake-{MONTH}", f"blog-{MONTH}.zip"
BOTH = "blog other"


@dataclass
class Story:
    host: GitHost
    runner: Runner
    secrets: dict[str, str]
    jobs: dict[str, dict[str, Step]] = field(default_factory=dict)
    tips: dict[str, str] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)

    def job(self, what: str, workflow: str = "collect.yml", **contexts: str) -> None:
        self.jobs[what] = self.runner.run(workflow, **{**self.secrets, **contexts})
        branches = self.host.git("branch", "--list", "data")
        self.tips[what] = self.host.git("rev-parse", "data") if branches else ""

    def at_home(self, folder: Path, *commands: str) -> None:
        """Commands of the owner on a clone of the data branch at their machine."""
        own = {"RATCHET_DATA": str(folder), "RATCHET_REMOTE": f"{self.host.url}/somebody/numbers"}
        secrets = {"MY_BLOG_API_KEY": COOKIE, "DISCORD_URL": self.secrets["secrets_DISCORD_URL"]}
        for command in commands:
            done = self.runner.shell(command, GITHUB_TOKEN=TOKEN, **own, **secrets)
            assert done.code == 0, done.said

    def added(self, what: str) -> list[str]:
        """The files that the commit of a job added."""
        return self.host.git("show", "--name-only", "--diff-filter=A", "--format=", self.tips[what]).splitlines()


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("hosted")
    accounts = {name: Account(n1=80, n2=95, n3=97) for name in ("blog", "other")}
    sandboxes = {name: NoteSandbox(account, cookie=COOKIE) for name, account in accounts.items()}
    checkout = checkout_of_this_repository(folder / "checkout")
    with (
        receiving(folder / "path") as receiver,
        git_host(folder / "host") as host,
        sandboxes["blog"],
        sandboxes["other"],
    ):
        for name, sandbox in sandboxes.items():
            _write_source(checkout, name, sandbox.url)
        channel = receiver.channels["RATCHET_TEST_SMS"]
        secrets = {"secrets_MY_BLOG_API_KEY": COOKIE, "secrets_DISCORD_URL": channel, "vars_RATCHET_SOURCES": "blog"}
        told = Story(host, Runner(checkout, host), secrets)
        told.job("not begun")
        told.asked["not begun"] = len(sandboxes["blog"].requests)
        told.job("begun", inputs_begin="true")
        _bring_the_past(told, folder)
        accounts["other"].views = {"n1": 80, "n2": 5, "n3": 97}
        told.job("refused", vars_RATCHET_SOURCES=BOTH)
        told.asked["messages"] = len(receiver.posts)
        accounts["other"].views = {"n1": 81, "n2": 96, "n3": 98}
        told.job("mended", vars_RATCHET_SOURCES=BOTH)
        host.broken_bytes = True
        told.job("archive damaged", "archive.yml")
        told.job("archived", "archive.yml")
        told.job("after the archive", vars_RATCHET_SOURCES=BOTH)
        yield told


def _write_source(checkout: Path, name: str, url: str) -> None:
    platform = {"kind": "note", "base_url": url, "session_cookie": "{{ env.MY_BLOG_API_KEY }}"}
    attributes = {"source": name, "platform": platform, "notify": ["{{ env.DISCORD_URL }}"]}
    file = checkout / "pipeline" / "defs" / name / "defs.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(yaml.safe_dump({"type": "pipeline.components.CounterSource", "attributes": attributes}))


def _bring_the_past(told: Story, folder: Path) -> None:
    """The owner imports what was counted before: ten weeks ago, and of the other account also two hours ago."""
    for name, moments in {
        "blog": [LONG_AGO, LONG_AGO + timedelta(hours=1)],
        "other": [datetime.now(UTC) - timedelta(hours=2)],
    }.items():
        rows = [f"{at.isoformat()},n{n},{40 + n},1,1\n" for at in moments for n in (1, 2, 3)]
        (folder / f"{name}.csv").write_text("captured_at,item_id,views,likes,comments\n" + "".join(rows))
    told.at_home(
        folder / "home",
        "deploy/hosted/open-lake.sh",
        f".venv/bin/ratchet import blog {folder}/blog.csv",
        f".venv/bin/ratchet import other {folder}/other.csv",
        'deploy/hosted/keep-lake.sh "What was counted before"',
    )


def codes(job: Mapping[str, Step]) -> list[int | None]:
    """How the steps after the installation ended."""
    return [step.code for step in job.values()][1:]


def test_a_branch_that_is_not_there_is_begun_only_when_that_was_asked_for(story: Story) -> None:
    assert codes(story.jobs["not begun"]) == [2, None, None]
    assert "run it by hand with 'begin'" in story.jobs["not begun"]["Open the lake"].said
    assert (story.tips["not begun"], story.asked["not begun"]) == ("", 0)


def test_an_accepted_hour_is_a_commit_of_its_files_and_of_nothing_else(story: Story) -> None:
    assert codes(story.jobs["begun"]) == [0, 0, 0], story.jobs["begun"]
    kinds = {"/".join(name.split("/")[:3]) for name in story.added("begun")}
    published = {f"lake/blog/{kind}" for kind in ("raw", "validated", "delta", "report", "signals", "checksums")}
    assert published | {".gitignore", ".gitattributes"} <= kinds
    assert kinds - published <= {".gitignore", ".gitattributes", "lake/blog/notes", "lake/_project/notes"}
    assert story.host.git("log", "-1", "--format=%s", story.tips["begun"]) == "blog: 1 accepted, 0 refused"


def test_the_second_job_takes_the_dependencies_from_the_cache(story: Story) -> None:
    said = [story.jobs[what]["Install from the lock"].said for what in ("not begun", "begun")]
    assert "from deploy/requirements.lock" in said[0]
    assert "as they were" in said[1]


def test_a_refused_hour_fails_the_job_with_its_code_and_keeps_evidence_incident_and_receipts(story: Story) -> None:
    assert codes(story.jobs["refused"]) == [0, 12, 0], story.jobs["refused"]
    added = story.added("refused")
    assert [name for name in added if name.startswith("lake/other/raw/")]
    assert [name for name in added if name.startswith("lake/other/quarantine/")]
    assert [name for name in added if name.startswith("lake/other/signals/")]
    assert [name for name in added if name.startswith("lake/_project/incidents/")]
    assert [name for name in added if name.startswith("lake/_project/receipts/")]
    assert not [name for name in added if name.startswith("lake/other/validated/")]
    assert story.asked["messages"] == 1
    assert "other: 0 accepted, 1 refused" in story.host.git("log", "-1", "--format=%s", story.tips["refused"])


def test_the_next_job_goes_on_from_the_branch_and_its_success_ends_the_incident(story: Story) -> None:
    assert codes(story.jobs["mended"]) == [0, 0, 0], story.jobs["mended"]
    assert [name for name in story.added("mended") if name.startswith("lake/other/validated/")]
    assert [name for name in story.added("mended") if name.endswith(".over.json")]


def test_an_archive_that_did_not_come_back_whole_removes_nothing(story: Story) -> None:
    assert codes(story.jobs["archive damaged"]) == [0, 10], story.jobs["archive damaged"]
    assert "nothing was removed" in story.jobs["archive damaged"]["Archive the finished months"].said
    assert story.tips["archive damaged"] == story.tips["mended"]


def test_a_finished_month_leaves_the_branch_when_its_release_has_the_archive(story: Story, tmp_path: Path) -> None:
    assert codes(story.jobs["archived"]) == [0, 0], story.jobs["archived"]
    files = story.host.git("ls-tree", "-r", "--name-only", story.tips["archived"]).splitlines()
    assert f"lake/blog/validated/month={MONTH}/{MONTH}.parquet" in files
    assert f"lake/blog/archives/{MONTH}.json" in files
    assert not [name for name in files if name.endswith(".zip") or f"raw/month={MONTH}" in name]
    # The damaged upload keeps its bytes under another name; the month's own name has the whole archive.
    names = story.host.names(TAG)
    assert names.count(ARCHIVE) == 1
    assert len(names) == 2
    (asset,) = (each for each in story.host.releases[TAG]["assets"] if each["name"] == ARCHIVE)
    (tmp_path / "archives").mkdir()
    (tmp_path / "archives" / ARCHIVE).write_bytes(story.host.assets[asset["id"]])
    verified = f"RATCHET_ARCHIVES={tmp_path}/archives .venv/bin/ratchet verify blog"
    story.at_home(tmp_path / "clone", "deploy/hosted/open-lake.sh", verified)


def test_captures_go_on_without_the_archive(story: Story) -> None:
    assert codes(story.jobs["after the archive"]) == [0, 0, 0], story.jobs["after the archive"]


def test_two_that_push_at_once_are_both_kept_and_so_is_what_meets_a_squash(story: Story, tmp_path: Path) -> None:
    opened, keep = "deploy/hosted/open-lake.sh", "deploy/hosted/keep-lake.sh"
    story.at_home(tmp_path / "one", opened, ".venv/bin/ratchet mark blog 'from one'")
    story.at_home(tmp_path / "two", opened, ".venv/bin/ratchet mark blog 'from two'", keep)
    story.at_home(tmp_path / "one", keep)
    marks = [name for name in story.host.files() if "/marks/" in name]
    assert len(marks) == 2
    before = set(story.host.files())
    story.at_home(tmp_path / "late", opened, ".venv/bin/ratchet mark blog 'from the last'")
    story.at_home(tmp_path / "squashing", opened, "deploy/hosted/squash-branch.sh")
    assert story.host.git("rev-list", "--count", "data") == "1"
    assert set(story.host.files()) == before
    story.at_home(tmp_path / "late", keep, ".venv/bin/ratchet verify other")
    assert set(story.host.files()) > before
    assert story.host.git("rev-list", "--count", "data") == "2"


def test_a_public_repository_is_refused_until_its_owner_says_that_all_may_read(story: Story) -> None:
    public = {"RATCHET_REPOSITORY_PRIVATE": "false", "RATCHET_DATA": "elsewhere"}
    refused = story.runner.shell("deploy/hosted/open-lake.sh", **public)
    assert (refused.code, "everybody could read" in refused.said) == (2, True)


def test_the_token_and_the_secrets_are_in_no_file_and_no_line(story: Story) -> None:
    secrets = [value.encode() for value in (TOKEN, COOKIE, GATEWAY_TOKEN)]
    kept = [path for path in (story.runner.checkout / "data").rglob("*") if path.is_file()]
    assert len(kept) > 20
    assert not [path for path in kept if any(secret in path.read_bytes() for secret in secrets)]
    said = "".join(step.said for job in story.jobs.values() for step in job.values()).encode()
    assert not [secret for secret in secrets if secret in said]
    assert not [secret for secret in secrets if secret in story.host.every_object()]


def test_without_the_token_nothing_is_opened(story: Story, tmp_path: Path) -> None:
    remote = {"RATCHET_REMOTE": f"{story.host.url}/somebody/numbers", "RATCHET_DATA": str(tmp_path / "clone")}
    done = story.runner.shell("deploy/hosted/open-lake.sh", **remote, GITHUB_TOKEN="another")
    assert done.code not in (0, 2)
    assert not (tmp_path / "clone").exists()
