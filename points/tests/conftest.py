"""What the tests share: a spool of their own, a recorder that ends with the test, and programs in processes."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest

import ratchet_points as points
from ratchet_points import interface, spool


class Spool:
    """A spool and what is in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def all(self) -> list[dict[str, Any]]:
        """Every event of the spool, those of the SDK itself too."""
        return [line.decode() for line in spool.read(self.folder) if isinstance(line, spool.Event)]

    def events(self) -> list[dict[str, Any]]:
        """The events that the program reported."""
        return [event for event in self.all() if event["type"] != "points.started"]

    def damaged(self) -> list[spool.Damaged]:
        return [line for line in spool.read(self.folder) if isinstance(line, spool.Damaged)]

    def text(self) -> str:
        return "".join(path.read_text() for path in sorted(self.folder.glob("*")))


@pytest.fixture
def lake(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool")


@pytest.fixture
def begin(lake: Spool) -> Iterator[Callable[..., Spool]]:
    """Call it with options of ``init()``."""

    def start(**options: Any) -> Spool:
        points.init(**{"app": "shop", "version": "1.4.2", "environment": "test", "spool": lake.folder, **options})
        return lake

    interface._said = False
    yield start
    points.close()


@pytest.fixture
def run(lake: Spool, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a program in a process of its own. ``SPOOL`` is the spool's folder in it, ``points`` is imported."""

    def start(program: str, *, code: int | None = 0, **more: Any) -> subprocess.CompletedProcess[str]:
        path = tmp_path / "program.py"
        path.write_text(
            f"import ratchet_points as points\nSPOOL = {str(lake.folder)!r}\n{textwrap.dedent(program)}", "utf-8"
        )
        done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, timeout=60, **more)
        if code is not None:
            assert done.returncode == code, done.stderr
        return done

    return start


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB, where this user may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("this user may not mount a small disk")
    yield folder
    points.close()
    subprocess.run(["umount", "-l", str(folder)], check=True)
