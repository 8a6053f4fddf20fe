"""A test that is skipped because a program is missing fails where CI is true, and only there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.core.project import ROOT

TESTS = """
import pytest
from pipeline_tests.skips import installed

def test_needs_a_program():
    installed("no-such-program-of-ratchet")

@pytest.mark.xfail
def test_is_expected_to_fail():
    assert False
"""
MODULE = 'import pytest\npytest.importorskip("no_such_module_of_ratchet")\n'


@pytest.mark.parametrize(("content", "reason"), [(TESTS, "no-such-program"), (MODULE, "no_such_module")])
@pytest.mark.parametrize(("ci", "fails"), [("true", True), ("", False)])
def test_a_missing_program_is_a_failure_in_ci(tmp_path: Path, content: str, reason: str, ci: str, fails: bool) -> None:
    (tmp_path / "test_needy.py").write_text(content)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-rs",
        "-p",
        "pipeline_tests.skips",
        "--rootdir",
        str(tmp_path),
        str(tmp_path),
    ]
    ended = subprocess.run(
        [*command, "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env={**os.environ, "CI": ci, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert reason in ended.stdout
    assert (ended.returncode not in (0, 5)) is fails, ended.stdout
    assert ("Nothing may be skipped where CI is true" in ended.stdout) is fails
