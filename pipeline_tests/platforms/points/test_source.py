"""Events of programs become cumulative counters, hour by hour, each event once."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline.core import history
from pipeline.core.corrections import decide
from pipeline.core.errors import ConfigError, LakeFault, TransportFault
from pipeline.core.files import encode_json
from pipeline.core.hours import Hour
from pipeline.core.lake import RAW, VALIDATED
from pipeline.core.model import Bounds, Rule, RuleKind
from pipeline.core.observe import RecordedClock, observe
from pipeline.core.report.markdown import report_text
from pipeline.core.sources import read_source
from pipeline.core.trial import try_source
from pipeline.notify.wording import crossings_message
from pipeline_tests.platforms.feeding import MOMENT
from pipeline_tests.platforms.points.parts import Program, Told, error, event, line

PAID = "point:checkout.paid"
PLACE = "place:/srv/shop/orders.py:17:orders.pay pool.Full @ db.failed"


def test_events_are_counted_on_from_hour_to_hour(tmp_path: Path) -> None:
    told = Told.under(tmp_path)
    told.program.reports(event(number=1), event(number=2), error(3))
    assert told.hour(0)
    told.program.reports(event(number=4), error(5))
    assert told.hour(1)
    assert told.counts(0)[PAID] == {"events": 2, "errors": 0}
    assert told.counts(1)[PAID] == {"events": 3, "errors": 0}
    assert told.counts(1)["point:db.failed"] == {"events": 2, "errors": 2}
    assert told.reading(1) == {"read": 5, "malformed": 0, "duplicates": 0, "dropped": 0, "lost": 0, "behind": 0}
    assert told.report(1).movement["events"].delta == 2


def test_an_hour_without_events_is_observed_and_changes_nothing(tmp_path: Path) -> None:
    told = Told.under(tmp_path)
    told.program.reports(event())
    assert told.hour(0)
    assert told.hour(1)
    assert told.counts(1) == told.counts(0)
    assert told.report(1).movement["events"].delta == 0


def test_an_empty_spool_is_observed_as_nothing_read(tmp_path: Path) -> None:
    told = Told.under(tmp_path, events={"checkout.paid": {}})
    (tmp_path / "spool").mkdir()
    assert told.hour(0)
    assert told.counts()[PAID] == {"events": 0}
    assert told.reading()["read"] == 0


def test_an_error_is_an_item_by_its_place_with_its_version_and_when_it_came_first(tmp_path: Path) -> None:
    told = Told.under(tmp_path)
    told.program.reports(event())
    assert told.hour(0)
    told.program.reports(error(2, at=3000), error(3, at=3100, version="1.5.0"), error(4, at=3200, line=99))
    assert told.hour(1)
    rows = told.rows(1)
    assert (
        rows[PLACE]["title"] == "pool.Full at shop/orders.py:17 in orders.pay, first seen 2026-11-22 14:57 UTC in 1.4.2"
    )
    assert rows[PLACE]["published_at"] == MOMENT + timedelta(minutes=40)
    assert {item: row["errors_here"] for item, row in rows.items() if row["errors_here"]} == {
        PLACE: 2,
        PLACE.replace(":17:", ":99:"): 1,
    }
    assert [(mover.item_id, mover.delta) for mover in told.report(1).top_movers if mover.counter == "errors_here"] == [
        (PLACE, 2),
        (PLACE.replace(":17:", ":99:"), 1),
    ]
    told.program.reports(error(5, at=6800, version="2.0"))
    assert told.hour(2)
    assert (told.rows(2)[PLACE]["title"], told.rows(2)[PLACE]["published_at"]) == (
        rows[PLACE]["title"],
        rows[PLACE]["published_at"],
    )


def test_of_two_programs_the_one_that_met_an_error_first_says_when_and_in_which_version(tmp_path: Path) -> None:
    told = Told.under(tmp_path)
    told.program.reports(error(1, at=500, version="2.0"), event("page.viewed", 2, at=500))
    other = replace(told.program, name="20261122T150000000000Z-2-b-000001.points")
    other.reports(error(1, run="r2", at=300, version="1.9"), event("page.viewed", 2, run="r2", at=300))
    assert told.hour(0)
    rows = told.rows()
    assert str(rows[PLACE]["title"]).endswith("first seen 2026-11-22 14:12 UTC in 1.9")
    assert rows[PLACE]["published_at"] == rows["point:page.viewed"]["published_at"] == MOMENT - timedelta(minutes=5)


def test_names_of_any_length_leave_room_for_since_when_and_in_which_version(tmp_path: Path) -> None:
    """Wherever the title of an error is shown, in the report and in a message."""
    told = Told.under(tmp_path, rules=(Rule("errors_here", RuleKind.GAINED, (0.0,)),))
    told.program.reports(event())
    assert told.hour(0)
    long = {"file": f"/srv/{'long/' * 50}{'x' * 90}/orders.py", "function": f"{'shop.' * 50}pay", "line": 10**30}
    told.program.reports(error(2, at=3000, exception=f"{'pool.' * 50}Full", version="2026.11.22+build7", **long))
    assert told.hour(1)
    since = "first seen 2026-11-22 14:57 UTC in 2026.11.22+build7"
    [mover] = [mover for mover in told.report(1).top_movers if mover.counter == "errors_here"]
    assert str(mover.title).endswith(since)
    content = json.loads(encode_json(told.report(1)))
    for text in (report_text(told.report(1)), crossings_message(content).body):
        assert since in text.replace("\N{WORD JOINER}", "")


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "1969-12-31T23:59:59Z"])
def test_a_time_before_computers_is_refused_and_holds_up_nothing(tmp_path: Path, time: str) -> None:
    told = Told.under(tmp_path)
    told.program.reports(event(), error(2) | {"time": time})
    assert told.hour(0)
    assert (told.reading()["malformed"], told.counts()[PAID]["events"]) == (1, 1)
    [record] = told.refused_records()
    assert record.rows[0]["reason"] == "its time lies before 1970"


def test_rules_judge_events_as_any_counter(tmp_path: Path) -> None:
    rules = (Rule("events", RuleKind.CROSSES, (3.0,)), Rule("errors_here", RuleKind.GAINED, (2.0,)))
    told = Told.under(tmp_path, rules=rules)
    told.program.reports(event(number=1), event(number=2))
    assert told.hour(0)
    told.program.reports(event(number=3), error(4, at=2000), error(5, at=2001))
    assert told.hour(1)
    assert {(c.item_id, c.rule, c.value) for c in told.report(1).crossings} == {
        (PAID, "events crosses", 3.0),
        (PLACE, "errors_here gained 2", 2.0),
    }


def test_sums_and_distinct_values_of_a_declared_point(tmp_path: Path) -> None:
    told = Told.under(tmp_path, events={"checkout.paid": {"sums": {"amount": 2}, "distinct": ["who", "shelf"]}})
    told.program.reports(event(number=1, who="a", amount=0.1, shelf=1), event(number=2, who="b", amount=0.2, shelf="1"))
    assert told.hour(0)
    told.program.reports(event(number=3, who="b", amount=5), event(number=4, who="c"))
    assert told.hour(1)
    assert told.counts(0)[PAID]["sum_amount"] == 30
    assert told.counts(1)[PAID] == {
        "events": 4,
        "errors": 0,
        "sum_amount": 530,
        "distinct_who": 3,
        "distinct_shelf": 1,
    }


def test_conversion_and_retention_are_counted_in_order_of_time(tmp_path: Path) -> None:
    day = 86_400
    conversions = {
        "buys": {"first": "page.viewed", "then": "checkout.paid", "within_days": 1},
        "returns": {"first": "page.viewed", "then": "page.viewed", "on_day": 1},
    }
    told = Told.under(tmp_path, conversions=conversions)
    # The segment that is read first holds what happened last.
    told.program.reports(event(number=1, who="a", at=60), event(number=2, who="early", at=0))
    later = Program(told.program.folder, "20261122T150000000000Z-2-b-000001.points")
    later.reports(*[event("page.viewed", n, who=who, at=30, run="r2") for n, who in enumerate(["a", "b", "early"])])
    assert told.hour(0)
    told.program.reports(event("page.viewed", 3, who="b", at=day), event(number=4, who="b", at=2 * day))
    assert told.hour(49)
    assert told.counts(0)["conversion:buys"] == {"entered": 3, "converted": 1}
    assert told.counts(49)["conversion:buys"] == {"entered": 3, "converted": 1}
    assert told.counts(49)["conversion:returns"] == {"entered": 3, "converted": 1}


def test_an_event_told_again_counts_once(tmp_path: Path) -> None:
    told = Told.under(tmp_path)
    told.program.reports(event(number=1), event(number=3), event(number=1), event(number=2, run="r2"))
    assert told.hour(0)
    copy = Program(told.program.folder, "20261122T150000000000Z-2-b-000001.points")
    copy.reports(*[event(number=number) for number in (3, 2, 1, 2)])
    assert told.hour(1)
    assert told.counts(0)[PAID]["events"] == 3
    assert told.counts(1)[PAID]["events"] == 4
    assert told.reading(1)["duplicates"] == 4


def test_malformed_events_are_refused_one_by_one_with_their_reasons(tmp_path: Path) -> None:
    told = Told.under(
        tmp_path,
        events={
            "checkout.paid": {
                "sums": ["amount"],
                "fields": {"amount": {"type": "integer", "required": True}, "note": {"type": "text"}},
            }
        },
    )
    without_time = event(number=20)
    del without_time["time"]
    bad: list[tuple[dict[str, Any] | bytes, str]] = [
        (b"{", "it is not JSON"),
        (without_time, "it is not shaped as an event: Object missing required field `time`"),
        (event(number=21, at=3600, amount=1), "its time lies in the future"),
        (event("\t", 22), "its type is no printable text"),
        (event(number=23, amount="x"), "its amount is no integer"),
        (event(number=24), "its amount is missing"),
        (event(number=25, amount=1, note=2), "its note is no text"),
        (event(number=26, amount=-1), "its amount is negative, and a sum that falls is no counter"),
        (event(number=27, amount=2**64), "its amount is larger than a counter can hold"),
        (event(number=28, amount=True), "its amount is no integer"),
    ]
    told.program.reports(event(number=1, amount=1), *[one for one, _ in bad], event(number=2, amount=2, note="x"))
    with told.program.path.open("ab") as file:
        file.write(b"\n12345678 {torn\nno checksum")
    told.program.reports(event(number=3, amount=None), event(number=4, amount=4))
    assert told.hour(0)
    reasons = [reason for _, reason in bad] + ["its checksum is wrong: it was torn"] * 2 + ["its amount is missing"]
    [record] = told.refused_records()
    assert sorted(row["reason"] for row in record.rows) == sorted(reasons)
    assert record.count == told.reading()["malformed"] == len(reasons)
    assert told.counts()[PAID]["sum_amount"] == 7
    [amount] = [row for row in record.rows if row["reason"] == "its amount is no integer" and '"x"' in row["event"]]
    content = told.program.path.read_bytes()
    assert content[amount["position"] :].startswith(line(event(number=23, amount="x")))


def test_only_declared_points_count_where_the_owner_says_so(tmp_path: Path) -> None:
    told = Told.under(tmp_path, events={"checkout.paid": {}}, only_declared=True)
    told.program.reports(event(number=1), event("other", 2), error(3))
    assert told.hour(0)
    assert told.counts().keys() == {PAID, "reading"}
    assert told.reading()["read"] == 3


def test_the_last_line_waits_until_it_is_whole(tmp_path: Path) -> None:
    told = Told.under(tmp_path)
    told.program.reports(event(number=1))
    whole = line(event(number=2))
    with told.program.path.open("ab", buffering=0) as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        writer.write(whole[:30])
        assert told.hour(0)
        assert (told.counts()[PAID]["events"], told.reading()["behind"]) == (1, 30)
        writer.write(whole[30:])
        assert told.hour(1)
        assert told.counts(1)[PAID]["events"] == 2
        writer.write(whole[:30])
    assert told.hour(2)  # nobody writes it any longer
    assert (told.reading(2)["malformed"], told.reading(2)["behind"]) == (1, 0)


def test_what_exceeds_the_bounds_is_left_for_the_next_capture(tmp_path: Path) -> None:
    told = Told.under(tmp_path, bounds=Bounds(max_pages=3))
    wide = {"filling": "x" * 1000}
    told.program.reports(*[event(number=number, **wide) for number in range(3000)])
    assert told.hour(0)
    first = told.counts(0)[PAID]["events"]
    assert 0 < first < 3000
    assert told.reading(0)["behind"] > 0
    assert told.hour(1)
    assert told.hour(2)
    assert told.counts(2)[PAID]["events"] == 3000
    assert told.reading(2)["behind"] == 0


@pytest.mark.parametrize("bounds", [Bounds(max_bytes=1000), Bounds(max_pages=1)])
def test_under_bounds_smaller_than_a_page_reading_goes_on_page_by_page(tmp_path: Path, bounds: Bounds) -> None:
    told = Told.under(tmp_path, bounds=bounds)
    told.program.reports(*[event(number=number, filling="x" * 1000) for number in range(1500)])
    behind = []
    for number in range(3):
        assert told.hour(number)
        behind.append(told.reading(number)["behind"])
    assert behind == sorted(behind, reverse=True)
    assert (told.counts(2)[PAID]["events"], behind[-1]) == (1500, 0)


def test_a_refused_capture_loses_nothing(tmp_path: Path) -> None:
    narrow: dict[str, Any] = {"events": {"checkout.paid": {"distinct": ["who"]}}, "max_keys": 2}
    told = Told.under(tmp_path, **narrow)
    told.program.reports(event(number=1, who="a"))
    assert told.hour(0)
    told.program.reports(event(number=2, who="b"), event(number=3, who="c"))
    assert not told.hour(1)
    assert told.reasons() == ["Who of checkout.paid has more than 2 different values: raise max_keys."]
    told = Told.under(tmp_path, **narrow | {"max_keys": 10})
    told.program.reports(event(number=4, who="d"))
    assert told.hour(2)
    assert told.counts(2)[PAID] == {"events": 4, "errors": 0, "distinct_who": 4}
    assert told.reading(2)["read"] == 4


def test_a_rejected_hour_takes_its_snapshot_back_and_no_event(tmp_path: Path) -> None:
    told = Told.under(tmp_path)
    for number in range(3):
        told.program.reports(event(number=number))
        assert told.hour(number)
    counted = told.counts(2)
    with told.lake.writing():
        rejected = Hour.of(MOMENT) + 1
        decide(told.lake, told.source, rejected, "reject", by="Ada", reason="I know it", made_at=MOMENT)
        history.finish_interrupted(told.lake, told.source)
    assert told.lake.accepted_hours() == [Hour.of(MOMENT), Hour.of(MOMENT) + 2]
    assert told.counts(2) == counted
    assert told.report(2).movement["events"].delta == 2


def test_history_is_the_same_when_it_is_made_again_from_raw_without_the_spool(tmp_path: Path) -> None:
    told = Told.under(tmp_path, events={"checkout.paid": {"distinct": ["who"]}})
    for number in range(3):
        told.program.reports(event(number=number, who=str(number)), b"{")
        assert told.hour(number)
    before = [told.rows(number) for number in range(3)]
    told.program.path.unlink()
    with told.lake.writing():
        assert not [hour for hour, changed in history.settle(told.lake, told.source, Hour.of(MOMENT)) if changed]
        for number in range(3):
            told.lake.supersede(VALIDATED, Hour.of(MOMENT) + number)
        list(history.settle(told.lake, told.source, Hour.of(MOMENT)))
    assert [told.rows(number) for number in range(3)] == before


def test_segments_that_were_read_may_be_removed(tmp_path: Path) -> None:
    told = Told.under(tmp_path)
    told.program.reports(event(number=1))
    assert told.hour(0)
    told.program.path.unlink()
    Program(told.program.folder, "20261122T150000000000Z-2-b-000001.points").reports(event(number=2, run="r2"))
    assert told.hour(1)
    assert told.counts(1)[PAID]["events"] == 2


def test_a_lost_raw_capture_is_noticed(tmp_path: Path) -> None:
    told = Told.under(tmp_path)
    for number in range(2):
        told.program.reports(event(number=number))
        assert told.hour(number)
    [first, second] = told.lake.captures()
    told.lake.path(RAW, first.hour, first.name).unlink()
    with told.lake.writing():
        told.lake.supersede(VALIDATED, first.hour)
        judged = history.verdict(told.lake, told.source, second)
    [finding] = [finding for finding in judged.findings if not finding.passed]
    assert "is missing between 0 and" in finding.reason


def test_a_shortened_segment_is_noticed(tmp_path: Path) -> None:
    told = Told.under(tmp_path)
    told.program.reports(event(number=1), event(number=2))
    assert told.hour(0)
    told.program.path.write_bytes(b"")
    assert not told.hour(1)
    assert "before" in told.reasons()[0]


def test_a_spool_that_is_not_there_is_a_fault_of_transport(tmp_path: Path) -> None:
    told = Told.under(tmp_path)
    with told.lake.writing(), pytest.raises(TransportFault, match=r"spool .* cannot be read: No such file"):
        observe(told.lake, told.source, Hour.of(MOMENT), RecordedClock(MOMENT))
    assert told.lake.captures() == []


def test_a_state_that_cannot_be_read_is_a_fault_of_the_lake(tmp_path: Path) -> None:
    told = Told.under(tmp_path)
    with pytest.raises(LakeFault, match="remembers"):
        told.platform.fold([], {}, {"reading": b"\xff"}, captured_at=MOMENT, latest=MOMENT)


def test_more_points_than_the_bound_are_refused_one_by_one(tmp_path: Path) -> None:
    told = Told.under(tmp_path, max_items=3)
    told.program.reports(*[event(f"point {number}", number) for number in range(5)], event("point 0", 9))
    assert told.hour(0)
    assert told.counts().keys() == {"point:point 0", "point:point 1", "reading"}
    assert told.counts()["point:point 0"]["events"] == 2
    assert told.reading()["malformed"] == 3


def test_pages_hold_the_bytes_of_the_spool(tmp_path: Path) -> None:
    told = Told.under(tmp_path)
    told.program.reports(event(number=1))
    with told.program.path.open("ab") as file:
        file.write(b"\n\xff\xfe torn")
    told.program.reports(event(number=2))
    pages = list(told.platform.read_on({}, max_pages=100, max_bytes=10**9, now=lambda: MOMENT))
    assert pages[0].body == told.program.path.read_bytes()
    assert json.loads(pages[-1].body)["places"][told.program.name]["end"] == len(pages[0].body)


def test_segments_that_were_counted_are_removed_after_some_days(tmp_path: Path) -> None:
    told = Told.under(tmp_path, keep_days=1)
    old, read_in_part = told.program.reports(event(number=1)), Program(told.program.folder, "20261122T15-2-b-1.points")
    read_in_part.reports(event(number=2))
    assert told.hour(0)
    read_in_part.reports(event(number=3))
    longer_ago = (MOMENT - timedelta(days=2)).timestamp()
    for program in (old, read_in_part):
        os.utime(program.path, (longer_ago, longer_ago))
    with old.path.open("rb") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        assert told.hour(1)
        assert old.path.exists()  # it is still written
    os.utime(read_in_part.path, None)
    assert told.hour(2)
    assert not old.path.exists()
    assert read_in_part.path.exists()
    assert told.counts(2)[PAID]["events"] == 3


def test_what_the_sdk_dropped_is_counted(tmp_path: Path) -> None:
    told = Told.under(tmp_path)
    reasons = {"the spool has reached its limit": 7}
    told.program.reports(event("points.dropped", 1, count=7, reasons=reasons), event("points.dropped", 2, count=-1))
    assert told.hour(0)
    assert told.reading()["dropped"] == 7


def test_a_source_can_be_tried_without_recording_it(tmp_path: Path) -> None:
    told = Told.under(tmp_path, keep_days=0)
    told.program.reports(event(number=1), b"{")
    trial = try_source(told.source, lambda: MOMENT)
    assert trial.problems == []
    assert {item["item_id"]: item["events"] for item in trial.items} == {PAID: 1, "reading": None}
    assert told.program.path.exists()


@pytest.mark.parametrize(
    ("platform", "rules", "words"),
    [
        ({}, [], "points come from exactly one of spool and kafka"),
        ({"spool": "/x", "kafka": {"bootstrap": "a:1", "topic": "t"}}, [], "exactly one of spool and kafka"),
        ({"spool": "/x", "events": {"paid": {"sums": ["Amount"]}}}, [], "String should match pattern"),
        ({"spool": "/x", "events": {"a": {"sums": ["n"]}, "b": {"sums": {"n": 2}}}}, [], "unlike decimals"),
        ({"spool": "/x", "events": {"a": {"fields": {"n": {"type": "decimal"}}}}}, [], "type: 'integer', 'number'"),
        ({"spool": "/x"}, [{"counter": "sum_n", "crosses": [1]}], "which this source does not have"),
        ({"spool": "/x"}, [{"counter": "read", "rate_above": 1, "per": "minute"}], "not counted by the minute"),
        ({"spool": "/x", "base_url": "https://x.example"}, [], "base_url"),
    ],
)
def test_settings_that_cannot_work_are_named(
    tmp_path: Path, platform: dict[str, Any], rules: list[dict[str, Any]], words: str
) -> None:
    attributes = {"source": "shop", "platform": {"kind": "points", **platform}, "rules": rules}
    file = tmp_path / "shop" / "defs.yaml"
    file.parent.mkdir()
    file.write_text(json.dumps({"type": "pipeline.components.CounterSource", "attributes": attributes}, indent=1))
    with pytest.raises(ConfigError, match=words):
        read_source(file, {})
