"""The vital signs as a scraper gets them over HTTP: from the lake, at the time of the scrape, and no secret in them."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest

from pipeline.core.incidents.book import Book
from pipeline.core.incidents.notes import CHANNEL, Failing
from pipeline.core.incidents.troubles import Trouble
from pipeline.core.lake import REPORT, VALIDATED
from pipeline.core.model import Cause, HourState, Origin, Source
from pipeline.core.project import Project
from pipeline.core.publishing import SENDING
from pipeline.metrics.serving import serving
from pipeline.metrics.signs import History, SourceSigns
from pipeline.notify.delivery import Channel, receipt_key
from pipeline.platforms.protocol import Page
from pipeline_tests.core.account import COOKIE, Account, hour, page, pages, row, rows
from pipeline_tests.core.snapshots import at
from pipeline_tests.dagster_parts import program, ratchet
from pipeline_tests.metrics.parts import TEXT, Vital, blog_of, made, scraped, server_of, shop_of
from pipeline_tests.platforms.feeding import MOMENT
from pipeline_tests.platforms.openmetrics.parts import Told as ScrapedProgram
from pipeline_tests.platforms.openmetrics.parts import answer
from pipeline_tests.platforms.points.parts import error, event
from pipeline_tests.platforms.stand_in import StandIn

ADDRESS = "json://127.0.0.1:9/planted-token-of-a-channel"


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with made(tmp_path) as project:
        yield project


@pytest.fixture
def blog(project: Project) -> Iterator[Account]:
    account = blog_of(project)
    with account.lake.writing():
        yield account


@pytest.fixture
def told(blog: Account) -> Account:
    """An hour observed, one refused, a gap, and a live hour in which a mark was crossed and an item vanished."""
    blog.tell(0, rows(a=90, b=20))
    blog.tell(1, rows(a=50, b=20))
    blog.origin = Origin.LIVE
    [reply] = pages([row("a", 150, name='say "hi"\n\\'), row("c", 1)])
    blog.tell(3, [Page(reply.request, 200, reply.headers, at(3) + timedelta(seconds=4), reply.body)])
    return blog


def vital(project: Project, hours: float = 3.5) -> Vital:
    return Vital(project, at(hours))


# What is told -------------------------------------------------------------------------------------


def test_the_ledger_the_captures_and_the_age_of_the_last_one(project: Project, told: Account) -> None:
    found = vital(project).scrape()
    hours = {state: found.value("hours", source="blog", state=state) for state in HourState}
    assert hours == {"observed": 2, "quarantined": 1, "gap": 1, "unfinished": 0}
    captures = {result: found.value("captures", result=result) for result in ("accepted", "refused", "unjudged")}
    assert captures == {"accepted": 2, "refused": 1, "unjudged": 0}
    assert found.value("last_accepted_age_seconds") == 30 * 60
    assert found.value("last_accepted_timestamp_seconds") == at(3).timestamp()
    assert (found.value("awaited"), found.value("scrape_fault", source="blog")) == (1, 0)


def test_what_the_checks_measured_on_the_newest_capture(project: Project, told: Account) -> None:
    found = vital(project).scrape()
    assert found.value("capture_duration_seconds") == 4
    assert found.value("capture_items") == 2
    assert found.value("missing_share", column="published_at") == 1
    assert found.value("check_failing_items", check="complete_listing") == 1
    assert found.value("check_passed", check="conserves_counts") == 1
    durations = found.samples("check_duration_seconds")
    assert len(durations) == 7
    assert all(0 <= seconds < 60 for seconds in durations.values())


def test_the_latest_counters_and_their_rates(project: Project, told: Account) -> None:
    found = vital(project).scrape()
    assert found.value("count", item="a", counter="views") == 150
    assert found.value("count", item="b", counter="views") == 20  # carried
    assert found.value("count_per_minute", item="a", counter="views") == pytest.approx(60 / 180)
    assert found.value("crossings_total", source="blog", counter="views", rule="views crosses") == 1
    titles = {dict(labels)["item"]: dict(labels)["title"] for labels in found.samples("item_info")}
    assert titles["a"] == 'say "hi" \\'
    few = Vital(project, at(3.5), most_items=1).scrape()
    assert (few.value("count", counter="views"), few.value("items_left_out")) == (150, 2)


def test_a_credential_that_ends(project: Project, blog: Account) -> None:
    [reply] = pages(rows(a=90))
    ends = Page(reply.request, 200, reply.headers, at(0), reply.body, credential_expires=at(0) + timedelta(days=3))
    blog.tell(0, [ends])
    assert vital(project, 12).scrape().value("credential_days", source="blog") == 2.5


def test_messages_by_channel_and_result_and_incidents(project: Project, told: Account) -> None:
    lake, channel = told.lake, Channel(ADDRESS)
    with lake.sending():
        for key in ("2026-11-01T03-crossings", "2026-11-01T02-crossings"):
            lake.put(receipt_key(key, channel), {"key": key})
        lake.write_note(CHANNEL + channel.id, Failing(at(3), at(3), 4, "It answered with 500."), by=SENDING)
    trouble = Trouble("blog", Cause.TRANSPORT, at(3), at(3), "It cannot be reached.", "Wait.")
    with project.lake.project.sending():
        Book(project.lake.project).open(trouble, at(3))
    found = vital(project).scrape()
    assert found.value("messages", source="blog", channel=channel.id, result="sent") == 2
    assert found.value("messages", source="blog", channel=channel.id, result="failing") == 4
    assert found.value("incidents_open", subject="blog", cause="transport") == 1


def test_the_bytes_of_the_lake_are_those_of_its_files(project: Project, told: Account) -> None:
    told.lake.drop_note("nothing")
    files = [path for path in told.lake.root.rglob("*") if path.is_file()]
    for _ in range(2):
        assert vital(project).scrape().value("lake_bytes", source="blog") == sum(path.stat().st_size for path in files)


def test_a_spool_is_read_on_between_the_hours(project: Project) -> None:
    shop = shop_of(project)
    shop.program.reports(error(1, at=540), error(2, at=541), event("points.dropped", 3, count=7, reasons={"full": 7}))
    watched = Vital(project, MOMENT)  # ten minutes after the first event that a program can have told
    first = watched.scrape()
    assert first.value("count", item="point:db.failed", counter="errors") == 2
    assert first.value("count_last_minute", item="point:db.failed", counter="errors") == 2
    assert first.value("spool_dropped_events", source="shop") == 7
    assert shop.hour(0)
    shop.program.reports(error(4, at=600))
    watched.present = MOMENT + timedelta(seconds=70)
    second = watched.scrape()
    assert second.value("count", item="point:db.failed", counter="errors") == 3
    assert second.value("count_last_minute", item="point:db.failed", counter="errors") == 1


def test_what_a_collector_scraped_is_read_on_between_the_hours_beside_a_spool_of_events(project: Project) -> None:
    shop_of(project).program.reports(error(1, at=540))
    program = ScrapedProgram(answer({"500": 40, "404": 7}, {"queue_size": 90}, created=-9_000))
    with StandIn(program) as serving_program:
        server = server_of(project, serving_program.url)
        watched = Vital(project, MOMENT)
        before = watched.scrape()
        assert before.value("scrape_fault", source="server") == 0
        assert not [labels for labels in before.samples("count") if ("source", "server") in labels]
        assert server.hour(0)
        program.body = answer({"500": 41, "404": 7}, {"queue_size": 20}, created=-9_000)
        assert server.hour(1)
        server.spooled(
            *[
                (3600 + second, answer({"500": errors, "404": 8}, {"queue_size": 130}, created=-9_000))
                for second, errors in ((5, 42), (50, 95), (110, 96))
            ]
        )
    watched.present = MOMENT + timedelta(hours=1, seconds=62)
    found = watched.scrape()
    assert found.value("count", item='errors_total{code="500"}', counter="total") == 96
    assert found.value("count", item="sum:errors", counter="errors") == 104
    assert found.value("count", item="queue_size", counter="queue") == 130
    assert found.value("count_last_minute", item="sum:errors", counter="errors") == 55
    assert found.value("count_per_minute", item="sum:errors", counter="errors") == pytest.approx(1 / 60)
    assert found.value("count_per_minute", item="queue_size", counter="queue") is None
    assert found.value("missing_share", source="server", column="url") is not None
    assert found.value("check_passed", source="server", check="conserves_counts") == 1
    assert found.value("count", source="shop", item="point:db.failed", counter="errors") == 1
    assert {found.value("scrape_fault", source=name) for name in ("blog", "shop", "server")} == {0}
    few = Vital(project, watched.present, most_items=3).scrape()
    assert few.value("count", item="sum:errors", counter="errors") == 104
    assert few.value("count", item="queue_size", counter="queue") == 130
    assert few.value("items_left_out", source="server") == 2
    assert watched.said == []


# How it is told -----------------------------------------------------------------------------------


def test_the_scraper_chooses_between_openmetrics_and_the_older_text(project: Project, told: Account) -> None:
    with serving(vital(project).signs, 0) as address:
        new, old = scraped(address).answer, scraped(address, TEXT).answer
    assert new.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert new.text.endswith("# EOF\n")
    assert old.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert "# EOF" not in old.text
    assert 'ratchet_crossings_total{counter="views",rule="views crosses",source="blog"} 1.0' in old.text


def test_no_secret_is_told(project: Project, told: Account) -> None:
    with told.lake.sending():
        told.lake.put(receipt_key("2026-11-01T03-crossings", Channel(ADDRESS)), {"key": "x"})
    answer = vital(project).scrape().answer
    assert "ratchet_messages" in answer.text
    assert COOKIE not in answer.text
    assert "planted" not in answer.text


def test_a_damaged_file_is_said_and_takes_nothing_else_with_it(project: Project, told: Account) -> None:
    shop_of(project).program.reports(error(1, at=540))
    path = told.lake.path(VALIDATED, hour(3))
    path.write_bytes(b"PAR1 no more")
    watched = Vital(project, MOMENT)
    found = watched.scrape()
    assert (found.value("scrape_fault", source="blog"), found.value("scrape_fault", source="shop")) == (1, 0)
    assert found.value("count", item="point:db.failed", counter="errors") == 1
    assert found.value("lake_bytes", source="blog") is not None
    watched.scrape()
    assert len([words for words in watched.said if str(path) in words]) == 1


def test_a_fault_of_ratchet_itself_is_said_by_its_place_and_takes_nothing_else_with_it(
    project: Project, told: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise KeyError("planted")

    monkeypatch.setattr("pipeline.metrics.collector._add_present", crash)
    watched = Vital(project, MOMENT)
    found = watched.scrape()
    assert (found.value("awaited"), found.value("scrape_fault", source="blog")) == (1, 1)
    assert any("KeyError" in words for words in watched.said)
    assert not any("planted" in words for words in watched.said)


def test_a_source_whose_yaml_cannot_be_used_is_said(project: Project, told: Account) -> None:
    (project.defs / "broken").mkdir()
    (project.defs / "broken" / "defs.yaml").write_text("rules: [\n")
    found = vital(project).scrape()
    assert (found.value("scrape_fault", source="broken"), found.value("scrape_fault", source="blog")) == (1, 0)


# What it costs ------------------------------------------------------------------------------------


def test_a_lake_that_did_not_change_is_not_read_again(
    project: Project, told: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    def long_ago() -> None:
        """As if nothing had been published for a minute: what is fresh is not trusted to stay."""
        for folder in told.lake.root.rglob("*"):
            if folder.is_dir():
                found = folder.stat()
                os.utime(folder, ns=(found.st_atime_ns, found.st_mtime_ns - 60_000_000_000))

    reads: list[object] = []
    read = SourceSigns._read

    def counted(signs: SourceSigns, source: Source, now: datetime) -> History:
        reads.append(source)
        return read(signs, source, now)

    monkeypatch.setattr(SourceSigns, "_read", counted)
    long_ago()
    watched = vital(project, 4.1)
    with serving(watched.signs, 0) as address:
        for _ in range(3):
            scraped(address)
        assert len(reads) == 1
        told.tell(4, rows(a=160, c=2))
        assert scraped(address).value("count", item="a", counter="views") == 160
        assert len(reads) == 2
        long_ago()
        scraped(address)
        scraped(address)
        assert len(reads) == 3
        watched.present = at(6.1)  # an hour more has passed, which is a gap
        assert scraped(address).value("hours", state="gap") == 2


def test_a_report_that_was_made_again_is_counted_anew(project: Project, told: Account) -> None:
    watched = vital(project)
    assert watched.scrape().value("crossings_total") == 1
    told.correct(1, "accept")
    told.correct(3, "reject", made=21)
    assert not told.lake.exists(REPORT, hour(3))
    assert watched.scrape().value("crossings_total") is None


# The command --------------------------------------------------------------------------------------


def test_the_command_serves_on_loopback_until_it_is_stopped(project: Project, told: Account) -> None:
    command = [program("ratchet"), "metrics", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ}) as process:
        assert process.stdout is not None
        words = process.stdout.readline()
        address = words.split()[1].rstrip(".")
        assert address.startswith("http://127.0.0.1:")
        assert scraped(address).value("count", item="a", counter="views") == 150
        port = int(address.rpartition(":")[2].partition("/")[0])
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"http://127.0.0.2:{port}/metrics")  # this machine all the same, and not where it listens
        taken = ratchet("metrics", "--port", str(port))
        process.send_signal(signal.SIGINT)
        process.wait(30)
    assert taken.returncode == 2
    assert f"The port {port} of 127.0.0.1 cannot be used" in taken.stderr
    assert "Traceback" not in taken.stderr


def test_the_command_prints_them_once(project: Project, told: Account) -> None:
    printed = ratchet("metrics", "--once")
    assert (printed.returncode, printed.stderr) == (0, "")
    assert 'ratchet_hours{source="blog",state="observed"} 2.0' in printed.stdout
    assert printed.stdout.endswith("# EOF\n")


def test_no_page_is_needed(project: Project, blog: Account) -> None:
    """A source that captured nothing yet has its hours, all zero, and no age."""
    blog.capture(0, [page(b"")])
    found = vital(project).scrape()
    assert found.value("captures", result="unjudged") == 1
    assert found.value("last_accepted_age_seconds") is None
