"""Dagster's instance in a real PostgreSQL: RATCHET_POSTGRES is obeyed, or refused in words that hold no password."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.core.errors import ConfigError
from pipeline.core.project import Project
from pipeline.running import POSTGRES, dagster_instance, prepare_dagster_home
from pipeline.sandbox.server import NoteSandbox
from pipeline_tests.dagster_parts import BLOG, COOKIE, Account, ratchet, stored_files, write_source
from pipeline_tests.deploy.postgres import running_postgres
from pipeline_tests.live_stack import free_port

PASSWORD = "planted-password-of-the-database"
NOT_THERE = f"postgresql+psycopg2://ratchet:{PASSWORD}@127.0.0.1:{{port}}/dagster"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with running_postgres("ratchet", PASSWORD, "dagster") as postgres:
        yield postgres.address


@pytest.fixture
def no_home_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("RATCHET_DEFS", str(tmp_path / "defs"))
    monkeypatch.setenv("RATCHET_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "data" / "dagster"))
    monkeypatch.setenv("RATCHET_TEST_COOKIE", COOKIE)
    return Project.here()


def test_a_capture_is_recorded_in_postgres_and_the_password_nowhere(no_home_yet: Project, server: str) -> None:
    with NoteSandbox(Account(n1=80), cookie=COOKIE) as sandbox:
        write_source(no_home_yet, BLOG, sandbox.url)
        done = ratchet("collect", BLOG, **{POSTGRES: server})
    assert done.returncode == 0, done.stderr
    files = stored_files(no_home_yet.data)
    assert not [name for name in files if name.endswith(".db")]
    assert not [name for name, content in files.items() if PASSWORD.encode() in content]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(POSTGRES, server)
        with dagster_instance(no_home_yet) as instance:
            assert [run.status.value for run in instance.get_runs()] == ["SUCCESS"]


@pytest.mark.parametrize("command", ["collect blog", "dev --port 39417"])
def test_a_database_that_is_not_there_is_said_in_two_sentences(no_home_yet: Project, command: str) -> None:
    write_source(no_home_yet, BLOG, "http://127.0.0.1:9")
    done = ratchet(*command.split(), **{POSTGRES: NOT_THERE.format(port=free_port())})
    assert done.returncode == 16
    what, next_step = done.stderr.splitlines()
    assert what.startswith(f"Error: Dagster's database of {POSTGRES} cannot be used: connection to server at")
    assert next_step.startswith("Start PostgreSQL")
    assert PASSWORD not in done.stdout + done.stderr


@pytest.mark.parametrize("address", ["127.0.0.1:many/dagster", "[::1/dagster"])
def test_an_address_that_is_none_is_refused(
    no_home_yet: Project, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv(POSTGRES, f"postgresql+psycopg2://ratchet:{PASSWORD}@{address}")
    with pytest.raises(ConfigError, match="is no address of a database") as refused:
        prepare_dagster_home(no_home_yet)
    assert PASSWORD not in "".join(traceback.format_exception(refused.value))


def test_an_address_without_its_driver_is_refused(no_home_yet: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(POSTGRES, f"postgresql://ratchet:{PASSWORD}@127.0.0.1/dagster")
    with pytest.raises(ConfigError, match=r"does not begin with postgresql\+psycopg2://") as refused:
        prepare_dagster_home(no_home_yet)
    assert PASSWORD not in str(refused.value)


@pytest.mark.parametrize(("before", "after"), [("", NOT_THERE.format(port=9)), (NOT_THERE.format(port=9), "")])
def test_a_home_is_not_used_with_another_database_than_it_was_made_for(
    no_home_yet: Project, monkeypatch: pytest.MonkeyPatch, before: str, after: str
) -> None:
    monkeypatch.setenv(POSTGRES, before)
    prepare_dagster_home(no_home_yet)
    prepare_dagster_home(no_home_yet)
    monkeypatch.setenv(POSTGRES, after)
    with pytest.raises(ConfigError, match=f"was made for {'PostgreSQL' if before else 'SQLite'}"):
        prepare_dagster_home(no_home_yet)
