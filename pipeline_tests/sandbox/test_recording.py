"""The recorded account comes over HTTP as it was recorded, the broken capture included."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.core.errors import ConfigError
from pipeline.platforms.client import fetch_pages
from pipeline.platforms.note import Note
from pipeline.sandbox.recording import RecordedAccount, Recording
from pipeline.sandbox.server import NoteSandbox

FILE = Path(__file__).parents[2] / "data" / "recordings" / "note_account.csv"
BROKEN = datetime(2026, 3, 19, 13, 2, 1, tzinfo=UTC)
COLUMNS = "captured_at,item_id,published_at,read_count,like_count,comment_count"
ROW = "2026-03-08T08:46:05Z,n002,2026-01-02T10:47:56Z,992,582,38"


@pytest.fixture(scope="module")
def recording() -> Recording:
    return Recording.read(FILE)


@pytest.fixture
def account(recording: Recording) -> RecordedAccount:
    return RecordedAccount(recording)


@pytest.fixture
def note(account: RecordedAccount) -> Iterator[Note]:
    with NoteSandbox(account, cookie="recorded", clock=account.shown_at) as sandbox:
        yield Note.model_validate(
            {"session_cookie": "recorded", "base_url": sandbox.url, "requests_per_second": 10_000}
        )


def recorded_rows(captured_at: datetime) -> list[dict[str, str]]:
    with FILE.open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["captured_at"] == f"{captured_at:%FT%TZ}"]


def test_the_recording_has_its_captures_in_order_of_time(recording: Recording) -> None:
    assert len(recording.captures) == 158
    assert list(recording.captures) == sorted(recording.captures)
    assert recording.captures[0] == datetime(2026, 3, 8, 8, 46, 5, tzinfo=UTC)
    assert sum(len(recording.articles(moment)) for moment in recording.captures) == 14_528


@pytest.mark.parametrize("index", [0, 77, 157, "broken"])
def test_a_capture_arrives_in_the_recorded_order(
    recording: Recording, account: RecordedAccount, note: Note, index: int | str
) -> None:
    captured_at = BROKEN if isinstance(index, str) else recording.captures[index]
    account.show(captured_at)
    columns = [
        note.read(page)
        for page in fetch_pages(
            note,
            {article.key for article in account()},
            max_pages=100,
            max_bytes=10_000_000,
            now=account.shown_at,
        )
    ]
    rows = recorded_rows(captured_at)
    for name, recorded in {
        "item_id": "item_id",
        "views": "read_count",
        "likes": "like_count",
        "comments": "comment_count",
    }.items():
        arrived = [str(value) for column in columns for value in column[name]]
        assert arrived == [row[recorded] for row in rows]


def test_the_broken_capture_repeats_one_article_and_lacks_another(recording: Recording) -> None:
    before = recording.captures[recording.captures.index(BROKEN) - 1]
    keys = [article.key for article in recording.articles(BROKEN)]
    assert len(keys) == len(recording.articles(before))
    assert len(set(keys)) == len(keys) - 1
    assert len({article.key for article in recording.articles(before)} - set(keys)) == 1


def test_publications_arrive_as_they_were_recorded(account: RecordedAccount, note: Note) -> None:
    published: dict[str, datetime] = {}
    for page in fetch_pages(note, (), max_pages=300, max_bytes=10_000_000, now=account.shown_at):
        if "/api/v3/" in page.request:
            columns = note.read(page)
            published[columns["item_id"][0]] = columns["published_at"][0]
    assert published == {article.key: article.published_at for article in account()}


def test_titles_say_that_they_are_not_recorded(account: RecordedAccount) -> None:
    assert account()[0].title == "Recorded article n002"


def test_a_time_without_a_capture_is_refused_and_changes_nothing(account: RecordedAccount) -> None:
    with pytest.raises(KeyError):
        account.show(datetime(2026, 3, 8, tzinfo=UTC))
    assert account.shown_at() == datetime(2026, 3, 8, 8, 46, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    "spoilt",
    [
        ROW.replace("992", "many"),
        ROW.replace("T08:46:05Z", "T08:46:05"),
        "2026-03-08T08:46:05Z,n002",
        ROW.replace("2026-01-02T10:47:56Z", ""),
    ],
)
def test_a_damaged_row_is_named_by_its_line(tmp_path: Path, spoilt: str) -> None:
    file = tmp_path / "recording.csv"
    file.write_text(f"{COLUMNS}\n{ROW}\n{spoilt}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="not one of a recording") as failure:
        Recording.read(file)
    assert (failure.value.file, failure.value.line) == (file, 3)


def test_a_missing_or_foreign_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        Recording.read(tmp_path / "nowhere.csv")
    foreign = tmp_path / "foreign.csv"
    foreign.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="not one of a recording"):
        Recording.read(foreign)
