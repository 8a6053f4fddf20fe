"""What leaves the lake: every row and value, in formats that other tools read, whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pv
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.errors import ConfigError, LakeFault, SourceBusy
from pipeline.core.export import formats, tables
from pipeline.core.export.formats import Format, format_of, restored, write_file, write_stream
from pipeline.core.export.tables import Contents, Export, plan_export
from pipeline.core.hours import Hour, format_time, parse_time
from pipeline.core.lake import DELTA, REPORT, VALIDATED
from pipeline_tests.skips import installed

from .account import COMMENTS, LIKES, VIEWS, Account, hour, row, rows
from .snapshots import at

NOW = datetime(2026, 11, 22, 14, 17, 3, 250000, tzinfo=UTC)
AWKWARD = {
    "a": '=HYPERLINK("http://127.0.0.1/"&A1)',
    "b": "+1",
    "c": "-1; drop",
    "d": "@SUM(A1)",
    "e": "\tx",
    "f": "\r\ny",
    "g": "＝1",
    "h": "'=already",
    "i": 'it\'s, "quoted"\nand broken',
    "j": "\x1b[31m \u202e 日本語 🚀",
    "k": "'",
    "l": "",
}
NUMBERS = ("views", "likes", "comments", "threshold", "value", "previous_value", "elapsed_seconds")


def nothing(_: Hour) -> None:
    """Nobody listens."""


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Account:
    """Three accepted hours: the second lacks an item, in the third one falls and another crosses 100 views."""
    account = Account.under(tmp_path_factory.mktemp("history"))
    listing = [row(key, 50 + place, likes=9, name=title) for place, (key, title) in enumerate(AWKWARD.items())]
    with account.lake.writing():
        assert account.tell(0, listing, published={"a": "2026-01-01T00:00:00+09:00"})
        assert account.tell(1, listing[:-1])
        assert account.tell(3, [row("a", 120, likes=4, name=AWKWARD["a"]), *listing[1:]])
    return account


@pytest.fixture
def told(history: Account, account: Account) -> Account:
    """A copy of the history that a test may change."""
    shutil.copytree(history.lake.root, account.lake.root, dirs_exist_ok=True)
    return account


def exported(account: Account, target: Path, contents: Contents = Contents.SNAPSHOTS, **choices: Any) -> Path:
    write_file(plan_export(account.lake, contents, **choices), format_of(target), target, NOW, nothing)
    return target


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


def as_text(value: Any) -> Any:
    return format_time(value) if isinstance(value, datetime) else value


def from_csv(file: Path) -> list[dict[str, Any]]:
    """By the standard library, which cannot tell an empty text from a missing one."""
    with file.open(newline="", encoding="utf-8") as opened:
        return [{k: typed(k, v) for k, v in item.items()} for item in csv.DictReader(opened, strict=True)]


def typed(name: str, cell: str) -> Any:
    if cell == "":
        return "" if name == "title" else None
    return float(cell) if is_number(name) else restored(cell)


def is_number(name: str) -> bool:
    return name in NUMBERS or name.endswith(("_delta", "_per_hour"))


def from_arrow_csv(file: Path) -> list[dict[str, Any]]:
    """By pyarrow, which can tell them apart."""
    options = pv.ConvertOptions(strings_can_be_null=True, quoted_strings_can_be_null=False, null_values=[""])
    names = file.read_text(encoding="utf-8").partition("\n")[0].replace('"', "").split(",")
    options.column_types = {name: pa.float64() if is_number(name) else pa.string() for name in names}
    found = pv.read_csv(file, parse_options=pv.ParseOptions(newlines_in_values=True), convert_options=options)
    return [{k: restored(v) if isinstance(v, str) else v for k, v in item.items()} for item in found.to_pylist()]


def from_parquet(file: Path) -> list[dict[str, Any]]:
    return [{name: as_text(value) for name, value in item.items()} for item in pq.read_table(file).to_pylist()]


def from_duckdb(file: Path) -> list[dict[str, Any]]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found = connection.execute("SELECT * FROM read_parquet($file)", {"file": str(file)})
        names = [column[0] for column in found.description]
        return [dict(zip(names, map(as_text, values), strict=True)) for values in found.fetchall()]


def from_sqlite(file: Path) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(file)) as connection:
        [[table]] = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'about'")
        connection.row_factory = sqlite3.Row
        return [dict(found) for found in connection.execute(f"SELECT * FROM {table} ORDER BY rowid")]


def from_json(file: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(file.read_bytes())
    return found


def from_lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_bytes().removesuffix(b"\n").split(b"\n")]


READERS = [
    ("csv", from_csv),
    ("csv", from_arrow_csv),
    ("parquet", from_parquet),
    ("parquet", from_duckdb),
    ("sqlite", from_sqlite),
    ("json", from_json),
    ("jsonl", from_lines),
]


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


def test_a_carried_item_says_that_it_was_not_observed(told: Account, tmp_path: Path) -> None:
    found = from_json(exported(told, tmp_path / "all.json"))
    [carried] = [item for item in found if item["status"] == "carried"]
    assert (carried["item_id"], carried["captured_at"]) == ("l", format_time(at(1)))
    assert len(found) == 3 * len(AWKWARD)


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


def test_an_item_that_begins_with_a_dash_comes_back(account: Account, tmp_path: Path) -> None:
    account.tell(0, [row("-w_x9", 5)])
    assert [item["item_id"] for item in from_csv(exported(account, tmp_path / "all.csv"))] == ["-w_x9"]


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
    ends = [None if end is None else hour(end) for end in (first, last)]
    for contents in Contents:
        assert plan_export(told.lake, contents, *ends).hours == tuple(map(hour, found))


def test_an_empty_stretch_is_told_what_there_is(told: Account) -> None:
    with pytest.raises(ConfigError, match=f"no deltas from {hour(2)} to {hour(2)}") as refused:
        plan_export(told.lake, Contents.DELTAS, hour(2), hour(2))
    assert f"3 accepted hours from {hour(0)} to {hour(3)}" in refused.value.next_step


def test_a_source_without_history_is_told_how_to_begin(account: Account) -> None:
    with pytest.raises(ConfigError, match="accepted nothing yet"):
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


# Whole or not at all --------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where only exports are."""
    made = tmp_path / "exports"
    made.mkdir()
    yield made


@pytest.mark.parametrize("kind", Format)
def test_an_interrupted_export_leaves_nothing(told: Account, folder: Path, kind: Format) -> None:
    def interrupt(done: Hour) -> None:
        if done == hour(1):
            assert [file.name.startswith(".all.") for file in folder.iterdir()] == [True]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_file(plan_export(told.lake, Contents.SNAPSHOTS), kind, folder / f"all.{kind}", NOW, interrupt)
    assert list(folder.iterdir()) == []


def test_a_file_that_is_there_is_replaced_only_on_request(told: Account, folder: Path) -> None:
    file, export = folder / "all.csv", plan_export(told.lake, Contents.SNAPSHOTS)
    file.write_text("mine")
    with pytest.raises(ConfigError, match="there already") as refused:
        write_file(export, Format.CSV, file, NOW, lambda _: pytest.fail("it was read all the same"))
    assert "--force" in refused.value.next_step
    assert file.read_text() == "mine"
    write_file(export, Format.CSV, file, NOW, nothing, replace=True)
    assert len(from_csv(file)) == 3 * len(AWKWARD)
    assert list(folder.iterdir()) == [file]


def test_a_file_that_came_in_the_meantime_is_not_replaced(told: Account, folder: Path) -> None:
    file = folder / "all.csv"
    with pytest.raises(ConfigError, match="there already"):
        write_file(
            plan_export(told.lake, Contents.SNAPSHOTS), Format.CSV, file, NOW, lambda _: bool(file.write_text("mine"))
        )
    assert (file.read_text(), list(folder.iterdir())) == ("mine", [file])


@pytest.mark.parametrize("replace", [False, True])
def test_what_is_no_file_is_never_replaced(told: Account, folder: Path, replace: bool) -> None:
    (folder / "all.csv").mkdir()
    with pytest.raises(ConfigError, match="is no file"):
        write_file(
            plan_export(told.lake, Contents.SNAPSHOTS), Format.CSV, folder / "all.csv", NOW, nothing, replace=replace
        )


@pytest.mark.parametrize("kind", Format)
def test_a_folder_that_is_not_there_is_one_clear_error(told: Account, folder: Path, kind: Format) -> None:
    with pytest.raises(ConfigError, match="cannot be written: No such file or directory"):
        write_file(plan_export(told.lake, Contents.SNAPSHOTS), kind, folder / "no" / "all", NOW, nothing)


@pytest.mark.parametrize("contents", Contents)
def test_a_damaged_hour_ends_the_export_and_leaves_nothing(told: Account, folder: Path, contents: Contents) -> None:
    export = plan_export(told.lake, contents)
    damaged = told.lake.path({Contents.CROSSINGS: REPORT, Contents.DELTAS: DELTA}.get(contents, VALIDATED), hour(3))
    damaged.write_bytes(damaged.read_bytes()[:-20])
    with pytest.raises(LakeFault, match="is damaged"):
        write_file(export, Format.CSV, folder / "all.csv", NOW, nothing)
    assert list(folder.iterdir()) == []


def test_a_snapshot_without_its_items_is_damaged(told: Account, folder: Path) -> None:
    path = told.lake.path(VALIDATED, hour(3))
    table = pq.read_table(path, partitioning=None)
    pq.write_table(table.drop_columns(["item_id"]), path)
    with pytest.raises(LakeFault, match="has no item_id"):
        exported(told, folder / "all.csv")


@pytest.mark.parametrize("contents", Contents)
@pytest.mark.parametrize("corrected", [0, 3], ids=["an hour that was read", "an hour that was not"])
def test_an_export_that_meets_a_rebuild_is_given_up(
    told: Account, folder: Path, contents: Contents, corrected: int
) -> None:
    heard: list[Hour] = []

    def correct(done: Hour) -> None:
        if not heard:
            told.correct(corrected, "reject")
        heard.append(done)

    with pytest.raises(SourceBusy, match="made again while"):
        write_file(plan_export(told.lake, contents), Format.CSV, folder / "all.csv", NOW, correct)
    assert list(folder.iterdir()) == []


def test_a_new_hour_disturbs_no_export(told: Account, folder: Path) -> None:
    export = plan_export(told.lake, Contents.SNAPSHOTS)
    told.tell(5, [row(key, 200, likes=9, name=title) for key, title in AWKWARD.items()])
    assert isinstance(export, Export)
    assert write_file(export, Format.CSV, folder / "all.csv", NOW, nothing) == 3 * len(AWKWARD)
