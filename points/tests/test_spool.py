"""The spool's format: what is read is what was written, whatever lies between."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any, Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ratchet_points as points
from ratchet_points import spool

NAME = "20261122T140000000000Z-1-ab-000001.points"


def written(folder: Path, content: bytes) -> list[spool.Line]:
    (folder / NAME).write_bytes(content)
    return list(spool.read(folder))


def texts(lines: list[spool.Line]) -> list[bytes]:
    return [line.text for line in lines if isinstance(line, spool.Event)]


def test_an_event_is_found_by_its_place(tmp_path: Path) -> None:
    first, second = spool.framed(b'{"a":1}'), spool.framed(b'{"b":2}')
    lines = written(tmp_path, first + second)
    assert texts(lines) == [b'{"a":1}', b'{"b":2}']
    assert [(line.segment, line.offset, line.next_offset) for line in lines] == [
        (NAME, 0, len(first)),
        (NAME, len(first), len(first) + len(second)),
    ]
    assert texts(list(spool.read(tmp_path, {NAME: len(first)}))) == [b'{"b":2}']
    assert list(spool.read(tmp_path, {NAME: len(first) + len(second)})) == []


def test_a_torn_line_harms_only_itself(tmp_path: Path) -> None:
    whole = spool.framed(b'{"a":1}')
    for length in range(1, len(whole)):
        lines = written(tmp_path, whole + whole[:length] + whole)
        assert texts(lines) == [b'{"a":1}'] * 2
        assert [line.offset for line in lines if isinstance(line, spool.Damaged)] == [len(whole)]


def test_a_changed_byte_is_noticed(tmp_path: Path) -> None:
    content = spool.framed(b'{"amount":1}') + spool.framed(b'{"b":2}')
    for at in range(len(spool.framed(b'{"amount":1}'))):
        changed = bytearray(content)
        changed[at] ^= 1
        assert b'{"amount":1}' not in texts(written(tmp_path, bytes(changed)))


def test_the_last_line_waits_while_its_segment_is_written(tmp_path: Path) -> None:
    whole = spool.framed(b'{"a":1}')
    path = tmp_path / NAME
    path.write_bytes(whole + whole[:9])
    with path.open("ab", buffering=0) as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        assert not spool.abandoned(str(path))
        before = list(spool.read(tmp_path))
        assert texts(before) == [b'{"a":1}']
        assert len(before) == 1
        writer.write(whole[9:])
        after = list(spool.read(tmp_path, {NAME: before[-1].next_offset}))
        assert texts(after) == [b'{"a":1}']
        writer.write(whole[:5])
    assert spool.abandoned(str(path))
    assert isinstance(list(spool.read(tmp_path))[-1], spool.Damaged)


def test_rubbish_is_passed_in_bounded_pieces(tmp_path: Path) -> None:
    good = spool.framed(b'{"a":1}')
    lines = written(tmp_path, b"\0" * 5_000_000 + good + b"\n" + b"x" * 3_000_000 + good)
    assert texts(lines) == [b'{"a":1}'] * 2
    assert max(line.length for line in lines if isinstance(line, spool.Damaged)) <= 3 * 1024 * 1024
    assert written(tmp_path, b"") == []


def test_no_spool_is_an_empty_one(tmp_path: Path) -> None:
    assert list(spool.read(tmp_path / "none")) == []


def test_other_files_are_left_alone(begin: Callable[..., Any]) -> None:
    lake = begin()
    points.track("a")
    (lake.folder / "refused-1.jsonl").write_text("{}\n")
    assert len(lake.events()) == 1


chunk = st.one_of(
    st.binary(max_size=40).map(lambda text: ("event", b'{"x":"%b"}' % text.hex().encode())),
    st.binary(min_size=1, max_size=40).map(lambda text: ("noise", text)),
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(chunk, max_size=12), st.data())
def test_reading_in_two_goes_finds_the_same(
    tmp_path: Path, chunks: list[tuple[str, bytes]], data: st.DataObject
) -> None:
    """Every event is found unless noise stands between it and its end, and no event is invented."""
    content, expected = b"", []
    for number, (kind, text) in enumerate(chunks):
        if kind == "event":
            content += spool.framed(text)
            followed = chunks[number + 1][0] if number + 1 < len(chunks) else "event"
            if followed == "event" or chunks[number + 1][1].startswith(b"\n"):
                expected.append(text)
        else:
            content += text
    lines = written(tmp_path, content)
    assert texts(lines) == expected
    stop = data.draw(st.integers(0, len(lines)))
    position = lines[stop - 1].next_offset if stop else 0
    again = list(spool.read(tmp_path, {NAME: position}))
    assert texts(lines[:stop]) + texts(again) == expected
    assert os.path.getsize(tmp_path / NAME) == len(content)
