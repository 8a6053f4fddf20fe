"""The short form of the torture of points: shipper and pipeline are killed in turn, and every total is exact."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline_tests.torture.points import Tally, _compare, torture


@pytest.mark.parametrize(("with_topic", "rounds", "kills"), [(True, 2, 1), (False, 2, 2)])
def test_kills_in_turn_leave_exact_totals(tmp_path: Path, with_topic: bool, rounds: int, kills: int) -> None:
    tally = torture(rounds, 20261122, tmp_path, with_topic=with_topic)
    assert tally.faults == []
    assert tally.pipeline_kills == kills


def test_a_total_that_is_wrong_by_one_is_noticed() -> None:
    right = {"events": 360, "sum_amount": 71_640, "distinct_who": 17, "malformed": 40, "behind": 0}
    for name in (*right, None):
        tally = Tally(rounds=1, counted={key: number + (key == name) for key, number in right.items()})
        _compare(tally)
        assert len(tally.faults) == (name is not None)
