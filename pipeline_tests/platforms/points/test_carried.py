"""What is remembered from capture to capture: exact, small, and the same bytes for the same content."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.errors import LakeFault
from pipeline.platforms.points import carried as state
from pipeline.platforms.points.carried import Carried, Passage, Run, carried

NOW = datetime(2026, 11, 22, 14, tzinfo=UTC)


@given(st.lists(st.integers(0, 60)))
def test_each_number_of_a_process_is_new_once(numbers: list[int]) -> None:
    run, seen = Run(0, []), set[int]()
    for number in numbers:
        assert run.add(number) == (number not in seen)
        seen.add(number)
    stretches = list(zip(run.stretches[::2], run.stretches[1::2], strict=True))
    assert {number for first, last in stretches for number in range(first, last + 1)} == seen
    assert all(later[0] > earlier[1] + 1 for earlier, later in pairwise(stretches))


@given(st.lists(st.tuples(st.sampled_from("ab"), st.one_of(st.integers(0, 9).map(lambda n: f"run-{n}"), st.text()))))
def test_each_event_is_new_once_and_the_state_survives_being_stored(events: list[tuple[str, str]]) -> None:
    held, seen = Carried(), set[tuple[str, str]]()
    for event in events:
        assert held.is_new(*event, NOW) == (event not in seen)
        seen.add(event)
        held = carried(held.encoded())
    assert carried(held.encoded()).encoded() == held.encoded()


def test_what_is_stored_comes_back() -> None:
    held = Carried(
        positions={"b": 2, "a": 1},
        distinct={"point:x": {"who": {b"12345678", b"abcdefgh"}}},
        passages={"buys": {b"12345678": Passage(5), b"abcdefgh": Passage(7, True)}},
        minutes={"point:x": {"events": {3: 1, 2: 5}}},
    )
    assert carried(held.encoded()) == held
    assert carried(None) == carried(b"") == Carried()


def test_processes_are_forgotten_when_they_are_silent_for_long_or_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    held = Carried()
    held.is_new("s", "old-1", NOW - timedelta(days=9))
    held.is_new("s", "young-1", NOW - timedelta(days=7))
    held.forget(NOW)
    assert held.is_new("s", "old-1", NOW)
    assert not held.is_new("s", "young-1", NOW)
    monkeypatch.setattr(state, "MOST_RUNS", 2)
    held.is_new("s", "newest-1", NOW + timedelta(hours=1))
    held.forget(NOW + timedelta(hours=1))
    assert len(held.runs) == 2
    assert not held.is_new("s", "newest-1", NOW)


def test_a_million_events_of_a_process_are_a_few_bytes() -> None:
    held = Carried()
    for number in range(1_000_000):
        assert held.runs.setdefault(b"12345678", Run(0, [])).add(number)
    assert len(held.encoded()) < 60


def test_a_damaged_state_says_how_it_is_mended() -> None:
    with pytest.raises(LakeFault, match="remembers of its points cannot be read") as fault:
        carried(Carried(positions={"a": 1}).encoded()[:-1])
    assert "ratchet verify" in str(fault.value)
