"""What deploy/ promises, as far as a machine without a container engine and without a booted systemd can see it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import click
import pytest
import yaml

from pipeline.cli import cli
from pipeline.core.errors import ConfigError
from pipeline.core.project import ROOT, Project
from pipeline.running import ALLOCATORS, POSTGRES, prepare_dagster_home
from pipeline_tests.dagster_parts import program, run_program
from pipeline_tests.deploy.shipped import (
    DEPLOY,
    INSTALLED_AT,
    UNITS,
    every_unit,
    image_environment,
    image_health,
    instructions,
    interpolated,
    ratchet_commands,
    unit,
    unit_processes,
)

LOCK = "requirements.lock"
VARIABLES = {"RATCHET_PGPASSWORD": "made-up"}
WORKFLOWS = DEPLOY / "hosted" / "workflows"


def ran(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def of_kind(name: str) -> list[str]:
    return [words for kind, words in instructions() if kind == name]


# The command lines -----------------------------------------------------------------------------


def accepts(group: click.Group, words: tuple[str, ...]) -> bool:
    """Whether the command line knows the command and takes these options and arguments, which are not carried out."""
    with click.Context(group) as context:
        command = group.get_command(context, words[0])
    try:
        return command is not None and bool(command.make_context(words[0], list(words[1:])))
    except click.UsageError:
        return False


def test_every_command_line_of_ratchet_is_one_that_it_accepts() -> None:
    commands = [words for words in ratchet_commands() if words != ("--version",)]
    assert {words[0] for words in commands} == {"status", "scrape", "metrics", "collect", "compact"}
    assert [words for words in commands if not accepts(cli, words)] == []
    assert not accepts(cli, ("scrape", "--every", "5s"))
    assert not accepts(cli, ("metrics", "--every", "5s"))


def test_every_command_of_ratchet_that_deploy_speaks_of_is_there() -> None:
    files = (path for path in DEPLOY.rglob("*") if path.is_file() and path.name != LOCK)
    spoken = {found for path in files for found in re.findall(r"\bratchet ([a-z]+)\b", path.read_text())}
    assert spoken <= {*cli.list_commands(click.Context(cli))}
    assert len(spoken) > 4


# The image -------------------------------------------------------------------------------------


def test_the_dockerfile_has_nothing_that_hadolint_finds() -> None:
    linted = ran(program("hadolint"), DEPLOY / "Dockerfile")
    assert (linted.returncode, linted.stdout + linted.stderr) == (0, "")


def test_the_image_installs_what_the_lock_pins_and_compiles_all_bytecode() -> None:
    runs = " ".join(of_kind("RUN"))
    assert "--require-hashes -r deploy/requirements.lock" in runs
    assert "compileall -q pipeline points/src" in runs
    assert "--no-compile" not in runs
    assert "PYTHONDONTWRITEBYTECODE" not in image_environment()


def test_the_lock_of_the_image_is_a_part_of_the_lock_of_the_tests() -> None:
    pins = re.compile(r"^([a-z0-9._-]+)(?:\[[a-z0-9,-]+\])?==([^ ;]+)", re.MULTILINE)
    shipped, tested = (dict(pins.findall(file.read_text())) for file in (DEPLOY / LOCK, ROOT / LOCK))
    assert len(shipped) > 50
    assert shipped.items() <= tested.items()
    assert not {"pytest", "mypy", "selenium"} & shipped.keys()


def test_what_the_image_and_the_units_start_is_sparing_with_memory() -> None:
    assert ALLOCATORS.items() <= image_environment().items()
    units = [path.name for path in every_unit() if path.suffix == ".service"]
    assert units
    for name in units:
        assert ALLOCATORS.items() <= unit_processes(name)[0].environment.items()


def test_what_the_image_starts_is_not_root() -> None:
    assert of_kind("USER") == ["10001:10001"]
    assert instructions().index(("USER", "10001:10001")) > max(
        index for index, (kind, _) in enumerate(instructions()) if kind == "RUN"
    )


def test_the_image_is_healthy_when_something_was_accepted_and_unhealthy_when_not(tmp_path: Path) -> None:
    """The very command of HEALTHCHECK, on a source that was never captured, and on none that should be."""
    command = image_health()
    assert command == ("ratchet", "status", "--max-age", "2h")
    places = {"RATCHET_DATA": str(tmp_path / "data"), "RATCHET_DEFS": str(tmp_path / "sources")}
    assert run_program(*command, cwd=ROOT, **places).returncode == 0
    source = tmp_path / "sources" / "blog" / "defs.yaml"
    source.parent.mkdir(parents=True)
    platform = "{kind: note, session_cookie: made-up}"
    source.write_text(f"type: pipeline.components.CounterSource\nattributes: {{source: blog, platform: {platform}}}\n")
    unhealthy = run_program(*command, cwd=ROOT, **places)
    assert (unhealthy.returncode, "blog has never accepted anything" in unhealthy.stderr) == (1, True)


def test_the_image_takes_no_secret_and_no_data_from_the_checkout() -> None:
    lines = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    taken = {rule[1:] for rule in rules if rule.startswith("!")}
    copied = {word for words in of_kind("COPY") for word in words.split()[:-1]}
    assert copied == taken
    assert "**/.env" in rules
    tracked = subprocess.run(["git", "ls-files", *taken], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert not [name for name in tracked.split() if name.startswith("data/") or name.endswith(".env")]


# compose ---------------------------------------------------------------------------------------


def test_the_compose_file_follows_the_schema_of_the_compose_specification(tmp_path: Path) -> None:
    schema = [program("check-jsonschema"), "--builtin-schema", "vendor.compose-spec"]
    assert ran(*schema, DEPLOY / "compose.yaml").returncode == 0
    replaced = tmp_path / "compose.json"
    replaced.write_text(json.dumps(interpolated(VARIABLES)))
    assert ran(*schema, replaced).returncode == 0


def test_compose_asks_for_the_password_that_is_missing() -> None:
    with pytest.raises(KeyError, match="RATCHET_PGPASSWORD"):
        interpolated({})


def test_compose_publishes_nothing_but_the_ui_and_that_on_loopback_only() -> None:
    services = interpolated(VARIABLES)["services"]
    assert services.keys() == {"postgres", "code", "webserver", "daemon", "scraper", "metrics"}
    assert {name: each["ports"] for name, each in services.items() if "ports" in each} == {
        "webserver": ["127.0.0.1:3000:3000"]
    }


def test_every_process_of_compose_has_the_hardening_and_only_the_ui_lacks_the_secrets_of_the_sources() -> None:
    ours = {name: each for name, each in interpolated(VARIABLES)["services"].items() if name != "postgres"}
    for each in ours.values():
        assert each["read_only"]
        assert each["cap_drop"] == ["ALL"]
        assert each["security_opt"] == ["no-new-privileges:true"]
    assert {name for name, each in ours.items() if "env_file" not in each} == {"webserver"}


def test_what_compose_mounts_is_there_or_is_said_to_be_made() -> None:
    made_by_its_owner = {"./sources"}
    mounts = {mount for each in interpolated(VARIABLES)["services"].values() for mount in each["volumes"]}
    folders = {mount.split(":")[0] for mount in mounts if mount.startswith(".")} - made_by_its_owner
    assert folders == {"./dagster.yaml", "./workspace.yaml"}
    assert all((DEPLOY / folder).is_file() for folder in folders)


def test_dagster_in_postgres_has_the_settings_that_ratchet_itself_would_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One variable names the database everywhere: what compose gives its processes is what ratchet asks for."""
    services = interpolated(VARIABLES)["services"]
    addresses = {each["environment"].get(POSTGRES) for name, each in services.items() if name != "postgres"}
    assert addresses == {"postgresql+psycopg2://ratchet:made-up@postgres:5432/ratchet"}
    monkeypatch.setenv(POSTGRES, addresses.pop())
    project = Project(tmp_path / "defs", tmp_path / "data")
    prepare_dagster_home(project)
    written = project.dagster_home / "dagster.yaml"
    shipped, ours = (yaml.safe_load(file.read_text()) for file in (DEPLOY / "dagster.yaml", written))
    assert shipped == ours
    written.write_bytes((DEPLOY / "dagster.yaml").read_bytes())
    prepare_dagster_home(project)  # which refuses a home that was made for another database
    monkeypatch.setenv(POSTGRES, "")
    with pytest.raises(ConfigError, match="made for PostgreSQL"):
        prepare_dagster_home(project)


# systemd ---------------------------------------------------------------------------------------


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units with this checkout in the place of the installed one, so that the programs they name are there."""
    folder = tmp_path / "units"
    shutil.copytree(UNITS, folder)
    for file in folder.rglob("*.*"):
        if file.is_file():
            file.write_text(file.read_text().replace(f"{INSTALLED_AT}/", f"{ROOT}/"))
    return folder


def test_systemd_takes_every_unit_without_a_word(units: Path) -> None:
    names = [units / path.name for path in every_unit()]
    verified = ran("systemd-analyze", "verify", "--man=no", *names, SYSTEMD_UNIT_PATH=f"{units}:")
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")


@pytest.mark.parametrize("name", [path.name for path in every_unit() if path.suffix == ".service"])
def test_systemd_calls_the_exposure_of_every_service_ok(units: Path, name: str) -> None:
    judged = ran("systemd-analyze", "security", "--offline=true", "--threshold=20", units / name)
    assert judged.returncode == 0, judged.stdout[-300:]


def test_units_listen_on_loopback_only_and_are_not_root() -> None:
    services = [path.name for path in every_unit() if path.suffix == ".service"]
    commands = {name: unit(name)["ExecStart"][0] for name in services}
    assert not [name for name, command in commands.items() if "0.0.0.0" in command]
    assert all("-h 127.0.0.1" in commands[name] for name in ("ratchet-code.service", "ratchet-webserver.service"))
    assert {user for name in services for user in unit(name)["User"]} == {"ratchet"}
    assert "EnvironmentFile=-/etc/ratchet/secrets" not in (UNITS / "ratchet-webserver.service").read_text()


# The hosted CI ---------------------------------------------------------------------------------


@pytest.mark.parametrize("workflow", ["collect.yml", "archive.yml"])
def test_a_workflow_follows_the_schema_of_github(workflow: str) -> None:
    checked = ran(program("check-jsonschema"), "--builtin-schema", "vendor.github-workflows", WORKFLOWS / workflow)
    assert checked.returncode == 0, checked.stdout


def test_shellcheck_finds_nothing_in_the_scripts() -> None:
    scripts = [DEPLOY / "install.sh", *sorted((DEPLOY / "hosted").glob("*.sh"))]
    assert len(scripts) > 5
    checked = ran("shellcheck", "--external-sources", *scripts)
    assert (checked.returncode, checked.stdout) == (0, "")


def test_the_scripts_that_are_called_may_be() -> None:
    called = {path for path in (DEPLOY / "hosted").glob("*.sh") if path.name != "environment.sh"}
    assert all(os.access(path, os.X_OK) for path in {DEPLOY / "install.sh", *called})
