"""Files of history: what each format gives, and what of a whole file is refused before anything is written."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.core.errors import ConfigError
from pipeline.core.history_files.past import FileFormat, Past
from pipeline.core.history_files.reading import read_past
from pipeline.core.hours import Hour
from pipeline.core.imported import reader
from pipeline.core.model import Counter, Source
from pipeline.platforms import adapter
from pipeline.platforms.github import GitHub
from pipeline.platforms.points.adapter import Points

from .account import a_source

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
HEADER = "captured_at,item_id,views,likes,comments"
TOKYO = ZoneInfo("Asia/Tokyo")


def read(path: Path, source: Source | None = None, **options: Any) -> Past:
    options = {"kind": None, "zone": None, "item": None} | options
    return read_past(path, source or a_source(), NOW, **options)


def items(past: Past, source: Source | None = None) -> list[tuple[datetime, Mapping[str, Any]]]:
    """Each capture as it is read again from its pages."""
    read_page = reader((source or a_source()).platform)
    return [(at, read_page(past.pages(at)[0])) for at in past.moments]


def csv_file(folder: Path, *lines: str, name: str = "past.csv") -> Path:
    file = folder / name
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


# CSV ----------------------------------------------------------------------------------------


def test_rows_in_any_order_become_captures_in_order_of_time(tmp_path: Path) -> None:
    file = csv_file(
        tmp_path,
        HEADER,
        "2026-03-01T11:00:00Z,b,21,2,0",
        "2026-03-01T10:00:00Z,a,10,1,0",
        "2026-03-01T20:00:00+09:00,a,11,1,0",
        "2026-03-01T10:00:00Z,b,20,2,0",
    )
    assert [(at.hour, read["item_id"], read["views"]) for at, read in items(read(file))] == [
        (10, ["a", "b"], [10, 20]),
        (11, ["b", "a"], [21, 11]),
    ]


def test_quotes_line_breaks_marks_and_blank_lines_of_a_csv_file(tmp_path: Path) -> None:
    file = tmp_path / "past.csv"
    text = f'\ufeff{HEADER},title\r\n\r\n2026-03-01T10:00:00Z,a,10,1,0,"Two\nlines, ""quoted"""\r\n'
    file.write_bytes(text.encode())
    [(_, columns)] = items(read(file))
    assert columns["title"] == ['Two\nlines, "quoted"']


def test_times_without_an_offset_are_local_to_the_zone_that_is_given(tmp_path: Path) -> None:
    row = "2026-03-01 10:00,a,10,1,0,2026-02-01 09:00"
    past = read(csv_file(tmp_path, f"{HEADER},published_at", row), zone=TOKYO)
    [(at, columns)] = items(past)
    assert at == datetime(2026, 3, 1, 1, tzinfo=UTC)
    assert columns["published_at"] == [datetime(2026, 2, 1, tzinfo=UTC)]


@pytest.mark.parametrize("time", ["2025-11-02T01:30:00", "2026-03-08 02:30"])
def test_a_local_time_that_a_clock_showed_twice_or_never_is_not_guessed(tmp_path: Path, time: str) -> None:
    file = csv_file(tmp_path, HEADER, "2025-10-01 10:00,a,1,1,1", f"{time},a,10,1,0")
    with pytest.raises(ConfigError, match="twice, or never") as caught:
        read(file, zone=ZoneInfo("America/New_York"))
    assert caught.value.line == 3


GOOD = "2026-03-01T10:00:00Z,a,10,1,0"


@pytest.mark.parametrize(
    ("lines", "line", "words"),
    [
        (("item_id,views,likes,comments", "a,1,1,1"), 1, "captured_at"),
        ((f"{HEADER},claps", f"{GOOD},1"), 1, "no counter for the column 'claps'"),
        ((f"{HEADER},views", f"{GOOD},1"), 1, "twice"),
        (("captured_at,item_id,views,likes", "2026-03-01T10:00:00Z,a,1,1"), 1, "'comments' is missing"),
        ((HEADER, GOOD, "2026-03-01 10:00,a,1,1,1"), 3, "no offset"),
        ((HEADER, GOOD, ",a,1,1,1"), 3, "not a time"),
        ((HEADER, GOOD, "yesterday,a,1,1,1"), 3, "not a time"),
        ((HEADER, GOOD, "", "2026-03-01T11:00:00Z,a,1"), 4, "3 columns"),
        ((HEADER, GOOD, "2026-03-10T12:00:01Z,a,1,1,1"), 3, "future"),
        ((HEADER, GOOD, "2026-02-28T23:00:00Z,a,1,1,1"), 3, "starts at 2026-03-01T00"),
        ((HEADER, GOOD, "2026-03-08T00:00:00Z,a,1,1,1"), 3, "ended at 2026-03-07T23"),
        ((HEADER, GOOD, "0026-03-01T10:00:00Z,a,1,1,1"), 3, "before the year 2000"),
        ((HEADER, GOOD, "1970-01-01T00:00:00Z,a,1,1,1"), 3, "before the year 2000"),
        ((HEADER, GOOD, "0001-01-01T00:00:00+09:00,a,1,1,1"), 3, "not a time"),
        ((f"{HEADER},title", f"{GOOD},{'long' * 50_000}", "yesterday,a,1,1,1,short"), 3, "not a time"),
        ((HEADER, f'{GOOD[:-1]}"0'), None, "never closed"),
        ((HEADER,), None, "no capture"),
    ],
)
def test_what_is_wrong_with_the_whole_names_file_and_line(
    tmp_path: Path, lines: tuple[str, ...], line: int | None, words: str
) -> None:
    source = a_source(start=Hour.parse("2026-03-01T00"), end=Hour.parse("2026-03-07T23"))
    file = csv_file(tmp_path, *lines)
    with pytest.raises(ConfigError, match=words) as caught:
        read(file, source)
    assert (caught.value.file, caught.value.line) == (file, line)


def test_bytes_that_are_no_text_are_named_by_their_line(tmp_path: Path) -> None:
    file = csv_file(tmp_path, HEADER, GOOD)
    file.write_bytes(file.read_bytes() + b"2026-03-01T11:00:00Z,\xff,1,1,1\n")
    with pytest.raises(ConfigError, match="not UTF-8") as caught:
        read(file)
    assert caught.value.line == 3


def test_an_optional_counter_need_not_be_in_the_file(tmp_path: Path) -> None:
    views, likes, comments = a_source().counters
    source = a_source(counters=(views, likes, Counter(comments.name, comments.policy, optional=True)))
    assert len(read(csv_file(tmp_path, HEADER[:-9], GOOD[:-2]), source).moments) == 1


@pytest.mark.parametrize(
    ("name", "content", "options", "words"),
    [
        ("gone.csv", None, {}, "no such file"),
        ("past.txt", b"x", {}, "format cannot be told"),
        ("empty.csv", b"", {}, "captured_at"),
        ("past.csv", b"\xff\xfe\x00", {}, "UTF-8"),
        ("past.parquet", b"PAR1", {}, "no Parquet file"),
        ("past.csv", HEADER.encode(), {"kind": FileFormat.SCRAPED}, "a folder of files"),
        ("past.csv", HEADER.encode(), {"item": "a/b"}, "names its items itself"),
    ],
)
def test_a_file_that_is_none_of_history(
    tmp_path: Path, name: str, content: bytes | None, options: dict[str, Any], words: str
) -> None:
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=words) as caught:
        read(file, **options)
    assert str(caught.value).startswith(str(file))


# Parquet ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("times", "zone"),
    [
        (pa.array([datetime(2026, 3, 1, 1, tzinfo=UTC)] * 2, pa.timestamp("us", "UTC")), None),
        (pa.array([datetime(2026, 3, 1, 10, tzinfo=UTC)] * 2, pa.timestamp("ms")), TOKYO),
        (pa.array(["2026-03-01T10:00:00+09:00"] * 2), None),
    ],
)
def test_a_parquet_file_with_times_and_numbers_of_its_own_types(tmp_path: Path, times: pa.Array, zone: Any) -> None:
    file = tmp_path / "past.parquet"
    columns = {
        "captured_at": times,
        "item_id": pa.array([1, 2]),
        "views": pa.array([10.0, None]),
        "likes": pa.array([1, 2], pa.uint8()),
        "comments": pa.array(["0", "1"]).dictionary_encode(),
        "published_at": pa.array([datetime(2026, 2, 1, tzinfo=UTC)] * 2, pa.timestamp("s", "UTC")),
    }
    pq.write_table(pa.table(columns), file)
    [(at, read_again)] = items(read(file, zone=zone))
    assert at == datetime(2026, 3, 1, 1, tzinfo=UTC)
    assert {name: read_again[name] for name in ("item_id", "views", "likes", "comments")} == {
        "item_id": ["1", "2"],
        "views": [10, None],
        "likes": [1, 2],
        "comments": [0, 1],
    }
    assert read_again["published_at"] == [datetime(2026, 2, 1, tzinfo=UTC)] * 2


@pytest.mark.parametrize(
    ("column", "times"),
    [
        ("captured_at", pa.array([2**62], pa.timestamp("us", "UTC"))),
        ("captured_at", pa.array([1_772_000_000], pa.timestamp("s", "Mars/Base"))),
        ("published_at", pa.array([-(2**62)], pa.timestamp("us"))),
    ],
)
def test_a_time_of_a_parquet_file_that_no_calendar_has(tmp_path: Path, column: str, times: pa.Array) -> None:
    file = tmp_path / "past.parquet"
    good = {"captured_at": ["2026-03-01T01:00:00Z"], "item_id": ["a"], "views": [1], "likes": [1], "comments": [1]}
    pq.write_table(pa.table({**good, column: times}), file)
    with pytest.raises(ConfigError, match=f"'{column}' holds a time"):
        read(file)


def test_texts_of_a_parquet_file_may_be_views(tmp_path: Path) -> None:
    file = tmp_path / "past.parquet"
    ids = pa.array(["a"], pa.string_view())
    rest = {"captured_at": ["2026-03-01T01:00:00Z"], "views": [1], "likes": [1], "comments": [1]}
    pq.write_table(pa.table({"item_id": ids, **rest}), file)
    [(_, columns)] = items(read(file))
    assert columns["item_id"] == ["a"]


def test_the_totals_of_an_export_are_no_numbers_of_a_day(tmp_path: Path) -> None:
    file = csv_file(tmp_path, "captured_at,item_id,status,stars,views", "2026-03-01T10:00:00Z,o/r,observed,1,8200")
    with pytest.raises(ConfigError, match="holds totals of views"):
        read(file, github("stars", "views"))
    without = csv_file(tmp_path, "captured_at,item_id,status,stars", "2026-03-01T10:00:00Z,o/r,observed,1")
    assert len(read(without, github("stars", "views")).moments) == 1


def test_local_times_of_a_parquet_file_need_their_zone(tmp_path: Path) -> None:
    file = tmp_path / "past.parquet"
    columns = {name: pa.array([1]) for name in ("views", "likes", "comments")}
    times = pa.array([datetime(2026, 3, 1, 1, tzinfo=UTC)], pa.timestamp("us"))
    pq.write_table(pa.table({"captured_at": times, "item_id": pa.array(["a"]), **columns}), file)
    with pytest.raises(ConfigError, match=r"row 1: .* no offset"):
        read(file)


# github-repo-stats --------------------------------------------------------------------------


def repo_stats(folder: Path) -> Path:
    """The files as that tool writes them; the last day of the traffic is not over at NOW."""
    csv_file(
        folder,
        "time_iso8601,clones_total,clones_unique,views_total,views_unique",
        "2026-03-06 00:00:00+00:00,4,4,59,13",
        "2026-03-07 00:00:00+00:00,2,2,91,16",
        "2026-03-08 00:00:00+00:00,5,2,0,0",
        "2026-03-10 00:00:00+00:00,1,1,1,1",
        name="views_clones_aggregate.csv",
    )
    csv_file(
        folder,
        "time_iso8601,stars_cumulative",
        "2026-03-07 20:47:55+00:00,1",
        "2026-03-08 17:41:02+00:00,2",
        "2026-03-08 17:45:57+00:00,3",
        name="stargazers.csv",
    )
    return folder


def github(*counters: str) -> Source:
    platform = GitHub.model_validate({"repositories": ["o/r"], "traffic": True, "token": "made-up"})
    return a_source(
        platform=platform,
        counters=tuple(Counter(name, platform.policies[name], optional=True) for name in counters),
        rules=(),
    )


def test_the_days_of_github_repo_stats_with_the_numbers_of_each_day(tmp_path: Path) -> None:
    source = github("stars", "views", "clones")
    told = items(read(repo_stats(tmp_path), source, item="o/r"), source)
    # 2026-03-06 comes before the first known number of stars, 2026-03-10 is not over.
    assert [(at.isoformat(), columns["stars"]) for at, columns in told] == [
        ("2026-03-07T23:59:59+00:00", [1]),
        ("2026-03-08T23:59:59+00:00", [3]),
    ]
    assert [columns["views"] for _, columns in told] == [[[(date(2026, 3, 7), 91)]], [[(date(2026, 3, 8), 0)]]]
    assert told[0][1]["item_id"] == ["o/r"]


def test_a_counter_that_is_not_told_per_day_gets_the_sum_of_the_days(tmp_path: Path) -> None:
    source = a_source(counters=a_source().counters[:1])
    told = items(read(repo_stats(tmp_path), source, item="o/r"), source)
    assert [columns["views"] for _, columns in told] == [[59], [150], [150]]


@pytest.mark.parametrize(
    ("item", "spoil", "words"),
    [
        (None, lambda folder: None, "--item OWNER/NAME"),
        ("o/r", lambda folder: csv_file(folder, "time_iso8601,views_total", "2026-03-06,many", name="v.csv"), "many"),
        (
            "o/r",
            lambda folder: csv_file(folder, "time_iso8601,views_total", "0001-01-01T00+09,1", name="v.csv"),
            "not a",
        ),
        ("o/r", lambda folder: (folder / "v.csv").write_bytes(b"time_iso8601,views_total\n\xff,1\n"), "no time and"),
    ],
)
def test_files_of_github_repo_stats_that_cannot_be_used(
    tmp_path: Path, item: str | None, spoil: Callable[[Path], object], words: str
) -> None:
    spoil(repo_stats(tmp_path))
    with pytest.raises(ConfigError, match=words):
        read(tmp_path, github("views"), item=item)


# git-scraped --------------------------------------------------------------------------------

REPLY = b'{"data": {"note_stats": [{"key": "a", "read_count": 3}], "last_page": true}}'


@pytest.mark.parametrize(
    ("name", "zone", "hour"),
    [
        ("2026-03-01T10-00-00Z", None, 10),
        ("2026-03-01T10:00Z", None, 10),
        ("20260301T100000Z", None, 10),
        ("2026-03-01T10", None, 10),
        ("stats_2026-03-01_10-00-00+0900", None, 1),
        ("stats-2026-03-01 10.00", TOKYO, 1),
        ("2026-03-01T1000", TOKYO, 1),
    ],
)
def test_a_file_that_is_named_by_its_time_is_a_reply_of_the_platform(
    tmp_path: Path, name: str, zone: Any, hour: int
) -> None:
    (tmp_path / f"{name}.json").write_bytes(REPLY)
    past = read(tmp_path, zone=zone)
    [(at, columns)] = items(past)
    assert (at.hour, columns["views"]) == (hour, [3])
    [page] = past.pages(at)
    assert page.body == REPLY
    assert page.request == "GET /api/v1/stats/pv?filter=all&page=1&sort=pv"


YOUTUBE = {"kind": "youtube", "api_key": "k", "channel": "UC" + "x" * 22}
MASTODON = {"kind": "mastodon", "base_url": "https://social.example", "username": "writer"}


@pytest.mark.parametrize(
    ("settings", "reply", "counter"),
    [
        (YOUTUBE, {"items": [{"id": "a", "statistics": {"viewCount": "3"}}]}, "views"),
        (MASTODON, [{"id": "a", "favourites_count": 3, "reblogs_count": 0, "replies_count": 0}], "likes"),
        (MASTODON | {"account_id": "7"}, [{"id": "a", "favourites_count": 3}], "likes"),
    ],
)
def test_a_reply_is_one_that_lists_items_where_the_platform_is_asked_for_something_else_first(
    tmp_path: Path, settings: Mapping[str, Any], reply: Any, counter: str
) -> None:
    platform = adapter(settings["kind"]).model_validate(settings)
    counters = tuple(Counter(name, policy, True) for name, policy in platform.policies.items())
    source = replace(a_source(), platform=platform, counters=counters)
    (tmp_path / "2026-03-01T10Z.json").write_text(json.dumps(reply))
    [(_, columns)] = items(read(tmp_path, source), source)
    assert (columns["item_id"], columns[counter]) == (["a"], [3])


@pytest.mark.parametrize("name", ["2026-03-01T10Z.json", "past.csv"])
def test_no_file_can_stand_for_what_programs_tell(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("captured_at,item_id,events\n2026-03-01T10:00:00Z,shop,3\n")
    source = replace(a_source(), platform=Points(spool=tmp_path / "spool"))
    with pytest.raises(ConfigError, match="counts what its platform points tells"):
        read(tmp_path / name if name.endswith("csv") else tmp_path, source)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("2026-03-01T10Z", "latest"), "tells no time"),
        (("2026-03-01T10-00",), "no offset"),
        (("2026-03-01T10Z", "20260301T1000Z"), "same time"),
        (("2026-13-01T10Z",), "not a time"),
        (("0001-01-01T00-00+0900",), "not a time"),
        (("2026-03-10T13Z",), "future"),
    ],
)
def test_a_folder_of_which_one_file_cannot_be_used(tmp_path: Path, names: tuple[str, ...], words: str) -> None:
    for name in names:
        (tmp_path / f"{name}.json").write_bytes(REPLY)
    with pytest.raises(ConfigError, match=words):
        read(tmp_path)


def test_a_link_to_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    (tmp_path / "2026-03-01T10Z.json").symlink_to(tmp_path / "gone")
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read(tmp_path)
