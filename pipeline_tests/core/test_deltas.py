"""Deltas: what changed since an item was last observed, told alike by both queries and by the oracle."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.deltas import history_deltas, hour_delta
from pipeline.core.errors import LakeFault

from .oracle import expected_deltas
from .snapshots import START, Capture, at, recorded_captures, views, write_snapshots

Row = dict[str, Any]


def by_hour(captures: Sequence[Capture], files: Sequence[Path]) -> list[list[Row]]:
    """The delta of each accepted capture by the two-file query."""
    accepted = [capture for capture in captures if capture.items is not None]
    first_accepted_at = accepted[0].captured_at
    pairs = zip(accepted, files, [None, *files], strict=False)
    return [hour_delta(f, before, c.counters, first_accepted_at).to_pylist() for c, f, before in pairs]


def assert_same(found: Sequence[Row], expected: Sequence[Row]) -> None:
    """Every column equal, counts and times exactly; a rate to the last digits of a double."""
    assert len(found) == len(expected)
    for row, wanted in zip(found, expected, strict=True):
        assert row.keys() >= wanted.keys()
        for name, value in row.items():
            other = wanted.get(name)  # a counter that the source did not ask for then reads null
            if name.endswith("_per_hour") and value is not None and other is not None:
                assert math.isclose(value, other, rel_tol=1e-15), name
            else:
                assert value == other, (name, row, wanted)


def assert_both_agree_with_the_oracle(captures: Sequence[Capture], folder: Path) -> list[list[Row]]:
    files = write_snapshots(captures, folder)
    expected = expected_deltas(captures)
    hours = by_hour(captures, files)
    for found, wanted in zip(hours, expected, strict=True):
        assert_same(found, wanted)
    counters = sorted({counter for capture in captures for counter in capture.counters})
    history = history_deltas(files, counters).to_pylist()
    assert_same(history, [row for hour in expected for row in hour])
    return hours


# The recording --------------------------------------------------------------------------------


def test_both_queries_and_the_oracle_agree_on_every_hour_of_the_recording(tmp_path: Path) -> None:
    hours = assert_both_agree_with_the_oracle(list(recorded_captures()), tmp_path)
    assert len(hours) == 157
    assert sum(row["views_delta"] or 0 for hour in hours for row in hour) == 4152
    assert all(row["views_delta"] is None for row in hours[0])
    gaps = {row["elapsed_seconds"] for hour in hours for row in hour if row["previous_captured_at"]}
    assert max(gaps) > 10 * 3600


# The time that a delta spans --------------------------------------------------------------------


def test_a_gap_and_a_refused_capture_show_in_the_elapsed_time(tmp_path: Path) -> None:
    captures = [views(0, a=10), Capture(at(1), None), views(5, a=30)]
    row = assert_both_agree_with_the_oracle(captures, tmp_path)[1][0]
    assert (row["views_delta"], row["elapsed_seconds"], row["views_per_hour"]) == (20, 5 * 3600, 4.0)


def test_elapsed_time_is_exact_to_the_microsecond(tmp_path: Path) -> None:
    later = at(0) + timedelta(days=400, microseconds=1)
    captures = [views(0, a=1), Capture(later, {"a": {"views": 2}})]
    row = assert_both_agree_with_the_oracle(captures, tmp_path)[1][0]
    assert round(row["elapsed_seconds"] * 1_000_000) == 400 * 86_400_000_000 + 1


def test_an_item_that_vanished_has_no_row_and_returns_with_its_whole_absence(tmp_path: Path) -> None:
    captures = [views(0, a=10, b=1), views(1, b=2), views(2, b=3), views(3, a=70, b=4)]
    hours = assert_both_agree_with_the_oracle(captures, tmp_path)
    assert [[row["item_id"] for row in hour] for hour in hours] == [["a", "b"], ["b"], ["b"], ["a", "b"]]
    returned = hours[3][0]
    assert returned["previous_captured_at"] == at(0)
    assert (returned["views_delta"], returned["elapsed_seconds"]) == (60, 3 * 3600)


def test_captures_of_one_instant_follow_each_other_as_they_are_named(tmp_path: Path) -> None:
    captures = [views(0, a=10), views(1, a=30), views(1, a=35), views(1, a=33), views(2, a=40)]
    hours = assert_both_agree_with_the_oracle(captures, tmp_path)
    assert [hour[0]["views_delta"] for hour in hours] == [None, 20, 5, -2, 7]
    assert [hour[0]["elapsed_seconds"] for hour in hours] == [None, 3600, 0, 0, 3600]
    assert hours[2][0]["views_per_hour"] is None

    first, *files = write_snapshots(captures, tmp_path)
    renamed = [file.rename(tmp_path / f"{99 - place}.parquet") for place, file in enumerate(files)]
    assert history_deltas([first, *renamed], ["views"])["views_delta"].to_pylist() == [None, 20, 5, -2, 7]


# First observations -----------------------------------------------------------------------------


def test_the_first_snapshot_has_no_delta_at_all(tmp_path: Path) -> None:
    [file] = write_snapshots([views(0, {"a": at(-1)}, a=10)], tmp_path)
    for first_accepted_at in (at(0), at(-2)):
        [row] = hour_delta(file, None, ["views"], first_accepted_at).to_pylist()
        assert row["previous_captured_at"] is row["elapsed_seconds"] is row["views_delta"] is None
        assert row["views"] == 10


def test_an_item_published_since_the_first_capture_counts_from_zero_then(tmp_path: Path) -> None:
    hours = assert_both_agree_with_the_oracle([views(0, a=1), views(3, {"b": at(1)}, a=1, b=50)], tmp_path)
    born = hours[1][1]
    assert born["previous_captured_at"] is None
    assert (born["views_delta"], born["elapsed_seconds"], born["views_per_hour"]) == (50, 2 * 3600, 25.0)


@pytest.mark.parametrize("published", [None, at(-1), at(0), at(3.5)], ids=["never", "before", "with", "after"])
def test_an_item_first_seen_that_nobody_saw_begin_has_no_delta(tmp_path: Path, published: datetime | None) -> None:
    hours = assert_both_agree_with_the_oracle([views(0, a=1), views(3, {"b": published}, a=1, b=50)], tmp_path)
    assert hours[1][1]["views_delta"] is hours[1][1]["elapsed_seconds"] is None


def test_an_item_published_at_the_instant_of_its_capture_has_a_delta_and_no_rate(tmp_path: Path) -> None:
    hours = assert_both_agree_with_the_oracle([views(0, a=1), views(3, {"b": at(3)}, a=1, b=2)], tmp_path)
    assert (hours[1][1]["views_delta"], hours[1][1]["elapsed_seconds"]) == (2, 0)
    assert hours[1][1]["views_per_hour"] is None


# Counters that join and leave --------------------------------------------------------------------


def both(hours: float, items: dict[str, tuple[int, int]], published: dict[str, datetime] | None = None) -> Capture:
    values = {item: {"views": views, "likes": likes} for item, (views, likes) in items.items()}
    return Capture(at(hours), values, ("views", "likes"), published or {})


def test_a_counter_that_joins_has_no_first_delta(tmp_path: Path) -> None:
    captures = [views(0, a=10), both(1, {"a": (11, 5)}), both(2, {"a": (12, 7)})]
    hours = assert_both_agree_with_the_oracle(captures, tmp_path)
    assert [hour[0]["views_delta"] for hour in hours] == [None, 1, 1]
    assert [hour[0].get("likes_delta") for hour in hours] == [None, None, 2]


def test_a_counter_that_joins_counts_from_zero_for_an_item_published_meanwhile(tmp_path: Path) -> None:
    captures = [views(0, a=10), both(1, {"a": (11, 5), "b": (3, 2)}, {"b": at(0.5)})]
    hours = assert_both_agree_with_the_oracle(captures, tmp_path)
    assert [row["likes_delta"] for row in hours[1]] == [None, 2]


def test_a_counter_that_left_and_came_back_starts_anew(tmp_path: Path) -> None:
    captures = [
        both(0, {"a": (1, 5), "gone": (1, 5)}),
        views(1, a=2),
        both(2, {"a": (3, 6)}),
        both(3, {"a": (4, 8), "gone": (9, 9)}),
        both(4, {"a": (4, 8), "gone": (9, 12)}),
    ]
    hours = assert_both_agree_with_the_oracle(captures, tmp_path)
    deltas = [{row["item_id"]: row.get("likes_delta") for row in hour} for hour in hours]
    assert deltas[1:] == [{"a": None}, {"a": None}, {"a": 2, "gone": None}, {"a": 0, "gone": 3}]
    returned = hours[3][1]
    assert (returned["views_delta"], returned["elapsed_seconds"]) == (8, 3 * 3600)


def test_a_value_that_was_unknown_leaves_no_delta_in_its_hour_and_in_the_next(tmp_path: Path) -> None:
    captures = [Capture(at(h), {"a": {"views": v}}) for h, v in enumerate([5, None, 9, 10])]
    hours = assert_both_agree_with_the_oracle(captures, tmp_path)
    assert [hour[0]["views_delta"] for hour in hours] == [None, None, None, 1]


def test_a_counter_that_no_file_holds_reads_null_in_a_history(tmp_path: Path) -> None:
    files = write_snapshots([views(0, a=1), views(1, a=2)], tmp_path)
    table = history_deltas(files, ["views", "shares"])
    assert table["shares_delta"].null_count == table["shares"].null_count == 2
    assert table.schema.field("shares").type == pa.int64()


def test_both_queries_give_the_same_columns_and_types(tmp_path: Path) -> None:
    first, second = write_snapshots([views(0, a=1), views(1, a=2)], tmp_path)
    schema = hour_delta(second, first, ["views"], at(0)).schema
    time = pa.timestamp("us", "UTC")
    assert schema == pa.schema(
        {
            "item_id": pa.string(),
            "captured_at": time,
            "previous_captured_at": time,
            "elapsed_seconds": pa.float64(),
            "views": pa.int64(),
            "views_delta": pa.int64(),
            "views_per_hour": pa.float64(),
        }
    )
    assert schema == hour_delta(first, None, ["views"], at(0)).schema
    assert schema == history_deltas([first, second], ["views"]).schema


# Names and files ----------------------------------------------------------------------------------


def test_counters_may_be_called_like_words_of_sql(tmp_path: Path) -> None:
    names = ("order", "select", "value", "place", "previous", "lag", "month")
    captures = [Capture(at(h), {"a": dict.fromkeys(names, h * h)}, names) for h in range(3)]
    folder = tmp_path / "month=2026-11"  # as in the lake, whose folders must not become columns
    folder.mkdir()
    hours = assert_both_agree_with_the_oracle(captures, folder)
    assert [hours[2][0][f"{name}_delta"] for name in names] == [3] * len(names)


def test_a_name_that_is_no_counter_never_reaches_the_query(tmp_path: Path) -> None:
    files = write_snapshots([views(0, a=1)], tmp_path)
    with pytest.raises(ValueError, match="cannot be a counter"):
        history_deltas(files, ['views" FROM held; --'])


def test_a_counter_that_the_snapshot_lacks_is_an_error_that_names_it(tmp_path: Path) -> None:
    [file] = write_snapshots([views(0, a=1)], tmp_path)
    with pytest.raises(ValueError, match="no counter likes"):
        hour_delta(file, None, ["views", "likes"], at(0))


def test_a_history_without_files_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one"):
        history_deltas([], ["views"])


def test_a_path_is_never_taken_for_a_pattern(tmp_path: Path) -> None:
    folder = tmp_path / "what[a]*?"
    folder.mkdir()
    first, second = write_snapshots([views(0, a=1), views(1, a=2)], folder)
    shutil.copytree(folder, tmp_path / "whatever")
    shutil.copytree(folder, tmp_path / "whata-b")
    assert hour_delta(second, first, ["views"], at(0))["views_delta"].to_pylist() == [1]
    assert history_deltas([first, second], ["views"])["views_delta"].to_pylist() == [None, 1]
    first.unlink()
    with pytest.raises(LakeFault):
        hour_delta(second, first, ["views"], at(0))
    with pytest.raises(LakeFault):
        history_deltas([first, second], ["views"])


@pytest.mark.parametrize("damaged", ["first", "second"])
@pytest.mark.parametrize("damage", ["cut", "missing", "scrambled"])
def test_a_damaged_snapshot_is_a_fault_of_the_lake(tmp_path: Path, damaged: str, damage: str) -> None:
    files = dict(zip(["first", "second"], write_snapshots([views(0, a=1), views(1, a=2)], tmp_path), strict=True))
    file, whole = files[damaged], files[damaged].read_bytes()
    match damage:
        case "cut":
            file.write_bytes(whole[: len(whole) // 2])
        case "missing":
            file.unlink()
        case "scrambled":
            file.write_bytes(whole[:4] + bytes(255 - byte for byte in whole[4:-2500]) + whole[-2500:])
    said = "Variable-length int" if damage == "scrambled" else file.name
    with pytest.raises(LakeFault, match=said):
        hour_delta(files["second"], files["first"], ["views"], at(0))
    with pytest.raises(LakeFault, match=said):
        history_deltas(list(files.values()), ["views"])


# Any history --------------------------------------------------------------------------------------

_ITEMS, _COUNTERS = ("a", "b", "c", "Ä"), ("views", "likes")
_value = st.one_of(st.integers(0, 1000), st.integers(0, 2**62), st.none())


@st.composite
def histories(draw: st.DrawFn) -> list[Capture]:
    """Gaps and equal times, refusals, items that come, vanish and return, counters that come and leave."""
    minutes = st.one_of(st.none(), st.integers(-60, 600))
    births = {item: draw(minutes) for item in _ITEMS}
    published = {i: START + timedelta(minutes=m) for i, m in births.items() if m is not None}
    captures: list[Capture] = []
    moment = START
    for _ in range(draw(st.integers(1, 6))):
        counters = draw(st.sampled_from([_COUNTERS, _COUNTERS, ("likes", "views"), ("views",), ("likes",)]))
        row = st.fixed_dictionaries(dict.fromkeys(counters, _value))
        items = st.dictionaries(st.sampled_from(_ITEMS), row, min_size=1)
        refused = draw(st.integers(0, 4)) == 0
        dated = draw(st.integers(0, 4)) > 0
        captures.append(Capture(moment, None if refused else draw(items), counters, published if dated else {}))
        moment += timedelta(microseconds=draw(st.sampled_from([0, 1, 60_000_001, 3_600_000_000, 54_321_000_000])))
    if all(capture.items is None for capture in captures):
        captures.append(Capture(moment, draw(items), counters, published))
    return captures


@settings(derandomize=True, max_examples=150, deadline=None)
@given(histories())
def test_both_queries_agree_with_the_oracle_on_any_history(captures: list[Capture]) -> None:
    with TemporaryDirectory() as folder:
        assert_both_agree_with_the_oracle(captures, Path(folder))
