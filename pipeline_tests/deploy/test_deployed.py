"""The processes that deploy/ ships, started by hand in their own words: compose on a real PostgreSQL, units on SQLite.

What a container engine or systemd would do around them is done here: names and ports that exist only inside the
containers become loopback and free ports, and the places of the image become folders of the test.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.hours import Hour
from pipeline.core.lake import VALIDATED
from pipeline.core.project import ROOT, Project
from pipeline.graph import ASSETS
from pipeline.running import POSTGRES
from pipeline.sandbox.server import NoteSandbox
from pipeline_tests.dagster_parts import COOKIE, COOKIE_VARIABLE, Account, present_moment, program, write_source
from pipeline_tests.deploy.postgres import Postgres, running_postgres
from pipeline_tests.deploy.shipped import (
    DEPLOY,
    INSTALLED_AT,
    Process,
    compose_process,
    image_health,
    interpolated,
    unit_processes,
)
from pipeline_tests.live_stack import Stack, until

BLOG = "blog"
PASSWORD = "made-up/password of+postgres"
SECRETS = {COOKIE_VARIABLE: COOKIE}
IN_ORDER = ("code", "webserver", "daemon")


@dataclass
class Deployed:
    """A stack of shipped processes. ``places``: what their words and variables name, and what it is on this machine."""

    stack: Stack
    places: Mapping[str, str]

    def start(self, name: str, process: Process, secrets: Mapping[str, str]) -> None:
        with (self.stack.folder / f"{name}.log").open("ab") as log:
            self.stack.processes[name] = subprocess.Popen(
                self._words(process),
                cwd=self.stack.folder,
                env=self._environment(process, secrets),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def ends_well(self, process: Process, secrets: Mapping[str, str]) -> bool:
        """Whether a short process of the deployment, such as a check of health, ends with 0."""
        words, environment = self._words(process), self._environment(process, secrets)
        return subprocess.run(words, env=environment, capture_output=True, timeout=300, check=False).returncode == 0

    def _words(self, process: Process) -> list[str]:
        first, *rest = process.words
        installed = program(Path(first).name)
        return [installed if Path(installed).exists() else first, *map(self._here, rest)]

    def _environment(self, process: Process, secrets: Mapping[str, str]) -> dict[str, str]:
        given = {name: self._here(value) for name, value in process.environment.items() if name != "PATH"}
        inherited = {n: v for n, v in os.environ.items() if not n.startswith(("RATCHET_", "DAGSTER_", "PG"))}
        return {**inherited, **given, **secrets}

    def _here(self, word: str) -> str:
        """A word with its place on this machine; in a line of a program, each place that it names."""
        if word in self.places:
            return self.places[word]
        for there, here in self.places.items():
            word = word.replace(f"{there}/", f"{here}/") if there.startswith("/") else word
            word = word.replace(f":{there}/", f":{here}/").replace(f" {there};", f" {here};")
        return word


@pytest.fixture(scope="module")
def sandbox() -> Iterator[NoteSandbox]:
    with NoteSandbox(Account(n1=80, n2=95, n3=97), cookie=COOKIE) as serving:
        yield serving


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running_postgres("ratchet", PASSWORD, "ratchet") as server:
        yield server


@contextmanager
def deployed(folder: Path, sandbox: NoteSandbox, data: str, sources: str, **places: str) -> Iterator[Deployed]:
    """``data`` and ``sources`` are where the shipped configuration has them."""
    project = Project(folder / "sources", folder / "data")
    write_source(project, BLOG, sandbox.url, enabled=True)
    (project.data / "dagster").mkdir(parents=True)
    stack = Stack(project, folder)
    ports = {"3000": str(stack.web_port), "4266": str(stack.code_port)}
    try:
        yield Deployed(stack, {data: str(project.data), sources: str(project.defs), **ports, **places})
    finally:
        for name in list(stack.processes):
            stack.kill(name)


def capture_the_present_hour(stack: Stack) -> None:
    """As a click in the UI does."""
    hour = Hour.of(present_moment(timedelta(minutes=3)))
    run = stack.succeeded(stack.launch(BLOG, ASSETS, hour))
    assert [each["assetKey"]["path"][-1] for each in run["assetMaterializations"]] == list(ASSETS)
    assert stack.project.lake.source(BLOG).exists(VALIDATED, hour)


def test_the_services_of_compose_capture_an_hour_and_keep_their_history_in_postgres(
    tmp_path: Path, sandbox: NoteSandbox, postgres: Postgres
) -> None:
    services: Mapping[str, Any] = interpolated({"RATCHET_PGPASSWORD": PASSWORD})["services"]
    named = services["code"]["environment"][POSTGRES]
    here = named.replace("@postgres:5432/", f"@127.0.0.1:{postgres.port}/")
    names = dict.fromkeys(("code", "0.0.0.0"), "127.0.0.1") | {named: here}
    mounted = {"/etc/ratchet/workspace.yaml": str(DEPLOY / "workspace.yaml")}
    with deployed(tmp_path, sandbox, "/data", "/sources", **names, **mounted) as running:
        stack = running.stack
        (stack.project.dagster_home / "dagster.yaml").write_bytes((DEPLOY / "dagster.yaml").read_bytes())

        def is_healthy(name: str) -> bool:
            shipped = services[name].get("healthcheck")
            words = tuple(shipped["test"][1:]) if shipped else image_health()
            secrets = SECRETS if "env_file" in services[name] else {}
            return running.ends_well(replace(compose_process(services[name]), words=words), secrets)

        for name in IN_ORDER:
            service = services[name]
            assert service["depends_on"].keys() <= {"postgres", *stack.processes}
            assert not is_healthy(name)
            running.start(name, compose_process(service), SECRETS if "env_file" in service else {})
            if name != "daemon":  # healthy when something was accepted
                until(lambda name=name: is_healthy(name), 240)  # type: ignore[misc]
        capture_the_present_hour(stack)
        assert is_healthy("daemon")
        assert postgres.query("SELECT count(*) FROM runs WHERE status = 'SUCCESS'") == "1"
        assert COOKIE not in json.dumps(postgres.query("SELECT event FROM event_logs"))
        assert not list(stack.project.data.rglob("*.db"))
        until(lambda: postgres.query("SELECT count(*) FROM daemon_heartbeats") != "0" or None)


RELOAD = 'mutation { reloadRepositoryLocation(repositoryLocationName: "pipeline") { __typename } }'
SOURCES = "{ assetNodes { groupName } }"


def sources_shown(stack: Stack) -> set[str]:
    return {node["groupName"] for node in stack.ask(SOURCES)["assetNodes"]}


def test_the_units_capture_an_hour_with_the_settings_of_the_checkout_and_load_a_new_source_on_request(
    tmp_path: Path, sandbox: NoteSandbox
) -> None:
    with deployed(
        tmp_path, sandbox, "/var/lib/ratchet", "/etc/ratchet/sources", **{INSTALLED_AT: str(ROOT)}
    ) as running:
        stack = running.stack
        for name in IN_ORDER:
            (process,) = unit_processes(f"ratchet-{name}.service")
            before, after = (
                unit_processes(f"ratchet-{name}.service", key) for key in ("ExecStartPre", "ExecStartPost")
            )
            assert all(running.ends_well(each, {}) for each in before)
            running.start(name, process, SECRETS if name == "code" else {})
            assert all(running.ends_well(each, {}) for each in after)
        settings = stack.project.dagster_home / "dagster.yaml"
        assert settings.read_bytes() == (ROOT / "pipeline" / "dagster.yaml").read_bytes()
        (status,) = unit_processes("ratchet-status.service")
        assert not running.ends_well(status, SECRETS)
        until(stack.answers)
        capture_the_present_hour(stack)
        assert running.ends_well(status, SECRETS)
        write_source(stack.project, "later", sandbox.url, enabled=True)
        assert "later" not in sources_shown(stack)
        stack.ask(RELOAD)
        assert {BLOG, "later"} <= sources_shown(stack)
