"""Writing goes on, whatever happens to the file."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Callable

import pytest

import ratchet_points as points
from ratchet_points import interface, segment, spool


def steps(lake: Any) -> list[int]:
    return [one["data"]["attributes"]["n"] for one in lake.events() if one["type"] == "step"]


def writer() -> segment.SegmentWriter:
    recorder = interface.recorder()
    assert recorder is not None
    assert isinstance(recorder.sink, segment.SegmentWriter)
    return recorder.sink


def next_second() -> None:
    """Make the recorder look after its segment, as it does once a second."""
    recorder = interface.recorder()
    assert recorder is not None
    recorder._second = (0, 0, "")


def test_a_full_segment_is_followed_by_the_next(begin: Callable[..., Any]) -> None:
    lake = begin(segment_bytes=4000)
    before = writer()._number
    for number in range(100):
        assert points.track("step", n=number)
    assert steps(lake) == list(range(100))
    sizes = [path.stat().st_size for path in sorted(lake.folder.glob("*.points"))]
    assert len(sizes) > 8
    assert all(4000 <= size < 5000 for size in sizes[:-1])
    assert writer()._number == before >= 700


def test_threads_lose_nothing_while_segments_change(begin: Callable[..., Any]) -> None:
    lake = begin(segment_bytes=3000)

    def report(first: int) -> None:
        for number in range(first, first + 500):
            assert points.track("step", n=number)

    threads = [threading.Thread(target=report, args=(first,)) for first in range(0, 4000, 500)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(steps(lake)) == list(range(4000))
    assert lake.damaged() == []


def test_a_closed_descriptor_is_replaced_at_once(begin: Callable[..., Any]) -> None:
    lake = begin()
    for number in range(3):
        points.track("step", n=number)
        os.close(writer()._number)
    assert steps(lake) == [0, 1, 2]


def test_a_descriptor_that_the_host_got_is_left_to_it(begin: Callable[..., Any], tmp_path: Path) -> None:
    lake = begin()
    points.track("step", n=0)
    ours = writer()._number
    with (tmp_path / "of the host").open("wb", buffering=0) as host:
        os.dup2(host.fileno(), ours)
        next_second()
        points.track("step", n=1)
        assert writer()._number != ours
        os.write(ours, b"the host's")
    os.close(ours)
    assert (tmp_path / "of the host").read_bytes() == b"the host's"
    assert steps(lake) == [0, 1]


def test_a_host_that_closes_everything_and_goes_into_the_background(run: Callable[..., Any], lake: Any) -> None:
    run("""
        import os
        points.init(app="daemon", spool=SPOOL)
        points.track("step", n=0)
        if os.fork():
            os._exit(0)
        os.setsid()
        os.closerange(0, 2000)
        for _ in range(10):
            os.open("/dev/null", os.O_RDWR)
        for number in range(1, 50):
            assert points.track("step", n=number)
        open(SPOOL + "/done", "w").close()
        """)
    deadline = time.monotonic() + 20
    while not (lake.folder / "done").exists():
        # The child belongs to nobody, so there is no end of a process to wait for.
        assert time.monotonic() < deadline
    assert steps(lake) == list(range(50))


def test_a_deleted_spool_comes_back(begin: Callable[..., Any]) -> None:
    lake = begin()
    points.track("step", n=0)
    shutil.rmtree(lake.folder)
    next_second()
    points.track("step", n=1)
    assert steps(lake) == [1]


def test_what_cannot_be_written_is_counted_and_reported_when_it_can(
    begin: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    lake = begin()
    shutil.rmtree(lake.folder)
    lake.folder.write_text("a file stands where the spool was")
    os.close(writer()._number)
    for number in range(5):
        assert points.track("step", n=number) is None
    lake.folder.unlink()
    writer()._not_before = 0.0
    assert points.track("step", n=5)
    assert steps(lake) == [5]
    dropped = lake.events()[-1]
    assert (dropped["type"], dropped["kind"]) == ("points.dropped", "operation")
    assert dropped["data"]["attributes"] == {"count": 5, "reasons": {segment.CANNOT_OPEN: 5}}
    assert capsys.readouterr().err.count("dropped") == 1


def test_a_spool_at_its_limit_drops_loudly_and_recovers(
    begin: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    lake = begin(segment_bytes=2000, spool_bytes=10_000)
    recorded = [number for number in range(100) if points.track("step", n=number)]
    assert 10 < len(recorded) < 40
    assert recorded == list(range(len(recorded)))
    assert segment.FULL in capsys.readouterr().err
    for path in lake.folder.iterdir():
        path.unlink()
    writer()._not_before = 0.0
    assert points.track("step", n=100)
    assert lake.events()[-1]["data"]["attributes"]["reasons"] == {segment.FULL: 100 - len(recorded)}


def test_a_file_that_may_not_grow_is_followed_by_another(run: Callable[..., Any], lake: Any) -> None:
    run("""
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
        points.init(app="limited", spool=SPOOL)
        taken = [number for number in range(100) if points.track("step", n=number)]
        open(SPOOL + "/taken", "w").write(str(len(taken)))
        """)
    found = steps(lake)
    assert len(found) == int((lake.folder / "taken").read_text()) > 80
    assert all(isinstance(one, spool.Damaged) for one in lake.damaged())


def test_a_full_disk_costs_events_but_no_other_ones(
    begin: Callable[..., Any], small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begin(spool=small_disk / "spool")
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * 100_000)
    taken = [number for number in range(1000) if points.track("step", n=number)]
    assert 50 < len(taken) < 900
    filler.unlink()
    taken.append(1000)
    assert points.track("step", n=1000)
    events = [one.decode() for one in spool.read(small_disk / "spool") if isinstance(one, spool.Event)]
    assert [one["data"]["attributes"]["n"] for one in events if one["type"] == "step"] == taken
    assert events[-1]["data"]["attributes"]["count"] == 1001 - len(taken)
    assert capsys.readouterr().err.count("dropped") == 1


def test_a_full_disk_at_the_end_is_said(run: Callable[..., Any]) -> None:
    done = run("""
        import os, resource
        points.init(app="a", spool="/proc/cannot/be/made")
        assert points.track("step") is None
        """)
    assert "2 events were dropped" not in done.stderr
    assert "1 events were dropped and could not be reported" in done.stderr


def test_an_error_of_the_disk_is_a_drop(begin: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    lake = begin()

    def failing(number: int, line: bytes) -> int:
        raise OSError(errno.EIO, "the disk")

    with monkeypatch.context() as patched:
        patched.setattr(segment, "write", failing)
        assert points.track("step", n=0) is None
    assert points.track("step", n=1)
    assert steps(lake) == [1]
    assert lake.events()[-1]["data"]["attributes"]["reasons"] == {segment.CANNOT_WRITE: 1}


def test_whoever_comes_while_the_segment_is_being_changed_does_not_wait(begin: Callable[..., Any]) -> None:
    lake = begin()
    os.close(writer()._number)
    with writer()._lock:
        assert points.track("step", n=0)
        assert points.track("step", n=1)
    assert points.track("step", n=2)
    assert sorted(steps(lake)) == [0, 1, 2]


def test_a_living_writers_segment_is_not_abandoned(run: Callable[..., Any], lake: Any) -> None:
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import ratchet_points as p, sys\n"
            f"p.init(app='a', spool={str(lake.folder)!r})\np.track('step', n=1)\nprint(flush=True)\nsys.stdin.read()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()
    (name,) = spool.segments(lake.folder)
    assert not spool.abandoned(str(lake.folder / name))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert spool.abandoned(str(lake.folder / name))
    assert steps(lake) == [1]
