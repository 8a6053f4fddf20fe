"""The lake among processes: one writer at a time, killed writers, and disks that take no more."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from pipeline.core.errors import LakeFault, SourceBusy
from pipeline.core.hours import Hour
from pipeline.core.lake import QUARANTINE, Lake, SourceLake

from .snapshots import at

HOUR = Hour.of(at(0))
PRELUDE = """
import sys
from pathlib import Path
from pipeline.core.errors import LakeFault
from pipeline.core.hours import Hour
from pipeline.core.lake import DELTA, QUARANTINE, RAW, Lake
from pipeline_tests.core.account import Account, many
from pipeline_tests.core.snapshots import at
root = Path(sys.argv[1])
lake = Lake(root).source("blog")
hour = Hour.of(at(0))
"""


@pytest.fixture
def lake(tmp_path: Path) -> SourceLake:
    return Lake(tmp_path).source("blog")


@contextmanager
def another_process(code: str, root: Path) -> Iterator[subprocess.Popen[str]]:
    """Runs ``code`` until it prints a line; killed at the end."""
    command = [sys.executable, "-c", PRELUDE + code, str(root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def run(code: str, root: Path) -> list[str]:
    command = [sys.executable, "-c", PRELUDE + code, str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


HOLD = """
with lake.writing():
    print("ready", flush=True)
    sys.stdin.read()
"""
WRITE = """
with lake.writing(), lake.new_capture(hour, at(0)) as (capture, file):
    file.write(b"half of it")
    file.flush()
    print("ready", flush=True)
    sys.stdin.read()
"""


# One writer ---------------------------------------------------------------------------------------


def test_a_second_process_meets_a_busy_source_until_the_first_is_killed(lake: SourceLake) -> None:
    with another_process(HOLD, lake.root.parent) as holder:
        with pytest.raises(SourceBusy, match="'blog'") as caught, lake.writing():
            pass
        assert caught.value.exit_code == 15
        with lake.sending():
            pass  # messages have a lock of their own
        with Lake(lake.root.parent).source("other").writing():
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        with lake.writing():
            pass


def test_the_same_thread_may_enter_again_and_holds_on_until_it_leaves_for_good(lake: SourceLake) -> None:
    def is_busy() -> bool:
        met: list[bool] = []

        def try_it() -> None:
            with ExitStack() as stack:
                try:
                    stack.enter_context(lake.writing())
                    met.append(False)
                except SourceBusy:
                    met.append(True)

        thread = threading.Thread(target=try_it)
        thread.start()
        thread.join()
        return met[0]

    with lake.writing():
        with lake.writing():
            assert is_busy()
        assert is_busy()
    assert not is_busy()


def test_what_a_killed_writer_left_is_swept_by_the_next_one(lake: SourceLake) -> None:
    with another_process(WRITE, lake.root.parent) as writer:
        [orphan] = (lake.root / ".incoming" / "writing").iterdir()
        assert orphan.read_bytes() == b"half of it"
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    assert orphan.exists()
    assert lake.captures() == []
    with lake.sending():
        assert orphan.exists()  # not a sender's to sweep
    with lake.writing():
        assert not orphan.exists()
    assert lake.captures() == []


def test_entering_again_sweeps_nothing_of_the_writer_itself(lake: SourceLake) -> None:
    with lake.writing(), lake.new_capture(HOUR, at(0)) as (made, file):
        file.write(b"whole")
        with lake.writing():
            pass
    assert lake.raw(made).read_bytes() == b"whole"


def test_a_half_written_file_in_the_way_is_a_fault_and_not_taken_for_a_published_one(lake: SourceLake) -> None:
    path = lake.path(QUARANTINE, HOUR, "one")
    orphan = lake.root / ".incoming" / "writing" / path.name
    orphan.parent.mkdir(parents=True)
    orphan.write_bytes(b"half")
    with pytest.raises(LakeFault):
        lake.publish(path, b"whole")
    with lake.writing():
        assert lake.publish(path, b"whole")


# Disks that take no more ----------------------------------------------------------------------------

FULL = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
account = Account.under(root)
noise = [row | {"name": str(hash(row["key"])) * 40} for row in many(400)]
attempts = {
    "publish": lambda: lake.publish(lake.path(QUARANTINE, hour, "one"), bytes(100_000)),
    "generation": lambda: lake.publish_generation(DELTA, hour, bytes(100_000)),
    "note": lambda: lake.write_note("mark", {"text": "x" * 100_000}),
    "capture": lambda: account.capture(0, noise),
}
for name, attempt in attempts.items():
    try:
        attempt()
    except LakeFault as fault:
        print(name, fault.exit_code, fault.what)
"""


def test_a_full_disk_is_a_fault_of_the_lake_and_leaves_what_was_there(lake: SourceLake) -> None:
    lake.publish(lake.path(QUARANTINE, HOUR, "earlier"), b"kept")
    told = run(FULL, lake.root.parent)
    assert [line.split()[:2] for line in told] == [
        [name, "16"] for name in ("publish", "generation", "note", "capture")
    ], told
    assert all("File too large" in line and str(lake.root) in line for line in told)
    left = [path for path in lake.root.rglob("*") if path.is_file() and path.parent.name != "checksums"]
    assert left == [lake.path(QUARANTINE, HOUR, "earlier")]


FORBIDDEN = """
import os
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
def enter():
    with lake.writing():
        pass
for attempt in (enter, lambda: lake.publish(lake.path(QUARANTINE, hour, "one"), b"x")):
    try:
        attempt()
    except LakeFault as fault:
        print(fault.exit_code, fault.what)
"""


@pytest.fixture
def forbidden() -> Iterator[Path]:
    """A folder that anybody may read and nobody but root may write to."""
    folder = Path(tempfile.mkdtemp(prefix="ratchet-forbidden-"))
    folder.chmod(0o555)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


def test_a_folder_without_permission_is_a_fault_of_the_lake(forbidden: Path) -> None:
    told = run(FORBIDDEN, forbidden)
    assert [line.split()[0] for line in told] == ["16", "16"]
    assert all("Permission denied" in line for line in told)
