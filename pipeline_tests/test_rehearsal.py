"""A whole rehearsal, in its short form, from the command line: on SQLite, and on a real PostgreSQL."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

import psycopg2
import pytest
import yaml

from pipeline.core.project import ROOT
from pipeline.core.sources import COMPONENT
from pipeline.drill.receiver import Receiver
from pipeline.running import POSTGRES
from pipeline.sandbox.server import NoteSandbox
from pipeline_tests.dagster_parts import some_articles
from pipeline_tests.deploy.postgres import running_postgres
from pipeline_tests.repositories import this_code

TAG = "v0.0.9"
# Made anew each time, since a rehearsal copies the code, and this very file with it.
SECRETS = {
    name: f"planted-{token_hex(16)}" for name in ("BLOG_COOKIE", "BLOG_CHANNEL_TOKEN", "REPOSITORIES_TOKEN", "OWNER")
}
PASSWORD = f"planted-{token_hex(16)}"
PATIENCE_SECONDS = 1_500


@dataclass
class Rehearsed:
    done: subprocess.CompletedProcess[str]
    build: Path
    platform: NoteSandbox
    channel: Receiver
    postgres: str | None

    @property
    def result(self) -> Any:
        return json.loads((self.build / "integration.json").read_text())

    @property
    def happened(self) -> dict[str, str]:
        return {step["step"]: step["happened"] for step in self.result["steps"]}


def write(production: Path, name: str, platform: Mapping[str, Any], **attributes: Any) -> None:
    file = production / name / "defs.yaml"
    file.parent.mkdir(parents=True)
    content = {"source": name, "platform": platform, "owner": "{{ env.OWNER }}", **attributes}
    file.write_text(yaml.safe_dump({"type": COMPONENT, "attributes": content}))


@pytest.fixture(scope="module", params=["SQLite", "PostgreSQL"])
def rehearsed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsed]:
    """A production of two sources whose platform and channel would notice being used, rehearsed."""
    folder = tmp_path_factory.mktemp(request.param)
    production, build = folder / "production", folder / "build"
    with ExitStack() as stack:
        platform = stack.enter_context(NoteSandbox(some_articles(), cookie=SECRETS["BLOG_COOKIE"]))
        channel = stack.enter_context(Receiver())
        in_postgres = request.param == "PostgreSQL"
        server = stack.enter_context(running_postgres("ratchet", PASSWORD, "production")) if in_postgres else None
        postgres = server.address if server else None
        note = {"kind": "note", "base_url": platform.url, "session_cookie": "{{ env.BLOG_COOKIE }}"}
        notify = [f"{channel.up}?+token={{{{ env.BLOG_CHANNEL_TOKEN }}}}"]
        counters = {"likes": "may_decrease", "views": "never_decreases"}
        write(production, "blog", note, notify=notify, counters=counters, heartbeat_url=platform.url)
        github = {"kind": "github", "repositories": ["someone/something"], "token": "{{ env.REPOSITORIES_TOKEN }}"}
        write(production, "repositories", github, rules=[{"counter": "stars", "crosses": [100]}], enabled=False)
        variables = {**SECRETS, "RATCHET_DEFS": str(production), **({POSTGRES: postgres} if postgres else {})}
        repository = this_code(folder / "repository", TAG)
        where = ["--repository", str(repository), "--build", str(build)]
        done = subprocess.run(
            [sys.executable, "-m", "pipeline_tests.rehearsal", "--quick", "--keep", *where],
            cwd=ROOT,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        yield Rehearsed(done, build, platform, channel, postgres)


def test_every_step_passes_and_has_its_line_in_the_result(rehearsed: Rehearsed) -> None:
    assert rehearsed.done.returncode == 0, rehearsed.done.stdout + rehearsed.done.stderr
    result = rehearsed.result
    assert result["passed"]
    assert [step["outcome"] for step in result["steps"]] == ["passed"] * len(result["steps"])
    assert result["upgraded_from"].startswith(TAG)
    assert result["instance"] == ("PostgreSQL" if rehearsed.postgres else "SQLite")
    markdown = (rehearsed.build / "integration.md").read_text()
    assert all(f"| {step['step']} | **passed** |" in markdown for step in result["steps"])


def test_the_upgrade_and_the_way_back_say_what_they_saw(rehearsed: Rehearsed) -> None:
    happened = rehearsed.happened
    assert "messages of 2 sources arrived" in happened["upgrade"]
    assert "8 assets materialised" in happened["upgrade"]
    assert f"{TAG} " in happened["roll back"]
    assert "reads every row of the present version" in happened["roll back"]
    for source in ("blog", "repositories"):
        assert f"{source} goes on with 40 rows of a late hour" in happened["roll back"]
    assert "repositories is of the kind github" in happened["copy the configuration"]


def test_nothing_of_production_is_asked_told_or_written_down(rehearsed: Rehearsed) -> None:
    assert rehearsed.platform.requests == []
    assert rehearsed.channel.messages == []
    told = (rehearsed.done.stdout + rehearsed.done.stderr).encode()
    written = {path: path.read_bytes() for path in rehearsed.build.rglob("*") if path.is_file()}
    assert len(written) > 100
    for secret in (*SECRETS.values(), PASSWORD):
        assert secret.encode() not in told
        assert [str(path) for path, content in written.items() if secret.encode() in content] == []


def test_the_database_of_production_is_left_alone(rehearsed: Rehearsed) -> None:
    if rehearsed.postgres is None:
        assert list(rehearsed.build.rglob("dagster/**/*.db"))
        return
    assert list(rehearsed.build.rglob("dagster/**/*.db")) == []
    connection = psycopg2.connect(rehearsed.postgres.replace("+psycopg2", ""))
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'")
            assert cursor.fetchone() == (0,)
            cursor.execute("SELECT datname FROM pg_database WHERE datname LIKE 'ratchet%'")
            assert cursor.fetchall() == []
    finally:
        connection.close()
