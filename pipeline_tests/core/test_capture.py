"""A stored capture: the very bytes come back, a fault leaves nothing, damage is named."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.capture import Ended, read_head, read_pages, store_capture
from pipeline.core.errors import DeadSession, LakeFault, TransportFault
from pipeline.core.lake import CaptureRef
from pipeline.core.model import Origin
from pipeline.platforms.protocol import Page

from .account import COOKIE, Account, broken_off_by, many, page, pages, rows
from .snapshots import at

BODIES = st.one_of(st.binary(max_size=300), st.text(max_size=100).map(str.encode))


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.lists(BODIES, max_size=4))
def test_every_body_comes_back_byte_for_byte(bodies: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        account = Account.under(Path(folder))
        sent = [replace(page(body), fetched_at=at(n)) for n, body in enumerate(bodies)]
        stored, ended = store_capture(account.lake, account.source, Origin.LIVE, at(0), sent)
        assert list(read_pages(account.lake, stored)) == [*sent, ended]
        assert ended == Ended(len(bodies), sum(map(len, bodies)), None)


def test_a_page_keeps_its_request_status_headers_and_time(account: Account) -> None:
    sent = Page(
        "GET /api/v1/stats/pv?page=1", 200, {"date": "Sun, 01 Nov 2026 00:17:00 GMT"}, at(0.5), b'{"data": "\\u2028"}'
    )
    found, ended = read_pages(account.lake, account.capture(0, [sent]))
    assert (found, ended) == (sent, Ended(1, len(sent.body), None))


def test_the_head_says_whose_capture_it_is_and_how_it_came(account: Account) -> None:
    moment = at(0) + timedelta(microseconds=7)
    stored, _ = store_capture(account.lake, account.source, Origin.IMPORT, moment, pages(rows(a=1)))
    head = read_head(account.lake, stored)
    assert (head.source, head.platform, head.origin, head.captured_at) == ("blog", "note", Origin.IMPORT, moment)
    assert stored.captured_at == moment


def test_a_listing_that_was_left_before_its_end_keeps_its_pages_and_says_why(account: Account) -> None:
    sent = pages(many(30))
    *found, ended = read_pages(account.lake, account.capture(0, sent, cut="the listing repeats a page"))
    assert found == sent
    assert isinstance(ended, Ended)
    assert (ended.pages, ended.reason) == (2, "the listing repeats a page")


@pytest.mark.parametrize(
    "fault",
    [TransportFault("it did not answer"), DeadSession("it answered 401", "Log in."), RuntimeError("a fault")],
    ids=lambda fault: type(fault).__name__,
)
def test_a_page_that_never_arrives_leaves_no_capture_however_many_came_before(
    account: Account, fault: Exception
) -> None:
    broken = broken_off_by(fault, pages(many(60)))
    with pytest.raises(type(fault)):
        store_capture(account.lake, account.source, Origin.LIVE, at(0), broken())
    assert account.files() == {}
    assert account.lake.captures() == []
    assert list((account.lake.root / ".incoming" / "writing").iterdir()) == []


def test_the_credential_is_in_no_byte_of_a_capture(account: Account) -> None:
    raw = account.lake.raw(account.capture(0, many(30)))
    with pa.input_stream(raw, compression="zstd") as stream:
        assert COOKIE.encode() not in stream.read()


# Damage -------------------------------------------------------------------------------------------


def compressed(*lines: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(b"".join(line + b"\n" for line in lines))
    return bytes(sink.getvalue())


HEAD = b'{"ratchet":1,"source":"blog","platform":"note","origin":"replay","captured_at":"2026-11-01T00:17:00Z"}'
DAMAGED = {
    "empty": b"",
    "not compressed": HEAD,
    "cut in the middle": None,
    "no line": compressed(),
    "no last line": compressed(HEAD),
    "no JSON": compressed(HEAD, b"{"),
    "not an object": compressed(HEAD, b"[]"),
    "half a page": compressed(HEAD, b'{"request":"GET /"}', b'{"pages":1,"bytes":1,"cut_short":null}'),
    "a last line that says nothing": compressed(HEAD, b"{}"),
    "a head that says nothing": compressed(b"{}", b'{"pages":0,"bytes":0,"cut_short":null}'),
    "a time that is none": compressed(HEAD.replace(b"2026-", b"20x6-"), b'{"pages":0,"bytes":0,"cut_short":null}'),
    "a body that is no base64": compressed(
        HEAD,
        b'{"request":"GET /","status":200,"headers":{},"fetched_at":"2026-11-01T00:17:00Z","body_base64":"x"}',
        b'{"pages":1,"bytes":1,"cut_short":null}',
    ),
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_capture_is_a_fault_that_names_its_file(account: Account, content: bytes | None) -> None:
    made = account.capture(0, many(40))
    raw = account.lake.raw(made)
    whole = raw.read_bytes()
    raw.write_bytes(whole[: len(whole) // 2] if content is None else content)
    with pytest.raises(LakeFault, match="is damaged") as caught:
        list(read_pages(account.lake, made))
    assert caught.value.exit_code == 16
    assert str(raw) in str(caught.value)


@pytest.mark.parametrize("content", [b"", compressed(), compressed(b"{}"), compressed(b"[]")])
def test_a_damaged_head_is_a_fault_that_names_its_file(account: Account, content: bytes) -> None:
    made = account.capture(0, rows(a=1))
    account.lake.raw(made).write_bytes(content)
    with pytest.raises(LakeFault, match=made.name):
        read_head(account.lake, made)


def test_a_capture_that_is_gone_is_a_fault_that_names_its_file(account: Account) -> None:
    made = account.capture(0, rows(a=1))
    gone = CaptureRef(made.hour, made.name + "~2")
    with pytest.raises(LakeFault, match="~2"):
        list(read_pages(account.lake, gone))
