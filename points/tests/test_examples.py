"""The examples do what they say: three other languages, and a program whose libraries know nothing of points."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
SHOP = ("main.py", "orders.py", "pool.py", "signals.py")


@pytest.fixture
def environment(lake: Any, tmp_path: Path) -> dict[str, str]:
    """An environment in which ``points`` is the command of this installation."""
    folder = tmp_path / "bin"
    folder.mkdir()
    command = folder / "points"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m ratchet_points "$@"\n')
    command.chmod(0o755)
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "POINTS_SPOOL": str(lake.folder)}


def play(program: str, name: str, environment: dict[str, str]) -> None:
    """Run an example. Where CI says that every language is there, a missing one is a failure."""
    if shutil.which(program) is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{program} is missing")
        pytest.skip(f"{program} is not installed")
    subprocess.run([program, str(EXAMPLES / name)], env=environment, check=True, timeout=60)


def by_type(lake: Any) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for one in lake.events():
        found.setdefault(one["type"], []).append(one)
    return found


def test_a_shell_script(lake: Any, environment: dict[str, str]) -> None:
    play("sh", "emit.sh", environment)
    found = by_type(lake)
    assert found["backup.started"][0]["data"]["attributes"] == {"host": "db1"}
    (failed,) = found["backup.failed"]
    assert failed["data"]["severity_text"] == "ERROR"
    assert failed["data"]["code.line.number"] == 8
    assert failed["data"]["attributes"] == {"code": 1}
    assert [one["data"]["attributes"]["rows"] for one in found["backup.table"]] == list(range(1, 101))


def test_node(lake: Any, environment: dict[str, str]) -> None:
    play("node", "emit.mjs", environment)
    viewed, unreadable = lake.events()
    assert viewed["data"]["attributes"] == {"path": "/basket", "milliseconds": 12.5}
    assert (viewed["data"]["user.id"], viewed["data"]["where"]) == ("alice", "/basket")
    assert unreadable["data"]["exception.type"] == "SyntaxError"
    assert any(frame["code.file.path"].endswith("emit.mjs") for frame in unreadable["data"]["exception.frames"])


def test_erlang(lake: Any, environment: dict[str, str]) -> None:
    play("escript", "emit.escript", environment)
    deadline = time.monotonic() + 20
    while len(lake.events()) < 2:
        # An Erlang port that was closed tells nobody when its program ends.
        assert time.monotonic() < deadline
    consumed, failed = lake.events()
    assert consumed["kind"] == "operation"
    assert consumed["data"]["attributes"] == {"messages": 17, "queue": 'größe "a"'}
    assert failed["data"]["exception.message"] == "queue_full"
    assert failed["data"]["exception.frames"]


def shop(folder: Path, lake: Any) -> list[dict[str, Any]]:
    shutil.rmtree(lake.folder, ignore_errors=True)
    done = subprocess.run(
        [sys.executable, "main.py", str(lake.folder)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.splitlines() == ["alice paid: True", "bob paid: False"]
    events: list[dict[str, Any]] = lake.events()
    return events


def test_an_overflow_of_a_library_is_reported_where_the_business_understands_it(lake: Any) -> None:
    paid, exhausted = shop(EXAMPLES / "shop", lake)
    assert "points" not in (EXAMPLES / "shop" / "pool.py").read_text().split('"""')[2]
    assert paid["data"]["code.function.name"].startswith("orders.")
    assert exhausted["data"]["code.file.path"].endswith("orders.py")
    assert exhausted["data"]["user.id"] == "bob"
    assert exhausted["data"]["exception.type"] == "pool.PoolExhausted"
    assert exhausted["data"]["exception.frames"][-1]["code.file.path"].endswith("pool.py")
    assert exhausted["data"]["attributes"] == {"pool": "orders", "limit": 1, "currency": "EUR"}


def test_one_module_changes_the_content_of_every_event_of_a_program(lake: Any, tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    for name in SHOP:
        shutil.copy(EXAMPLES / "shop" / name, folder)
    before = shop(folder, lake)
    signals = folder / "signals.py"
    changed = signals.read_text().replace('["currency"] = "EUR"', '["shop.region"] = "eu"')
    assert changed != signals.read_text()
    signals.write_text(changed)
    after = shop(folder, lake)
    for one, other in zip(before, after):
        expected = dict(one["data"]["attributes"])
        assert expected.pop("currency") == "EUR"
        assert other["data"]["attributes"] == {**expected, "shop.region": "eu"}
        assert other["data"]["code.line.number"] == one["data"]["code.line.number"]


def test_one_module_of_the_sdk_decides_what_an_event_says(lake: Any, tmp_path: Path) -> None:
    import ratchet_points

    package = tmp_path / "changed" / "ratchet_points"
    shutil.copytree(Path(ratchet_points.__file__).parent, package)
    module = package / "event.py"
    changed = module.read_text().replace('"service.name":', '"service.namespace":"shops","service.name":')
    module.write_text(changed)
    subprocess.run(
        [sys.executable, "main.py", str(lake.folder)],
        cwd=EXAMPLES / "shop",
        env={**os.environ, "PYTHONPATH": str(package.parent), "PYTHONDONTWRITEBYTECODE": "1"},
        check=True,
        capture_output=True,
        timeout=60,
    )
    assert [one["data"].get("service.namespace") for one in lake.all()] == ["shops"] * 3
