"""What Dagster's UI shows of an hour."""

from __future__ import annotations

from pathlib import Path

from pipeline.metadata import snapshot_metadata
from pipeline_tests.core.account import hour
from pipeline_tests.core.traffic import REPOSITORY, day, midday, told, traffic_account


def test_days_that_the_platform_revised_are_counted_and_named(tmp_path: Path) -> None:
    account = traffic_account(tmp_path / "lake")
    with account.lake.writing():
        account.tell(midday(13), told(dict.fromkeys(range(14), 10)))
        account.tell(midday(14), told({0: 9} | {number: 10 + number for number in range(1, 13)}))
        account.tell(midday(15), told({14: 1}))
    assert "days_revised" not in snapshot_metadata(account.lake, hour(midday(13)))
    assert snapshot_metadata(account.lake, hour(midday(15)))["days_revised"] == 0
    shown = snapshot_metadata(account.lake, hour(midday(14)))
    assert shown["days_revised"] == 13
    first = shown["revised"].records[0].data
    assert (first["item"], first["day"], first["before"], first["after"]) == (REPOSITORY, str(day(12)), 10, 22)
    assert "views" in shown["preview"].records[0].data
    assert "views_days" not in shown["preview"].records[0].data
