"""What leaves the lake: every row and value, in formats that other tools read."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.errors import ConfigError, NothingAccepted
from pipeline.core.export import formats, tables
from pipeline.core.export.formats import Format, format_of, restored, write_file, write_stream
from pipeline.core.export.tables import Contents, Export, plan_export
from pipeline.core.hours import Hour, format_time, parse_time
from pipeline.core.lake import DELTA, REPORT, VALIDATED
from pipeline_tests.skips import installed

from .account import COMMENTS, LIKES, VIEWS, Account, hour, row, rows
from .exports import AWKWARD, NOW, READERS, as_text, exported, from_json, from_parquet, nothing
from .snapshots import at

# Every format holds the same rows -------------------------------------------------------------------------


def in_the_lake(account: Account, contents: Contents) -> list[dict[str, Any]]:
    """What an export has to hold, taken from the files of the lake; times as text."""
    hours = [hour(hours) for hours in (0, 1, 3)]
    if contents is Contents.CROSSINGS:
        reports = [account.report(hours) for hours in (0, 1, 3)]
        found = [
            {"captured_at": report.captured_at} | {k: getattr(c, k) for k in tables._CROSSING if k != "captured_at"}
            for report in reports
            for c in report.crossings
        ]
    else:
        kind = VALIDATED if contents is Contents.SNAPSHOTS else DELTA
        read = [pq.read_table(account.lake.path(kind, each), partitioning=None) for each in hours]
        found = [item for table in read for item in table.to_pylist()]
    return [{name: as_text(value) for name, value in item.items()} for item in found]


@pytest.mark.parametrize("contents", Contents)
@pytest.mark.parametrize(("suffix", "read"), READERS, ids=lambda given: getattr(given, "__name__", given))
def test_every_format_holds_what_the_lake_holds(
    told: Account, tmp_path: Path, contents: Contents, suffix: str, read: Callable[[Path], list[dict[str, Any]]]
) -> None:
    file = exported(told, tmp_path / f"history.{suffix}", contents)
    found, expected = read(file), in_the_lake(told, contents)
    assert expected
    assert found == [{name: item[name] for name in found[0]} for item in expected]


def test_the_columns_are_those_of_the_documents(told: Account) -> None:
    assert {contents: plan_export(told.lake, contents, chosen=["likes"]).schema.names for contents in Contents} == {
        Contents.SNAPSHOTS: ["captured_at", "item_id", "title", "url", "published_at", "status", "likes"],
        Contents.DELTAS: [
            *("captured_at", "item_id", "previous_captured_at", "elapsed_seconds"),
            *("likes", "likes_delta", "likes_per_hour"),
        ],
        Contents.CROSSINGS: [
            *("captured_at", "hour", "item_id", "title", "url", "counter", "rule", "kind"),
            *("threshold", "value", "previous_value"),
        ],
    }


def test_whole_numbers_beyond_those_of_a_double_stay_exact(account: Account, tmp_path: Path) -> None:
    account.tell(0, rows(a=2**53 + 1))
    assert [
        read(exported(account, tmp_path / f"{place}.{suffix}"))[0]["views"]
        for place, (suffix, read) in enumerate(READERS)
        if suffix != "csv"
    ] == [2**53 + 1] * 5
    assert f",{2**53 + 1},0,0\n" in exported(account, tmp_path / "whole.csv").read_text()


def test_pandas_reads_times_and_numbers_as_such(told: Account, tmp_path: Path) -> None:
    frame = pd.read_csv(exported(told, tmp_path / "deltas.csv", Contents.DELTAS), parse_dates=["captured_at"])
    assert frame["captured_at"].max() == pd.Timestamp(at(3))
    assert frame.set_index(["captured_at", "item_id"]).loc[(at(3), "a"), "likes_delta"] == -5


# Text that a spreadsheet would run ------------------------------------------------------------------------


def test_formulas_are_made_harmless_in_csv_and_numbers_are_left_alone(told: Account, tmp_path: Path) -> None:
    with exported(told, tmp_path / "all.csv").open(newline="") as opened:
        titles = {item["item_id"]: item["title"] for item in csv.DictReader(opened)}
    guarded = {key for key, title in AWKWARD.items() if titles[key] == f"'{title}"}
    assert guarded == set("abcdefgh")
    assert all(titles[key] == AWKWARD[key] for key in "ijkl")
    deltas = exported(told, tmp_path / "deltas.csv", Contents.DELTAS).read_text()
    [fallen] = [line for line in deltas.splitlines() if ",-5," in line]
    assert fallen.startswith(f'"{format_time(at(3))}","a",')


@pytest.mark.parametrize("contents", Contents)
@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@A1", "\t=1", "\r=1", "\n=1", "＝1", "'=1", "\0=1"])
def test_no_cell_of_any_column_begins_a_formula(account: Account, contents: Contents, text: str) -> None:
    class Hostile(Export):
        def tables(self, done: Callable[[Hour], None]) -> Iterator[pa.Table]:
            rows = [{field.name: text for field in self.schema if pa.types.is_string(field.type)}]
            yield pa.Table.from_pylist(rows, self.schema)

    export, told = Hostile(account.lake, contents, (), (VIEWS,)), io.BytesIO()
    write_stream(export, Format.CSV, told, NOW, nothing)
    names, cells = csv.reader(io.StringIO(told.getvalue().decode(), newline=""))
    assert all(name[:1].isalpha() for name in names)
    texts = [field.name for field in export.schema if pa.types.is_string(field.type)]
    assert {name: cell for name, cell in zip(names, cells, strict=True) if cell} == dict.fromkeys(texts, f"'{text}")


@given(
    st.text(alphabet=st.one_of(st.sampled_from("'=+-@＝＋－＠\t\r\n\x00 ;a"), st.characters(exclude_categories=["Cs"])))
)
def test_a_guarded_text_is_no_formula_and_comes_back(text: str) -> None:
    guarded = formats._guard(pa.chunked_array([[text]]))[0].as_py()
    assert guarded[:1] not in set("=+-@＝＋－＠\t\r\n\x00")
    assert guarded in (text, f"'{text}")
    assert restored(guarded) == text


@given(st.datetimes(timezones=st.just(UTC)))
def test_times_as_text_are_those_of_the_lake(moment: datetime) -> None:
    moments = pa.chunked_array([[moment, moment.replace(microsecond=0), None]], pa.timestamp("us", "UTC"))
    written = formats._as_text(moments).to_pylist()
    assert written == [format_time(moment), format_time(moment.replace(microsecond=0)), None]
    assert parse_time(written[0]) == moment


# Counters that come and go --------------------------------------------------------------------------------


@pytest.mark.parametrize("contents", [Contents.SNAPSHOTS, Contents.DELTAS])
def test_a_counter_reads_null_where_its_hour_did_not_know_it(
    account: Account, tmp_path: Path, contents: Contents
) -> None:
    for hours, counters in ((0, (VIEWS, LIKES)), (1, (VIEWS,)), (2, (VIEWS, COMMENTS))):
        account.change(counters=counters)
        assert account.tell(hours, [row("a", 10, likes=2, comments=3)])
    found = from_parquet(exported(account, tmp_path / "all.parquet", contents))
    assert [(item["views"], item["likes"], item["comments"]) for item in found] == [
        (10, 2, None),
        (10, None, None),
        (10, None, 3),
    ]


def test_chosen_counters_stand_in_the_order_in_which_they_were_named(told: Account) -> None:
    assert plan_export(told.lake, Contents.SNAPSHOTS, chosen=["likes", "views", "likes"]).schema.names[-2:] == [
        "likes",
        "views",
    ]


def test_crossings_are_those_of_the_chosen_counters(told: Account, tmp_path: Path) -> None:
    assert from_json(exported(told, tmp_path / "likes.json", Contents.CROSSINGS, chosen=["likes"])) == []
    [crossing] = from_json(exported(told, tmp_path / "views.json", Contents.CROSSINGS, chosen=["views"]))
    assert (crossing["item_id"], crossing["threshold"], crossing["previous_value"]) == ("a", 100.0, 50.0)


def test_no_crossings_are_a_file_without_rows(told: Account, tmp_path: Path) -> None:
    for suffix, read in READERS:
        if suffix != "jsonl":
            file = exported(told, tmp_path / f"{read.__name__}.{suffix}", Contents.CROSSINGS, last=hour(1))
            assert read(file) == []


def test_an_unknown_counter_is_told_which_there_are(told: Account) -> None:
    with pytest.raises(ConfigError, match="no counter 'stars'") as refused:
        plan_export(told.lake, Contents.DELTAS, chosen=["views", "stars"])
    assert refused.value.next_step == "Its counters there are: views, likes, comments."


# A stretch of hours ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "last", "found"),
    [(None, None, [0, 1, 3]), (1, None, [1, 3]), (None, 1, [0, 1]), (1, 2, [1]), (3, 3, [3])],
)
def test_both_ends_of_a_stretch_are_in_it(told: Account, first: int | None, last: int | None, found: list[int]) -> None:
    begin, end = (None if end is None else hour(end) for end in (first, last))
    for contents in Contents:
        assert plan_export(told.lake, contents, begin, end).hours == tuple(map(hour, found))


def test_an_empty_stretch_is_told_what_there_is(told: Account) -> None:
    with pytest.raises(ConfigError, match=f"no deltas from {hour(2)} to {hour(2)}") as refused:
        plan_export(told.lake, Contents.DELTAS, hour(2), hour(2))
    assert f"3 accepted hours from {hour(0)} to {hour(3)}" in refused.value.next_step


def test_a_source_without_history_is_told_how_to_begin(account: Account) -> None:
    with pytest.raises(NothingAccepted, match="accepted nothing yet"):
        plan_export(account.lake, Contents.SNAPSHOTS)


def test_a_refused_hour_is_not_exported(told: Account) -> None:
    assert not told.tell(4, rows(a=1))
    assert plan_export(told.lake, Contents.SNAPSHOTS).hours[-1] == hour(3)


def test_an_hour_that_a_killed_run_left_has_no_rows_yet(told: Account) -> None:
    told.lake.path(REPORT, hour(3)).unlink()
    assert plan_export(told.lake, Contents.CROSSINGS).hours == (hour(0), hour(1))
    assert plan_export(told.lake, Contents.DELTAS).hours[-1] == hour(3)


# Streams --------------------------------------------------------------------------------------------------


def test_rows_come_in_tables_of_bounded_size(told: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "TABLE_ROWS", 5)
    monkeypatch.setattr(formats, "_ROWS", 3)
    export = plan_export(told.lake, Contents.SNAPSHOTS)
    sizes = [len(table) for table in export.tables(nothing)]
    assert sum(sizes) == 3 * len(AWKWARD)
    assert max(sizes) < 2 * 5
    for place, (suffix, read) in enumerate(READERS):
        found = read(exported(told, tmp_path / f"{place}.{suffix}"))
        assert [item["item_id"] for item in found] == [item["item_id"] for item in in_the_lake(told, export.contents)]


def test_small_hours_share_a_row_group(told: Account, tmp_path: Path) -> None:
    assert pq.ParquetFile(exported(told, tmp_path / "all.parquet")).num_row_groups == 1


def test_every_hour_is_told_when_it_was_read(told: Account, tmp_path: Path) -> None:
    heard: list[Hour] = []
    export = plan_export(told.lake, Contents.DELTAS)
    assert write_file(export, Format.CSV, tmp_path / "all.csv", NOW, heard.append) == 3 * len(AWKWARD) - 1
    assert heard == list(export.hours)


@pytest.mark.parametrize("kind", [Format.PARQUET, Format.SQLITE])
def test_what_needs_a_file_is_not_written_to_a_pipe(told: Account, kind: Format) -> None:
    with pytest.raises(ConfigError, match="standard output"):
        write_stream(plan_export(told.lake, Contents.DELTAS), kind, io.BytesIO(), NOW, nothing)


# What a file says of itself -------------------------------------------------------------------------------


def test_a_sqlite_file_has_its_index_and_says_where_it_is_from(told: Account, tmp_path: Path) -> None:
    file = exported(told, tmp_path / "all.sqlite")
    with closing(sqlite3.connect(file)) as connection:
        query = "EXPLAIN QUERY PLAN SELECT views FROM snapshots WHERE item_id = 'a' AND captured_at > '2026'"
        [plan] = connection.execute(query)
        assert "USING INDEX snapshots_by_item (item_id=? AND captured_at>?)" in plan[-1]
        assert connection.execute("PRAGMA user_version").fetchall() == [(formats.SQLITE_LAYOUT,)]
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert dict(connection.execute("SELECT * FROM about")) == {
            "source": "blog",
            "contents": "snapshots",
            "first_hour": hour(0).key,
            "last_hour": hour(3).key,
            "hours": "3",
            "counters": '{"views":"never_decreases","likes":"may_decrease","comments":"tolerance 0.1"}',
            "created_at": "2026-11-22T14:17:03.250000Z",
        }


def test_the_sqlite3_program_opens_it(told: Account, tmp_path: Path) -> None:
    file = exported(told, tmp_path / "all.sqlite", Contents.DELTAS)
    query = "SELECT sum(views_delta), min(likes_delta), typeof(views_per_hour) FROM deltas WHERE item_id = 'a' AND "
    query += f"captured_at >= datetime('{format_time(at(3))}', '-1 hour')"
    found = subprocess.run([installed("sqlite3"), str(file), query], capture_output=True, text=True, check=True)
    assert found.stdout == "70|-5|real\n"


def test_a_parquet_file_says_where_it_is_from(told: Account, tmp_path: Path) -> None:
    metadata = pq.read_schema(exported(told, tmp_path / "all.parquet")).metadata
    assert json.loads(metadata[b"ratchet_export"])["first_hour"] == hour(0).key


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *((f"a.b.{kind}", kind) for kind in Format),
        ("A.CSV", Format.CSV),
        ("a.sqlite3", Format.SQLITE),
        ("a.db", Format.SQLITE),
        ("a.ndjson", Format.JSONL),
    ],
)
def test_a_name_says_its_format(name: str, kind: Format) -> None:
    assert format_of(Path(name)) is kind


@pytest.mark.parametrize("name", ["history", "history.xlsx", "csv"])
def test_a_name_that_says_no_format_is_told_which_there_are(name: str) -> None:
    with pytest.raises(ConfigError, match="does not say") as refused:
        format_of(Path(name))
    assert ".parquet" in refused.value.next_step
