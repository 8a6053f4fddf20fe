"""A source of the kind openmetrics, hour by hour, over real HTTP: what is counted, refused, kept and gone on from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline.core import history
from pipeline.core.corrections import decide
from pipeline.core.errors import ConfigError, DeadSession, TransportFault
from pipeline.core.hours import Hour
from pipeline.core.lake import VALIDATED
from pipeline.core.model import Bounds, Rule, RuleKind
from pipeline.core.observe import RecordedClock, observe
from pipeline.core.sources import read_source
from pipeline.core.trial import try_source
from pipeline.sandbox.faults import Reply
from pipeline_tests.platforms.feeding import MOMENT
from pipeline_tests.platforms.openmetrics.parts import Scraped, Told, answer, series
from pipeline_tests.platforms.stand_in import StandIn

FIVE_HUNDRED = series(500)
FAILED: dict[str, Any] = {"counters": {"failed_requests": {"metric": "errors_total", "where": {"code": "5.."}}}}


@pytest.fixture
def told() -> Told:
    return Told(answer({500: 40, 200: 7}, {"queue_size": 3}, created=-900))


@pytest.fixture
def program(told: Told) -> Iterator[StandIn]:
    with StandIn(told) as running:
        yield running


def test_hours_sum_up_what_was_scraped_between_them(tmp_path: Path, told: Told, program: StandIn) -> None:
    scraped = Scraped.under(tmp_path, program.url, **FAILED)
    assert scraped.hour(0)
    assert program.sent[0]["accept"].startswith("application/openmetrics-text")
    # It counted up to 55 and began anew twice; the second life is seen by the capture alone.
    scraped.spooled((5, answer({500: 45}, created=-900)), (600, answer({500: 55}, created=-900)))
    scraped.spooled((700, answer({500: 8}, created=650)))
    told.body = answer({500: 2, 503: 1}, {"queue_size": 90}, created=3000)
    assert scraped.hour(1)
    counts = scraped.counts(1)
    assert counts[FIVE_HUNDRED] == {"total": 65, "resets": 2, "presumed_resets": 0}
    assert counts[series(200)]["total"] == 7
    assert counts["queue_size"] == {"value": 90}
    assert counts["sum:failed_requests"] == {"failed_requests": 66}
    assert (counts["scraping"]["scrapes"], counts["scraping"]["series"]) == (5, 3)
    movement = scraped.report(1).movement
    assert (movement["total"].delta, movement["failed_requests"].delta) == (26, 26)


def test_history_is_the_same_when_it_is_made_again_from_raw_without_the_spool(
    tmp_path: Path, told: Told, program: StandIn
) -> None:
    scraped = Scraped.under(tmp_path, program.url, **FAILED)
    for number in range(3):
        scraped.spooled((3600 * number + 5, answer({500: 45 + number}, created=-900)))
        told.body = answer({500: 50 + number}, created=-900)
        assert scraped.hour(number)
    before = [scraped.rows(number) for number in range(3)]
    assert scraped.platform.spool is not None
    for segment in scraped.platform.spool.glob("*.scrapes"):
        segment.unlink()
    with scraped.lake.writing():
        for number in range(3):
            scraped.lake.supersede(VALIDATED, Hour.of(MOMENT) + number)
        list(history.settle(scraped.lake, scraped.source, Hour.of(MOMENT)))
    assert [scraped.rows(number) for number in range(3)] == before


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "It is empty."),
        (answer({500: 41}).removesuffix(b"# EOF\n"), "It does not end with # EOF"),
        (answer({500: "NaN"}), "is NaN or infinite"),
        (answer({500: -1}), "is negative, and a counter cannot be"),
        (answer({500: 41}).replace(b"# EOF", b'errors_total{code="500"} 42\n# EOF'), "stands twice"),
    ],
)
def test_a_bad_answer_is_a_refused_capture_that_keeps_its_evidence(
    tmp_path: Path, told: Told, program: StandIn, body: bytes, words: str
) -> None:
    scraped = Scraped.under(tmp_path, program.url)
    assert scraped.hour(0)
    told.body = body
    assert not scraped.hour(1)
    [reason] = scraped.reasons()
    assert words in reason
    [refused] = scraped.lake.refused()
    assert scraped.lake.quarantine(refused).exists() and scraped.lake.raw(refused).exists()
    told.body = answer({500: 44}, created=-900)
    assert scraped.hour(2)
    assert scraped.counts(2)[FIVE_HUNDRED]["total"] == 44
    assert scraped.counts(2)["scraping"]["refused"] == 1


def test_a_fall_within_one_epoch_is_refused_with_the_item_until_its_owner_takes_it_as_true(
    tmp_path: Path, told: Told, program: StandIn
) -> None:
    scraped = Scraped.under(tmp_path, program.url)
    assert scraped.hour(0)
    told.body = answer({500: 30, 200: 7}, created=-900)
    for number in (1, 2):
        assert not scraped.hour(number)
        [reason] = scraped.reasons()
        assert reason.startswith("Total fell for 1 item") or "total fell for 1 item" in reason
        assert "from 40 to 30" in reason
    with scraped.lake.writing():
        decide(
            scraped.lake,
            scraped.source,
            Hour.of(MOMENT) + 2,
            "accept",
            by="Ada",
            reason="I set it back",
            made_at=MOMENT,
        )
        history.finish_interrupted(scraped.lake, scraped.source)
    assert scraped.counts(2)[FIVE_HUNDRED]["total"] == 30
    told.body = answer({500: 33, 200: 7}, created=-900)
    assert scraped.hour(3)
    assert scraped.counts(3)[FIVE_HUNDRED]["total"] == 33


def test_a_fall_that_is_over_refuses_no_later_capture(tmp_path: Path, told: Told, program: StandIn) -> None:
    scraped = Scraped.under(tmp_path, program.url)
    assert scraped.hour(0)
    told.body = answer({500: 30}, created=-900)
    assert not scraped.hour(1)
    told.body = answer({500: 41}, created=-900)
    assert scraped.hour(2)
    assert scraped.counts(2)[FIVE_HUNDRED]["total"] == 41


def test_an_answer_larger_than_the_bound_is_a_refused_capture(tmp_path: Path, told: Told, program: StandIn) -> None:
    scraped = Scraped.under(tmp_path, program.url, format="text")
    scraped.bounds = Bounds(max_bytes=600)
    told.kind = "text/plain; version=0.0.4"
    told.body = b"# TYPE a counter\na 1\n"
    assert scraped.hour(0)
    told.body += b"# a comment of some length\n" * 100
    assert not scraped.hour(1)
    assert "larger than 600 bytes" in scraped.reasons()[0]
    assert "larger than 600 bytes" in try_source(scraped.source, lambda: MOMENT).problems[0]


def test_another_format_than_openmetrics_says_what_to_write(tmp_path: Path, told: Told, program: StandIn) -> None:
    told.body, told.kind = b"# TYPE a counter\na 1\n", "text/plain; version=0.0.4"
    assert not Scraped.under(tmp_path, program.url).hour(0)
    reason = Scraped.under(tmp_path, program.url).reasons()[0]
    assert "OpenMetrics was asked for and another format came" in reason and "format: text" in reason
    text = Scraped.under(tmp_path, program.url, format="text")
    assert text.hour(1)
    assert text.counts(1)["a"]["total"] == 1
    assert program.sent[-1]["accept"] == "text/plain; version=0.0.4"


def test_epochs_are_found_in_the_older_format_too(tmp_path: Path, told: Told, program: StandIn) -> None:
    told.kind = "text/plain; version=0.0.4"
    scraped = Scraped.under(tmp_path, program.url, format="text")
    for number, (value, began) in enumerate([(5, -900), (7, 60)]):
        created = (MOMENT + timedelta(seconds=began)).timestamp()
        told.body = f"# TYPE a_total counter\na_total {value}\n# TYPE a_created gauge\na_created {created}\n".encode()
        assert scraped.hour(number)
    assert scraped.counts(1)["a_total"] == {"total": 12, "resets": 1, "presumed_resets": 0}
    assert "a_created" not in scraped.counts(1)


def test_half_of_all_values_may_fall_at_once(tmp_path: Path, told: Told, program: StandIn) -> None:
    scraped = Scraped.under(tmp_path, program.url)
    told.body = answer({}, {f"g{number}": 10 for number in range(40)})
    assert scraped.hour(0)
    told.body = answer({}, {f"g{number}": 5 for number in range(40)})
    assert scraped.hour(1), scraped.reasons()


def test_a_program_that_is_not_there_is_a_fault_of_transport_and_loses_nothing(tmp_path: Path, told: Told) -> None:
    with StandIn(told) as program:
        scraped = Scraped.under(tmp_path, program.url)
        assert scraped.hour(0)
        scraped.spooled((5, answer({500: 45}, created=-900)))
        moment = MOMENT + timedelta(hours=1)
        program.fail_next(Reply(404, {}, b""))
        with scraped.lake.writing(), pytest.raises(TransportFault, match="404"):
            observe(scraped.lake, scraped.source, Hour.of(moment), RecordedClock(moment))
        told.body = answer({500: 3}, created=30)
        assert scraped.hour(1, minute=10)
        assert scraped.counts(1)[FIVE_HUNDRED]["total"] == 48


def test_a_token_is_sent_in_a_header_and_a_dead_one_is_named(tmp_path: Path) -> None:
    def guarded(asked: Any) -> Reply:
        right = asked.headers.get("authorization") == "Bearer planted-token"
        return Reply(200, {}, answer({500: 1})) if right else Reply(401, {}, b"")

    with StandIn(guarded) as program:
        assert Scraped.under(tmp_path, program.url, token="planted-token").hour(0)
        wrong = Scraped.under(tmp_path, program.url, token="another-token")
        with pytest.raises(DeadSession) as dead:
            list(wrong.platform.scrape(max_bytes=1000, now=lambda: MOMENT, retry=True))
    assert "'token'" in dead.value.next_step and "another-token" not in str(dead.value)
    assert not any(b"planted-token" in f.read_bytes() for f in (tmp_path / "lake").rglob("*") if f.is_file())


def test_rules_judge_sums_by_the_minute_and_values_by_every_look(tmp_path: Path, told: Told, program: StandIn) -> None:
    rules = (
        Rule("failed_requests", RuleKind.RATE_ABOVE, (50.0,), per_seconds=60),
        Rule("queue", RuleKind.ABOVE, (100.0,)),
        Rule("queue", RuleKind.BELOW, (1.0,)),
        Rule("total", RuleKind.CROSSES, (100.0,)),
    )
    scraped = Scraped.under(tmp_path, program.url, rules, gauges={"queue": "queue_size"}, **FAILED)
    assert scraped.hour(0)
    values = [(600, 40, 3), (605, 101, 150), (610, 101, 170), (700, 101, 0), (800, 101, 5), (900, 101, 120)]
    for at, errors, queue in values:
        scraped.spooled((at, answer({500: errors}, {"queue_size": queue}, created=-900)))
    told.body = answer({500: 101}, {"queue_size": 4}, created=-900)
    assert scraped.hour(1)
    assert {(c.rule, c.item_id, c.value) for c in scraped.report(1).crossings} == {
        ("failed_requests rate_above 50/minute", "sum:failed_requests", 61),
        ("queue above 100", "queue_size", 170),
        ("queue below 1", "queue_size", 0),
        ("total crosses", FIVE_HUNDRED, 101),
    }
    assert scraped.hour(2)
    assert scraped.report(2).crossings == ()


def test_a_value_that_stays_above_is_told_once_until_it_came_back(tmp_path: Path, told: Told, program: StandIn) -> None:
    rule = Rule("value", RuleKind.ABOVE, (100.0,))
    scraped = Scraped.under(tmp_path, program.url, (rule,))
    fired = []
    for number, queue in enumerate([101, 150, 101, 100, 101]):
        told.body = answer({}, {"queue_size": queue})
        assert scraped.hour(number)
        fired.append(len(scraped.report(number).crossings))
    assert fired == [1, 0, 0, 0, 1]


def test_a_source_can_be_tried_without_recording_it(tmp_path: Path, told: Told, program: StandIn) -> None:
    scraped = Scraped.under(tmp_path, program.url)
    trial = try_source(scraped.source, lambda: MOMENT)
    assert trial.problems == []
    assert {item["item_id"]: item["total"] for item in trial.items if item["total"] is not None} == {
        FIVE_HUNDRED: 40,
        series(200): 7,
    }
    told.body = b"errors_total 4\n"
    assert "does not end with # EOF" in try_source(scraped.source, lambda: MOMENT).problems[0]
    assert scraped.lake.captures() == []


@pytest.mark.parametrize(
    ("settings", "rules", "words"),
    [
        ({}, [], "'base_url' is missing"),
        ({"base_url": "ftp://x"}, [], "base_url"),
        ({"path": "/metrics?x=1"}, [], "path"),
        ({"format": "protobuf"}, [], "format"),
        ({"counters": {"total": "errors_total"}}, [], "total would be the name of two counters"),
        ({"counters": {"a": "x_total"}, "gauges": {"a": "y"}}, [], "a would be the name of two counters"),
        ({"counters": {"a": {"metric": "x_total", "where": {"code": "("}}}}, [], "no regular expression"),
        ({"counters": {"a": {"metrics": "x_total"}}}, [], "metric"),
        ({"decimals": {"x_sum": 13}}, [], "decimals"),
        ({}, [{"counter": "errors", "crosses": [1]}], "which this source does not have"),
        ({}, [{"counter": "value", "rate_above": 1, "per": "minute"}], "not counted by the minute"),
    ],
)
def test_settings_that_cannot_work_are_named(
    tmp_path: Path, settings: dict[str, Any], rules: list[dict[str, Any]], words: str
) -> None:
    address = {} if words.startswith("'base_url'") else {"base_url": "http://127.0.0.1:9"}
    attributes = {"source": "server", "platform": {"kind": "openmetrics", **address, **settings}, "rules": rules}
    file = tmp_path / "server" / "defs.yaml"
    file.parent.mkdir()
    file.write_text(json.dumps({"type": "pipeline.components.CounterSource", "attributes": attributes}, indent=1))
    with pytest.raises(ConfigError, match=words):
        read_source(file, {})
