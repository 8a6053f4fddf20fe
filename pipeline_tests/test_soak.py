"""The short form of the soak, and that its verdict sees what it is there to see."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.core.project import ROOT
from pipeline_tests.soak.verdict import LOCKED, Figures, files_with, growth, most_at_once, overlaps
from pipeline_tests.soak.workers import Ended

SOUND = Figures(96, 1, 0, (), (), (), (), {"worker 0": (1.02, 300)}, 1)


def ended(source: str, began: float, over: float, job: str = "capture") -> Ended:
    return Ended(f"{source}_{job}", source, began, over)


def test_three_sources_lose_no_hour_although_a_stale_listing_is_refused() -> None:
    short = ["-m", "pipeline_tests.soak", "--sources", "3", "--hours", "5", "--workers", "2"]
    done = subprocess.run([sys.executable, *short], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    told = " ".join(done.stdout.split())
    for words in (
        "hours lost 0 of 15",
        "runs, most at once 19, 2",  # one an hour, one more for the stale listing, one a day for the long view
        "refused by plan, hour saved by the next tick 1",
        "overlaps within a source 0",
        "'database is locked' 0",
    ):
        assert words in told


def test_runs_of_one_source_that_overlap_are_seen_and_those_of_two_are_not() -> None:
    apart = [ended("a", 0, 2), ended("a", 2, 3), ended("b", 1, 4)]
    assert list(overlaps(apart)) == []
    assert most_at_once(apart) == 2
    assert list(overlaps([*apart, ended("a", 1.5, 1.6)])) == ["a: a_capture began 0.5 s before a_capture ended"]
    assert list(overlaps([*apart, ended("a", 1.5, 1.6, "long_view")])) == []


def test_words_are_found_in_any_file_wherever_they_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline_tests.soak.verdict._CHUNK", 16)
    (tmp_path / "runs.db").write_bytes(b"x" * 10 + LOCKED)
    (tmp_path / "other.log").write_bytes(b"database is open")
    assert list(files_with(LOCKED, [tmp_path])) == [f"{tmp_path.name}/runs.db"]


def test_memory_is_compared_with_what_it_was_after_the_first_day() -> None:
    assert growth([1] * 24 + [100] * 24 + [150] * 24 + [120] * 24) == (1.2, 120)


@pytest.mark.parametrize(
    "bad",
    [
        {"lost": ("account_00 2026-04-06T03",)},
        {"overlaps": ("a",)},
        {"locked": ("history/runs.db",)},
        {"faults": ("a worker crashed",)},
        {"growth": {"worker 0": (1.11, 300)}},
    ],
)
def test_each_kind_of_failure_fails_the_soak(bad: dict[str, object]) -> None:
    assert list(SOUND.failures()) == []
    fields = {name: getattr(SOUND, name) for name in Figures.__dataclass_fields__}
    assert len(list(Figures(**{**fields, **bad}).failures())) == 1
