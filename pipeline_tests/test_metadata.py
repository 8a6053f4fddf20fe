"""What Dagster's UI shows of an hour."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from pipeline.core.lake import VALIDATED
from pipeline.core.signals.drift import CHECK as STEADY
from pipeline.graph import RAW
from pipeline.metadata import delta_metadata, raw_metadata, snapshot_metadata
from pipeline_tests.core.account import Account, hour, pages, rows
from pipeline_tests.core.snapshots import at
from pipeline_tests.core.traffic import REPOSITORY, day, midday, told, traffic_account
from pipeline_tests.dagster_parts import HOUR, MOMENT, Blog, checks_of


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


def test_what_the_checks_measured_stands_beside_the_snapshot_as_numbers(blog: Blog) -> None:
    assert blog.capture().success
    shown = snapshot_metadata(blog.lake, HOUR)
    assert (shown["signal/items"], shown["signal/title_missing"]) == (8, 0.0)
    assert shown["signal/late_seconds"] == 60 * (MOMENT.minute - blog.source.minute)
    assert shown["signal/all_checks_seconds"] > 0
    assert checks_of(blog.instance, blog.source, RAW, HOUR)[STEADY] == "SUCCEEDED"


def test_a_listing_that_shrinks_within_its_bounds_is_a_yellow_check_that_blocks_nothing(blog: Blog) -> None:
    for number in range(6):
        assert blog.capture(MOMENT + timedelta(hours=number)).success
    del blog.account.views[next(iter(blog.account.views))]
    assert blog.capture(MOMENT + timedelta(hours=6)).success
    shown = [checks_of(blog.instance, blog.source, RAW, HOUR + number)[STEADY] for number in (5, 6)]
    assert shown == ["SUCCEEDED", "FAILED"]  # Dagster's word for a warning, too
    assert blog.lake.exists(VALIDATED, HOUR + 6)


def test_every_column_of_a_delta_leads_back_to_columns_of_the_snapshot(tmp_path: Path) -> None:
    account = Account.under(tmp_path / "lake")
    with account.lake.writing():
        account.tell(0, rows(a=10))
        account.tell(1, rows(a=12))
    found = delta_metadata(account.lake, hour(1))
    made_of = found["dagster/column_lineage"].deps_by_column
    snapshot = {column.name for column in snapshot_metadata(account.lake, hour(1))["dagster/column_schema"].columns}
    assert set(made_of) == {column.name for column in found["dagster/column_schema"].columns}
    for deps in made_of.values():
        assert {dep.asset_key.path[-1] for dep in deps} == {"validated_snapshot"}
        assert {dep.column_name for dep in deps} <= snapshot
    assert {dep.column_name for dep in made_of["views_delta"]} == {"views", "published_at"}


def test_a_refused_capture_says_by_what_and_why_and_one_that_passed_does_not(tmp_path: Path) -> None:
    account = Account.under(tmp_path / "lake")
    with account.lake.writing():
        sound = account.judge(0, rows(a=10, b=20))
        account.tell(0, rows(a=10, b=20))
        refused = account.judge(1, rows(a=3, b=20))
    assert "refused_by" not in raw_metadata(account.lake, sound.capture, sound)
    found = raw_metadata(account.lake, refused.capture, refused)
    assert found["refused_by"] == "non_decreasing_counts"
    assert "Title of a" in found["reason"]
    [row] = found["refused_items"].records
    assert (row.data["check"], row.data["item_id"]) == ("non_decreasing_counts", "a")


def test_a_capture_tells_how_long_its_pages_took(tmp_path: Path) -> None:
    account = Account.under(tmp_path / "lake")
    slow = replace(pages(rows(a=10))[0], fetched_at=at(0) + timedelta(seconds=2.5))
    with account.lake.writing():
        capture = account.capture(0, [slow])
    assert raw_metadata(account.lake, capture)["seconds"] == 2.5
