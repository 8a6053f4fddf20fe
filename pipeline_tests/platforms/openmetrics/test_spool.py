"""The spool of a collector: each record once, whatever was torn, and never more than it may hold."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.errors import LakeFault
from pipeline.platforms.openmetrics import spool as spool_module
from pipeline.platforms.openmetrics.spool import Record, SpoolWriter, decoded, record_of
from pipeline.platforms.protocol import Page, Unreadable
from pipeline_tests.platforms.feeding import MOMENT
from pipeline_tests.platforms.openmetrics.parts import (
    OPENMETRICS,
    Folding,
    answer,
    page,
    platform,
    seconds,
    series,
)

FIVE_HUNDRED = series(500)


def reading(folder: Path) -> Folding:
    return Folding(platform(spool=str(folder)))


def pages(fold: Folding) -> list[Page]:
    read = fold.platform.read_between(fold.carried, max_pages=100, max_bytes=10**9, now=lambda: MOMENT)
    return list(read)


def told(at: float, total: int) -> Record:
    return Record(seconds(at), OPENMETRICS, body=answer({500: total}, created=-900).decode())


def test_records_are_counted_on_from_where_the_last_capture_ended(tmp_path: Path) -> None:
    fold, writer = reading(tmp_path), SpoolWriter(tmp_path, 10**9)
    writer.append(told(0, 40))
    fold.fold(*pages(fold))
    writer.append(told(5, 45))
    writer.append(told(10, 46))
    again = pages(fold)
    fold.fold(*again)
    assert fold.counts[FIVE_HUNDRED]["total"] == 46
    fold.fold(*again)
    assert fold.counts[FIVE_HUNDRED]["total"] == 46
    assert fold.counts["scraping"]["scrapes"] == 3
    writer.close()


def test_a_record_older_than_what_was_counted_says_nothing_new(tmp_path: Path) -> None:
    fold, writer = reading(tmp_path), SpoolWriter(tmp_path, 10**9)
    writer.append(told(5, 45))
    fold.fold(page(answer({500: 50}, created=-900), 10))
    folded = fold.fold(*pages(fold))
    assert (fold.counts[FIVE_HUNDRED]["total"], folded.refused_count) == (50, 0)
    writer.close()


@pytest.mark.parametrize("cut", [1, 5, 20, 200])
def test_a_record_that_a_kill_tore_is_named_and_the_next_collector_goes_on(tmp_path: Path, cut: int) -> None:
    first = SpoolWriter(tmp_path, 10**9)
    first.append(told(0, 40))
    first.append(told(5, 41))
    first.close()
    [segment] = tmp_path.glob("*.scrapes")
    segment.write_bytes(segment.read_bytes()[:-cut])
    second = SpoolWriter(tmp_path, 10**9)
    second.append(told(10, 44))
    fold = reading(tmp_path)
    folded = fold.fold(*pages(fold))
    assert fold.counts[FIVE_HUNDRED]["total"] == 44
    assert [row["reason"] for row in folded.refused] == ["its checksum is wrong: it was torn"]
    second.close()


def test_a_segment_is_never_named_twice_whatever_the_clock_says(tmp_path: Path) -> None:
    for at in (100, 50, 50, 0):
        writer = SpoolWriter(tmp_path, 10**9)
        writer.append(told(at, at))
        writer.close()
    segments = sorted(tmp_path.glob("*.scrapes"))
    assert [b'"} %d\\n' % at in path.read_bytes() for at, path in zip((100, 50, 50, 0), segments, strict=True)] == [
        True
    ] * 4


def test_the_spool_stays_below_its_bound_and_says_what_went(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "SEGMENT_BYTES", 4_000)
    writer, fold = SpoolWriter(tmp_path, 20_000), reading(tmp_path)
    for number in range(500):
        writer.append(told(number, number))
        assert sum(path.stat().st_size for path in tmp_path.glob("*.scrapes")) < 20_000
    fold.fold(*pages(fold))
    assert fold.counts[FIVE_HUNDRED]["total"] == 499
    scraping = fold.counts["scraping"]
    assert scraping["dropped"] + scraping["scrapes"] == 500
    assert 0 < scraping["scrapes"] < 100
    writer.close()


def test_segments_that_were_counted_are_removed_after_a_while(tmp_path: Path) -> None:
    fold, writer = reading(tmp_path), SpoolWriter(tmp_path, 10**9)
    writer.append(told(0, 40))
    fold.fold(*pages(fold))
    [segment] = tmp_path.glob("*.scrapes")
    late = MOMENT.replace(year=MOMENT.year + 50)
    fold.platform.tidy(fold.carried, late)
    assert segment.exists()  # it is still written
    writer.append(told(5, 41))
    writer.close()
    fold.platform.tidy(fold.carried, late)
    assert segment.exists()  # it was not read to its end
    fold.fold(*pages(fold))
    fold.platform.tidy(fold.carried, late)
    assert not segment.exists()


@given(st.binary(max_size=2_000))
def test_any_answer_is_kept_byte_for_byte(body: bytes) -> None:
    record = record_of(page(body, 5))
    assert record.content == body
    assert record.at == seconds(5)


def test_a_long_answer_is_packed_and_one_that_does_not_fit_is_named(tmp_path: Path) -> None:
    long = answer(dict.fromkeys(range(20_000), 1))
    record = record_of(page(long, 0))
    assert record.body is None and record.packed is not None and len(record.packed) < len(long) // 5
    assert record.content == long
    writer, fold = SpoolWriter(tmp_path, 10**9), reading(tmp_path)
    writer.append(record)
    writer.append(Record(seconds(5), OPENMETRICS, body="x" * 2**21))
    fold.fold(*pages(fold))
    assert (fold.counts["scraping"]["scrapes"], fold.counts["scraping"]["failed"]) == (1, 1)
    writer.close()


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b'{"at": "2026-11-22T14:17:00"}', b'{"at": "now"}', b"\xff"])
def test_what_is_no_record_is_refused(text: bytes) -> None:
    with pytest.raises(Unreadable, match="it is "):
        decoded(text)


@pytest.mark.parametrize("packed", ["%", "AAAA", "eJw=", "eJyrVkrLz1eyUkpKLFKqBQAdegQ0eJw"])
def test_a_body_that_does_not_unpack_is_refused(packed: str) -> None:
    with pytest.raises(Unreadable, match="the spool holds a body"):
        assert Record(MOMENT, packed=packed).content


def test_a_spool_that_cannot_be_written_is_one_clear_fault(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file")
    with pytest.raises(LakeFault, match=r"The spool .*spool cannot be used"), spool_module.scraping(tmp_path / "spool"):
        pass
    with pytest.raises(LakeFault, match="cannot be used"):
        SpoolWriter(tmp_path / "gone", 10**9).append(told(0, 1))
