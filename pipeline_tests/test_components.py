"""A source is one YAML file: two files are two sources, and one that cannot load stops no other."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._daemon.sensor import execute_sensor_iteration

from pipeline.core.project import ROOT, Project
from pipeline.definitions import definitions
from pipeline.graph import ASSETS
from pipeline.long_view import FIRST_HOURS, SPIKES
from pipeline_tests.dagster_parts import (
    BLOG,
    COOKIE,
    COOKIE_VARIABLE,
    Blog,
    ratchet,
    run_program,
    write_source,
)
from pipeline_tests.graphql import EXECUTIONS, asking_in_process, loaded_in_process

SECRET = "planted in a place where it does not belong"
NOWHERE = "http://127.0.0.1:9"

TIMERS = ("hourly", "daily", "daily_digest", "weekly_digest")
BROKEN = {
    "wrong_key": ("  colour: red\n", "there is no key 'colour'", 6),
    "missing_variable": ('  notify: ["{{ env.RATCHET_NOT_SET }}"]\n', "the variable RATCHET_NOT_SET is not set", 6),
    "unknown_counter": ("  rules:\n    - {counter: stars, crosses: [1]}\n", "a rule on the counter 'stars'", 7),
    "no_yaml": ("  rules: [\n", "this is not YAML", 7),
    "secret_as_minute": ('  minute: "{{ env.RATCHET_TEST_SECRET }}"\n', "minute", 6),
    "secret_as_rule": ('  rules: ["{{ env.RATCHET_TEST_SECRET }}"]\n', "rules", 6),
}


def write_broken(project: Project, name: str) -> Path:
    """A sound source and one more line, the sixth, that spoils it."""
    file = project.defs / name / "defs.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(
        "type: pipeline.components.CounterSource\n"
        "attributes:\n"
        f"  source: {name}\n"
        f'  platform: {{kind: note, session_cookie: "{{{{ env.{COOKIE_VARIABLE} }}}}"}}\n'
        "  start: 2026-03-08\n" + BROKEN[name][0]
    )
    return file


def load() -> dg.Definitions:
    """What Dagster loads from ``pipeline.definitions``."""
    return definitions()


@pytest.fixture
def second(blog: Blog) -> Iterator[str]:
    write_source(blog.project, "second", blog.sandbox.url)
    yield "second"


def test_two_files_are_two_sources_with_four_assets_each_and_their_own_timers(blog: Blog, second: str) -> None:
    loaded = load()
    keys = {tuple(spec.key.path) for spec in loaded.resolve_all_asset_specs()}
    assert keys == {(source, asset) for source in (BLOG, second) for asset in (*ASSETS, FIRST_HOURS, SPIKES)}
    repository = loaded.get_repository_def()
    timers = {schedule.name for schedule in repository.schedule_defs}
    each = {f"{name}_{timer}" for name in (BLOG, second) for timer in TIMERS}
    assert timers == {*each, "maintenance_daily"}
    assert {sensor.name for sensor in repository.sensor_defs} >= {f"{BLOG}_crossings", f"{second}_crossings"}
    checks = {key.asset_key.path[0] for key in loaded.resolve_asset_graph().asset_check_keys}
    assert checks == {BLOG, second}


@pytest.mark.parametrize("name", BROKEN)
def test_a_source_that_cannot_load_is_a_failing_check_that_names_file_and_line_and_the_others_run(
    blog: Blog, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RATCHET_TEST_SECRET", SECRET)
    file = write_broken(blog.project, name)
    _, words, line = BROKEN[name]
    loaded = load()
    keys = {tuple(spec.key.path) for spec in loaded.resolve_all_asset_specs()}
    assert keys == {(BLOG, asset) for asset in (*ASSETS, FIRST_HOURS, SPIKES)} | {(name, "configuration")}

    check_only = dg.define_asset_job("check", selection=dg.AssetSelection.checks_for_assets([name, "configuration"]))
    job = dg.Definitions.merge(loaded, dg.Definitions(jobs=[check_only])).resolve_job_def("check")
    result = job.execute_in_process(instance=blog.instance, raise_on_error=False)
    (evaluation,) = result.get_asset_check_evaluations()
    assert not evaluation.passed
    assert f"{file}:{line}: " in (evaluation.description or "")
    assert words in (evaluation.description or "")
    told = "".join(str(entry.to_json()) for entry in blog.instance.all_logs(result.run_id))
    assert SECRET not in told + str(evaluation)
    assert COOKIE not in told + str(evaluation)


def test_dagster_is_told_once_of_each_fault_without_anybody_running_the_check(blog: Blog) -> None:
    name = "wrong_key"
    file = write_broken(blog.project, name)
    with asking_in_process(blog.instance) as ask:
        asked = {"asset": {"path": [name, "configuration"]}, "check": "loads"}
        assert ask(EXECUTIONS, **asked)["assetCheckExecutions"] == []
    with loaded_in_process(blog.instance) as workspace:
        faults = list(execute_sensor_iteration(workspace, logging.getLogger("tests"), None, None))
    assert not any(faults)
    with asking_in_process(blog.instance) as ask:
        (execution,) = ask(EXECUTIONS, **asked)["assetCheckExecutions"]
    assert execution["status"] == "FAILED"
    assert f"{file}:6: there is no key 'colour'" in execution["evaluation"]["description"]

    sensor = load().get_repository_def().get_sensor_def(f"{name}_configuration")
    first = sensor.evaluate_tick(dg.build_sensor_context(blog.instance))
    again = sensor.evaluate_tick(dg.build_sensor_context(blog.instance, cursor=first.cursor))
    file.write_text(file.read_text().replace("colour", "shape"))
    sensor = load().get_repository_def().get_sensor_def(f"{name}_configuration")
    changed = sensor.evaluate_tick(dg.build_sensor_context(blog.instance, cursor=first.cursor))
    assert [len(tick.asset_events) for tick in (first, again, changed)] == [1, 0, 1]


def test_folders_whose_names_dagster_would_take_for_one_are_two_sources(blog: Blog) -> None:
    for folder in ("a-b", "a_b", "日本", "東京"):
        write_broken(blog.project, "wrong_key").parent.rename(blog.project.defs / folder)
    groups = {spec.group_name for spec in load().resolve_all_asset_specs()}
    assert {"a_b", BLOG} < groups
    assert len(groups) == 4 + 2  # the good one has its long view


def test_beside_a_source_that_cannot_load_another_captures(blog: Blog) -> None:
    write_broken(blog.project, "wrong_key")
    assert load()
    assert blog.capture().success


def test_source_check_names_every_fault_with_file_and_line_and_no_secret(project: Project) -> None:
    write_source(project, BLOG, NOWHERE)
    files = {name: write_broken(project, name) for name in BROKEN}
    checked = ratchet("source", "check", RATCHET_TEST_SECRET=SECRET)
    assert checked.returncode == 2
    assert f"{BLOG}: good." in checked.stdout
    for name, (_, words, line) in BROKEN.items():
        assert f"{files[name]}:{line}: " in checked.stderr
        assert words in checked.stderr
    assert SECRET not in checked.stdout + checked.stderr
    assert COOKIE not in checked.stdout + checked.stderr


@pytest.fixture(scope="module")
def copied_checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkout as it is with one more source: a third YAML file and nothing else."""
    copy = tmp_path_factory.mktemp("copy") / "checkout"
    copy.mkdir()
    shutil.copytree(ROOT / "pipeline", copy / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "workspace.yaml"):
        shutil.copy(ROOT / name, copy / name)
    write_source(Project(copy / "pipeline" / "defs", copy / "data"), "third", NOWHERE)
    return copy


@pytest.mark.parametrize(
    "command",
    [
        ("dg", "check", "defs"),
        ("dg", "check", "yaml"),
        ("dagster", "definitions", "validate", "-w", "workspace.yaml"),
        ("ratchet", "source", "check"),
    ],
    ids=" ".join,
)
def test_the_checkout_and_a_third_yaml_file_pass_every_check(
    copied_checkout: Path, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    for variable in ("RATCHET_DEFS", "RATCHET_DATA"):
        monkeypatch.delenv(variable, raising=False)
    name, *arguments = command
    environment = {"PYTHONPATH": str(copied_checkout), COOKIE_VARIABLE: COOKIE, "HOME": str(tmp_path)}
    done = run_program(name, *arguments, cwd=copied_checkout, **environment)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "rror" not in said
    assert COOKIE not in said
    if name == "ratchet":
        assert all(f"{source}: good." in said for source in ("demo", "recorded", "third"))


# Dagster's component tree reads YAML through a function of Pydantic that is deprecated.
@pytest.mark.filterwarnings("ignore::pydantic.PydanticDeprecatedSince20")
def test_a_source_elsewhere_and_one_in_the_checkout_make_the_same_definitions(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RATCHET_DEFS moves the sources out of the package, where Dagster's component tree does not reach."""
    shutil.copytree(ROOT / "pipeline" / "defs" / "recorded", project.defs / "recorded")
    elsewhere = load()
    monkeypatch.delenv("RATCHET_DEFS")
    here = load()

    def described(loaded: dg.Definitions) -> set[tuple[str, str | None]]:
        specs = loaded.resolve_all_asset_specs()
        return {(spec.key.to_user_string(), spec.description) for spec in specs if spec.group_name == "recorded"}

    assert described(elsewhere) == described(here) != set()
