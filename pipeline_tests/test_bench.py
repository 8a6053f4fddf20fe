"""That `make bench` measures: what it found is in docs/performance.md, and is never asserted here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from pipeline.core.project import ROOT
from pipeline_tests.bench.__main__ import _PARTS


@pytest.mark.parametrize("part", _PARTS)
def test_every_part_measures_something(part: str, tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    command = [sys.executable, "-m", "pipeline_tests.bench", "--quick", "--part", part, "--json", str(file)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    figures = msgspec.json.decode(file.read_bytes())["parts"][part]
    assert figures
    assert all(figure["value"] > 0 for figure in figures)
