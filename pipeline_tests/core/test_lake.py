"""The lake: whole files or none, nothing replaced, older generations kept, and faults that name the file."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.core.errors import LakeFault
from pipeline.core.hours import Hour
from pipeline.core.lake import DELTA, QUARANTINE, REPORT, REPORT_TEXT, VALIDATED, Lake, SourceLake

from .snapshots import at

HOUR = Hour.of(at(0))


@pytest.fixture
def lake(tmp_path: Path) -> SourceLake:
    return Lake(tmp_path).source("blog")


def files(lake: SourceLake) -> dict[str, bytes]:
    return {
        str(path.relative_to(lake.root)): path.read_bytes()
        for path in lake.root.rglob("*")
        if path.is_file() and not path.name.endswith(".lock") and path.parent.name != "checksums"
    }


def accept(lake: SourceLake, *hours: Hour) -> None:
    for hour in hours:
        lake.publish(lake.path(VALIDATED, hour), b"snapshot")


def capture(lake: SourceLake, hours: float = 0, content: bytes = b"capture") -> str:
    with lake.new_capture(Hour.of(at(hours)), at(hours)) as (made, file):
        file.write(content)
    return made.name


def test_archives_are_looked_for_elsewhere_by_whatever_a_lake_holds(tmp_path: Path) -> None:
    made = Lake(tmp_path, (tmp_path / "shelf",))
    (tmp_path / "blog").mkdir()
    for held in (made.project, made.source("blog"), *made.senders()):
        assert held.archives == (tmp_path / "shelf",)


# Publishing -----------------------------------------------------------------------------------


def test_a_published_file_is_never_replaced(lake: SourceLake) -> None:
    path = lake.path(QUARANTINE, HOUR, "one")
    assert lake.publish(path, b"first")
    assert not lake.publish(path, b"second")
    assert files(lake) == {str(path.relative_to(lake.root)): b"first"}


def test_a_reader_sees_a_new_file_whole_or_not_at_all(lake: SourceLake) -> None:
    with lake.new_capture(HOUR, at(0)) as (made, file):
        file.write(b"half of it")
        file.flush()
        assert not lake.raw(made).exists()
        assert lake.captures() == []
    assert lake.raw(made).read_bytes() == b"half of it"
    assert lake.captures() == [made]


def test_a_writer_that_fails_leaves_nothing(lake: SourceLake) -> None:
    with pytest.raises(RuntimeError, match="by the writer"), lake.new_capture(HOUR, at(0)) as (_, file):
        file.write(b"half of it")
        raise RuntimeError("broken off by the writer")
    assert files(lake) == {}


def test_a_reader_beside_the_writer_always_finds_a_whole_generation(lake: SourceLake) -> None:
    path = lake.path(DELTA, HOUR)
    contents = [bytes([number]) * 100_000 for number in range(60)]
    lake.publish_generation(DELTA, HOUR, contents[0])
    written, torn, reads = threading.Event(), set[int](), 0

    def read() -> None:
        nonlocal reads
        while not written.is_set():
            found = path.read_bytes()
            reads += 1
            if found not in contents:
                torn.add(len(found))

    reader = threading.Thread(target=read)
    reader.start()
    for content in contents[1:]:
        lake.publish_generation(DELTA, HOUR, content)
    written.set()
    reader.join()
    assert torn == set()
    assert reads > 0
    assert path.read_bytes() == contents[-1]


def test_a_new_generation_supersedes_the_old_one_which_is_kept(lake: SourceLake) -> None:
    for content in (b"1", b"2", b"3"):
        assert lake.publish_generation(VALIDATED, HOUR, content)
    assert not lake.publish_generation(VALIDATED, HOUR, b"3")
    assert lake.generations(VALIDATED, HOUR) == 2
    month = f"month={HOUR.month}"
    assert files(lake) == {
        f"validated/{month}/{HOUR.key}.parquet": b"3",
        f"superseded/validated/{month}/{HOUR.key}.1.parquet": b"1",
        f"superseded/validated/{month}/{HOUR.key}.2.parquet": b"2",
    }


def test_a_file_that_is_taken_out_stays_among_the_superseded(lake: SourceLake) -> None:
    lake.publish_generation(REPORT, HOUR, b"report")
    lake.publish_generation(REPORT_TEXT, HOUR, b"text")
    assert lake.supersede(REPORT, HOUR)
    assert not lake.supersede(REPORT, HOUR)
    assert (lake.exists(REPORT, HOUR), lake.exists(REPORT_TEXT, HOUR)) == (False, True)
    assert (lake.generations(REPORT, HOUR), lake.generations(REPORT_TEXT, HOUR)) == (1, 0)
    assert set(files(lake).values()) == {b"report", b"text"}


def test_a_kill_between_link_and_rename_makes_no_second_copy(lake: SourceLake) -> None:
    lake.publish_generation(VALIDATED, HOUR, b"old")
    kept = lake.root / "superseded" / "validated" / f"month={HOUR.month}" / f"{HOUR.key}.1.parquet"
    kept.parent.mkdir(parents=True)
    kept.hardlink_to(lake.path(VALIDATED, HOUR))
    assert lake.publish_generation(VALIDATED, HOUR, b"new")
    assert lake.generations(VALIDATED, HOUR) == 1
    assert (kept.read_bytes(), lake.path(VALIDATED, HOUR).read_bytes()) == (b"old", b"new")


def test_generations_go_on_where_somebody_removed_an_old_one(lake: SourceLake) -> None:
    for content in (b"1", b"2", b"3"):
        lake.publish_generation(VALIDATED, HOUR, content)
    folder = lake.root / "superseded" / "validated" / f"month={HOUR.month}"
    (folder / f"{HOUR.key}.1.parquet").unlink()
    assert lake.publish_generation(VALIDATED, HOUR, b"4")
    assert (folder / f"{HOUR.key}.3.parquet").read_bytes() == b"3"


def test_two_captures_at_the_same_microsecond_are_both_kept_in_their_order(lake: SourceLake) -> None:
    names = [capture(lake, content=bytes([number])) for number in range(3)]
    assert len(set(names)) == 3
    assert [lake.raw(made).read_bytes() for made in lake.captures()] == [b"\0", b"\1", b"\2"]
    assert {made.captured_at for made in lake.captures()} == {at(0)}


def test_a_capture_keeps_its_time_to_the_microsecond(lake: SourceLake) -> None:
    moment = at(0) + timedelta(microseconds=1)
    with lake.new_capture(HOUR, moment) as (made, file):
        file.write(b"x")
    assert made.captured_at == moment
    assert lake.captures()[0].captured_at == moment


# What there is ----------------------------------------------------------------------------------


def test_the_last_accepted_hour_is_found_over_months_and_gaps(lake: SourceLake) -> None:
    assert lake.last_accepted() is None
    september, october, december = (Hour.parse(f"2026-{text}") for text in ("09-30T23", "10-01T00", "12-24T18"))
    accept(lake, december, september, october)
    assert lake.last_accepted() == december
    assert lake.last_accepted(before=december) == october
    assert lake.last_accepted(before=Hour.parse("2026-11-11T11")) == october
    assert lake.last_accepted(before=october) == september
    assert lake.last_accepted(before=september) is None
    assert lake.last_accepted(before=december + 1) == december
    assert lake.accepted_hours() == [september, october, december]
    assert lake.accepted_hours(october, december + -1) == [october]


def test_an_empty_folder_of_a_month_is_no_accepted_hour(lake: SourceLake) -> None:
    accept(lake, HOUR)
    lake.path(VALIDATED, Hour.parse("2027-01-01T00")).parent.mkdir()
    assert lake.last_accepted() == HOUR


def test_first_and_last_capture_are_those_by_time_not_by_arrival(lake: SourceLake) -> None:
    assert (lake.first_capture(), lake.last_capture()) == (None, None)
    for hours in (5, 800, 0, 5.2):
        capture(lake, hours)
    first, last, before = lake.first_capture(), lake.last_capture(), lake.last_capture(before=Hour.of(at(800)))
    assert first and last and before
    assert [made.captured_at for made in (first, before, last)] == [at(0), at(5.2), at(800)]
    assert [made.captured_at for made in lake.captures(Hour.of(at(5)), Hour.of(at(5)))] == [at(5), at(5.2)]


def test_a_foreign_file_among_the_accepted_is_named(lake: SourceLake) -> None:
    accept(lake, HOUR)
    stray = lake.path(VALIDATED, HOUR).with_name("Copy of 2026-11-01T00.parquet")
    stray.write_bytes(b"")
    for look in (lake.last_accepted, lake.accepted_hours):
        with pytest.raises(LakeFault, match=r"Copy of 2026-11-01T00\.parquet"):
            look()


def test_hidden_and_other_files_in_the_folders_are_no_concern_of_the_lake(lake: SourceLake) -> None:
    accept(lake, HOUR)
    for name in (".2026-11-01T00.parquet.swp", "README.txt"):
        lake.path(VALIDATED, HOUR).with_name(name).write_bytes(b"")
    (lake.root / "validated" / ".DS_Store").write_bytes(b"")
    assert lake.accepted_hours() == [HOUR]


# Names and damage ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        *("..", ".", "", "/etc/passwd", "../other", "a/b", "a\\b", ".hidden", "a\n", "a b", "ä", "a\0", "a" * 241),
        *("．．／other", "..\N{DIVISION SLASH}other", "\N{FULLWIDTH DIGIT ONE}", "C:other", "a:stream", "~root"),
    ],
)
def test_a_name_that_would_climb_out_of_its_folder_is_refused(lake: SourceLake, name: str) -> None:
    attempts = (
        lambda: Lake(lake.root).source(name),
        lambda: lake.note(name),
        lambda: lake.has(name),
        lambda: lake.put(name, {}),
        lambda: lake.correction_path(at(0), f"x/{name}"),
        lambda: lake.mark_path(at(0), f"x/{name}"),
        lambda: lake.incident(name),
        lambda: lake.write_note(name, {}),
    )
    for attempt in attempts:
        with pytest.raises(LakeFault, match="cannot be a file name"):
            attempt()
    assert list(lake.root.parent.rglob("*")) == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'{"a": "\xff"}'])
def test_a_damaged_record_is_named(lake: SourceLake, content: bytes) -> None:
    lake.write_note("mark", {"a": 1})
    lake.note("mark").write_bytes(content)
    with pytest.raises(LakeFault, match=r"mark\.json is damaged") as caught:
        lake.read_note("mark")
    assert caught.value.exit_code == 16


def test_a_note_is_replaced_as_a_whole_and_dropped(lake: SourceLake) -> None:
    lake.write_note("mark", {"a": 1})
    lake.write_note("mark", {"a": 2})
    assert lake.read_note("mark") == {"a": 2}
    lake.drop_note("mark")
    lake.drop_note("mark")
    assert lake.read_note("mark") is None


def blocked(lake: SourceLake) -> Iterator[Path]:
    """Every folder that a writer needs, with a file in its place."""
    month = f"month={HOUR.month}"
    for name in (".incoming", "validated", f"validated/{month}", "superseded"):
        yield lake.root / name
    yield lake.root


def test_a_file_where_a_folder_is_due_is_a_fault_and_no_silent_success(lake: SourceLake) -> None:
    for place in blocked(lake):
        if place.name == "superseded":
            lake.publish_generation(VALIDATED, HOUR, b"old")
        place.parent.mkdir(parents=True, exist_ok=True)
        assert not place.exists()
        place.write_bytes(b"in the way")
        with pytest.raises(LakeFault) as caught:
            lake.publish_generation(VALIDATED, HOUR, b"new")
        assert caught.value.exit_code == 16
        assert str(lake.root) in str(caught.value)
        place.unlink()
        for path in sorted(lake.root.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        if lake.root.exists():
            lake.root.rmdir()


def test_a_lake_that_is_a_file_cannot_be_locked(lake: SourceLake) -> None:
    lake.root.write_bytes(b"in the way")
    with pytest.raises(LakeFault, match="cannot be used"), lake.writing():
        pass
