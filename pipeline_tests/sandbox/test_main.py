"""`python -m pipeline.sandbox` as a newcomer's demo runs it."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from pipeline.sandbox.__main__ import DEMO_COOKIE, main

ROOT = Path(__file__).parents[2]


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-m", "pipeline.sandbox", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def first_article(address: str) -> str:
    reply = httpx.get(
        f"{address}/api/v1/stats/pv", headers={"Cookie": f"_note_session_v5={DEMO_COOKIE}"}, trust_env=False
    )
    title: str = reply.json()["data"]["note_stats"][0]["name"]
    return title


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_its_address_serves_and_ends_well_when_interrupted(end: signal.Signals) -> None:
    with started() as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        address = line.split(" at ")[1].split(" ")[0]
        assert first_article(address).startswith("Simulated article")
        process.send_signal(end)
        rest, errors = process.communicate(timeout=20)
    assert (process.returncode, rest, errors) == (0, "", "")


def test_a_later_start_shows_the_same_account(tmp_path: Path) -> None:
    memory = tmp_path / "opened"
    memory.write_text("2026-11-01T06:00:00Z\n", encoding="utf-8")
    with started("--opened", str(memory)) as process:
        assert process.stdout is not None
        address = process.stdout.readline().split(" at ")[1].split(" ")[0]
        assert first_article(address) == "Simulated article of 2026-11-01T07:48:00Z"
    assert memory.read_text(encoding="utf-8") == "2026-11-01T06:00:00Z\n"


def test_a_taken_port_ends_with_what_to_do(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with started("--port", str(port), "--opened", str(tmp_path / "opened")) as process:
            _, errors = process.communicate(timeout=20)
    assert process.returncode == 2
    assert f"port {port}" in errors
    assert errors.strip().endswith("another port.")
    assert (tmp_path / "opened").exists()


def test_a_memory_that_holds_no_time_is_refused(tmp_path: Path) -> None:
    memory = tmp_path / "opened"
    memory.write_text("yesterday", encoding="utf-8")
    ended = CliRunner().invoke(main, ["--opened", str(memory)])
    assert ended.exit_code == 2
    assert "Delete it" in ended.stderr
