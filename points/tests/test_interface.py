"""The calls: what they record, and that they never harm their host."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from typing import Any, Callable

import pytest

import ratchet_points as points


def test_before_init_a_call_does_nothing_and_says_so_once(run: Callable[..., Any]) -> None:
    done = run("""
        assert points.track("a") is None
        assert points.error("b") is None
        with points.timed("c"):
            pass
        """)
    assert done.stderr.count("before init()") == 1


@pytest.mark.parametrize(
    "options",
    [
        {"app": ""},
        {"mode": "fast"},
        {"sample": 2},
        {"sample": {"a": "b"}},
        {"before_send": 7},
        {"redact": "password"},
        {"spool": "ftp://host/"},
        {"spool": "http://127.0.0.1:9/"},
        {"redact": 7},
        {"segment_bytes": 0},
        {"spool_bytes": "1 GB"},
    ],
)
def test_options_that_cannot_be_used_are_said_and_harm_nobody(
    begin: Callable[..., Any], options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    lake = begin(**options)
    assert points.track("a") is None
    assert "init() cannot begin" in capsys.readouterr().err
    assert not lake.folder.exists()


class Mute:
    """An object of the host that raises whenever it is asked what it is."""

    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


def test_values_that_raise_cost_no_event(begin: Callable[..., Any]) -> None:
    lake = begin()
    with points.bind(trace_id=Mute()):
        assert points.track("a", who=Mute(), thing=Mute(), inside={Mute(): 1})
    (one,) = lake.events()
    assert one["data"]["trace_id"] == one["data"]["user.id"] == "(Mute: it cannot be shown)"
    assert one["data"]["attributes"]["inside"] == {"(Mute: it cannot be shown)": 1}


def test_attributes_that_are_called_as_another_calls_arguments(begin: Callable[..., Any]) -> None:
    lake = begin()
    assert points.gauge("disk.used", 5, kind="ssd", who="alice", where="cellar")
    (one,) = lake.events()
    assert (one["kind"], one["data"]["attributes"]) == ("operation", {"kind": "ssd", "value": 5})
    assert (one["data"]["user.id"], one["data"]["where"]) == ("alice", "cellar")


@pytest.mark.parametrize("level", [-1, 10**30, "1", 5000])
def test_a_stacklevel_that_means_nothing(begin: Callable[..., Any], level: Any) -> None:
    lake = begin()
    assert points.track("a", stacklevel=level)
    assert lake.events()[0]["data"]["code.file.path"].endswith(".py")


def test_names_of_the_system_that_are_no_unicode(begin: Callable[..., Any]) -> None:
    """Python hands on bytes that are no UTF-8 as lone surrogates, which many readers of JSON refuse."""
    lake = begin(app="sh\udcffop", version="\udcff", environment="\udcff")
    code = compile("def report(points): points.error('a', ValueError())", "/srv/\udcff.py", "exec")
    found: dict[str, Any] = {}
    exec(code, found)
    thread = threading.Thread(target=found["report"], args=(points,), name="\udcff")
    thread.start()
    thread.join()
    for one in lake.all():
        json.dumps(one, ensure_ascii=False).encode()  # raises where a lone surrogate is left
    assert lake.events()[0]["data"]["code.file.path"] == r"/srv/\udcff.py"


def test_what_is_reported_while_init_is_called_again_is_the_first_ones(begin: Callable[..., Any]) -> None:
    lake = begin()

    class Reporting(str):
        def strip(self, *_: Any) -> str:
            assert points.track("meanwhile")
            return "shop"

    begin(app=Reporting("shop"))
    assert [one["type"] for one in lake.events()] == ["meanwhile"]


class Odd(Exception):
    """Has no truth, no equal and no members."""

    def __bool__(self) -> bool:
        raise RuntimeError("no")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no")

    __hash__ = Exception.__hash__

    @property
    def exceptions(self) -> Any:
        raise RuntimeError("no")


def test_causes_are_told_whatever_they_are_like(begin: Callable[..., Any]) -> None:
    lake = begin()
    first, second, third = Odd("first"), Odd("second"), Odd("third")
    first.__cause__, second.__context__, third.__context__ = second, third, second
    points.error("a", first)
    (one,) = lake.events()
    assert one["data"]["exception.message"] == "first"
    assert [cause["exception.message"] for cause in one["data"]["exception.causes"]] == ["second", "third"]


@pytest.mark.parametrize(
    ("failure", "told"), [("no room", ("str", "no room")), (KeyError, ("KeyError", "<class 'KeyError'>"))]
)
def test_a_failure_that_is_no_exception_is_told_as_what_it_is(
    begin: Callable[..., Any], failure: Any, told: tuple[str, str]
) -> None:
    lake = begin()
    points.error("a", failure)
    (one,) = lake.events()
    assert (one["data"]["exception.type"], one["data"]["exception.message"]) == told


def test_an_error_carries_type_message_and_frames(begin: Callable[..., Any]) -> None:
    lake = begin()

    def inner() -> None:
        raise KeyError("no such order")

    try:
        try:
            inner()
        except KeyError as cause:
            raise RuntimeError("cannot pay") from cause
    except RuntimeError as failure:
        points.error("checkout.failed", failure, order=7)
    (one,) = lake.events()
    data = one["data"]
    assert one["kind"] == "quality"
    assert data["severity_text"] == "ERROR"
    assert (data["exception.type"], data["exception.message"]) == ("RuntimeError", "cannot pay")
    assert data["attributes"] == {"order": 7}
    (frame,) = data["exception.frames"]
    assert frame["code.file.path"] == __file__
    assert data["exception.causes"] == [{"exception.type": "KeyError", "exception.message": "'no such order'"}]


def test_an_error_without_exception_takes_the_one_being_handled(begin: Callable[..., Any]) -> None:
    lake = begin()
    try:
        raise ValueError("here")
    except ValueError:
        points.error("a")
    points.error("b")
    first, second = lake.events()
    assert first["data"]["exception.message"] == "here"
    assert "exception.type" not in second["data"]
    assert second["data"]["severity_text"] == "ERROR"


def test_a_hostile_exception_is_described_all_the_same(begin: Callable[..., Any]) -> None:
    lake = begin()

    class Hostile(Exception):
        def __str__(self) -> str:
            raise ZeroDivisionError

    first, second = Hostile(), Hostile()
    first.__context__, second.__context__ = second, first
    assert points.error("hostile", first) is not None
    assert "__str__ raised" in lake.events()[0]["data"]["exception.message"]


def test_of_endless_recursion_the_innermost_frames_are_kept(begin: Callable[..., Any]) -> None:
    lake = begin()

    def endless() -> None:
        endless()

    try:
        endless()
    except RecursionError as failure:
        points.error("endless", failure)
    data = lake.events()[0]["data"]
    assert len(data["exception.frames"]) == 50
    assert data["exception.frames_omitted"] > 100


def test_locals_and_source_lines_only_where_they_were_asked_for(begin: Callable[..., Any]) -> None:
    def fail() -> None:
        basket, password = "books", "hunter2"
        raise ValueError(len(basket) + len(password))

    def failure() -> ValueError:
        try:
            fail()
        except ValueError as error:
            return error
        raise AssertionError

    lake = begin()
    points.error("a", failure())
    assert "code.locals" not in lake.text()
    assert 'code.line"' not in lake.text()
    begin(with_source=True)
    points.error("source", failure())
    assert "code.locals" not in lake.text()
    begin(with_locals=True, with_source=True)
    points.error("b", failure())
    frame = lake.events()[-1]["data"]["exception.frames"][-1]
    assert frame["code.locals"] == {"basket": "books", "password": "[redacted]"}
    assert frame["code.line"].startswith("raise ValueError")
    assert "hunter2" not in lake.text()


def test_a_gauge_is_an_operation_with_a_value(begin: Callable[..., Any]) -> None:
    lake = begin()
    points.gauge("queue.size", 17, queue="mail")
    (one,) = lake.events()
    assert one["kind"] == "operation"
    assert one["data"]["attributes"] == {"queue": "mail", "value": 17}
    assert one["data"]["code.file.path"] == __file__


def test_timed_measures_blocks_functions_and_coroutines(begin: Callable[..., Any]) -> None:
    lake = begin()

    @points.timed("job.step", step="load")
    def load(number: int) -> int:
        return number + 1

    @points.timed("job.wait")
    async def wait() -> str:
        await asyncio.sleep(0)
        return "done"

    assert load(1) == 2
    assert load.__name__ == "load"
    assert asyncio.run(wait()) == "done"
    with pytest.raises(KeyError), points.timed("job.block"):
        raise KeyError("x")
    first, second, third = lake.events()
    assert first["kind"] == "quality"
    assert first["data"]["attributes"]["step"] == "load"
    assert first["data"]["attributes"]["outcome"] == "ok"
    assert 0 < first["data"]["attributes"]["seconds"] < 5
    assert first["data"]["code.function.name"].endswith("<locals>.load")
    assert second["type"] == "job.wait"
    assert third["data"]["attributes"]["outcome"] == "error"
    assert third["data"]["attributes"]["exception.type"] == "KeyError"


def test_a_trace_is_bound_to_a_request_and_to_no_other(begin: Callable[..., Any]) -> None:
    lake = begin()

    async def request(trace: str) -> None:
        with points.bind(trace_id=trace, who=f"user of {trace}", shop="books"):
            await asyncio.sleep(0)
            points.track("seen", trace=trace)
            with points.bind(where="/deep"):
                await asyncio.sleep(0)
                points.track("seen", trace=trace)

    async def both() -> None:
        await asyncio.gather(request("one"), request("two"))

    asyncio.run(both())
    points.track("after", trace=None)
    *seen, after = lake.events()
    assert len(seen) == 4
    for one in seen:
        assert one["data"]["trace_id"] == one["data"]["attributes"]["trace"]
        assert one["data"]["user.id"] == f"user of {one['data']['trace_id']}"
        assert one["data"]["attributes"]["shop"] == "books"
    assert [one["data"].get("where") for one in seen].count("/deep") == 2
    assert "trace_id" not in after["data"]


def test_a_binding_can_be_undone_in_another_thread(begin: Callable[..., Any]) -> None:
    begin()
    binding = points.bind(trace_id="t")
    thread = threading.Thread(target=binding.undo)
    thread.start()
    thread.join()
    binding.undo()
    points.bind(trace_id=None).undo()


def test_what_a_call_says_goes_before_what_is_bound(begin: Callable[..., Any]) -> None:
    lake = begin()
    with points.bind(who="alice", amount=1, currency="EUR"):
        points.track("paid", who="bob", amount=2)
    (one,) = lake.events()
    assert one["data"]["user.id"] == "bob"
    assert one["data"]["attributes"] == {"amount": 2, "currency": "EUR"}


def test_before_send_changes_and_leaves_out(begin: Callable[..., Any]) -> None:
    def shaped(event: dict[str, Any]) -> dict[str, Any] | None:
        event["data"]["attributes"]["team"] = "payments"
        event["data"]["attributes"]["note"] = "token=abcdefgh12345"
        return None if event["type"] == "noise" else event

    lake = begin(before_send=shaped)
    assert points.track("noise") is None
    points.track("signal", amount=3)
    (one,) = lake.events()
    assert one["data"]["attributes"] == {"amount": 3, "team": "payments", "note": "token=[redacted]"}


@pytest.mark.parametrize("answer", [7, {}, {"id": "x"}, [], "event"])
def test_a_before_send_that_answers_nonsense_costs_events_and_is_said_once(
    begin: Callable[..., Any], answer: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = begin(before_send=lambda event: answer)
    for _ in range(3):
        assert points.track("a") is None
    points.flush()
    (dropped,) = lake.events()
    assert dropped["data"]["attributes"]["count"] == 3
    assert capsys.readouterr().err.count("before_send") == 1


def test_a_before_send_that_raises_or_reports_does_not_harm_the_host(begin: Callable[..., Any]) -> None:
    def reporting(event: dict[str, Any]) -> dict[str, Any]:
        points.track("inside")
        if event["type"] == "bad":
            raise ZeroDivisionError
        return event

    lake = begin(before_send=reporting)
    points.track("bad")
    points.track("good")
    good, dropped = lake.events()
    assert good["type"] == "good"
    assert dropped["data"]["attributes"]["count"] == 3


def test_sampling_keeps_a_share_and_says_which_and_every_error(begin: Callable[..., Any]) -> None:
    lake = begin(sample=0.1)
    for _ in range(2000):
        points.track("often")
    for _ in range(20):
        points.error("rare")
    events = lake.events()
    often = [one for one in events if one["type"] == "often"]
    assert 100 < len(often) < 320
    assert {one["sampledrate"] for one in often} == {10}
    rare = [one for one in events if one["type"] == "rare"]
    assert len(rare) == 20
    assert {one["sampledrate"] for one in rare} == {1}


def test_sampling_by_point(begin: Callable[..., Any]) -> None:
    lake = begin(sample={"never": 0.0})
    assert points.track("never") is None
    assert points.track("always") is not None
    assert [one["type"] for one in lake.events()] == ["always"]


def test_an_event_that_is_too_large_is_dropped(begin: Callable[..., Any]) -> None:
    lake = begin()
    large: dict[str, Any] = {f"key{number}": "x" * 4000 for number in range(100)}
    assert points.track("large", **large) is None
    points.track("small")
    assert [one["type"] for one in lake.events()] == ["small", "points.dropped"]


def test_the_spool_stays_where_it_was_when_the_program_goes_elsewhere(
    begin: Callable[..., Any], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    lake = begin(spool="spool", segment_bytes=1)
    os.chdir("elsewhere")
    points.track("a")
    points.track("b")
    assert [one["type"] for one in lake.events()] == ["a", "b"]


def test_the_spool_is_for_its_owner_alone(begin: Callable[..., Any]) -> None:
    lake = begin()
    points.track("a")
    assert lake.folder.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o007 == 0 for path in lake.folder.iterdir())


def test_after_close_nothing_is_recorded(begin: Callable[..., Any]) -> None:
    lake = begin()
    points.close()
    points.close()
    assert points.track("late") is None
    assert points.flush()
    assert lake.events() == []
