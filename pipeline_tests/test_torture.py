"""The short form of the torture: a dozen kills, and proof that the tool sees what it looks for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from pipeline_tests.torture.__main__ import chosen, verdict
from pipeline_tests.torture.contents import Contents, faults_after_kill, faults_after_rerun
from pipeline_tests.torture.killing import Kill, Torture, torture
from pipeline_tests.torture.scenarios import Scenario
from pipeline_tests.torture.trace import Trace

SHORT = {"capture": 5, "refused capture": 1, "reject an hour, rebuild": 3, "message and receipt": 3}
SEED = 20261122


@pytest.fixture(scope="module")
def tortured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Torture, dict[str, Scenario]]]:
    with torture(tmp_path_factory.mktemp("torture")) as (running, scenarios):
        yield running, {scenario.name: scenario for scenario in scenarios}


def test_a_dozen_kills_lose_nothing_and_the_next_run_ends_in_the_undisturbed_state(
    tortured: tuple[Torture, dict[str, Scenario]],
) -> None:
    running, scenarios = tortured
    draw = Random(SEED)
    kills = [running.kill(scenarios[name], draw) for name, times in SHORT.items() for _ in range(times)]
    assert len(kills) == 12
    assert sum(kill.within for kill in kills) >= len(kills) / 2  # three in four are expected
    assert verdict(kills) == []


@pytest.fixture(scope="module")
def captured(tortured: tuple[Torture, dict[str, Scenario]]) -> tuple[Contents, Contents]:
    """The lake before a capture, and after one that nobody disturbed."""
    running, scenarios = tortured
    known = running.learn(scenarios["capture"])
    return known.before, known.after


def test_a_file_that_breaks_off_is_seen_in_every_kind_of_file(captured: tuple[Contents, Contents]) -> None:
    before, after = captured
    new = sorted(after.files.keys() - before.files.keys())
    assert {Path(name).suffix for name in new} == {".zst", ".parquet", ".json", ".md"}
    for name in new:
        for length in (0, len(after.files[name]) // 2):
            torn = replace(after, files={**after.files, name: after.files[name][:length]})
            assert any(fault.startswith(f"{name} is half written") for fault in faults_after_kill(before, torn, after))


def test_an_accepted_file_that_changed_or_went_is_seen(captured: tuple[Contents, Contents]) -> None:
    before, after = captured
    for name in before.files:
        gone = replace(after, files={other: content for other, content in after.files.items() if other != name})
        assert f"{name} was accepted and is lost" in faults_after_kill(before, gone, after)
    report = next(name for name in before.files if name.endswith(".json"))
    other = replace(after, files={**after.files, report: b"{}\n"})
    assert f"{report} is neither what it was nor what it was to become" in faults_after_kill(before, other, after)


def test_what_a_next_run_leaves_out_changes_or_does_not_sweep_is_seen(captured: tuple[Contents, Contents]) -> None:
    before, after = captured
    assert faults_after_rerun(before, after, after) == []
    assert len(faults_after_rerun(before, before, after)) == 7
    littered = replace(after, incoming=frozenset({".incoming/writing/orphan"}))
    assert faults_after_rerun(before, littered, after) == [".incoming/writing/orphan was not swept"]


def test_a_superseded_generation_is_not_lost_while_its_bytes_are_kept(captured: tuple[Contents, Contents]) -> None:
    before, after = captured
    name = next(name for name in before.files if name.startswith("delta/"))
    moved = {f"superseded/{name}": before.files[name], **{n: c for n, c in after.files.items() if n != name}}
    assert faults_after_kill(before, replace(after, files=moved), replace(after, files=moved)) == []


def test_the_trace_knows_the_first_byte_and_the_last_rename() -> None:
    trace = Trace(["os.mkdir raw", "half of a write a", "write a", "fsync a", "os.link raw/a", "fsync raw"])
    assert (trace.first_byte, trace.last_publishing) == (2, 5)


def test_a_torture_whose_kills_come_too_early_fails() -> None:
    early = [Kill("capture", "os.listdir raw", 1, False, [])] * 50 + [Kill("capture", "write a", 30, True, [])] * 50
    assert verdict(early) == ["only 50 of 100 kills fell between the first byte and the last rename"]


def test_kills_are_shared_out_among_the_scenarios(tortured: tuple[Torture, dict[str, Scenario]]) -> None:
    scenarios = list(tortured[1].values())
    for times in (1, 12, 100, 250):
        assert len(chosen(scenarios, times)) == times
    assert {scenario.name for scenario in chosen(scenarios, 100)} == set(tortured[1])
