"""The history as it is read from a lake: its matrices, its cache, marks, and what happened."""

from __future__ import annotations

import errno
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from pipeline.core import archives
from pipeline.core.analysis.first_hours import AGES, first_hours, sentences
from pipeline.core.analysis.gains import total_gain
from pipeline.core.analysis.happenings import Kind, happenings
from pipeline.core.analysis.marks import make_mark, marks
from pipeline.core.analysis.slots import slots
from pipeline.core.analysis.watched import MISSING, Watched, read_watched
from pipeline.core.compact import compact
from pipeline.core.corrections import Choice
from pipeline.core.errors import ConfigError, NothingAccepted
from pipeline.core.history import read_report
from pipeline.core.hours import microseconds
from pipeline.core.lake import DELTA

from .account import Account, row, rows
from .snapshots import at, recorded_captures


def _equal(left: Watched, right: Watched) -> bool:
    matrices = all(np.array_equal(left.values[name], right.values[name]) for name in left.counters)
    titles = [[left.title_names[code] for code in line] for line in left.titles] == [
        [right.title_names[code] for code in line] for line in right.titles
    ]
    return matrices and titles and left.items == right.items and left.told == right.told


def _small(account: Account) -> None:
    account.tell(0, rows(a=10, b=5, c=7))
    account.tell(1, rows(a=12, b=5, c=7))
    account.tell(2, [row("a", 110), row("c", 8)])
    account.tell(4, [row("a", 120), row("b", 6), row("c", 8, name="Another title"), row("d", 3)], published={"d": P})


P = "2026-11-01T03:30:00Z"


def test_a_history_holds_what_was_observed_and_nothing_that_was_carried(account: Account) -> None:
    _small(account)
    found = read_watched(account.lake)
    assert [item.item_id for item in found.items] == ["a", "b", "c", "d"]
    assert found.captured_at.tolist() == [microseconds(at(hour)) for hour in (0, 1, 2, 4)]
    assert found.values["views"].tolist() == [
        [10, 5, 7, MISSING],
        [12, 5, 7, MISSING],
        [110, MISSING, 8, MISSING],
        [120, 6, 8, 3],
    ]
    assert [item.zero for item in found.items] == [False, False, False, True]
    assert [told.movement["views"].total for told in found.told] == [22, 24, 123, 137]


def test_a_source_without_an_accepted_hour_has_no_history(account: Account) -> None:
    with pytest.raises(NothingAccepted, match="accepted nothing yet"):
        read_watched(account.lake)


def test_the_cache_gives_the_same_history_and_notices_every_change(account: Account, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    _small(account)
    assert _equal(read_watched(account.lake, cache), read_watched(account.lake))
    assert _equal(read_watched(account.lake, cache), read_watched(account.lake))
    account.tell(5, rows(a=121, b=6, c=8, d=4))
    assert _equal(read_watched(account.lake, cache), read_watched(account.lake))
    account.correct(1, "reject")
    after = read_watched(account.lake, cache)
    assert len(after.captured_at) == 4
    assert _equal(after, read_watched(account.lake))
    account.tell(24 * 40, rows(a=500, b=6, c=8, d=4))
    assert _equal(read_watched(account.lake, cache), read_watched(account.lake))


def test_a_cache_that_is_damaged_is_made_again(account: Account, tmp_path: Path) -> None:
    _small(account)
    expected = read_watched(account.lake, tmp_path / "cache")
    for file in (tmp_path / "cache").iterdir():
        file.write_bytes(file.read_bytes()[:100])
    assert _equal(read_watched(account.lake, tmp_path / "cache"), expected)


def test_a_cache_on_a_full_disk_costs_time_and_leaves_nothing(
    account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    _small(account)
    monkeypatch.setattr("pipeline.core.analysis.months.feather.write_feather", full)
    assert _equal(read_watched(account.lake, tmp_path / "cache"), read_watched(account.lake))
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_packed_month_reads_as_its_hours_did(account: Account, tmp_path: Path) -> None:
    _small(account)
    account.tell(24 * 40, rows(a=500, b=6, c=8, d=4))
    before = read_watched(account.lake, tmp_path / "cache")
    compact(account.lake, "2026-11")
    assert archives.packed_months(account.lake.root) == ["2026-11"]
    assert _equal(read_watched(account.lake), before)
    assert _equal(read_watched(account.lake, tmp_path / "cache"), before)


def test_a_large_source_is_followed_in_part_and_says_how_many_are_left_out(
    account: Account, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("pipeline.core.analysis.watched.MOST_ITEMS", 5)
    listing = [row(f"n{n}", n * 10) for n in range(8)]
    account.tell(0, listing)
    account.tell(1, [*listing, row("young", 1)], published={"young": "2026-11-01T00:50:00Z"})
    for cache in (None, tmp_path / "cache", tmp_path / "cache"):
        found = read_watched(account.lake, cache)
        assert sorted(item.item_id for item in found.items) == ["n4", "n5", "n6", "n7", "young"]
        assert found.left_out == 4
        assert found.told[-1].movement["views"].total == sum(range(8)) * 10 + 1


def test_what_happened_is_derived_from_the_files(account: Account) -> None:
    _small(account)
    make_mark(account.lake, "cross-posted", by="Ada", made_at=at(9), at=at(1.5), item_id="a")
    account.correct(1, "reject", reason="A test")
    found = [(h.kind, h.item_id, h.at) for h in happenings(account.lake, read_watched(account.lake))]
    assert sorted(found, key=str) == sorted(
        [
            (Kind.CORRECTED, None, at(1) - timedelta(minutes=17)),
            (Kind.MARK, "a", at(1.5)),
            (Kind.CROSSED, "a", at(2)),
            (Kind.GONE, "b", at(2)),
            (Kind.PUBLISHED, "d", at(3) + timedelta(minutes=13)),
            (Kind.RETURNED, "b", at(4)),
            (Kind.TITLE, "c", at(4)),
        ],
        key=str,
    )
    words = {h.kind: h.words for h in happenings(account.lake, read_watched(account.lake))}
    assert words[Kind.TITLE] == "“Title of c” became “Another title”"
    assert words[Kind.CROSSED] == "100 views (10 → 110)"
    assert words[Kind.CORRECTED] == "2026-11-01T01 rejected by Ada: A test"
    assert words[Kind.MARK] == "cross-posted (Ada)"


@pytest.mark.parametrize(("items", "concerned"), [(("a",), "a"), (("a", "b"), None)])
def test_a_correction_stands_once_with_the_item_that_it_is_about(
    account: Account, items: tuple[str, ...], concerned: str | None
) -> None:
    account.tell(0, rows(a=10, b=5))
    account.tell(1, rows(a=4, b=5 if concerned else 2))
    account.correct(1, Choice("lower", items))
    found = [h for h in happenings(account.lake, read_watched(account.lake)) if h.kind is Kind.CORRECTED]
    [correction] = found
    assert correction.item_id == concerned
    assert correction.words.startswith(
        f"2026-11-01T01 lower values of item{'s' * (len(items) > 1)} {', '.join(items)} accepted by Ada: I deleted it."
        f" It had been refused by non_decreasing_counts: views fell for {len(items)} item"
    )
    assert "Title of a [a] from 10 to 4" in correction.words


def test_an_absence_begins_and_ends_once(account: Account) -> None:
    for hours, listing in enumerate((rows(a=1, b=1), rows(a=1), rows(a=2), rows(a=2, b=1))):
        account.tell(hours, listing)
    found = [(h.kind, h.at) for h in happenings(account.lake, read_watched(account.lake))]
    assert found == [(Kind.GONE, at(1)), (Kind.RETURNED, at(3))]


@pytest.mark.parametrize(
    ("text", "by", "hours", "item", "words"),
    [
        ("  ", "Ada", 1, None, "1 to 300 characters"),
        ("x" * 301, "Ada", 1, None, "1 to 300 characters"),
        ("posted", " ", 1, None, "is signed"),
        ("posted", "Ada", 12, None, "lies in the past"),
        ("posted", "Ada", 1, "nope", "no item 'nope'"),
    ],
)
def test_a_mark_that_cannot_stand_is_refused(
    account: Account, text: str, by: str, hours: float, item: str | None, words: str
) -> None:
    account.tell(0, rows(a=10))
    with pytest.raises(ConfigError, match=words):
        make_mark(account.lake, text, by=by, made_at=at(9), at=at(hours), item_id=item)
    assert marks(account.lake) == []


# The recording ------------------------------------------------------------------------------------


def test_the_recording_reads_as_its_csv_tells_it(recorded: Account) -> None:
    found = read_watched(recorded.lake)
    captures = list(recorded_captures())
    assert len(found.captured_at) == len(captures) == 157
    names = [item.item_id for item in found.items]
    for line, capture in zip(range(157), captures, strict=True):
        assert capture.items is not None
        for counter in found.counters:
            told = [capture.items.get(name, {}).get(counter, MISSING) for name in names]
            assert found.values[counter][line].tolist() == told


def test_gains_of_the_recording_are_sums_of_its_reports_and_of_its_deltas(recorded: Account) -> None:
    found = read_watched(recorded.lake)
    hours = recorded.lake.accepted_hours()
    reports = [read_report(recorded.lake, hour) for hour in hours]
    since = found.moment(-1) - timedelta(hours=24)
    [start] = [n for n in range(157) if abs((found.moment(n) - since).total_seconds()) < 1800]
    day = sum(r.movement["views"].delta or 0 for r in reports[start + 1 :])
    assert total_gain(found, "views", "24h").value == day
    assert len(recorded.lake.hours_with(DELTA)) == 157


def test_the_twelve_items_of_the_recording_say_how_sure_they_are(recorded: Account) -> None:
    found = first_hours(read_watched(recorded.lake), "views")
    assert len(found.items) == 12
    assert found.excluded == {"published before the source was watched": 83}
    assert found.covered == {age: len(_looked_at(age)) for age in AGES}
    assert found.covered[36] == 10
    assert found.covered[720] == 0
    assert found.half is not None
    assert found.half.low < found.half.median < found.half.high
    share = found.shares[36]
    assert share is not None
    assert 0.7 < share.median < 0.95
    assert len(sentences(found)) == 5


def _looked_at(age: int) -> set[str]:
    """The items published while the account was recorded that a capture shows near that age."""
    captures = list(recorded_captures())
    found = set()
    for capture in captures:
        for item in capture.items or {}:
            published = capture.published[item]
            assert published is not None
            hours = (capture.captured_at - published).total_seconds() / 3600
            old_enough = (captures[-1].captured_at - published).total_seconds() / 3600 >= age
            if published > captures[0].captured_at and old_enough and abs(hours - age) <= max(1, age / 10):
                found.add(item)
    return found


def test_the_recording_has_too_few_whole_hours_to_say_when_readers_come(recorded: Account) -> None:
    assert slots(read_watched(recorded.lake), "views", "UTC").known == []
