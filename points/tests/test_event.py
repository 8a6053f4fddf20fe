"""What an event carries."""

from __future__ import annotations

import os
import re
import socket
import threading
from typing import Any, Callable

import pytest

import ratchet_points as points
from ratchet_points import event, spool


def test_an_event_is_a_cloudevents_envelope_with_opentelemetrys_names(begin: Callable[..., Any]) -> None:
    lake = begin()
    event_id = points.track("checkout.paid", who="alice", where="/basket", amount=3)
    line = test_an_event_is_a_cloudevents_envelope_with_opentelemetrys_names.__code__.co_firstlineno + 2
    (one,) = lake.events()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", one.pop("time"))
    assert one == {
        "specversion": "1.0",
        "id": event_id,
        "source": f"//{socket.gethostname()}/shop",
        "type": "checkout.paid",
        "kind": "behaviour",
        "datacontenttype": "application/json",
        "data": {
            "service.name": "shop",
            "service.version": "1.4.2",
            "deployment.environment.name": "test",
            "host.name": socket.gethostname(),
            "process.pid": os.getpid(),
            "thread.id": threading.get_ident(),
            "thread.name": threading.current_thread().name,
            "code.file.path": __file__,
            "code.line.number": line,
            "code.function.name": "test_event.test_an_event_is_a_cloudevents_envelope_with_opentelemetrys_names",
            "user.id": "alice",
            "where": "/basket",
            "attributes": {"amount": 3},
        },
    }


def test_ids_are_unique_over_threads_and_runs(begin: Callable[..., Any]) -> None:
    lake = begin()

    def report() -> None:
        for _ in range(200):
            points.track("step")

    for _ in range(2):
        threads = [threading.Thread(target=report) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        begin()
    events = lake.events()
    assert len(events) == 1600
    assert len({(one["source"], one["id"]) for one in events}) == 1600


def test_each_call_site_has_its_own_line_even_within_one_function(begin: Callable[..., Any]) -> None:
    lake = begin()
    for _ in range(2):
        points.track("a")
        points.track("a")
    lines = [one["data"]["code.line.number"] for one in lake.events()]
    assert lines == [lines[0], lines[0] + 1] * 2


def test_code_made_at_run_time_does_not_get_the_place_of_earlier_code(begin: Callable[..., Any]) -> None:
    lake = begin()
    for number in range(50):
        made: dict[str, Any] = {"points": points}
        exec(compile("\n" * number + "points.track('made')", f"made-{number}.py", "exec"), made)
    assert [one["data"]["code.line.number"] for one in lake.events()] == list(range(1, 51))
    assert lake.events()[7]["data"]["code.file.path"].endswith("made-7.py")


def test_stacklevel_names_the_caller_of_a_programs_own_function(begin: Callable[..., Any]) -> None:
    lake = begin()

    def paid() -> None:
        points.track("checkout.paid", stacklevel=2)

    paid()
    points.track("deep", stacklevel=10_000)
    first, second = lake.events()
    assert first["data"]["code.function.name"].endswith("own_function")
    assert second["type"] == "deep"


def test_the_start_of_a_process_says_what_it_runs_on(begin: Callable[..., Any]) -> None:
    lake = begin(region="eu-central-1", operator="Funkwerk")
    (started,) = lake.all()
    assert started["type"] == "points.started"
    assert started["kind"] == "environment"
    attributes = started["data"]["attributes"]
    assert attributes["process.runtime.name"] == "cpython"
    assert attributes["cloud.region"] == "eu-central-1"
    assert attributes["network.carrier.name"] == "Funkwerk"


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 201, 7, None, ["a"]])
def test_a_name_that_is_none_is_dropped_and_counted(begin: Callable[..., Any], name: Any) -> None:
    lake = begin()
    assert points.track(name) is None
    assert points.track("fine", kind="nonsense") is None
    assert points.track("fine") is not None
    fine, dropped = lake.events()
    assert fine["type"] == "fine"
    assert dropped["type"] == event.DROPPED
    assert dropped["data"]["attributes"]["count"] == 2


def test_a_name_is_data(begin: Callable[..., Any]) -> None:
    lake = begin()
    name = 'größe "x"}\\ <b>'
    points.track(name)
    (one,) = lake.events()
    assert one["type"] == name
    assert isinstance(next(iter(spool.read(lake.folder))), spool.Event)
