"""Fork, signals, threads, exits and kills: the host goes on, and what was taken is there."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from typing import Any, Callable

import pytest
from torture.__main__ import torture

import ratchet_points as points
from ratchet_points import interface, spool


def steps(lake: Any, name: str = "step") -> list[Any]:
    return [one["data"]["attributes"]["n"] for one in lake.events() if one["type"] == name]


def test_no_acknowledged_event_is_lost_to_kill_9() -> None:
    tally = torture(rounds=1, writers=3, mode="embedded")
    assert tally.kills == 3
    assert tally.acknowledged > 1000
    assert tally.lost == 0


def test_the_torture_sees_a_loss() -> None:
    """In memory mode events are lost to a kill; a torture that finds none would prove nothing."""
    assert torture(rounds=1, writers=2, mode="memory").lost > 0


def test_a_forked_child_is_a_process_of_its_own(run: Callable[..., Any], lake: Any) -> None:
    run("""
        import os, threading
        points.init(app="parent", spool=SPOOL)
        def step(number):
            assert points.track("step", n=number, pid=os.getpid())
        step(0)
        stop = threading.Event()
        def busy():
            while not stop.is_set():
                points.track("busy", n=0)
        threads = [threading.Thread(target=busy) for _ in range(2)]
        [thread.start() for thread in threads]
        children = []
        for child in range(1, 9):
            pid = os.fork()
            if pid == 0:
                for number in range(10):
                    step(child * 100 + number)
                os._exit(0)
            children.append(pid)
        assert all(os.waitpid(pid, 0)[1] == 0 for pid in children)
        stop.set()
        [thread.join() for thread in threads]
        step(1)
        """)
    events = lake.events()
    for line in spool.read(lake.folder):
        assert isinstance(line, spool.Event)
        data = line.decode()["data"]
        assert f"-{data['process.pid']}-" in line.segment
        assert data["attributes"].get("pid", data["process.pid"]) == data["process.pid"]
    assert sorted(steps(lake)) == sorted(
        [0, 1] + [child * 100 + number for child in range(1, 9) for number in range(10)]
    )
    assert len({one["id"] for one in events}) == len(events)
    by_child = {one["data"]["process.pid"] for one in events if one["type"] == "step"}
    assert len(by_child) == 9
    assert lake.damaged() == []


def test_a_fork_that_python_was_not_told_of_is_noticed(
    begin: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = begin()
    before = points.track("a")
    monkeypatch.setattr(os, "getpid", lambda: 4_000_000)
    recorder = interface.recorder()
    assert recorder is not None
    recorder._second = (0, 0, "")
    after = points.track("b")
    assert before is not None
    assert after is not None
    assert before.split("-")[0] != after.split("-")[0]
    points.track("c")
    assert lake.events()[-1]["data"]["process.pid"] == 4_000_000


def test_a_signal_handler_reports_in_the_middle_of_a_report(run: Callable[..., Any], lake: Any) -> None:
    run("""
        import itertools, os, signal
        points.init(app="signalled", spool=SPOOL, segment_bytes=50_000)
        handled = itertools.count()
        def handler(*_):
            assert points.track("handled", n=next(handled))
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        for number in range(8000):
            assert points.track("step", n=number)
        signal.setitimer(signal.ITIMER_REAL, 0)
        assert next(handled) > 5
        """)
    assert sorted(steps(lake)) == list(range(8000))
    handled = sorted(steps(lake, "handled"))
    assert handled == list(range(len(handled)))
    assert lake.damaged() == []


def test_reports_of_exit_handlers_and_destructors_are_kept(run: Callable[..., Any], lake: Any) -> None:
    done = run("""
        import atexit
        atexit.register(lambda: points.track("step", n="registered before init"))
        points.init(app="a", spool=SPOOL)
        atexit.register(lambda: points.track("step", n="registered after init"))
        class Late:
            def __init__(self):
                self.track = points.track
            def __del__(self):
                self.track("step", n="destructor")
        late = Late()
        """)
    assert done.stderr == ""
    assert set(steps(lake)) >= {"registered before init", "registered after init"}


def test_threads_that_run_on_at_exit_do_no_harm(run: Callable[..., Any], lake: Any) -> None:
    done = run("""
        import threading
        points.init(app="a", spool=SPOOL)
        begun = threading.Event()
        def busy():
            while True:
                points.track("step", n=1)
                begun.set()
        for _ in range(3):
            threading.Thread(target=busy, daemon=True).start()
        begun.wait()
        """)
    assert "Traceback" not in done.stderr
    assert steps(lake)


def test_an_exit_without_handlers_loses_nothing(run: Callable[..., Any], lake: Any) -> None:
    run("""
        import os
        points.init(app="a", spool=SPOOL)
        for number in range(1000):
            points.track("step", n=number)
        os._exit(3)
        """, code=3)  # fmt: skip
    assert steps(lake) == list(range(1000))


def test_a_host_without_standard_error(run: Callable[..., Any], lake: Any) -> None:
    run("""
        import sys
        sys.stderr = None
        points.track("early")
        points.init(app="a", spool="/proc/cannot/be/made")
        assert points.track("step", n=1) is None
        points.init(app="a", spool=SPOOL)
        assert points.track("step", n=2)
        """)
    assert steps(lake) == [2]


def test_processes_started_by_multiprocessing(run: Callable[..., Any], lake: Any) -> None:
    run("""
        import multiprocessing
        def work(number):
            return points.track("step", n=number) is not None
        if __name__ == "__main__":
            points.init(app="a", spool=SPOOL)
            with multiprocessing.get_context("fork").Pool(3) as pool:
                assert all(pool.map(work, range(100)))
        """)
    assert sorted(steps(lake)) == list(range(100))


def test_no_descriptor_reaches_a_program_that_is_started(begin: Callable[..., Any]) -> None:
    begin()
    points.track("a")
    recorder = interface.recorder()
    assert recorder is not None
    assert not os.get_inheritable(recorder.sink._number)  # type: ignore[attr-defined]


def test_a_call_deep_in_the_stack_or_out_of_memory_harms_nobody(begin: Callable[..., Any]) -> None:
    lake = begin()

    def deep(number: int) -> None:
        points.track("step", n=number)
        deep(number + 1)

    with pytest.raises(RecursionError):
        deep(0)

    class TooLarge(dict[str, int]):
        def __iter__(self) -> Any:
            raise MemoryError

    assert points.track("odd", thing=TooLarge())
    assert points.track("after")
    odd, after = lake.events()[-2:]
    assert odd["data"]["attributes"] == {"thing": "(TooLarge: it cannot be shown)"}
    assert after["type"] == "after"


def test_an_interrupt_of_the_host_stays_the_hosts(begin: Callable[..., Any]) -> None:
    lake = begin()

    def handler(*_: object) -> None:
        raise KeyboardInterrupt

    class Interrupting:
        def __repr__(self) -> str:
            os.kill(os.getpid(), signal.SIGUSR1)
            return "x"

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            points.track("a", thing=Interrupting())
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert points.track("b")
    assert [one["type"] for one in lake.events()] == ["b"]


def test_every_line_is_whole_under_threads(begin: Callable[..., Any]) -> None:
    lake = begin()
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    def report(of: int) -> None:
        for number in range(300):
            points.track("step", n=[of, number], text="x" * (number * 7))

    try:
        threads = [threading.Thread(target=report, args=(of,)) for of in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert len({json.dumps(one) for one in steps(lake)}) == 1800
    assert lake.damaged() == []
