"""`ratchet import`: the past of a source through the same checks, into the lake and into Dagster's eyes."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from pipeline.core.history import read_report
from pipeline.core.history_files.reading import read_past
from pipeline.core.hours import Hour, format_time
from pipeline.core.lake import DELTA, REPORT, REPORT_TEXT, VALIDATED
from pipeline.core.ledger import read_ledger
from pipeline.core.model import HourState, Origin
from pipeline.core.records import Quarantine, decode
from pipeline.core.untold import untold
from pipeline.graph import RAW, SNAPSHOT
from pipeline.graph import REPORT as REPORTS
from pipeline.importing import Import, Result
from pipeline.notify.sending import unsent
from pipeline.running import Outcome
from pipeline.site.build import site_folder
from pipeline_tests.dagster_parts import BLOG, HOUR, MOMENT, Blog, made_blog, published, ratchet, stored_files
from pipeline_tests.graphql import asking_in_process, shown
from pipeline_tests.torture.contents import Contents

# Dagster reads components through a function of Pydantic that is deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::pydantic.PydanticDeprecatedSince20")

NOW = MOMENT + timedelta(days=1)
FIRST = Hour.of(MOMENT) + -30
BAD = FIRST + 9
Views = Mapping[str, int]


def views_of(hours: int) -> Views:
    """The eight articles of the account, as they stood so many hours after FIRST."""
    return {f"n{number}": 20 + 10 * number + hours for number in range(1, 9)}


def rows(hour: Hour, views: Views, minute: int = 5) -> Iterator[str]:
    at = format_time(hour.start + timedelta(minutes=minute))
    yield from (f"{at},{item},{count},{count // 10},1,Article {item}" for item, count in views.items())


def write_csv(file: Path, *captures: Iterator[str]) -> Path:
    lines = [line for capture in captures for line in capture]
    file.write_text("\n".join(["captured_at,item_id,views,likes,comments,title", *lines]) + "\n")
    return file


def a_day(folder: Path) -> Path:
    """24 hours; in the tenth an article's views fall, and all are back afterwards."""
    told = {FIRST + n: views_of(n) for n in range(24)}
    told[BAD] = {**told[BAD], "n3": 1}
    return write_csv(folder / "day.csv", *(rows(hour, views) for hour, views in told.items()))


def put_in(blog: Blog, file: Path) -> Import:
    """Everything that the command does to the lake, without telling Dagster."""
    with blog.lake.writing():
        work = Import.of(blog.lake, blog.source, read_past(file, blog.source, NOW, None, None, None))
        for _ in (*work.store(), *work.settle()):
            pass
    return work


def test_a_day_of_which_the_tenth_hour_is_bad_and_once_more(blog: Blog, tmp_path: Path) -> None:
    file = a_day(tmp_path)
    done = ratchet("import", BLOG, str(file), COLUMNS="200")
    assert done.returncode == 17, done.stderr
    assert "24 read, 24 stored" in done.stdout
    assert "23 accepted, 1 refused" in done.stdout
    assert f"refused {BAD.key} by non_decreasing_counts: views fell for 1 item" in done.stdout
    assert "1 hour of the file was refused, 23 accepted" in done.stderr
    assert f"If one is true: ratchet correct {BLOG} HOUR --accept" in done.stderr

    ledger = read_ledger(blog.lake, blog.source, (FIRST + 24).start)
    assert [hour for hour, state in ledger.hours.items() if state is HourState.QUARANTINED] == [BAD]
    assert ledger.count(HourState.OBSERVED) == 23
    advice = f"If it is true, say so: ratchet correct {BLOG} {BAD.key} --accept --by NAME --reason TEXT"
    assert advice in ratchet("status", BLOG, COLUMNS="200").stdout
    record = decode(blog.lake.quarantine(blog.lake.refused()[0]), Quarantine)
    assert (record.origin, record.failed) == (Origin.IMPORT, ("non_decreasing_counts",))
    assert untold(blog.lake) == set()
    assert "23 of " in (site_folder(blog.project) / f"{BLOG}.html").read_text()
    with asking_in_process(blog.instance) as ask:
        states = shown(ask, BLOG)
    for asset in (SNAPSHOT, REPORTS):
        assert hours_shown(states[asset]) == {
            hour.partition_key: "FAILED" if hour == BAD else "MATERIALIZED" for hour in FIRST.through(FIRST + 23)
        }
    assert states[f"{RAW}: non_decreasing_counts"]["ranges"] == [
        {"startKey": BAD.partition_key, "endKey": BAD.partition_key, "status": "FAILED"}
    ]
    runs = blog.instance.get_runs()
    assert len(runs) == 2
    assert {run.status for run in runs} == {dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.SUCCESS}

    files = stored_files(blog.lake.root)
    again = ratchet("import", BLOG, str(file), COLUMNS="200")
    assert again.returncode == 17
    assert "Nothing was changed" in again.stdout
    assert "24 read, 0 stored, 24 in the lake before" in again.stdout
    assert stored_files(blog.lake.root) == files
    assert len(blog.instance.get_runs()) == len(runs)


def hours_shown(ranges: list[dict[str, str]]) -> dict[str, str]:
    """Each partition of the ranges that the UI draws, with its state."""
    return {
        hour.partition_key: part["status"]
        for part in ranges
        for hour in Hour.parse(part["startKey"]).through(Hour.parse(part["endKey"]))
    }


def test_older_history_that_unmakes_accepted_hours_says_so(blog: Blog, tmp_path: Path) -> None:
    put_in(blog, write_csv(tmp_path / "true.csv", *(rows(FIRST + n, views_of(n)) for n in (5, 6))))
    wrong = write_csv(tmp_path / "wrong.csv", rows(FIRST, dict.fromkeys(views_of(0), 999)))
    done = ratchet("import", BLOG, str(wrong), COLUMNS="200")
    assert done.returncode == 17, done.stdout
    assert "1 accepted, 0 refused" in done.stdout
    first, last = FIRST + 5, FIRST + 6
    assert f"2 hours that stood accepted are refused after this history, {first} to {last}" in done.stderr
    assert f"ratchet correct {BLOG} HOUR --reject" in done.stderr


def test_a_file_that_cannot_be_used_changes_nothing(blog: Blog, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "f.csv", rows(FIRST, {"a": 1}))
    file.write_text(file.read_text().replace("Z,", ",", 1))
    done = ratchet("import", BLOG, str(file))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"Error: {file}:2: captured_at")
    assert "--timezone" in done.stderr
    assert ratchet("import", BLOG, str(file), "--timezone", "Mars/Olympus").returncode == 2
    assert not blog.lake.root.exists()


def test_history_in_any_order_makes_the_lake_that_one_import_makes(blog: Blog, tmp_path: Path) -> None:
    captures = {n: list(rows(FIRST + n, views_of(n))) for n in range(6)}
    put_in(blog, write_csv(tmp_path / "late.csv", *(iter(captures[n]) for n in (3, 4, 5))))
    work = put_in(blog, write_csv(tmp_path / "early.csv", *(iter(captures[n]) for n in (0, 1, 2))))
    assert (work.stored, work.observed, len(work.pending)) == (0, 0, 3)
    # The first of the later hours had no predecessor, and all of them count the hours before.
    assert {blog.lake.generations(kind, FIRST + 3) for kind in (VALIDATED, DELTA, REPORT, REPORT_TEXT)} == {1}
    assert blog.lake.generations(DELTA, FIRST + 4) == 0
    in_parts = published(blog.lake)
    with made_again(blog):
        put_in(blog, write_csv(tmp_path / "all.csv", *map(iter, captures.values())))
        assert published(blog.lake) == in_parts


@contextmanager
def made_again(blog: Blog) -> Iterator[None]:
    """The lake put aside, so that the same source starts with an empty one."""
    blog.lake.root.rename(blog.lake.root.with_suffix(".aside"))
    yield


_KILLED = """
import os, signal, sys
from pathlib import Path
from pipeline.core.history_files.reading import read_past
from pipeline.core.hours import parse_time
from pipeline.core.project import Project
from pipeline.core.sources import find_source
from pipeline.importing import Import
project = Project.here()
source = find_source(project, "blog")
lake = project.lake.source("blog")
with lake.writing():
    past = read_past(Path(sys.argv[1]), source, parse_time(sys.argv[2]), None, None, None)
    work = Import.of(lake, source, past)
    for steps in (work.store(), work.settle()):
        for done, _ in enumerate(steps, start=1):
            if done == 4 and steps.__name__ == sys.argv[3]:
                os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("when", ["store", "settle"])
def test_an_import_that_was_killed_is_finished_by_the_next_one(blog: Blog, tmp_path: Path, when: str) -> None:
    file = a_day(tmp_path)
    arguments = [sys.executable, "-c", _KILLED, str(file), format_time(NOW), when]
    killed = subprocess.run(arguments, capture_output=True, text=True, timeout=120, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(untold(blog.lake)) == 24
    work = put_in(blog, file)
    assert len(work.pending) == (20 if when == "store" else 0)
    assert work.result().accepted == 23
    assert untold(blog.lake) == set(FIRST.through(FIRST + 23))
    facts = Contents.of(blog.lake).facts
    with made_again(blog):
        put_in(blog, file)
        assert Contents.of(blog.lake).facts == facts


def test_an_hour_that_was_observed_stays_and_a_refused_one_can_be_filled(blog: Blog, tmp_path: Path) -> None:
    assert blog.capture() == Outcome(True)
    blog.account.views |= {"n1": 1}
    assert blog.capture(MOMENT + timedelta(hours=1)).blocked
    files = published(blog.lake)
    views = {"n1": 75} | {f"n{number}": 60 + 10 * number for number in range(2, 9)}
    work = put_in(blog, write_csv(tmp_path / "f.csv", rows(HOUR, views), rows(HOUR + 1, views)))
    assert (len(work.pending), work.observed) == (1, 1)
    assert files.items() <= published(blog.lake).items()
    assert work.result() == Result(2, ())
    assert read_report(blog.lake, HOUR).origin is Origin.LIVE
    assert read_report(blog.lake, HOUR + 1).origin is Origin.IMPORT


@pytest.fixture
def telling_blog(blog: Blog) -> Iterator[Blog]:
    """The source with a channel; nobody listens there."""
    rules = [{"counter": "views", "crosses": [100, 200]}]
    with made_blog(blog.project, rules=rules, notify=["json://127.0.0.1:1/told"]) as told:
        yield told


def test_no_import_sends_a_message_and_no_mark_that_it_passed_is_told_again(telling_blog: Blog, tmp_path: Path) -> None:
    blog = telling_blog
    past = [rows(HOUR + n, {"n1": views}) for n, views in ((-3, 90), (-2, 105), (-1, 140))]
    put_in(blog, write_csv(tmp_path / "f.csv", *past))
    assert [crossing.threshold for crossing in read_report(blog.lake, HOUR + -2).crossings] == [100.0]
    blog.account.views = {"n1": 150}
    assert blog.capture() == Outcome(True)
    assert read_report(blog.lake, HOUR).crossings == ()
    assert unsent(blog.lake, blog.source, FIRST) == []
    blog.account.views = {"n1": 210}
    assert blog.capture(MOMENT + timedelta(hours=1)) == Outcome(True)
    assert unsent(blog.lake, blog.source, FIRST) == [HOUR + 1]


def test_a_live_hour_that_older_history_makes_again_sends_nothing(telling_blog: Blog, tmp_path: Path) -> None:
    blog = telling_blog
    assert blog.capture() == Outcome(True)
    assert read_report(blog.lake, HOUR).crossings == ()
    put_in(blog, write_csv(tmp_path / "f.csv", rows(FIRST, dict.fromkeys(blog.account.views, 60))))
    assert blog.lake.generations(REPORT, HOUR) == 1
    assert {crossing.threshold for crossing in read_report(blog.lake, HOUR).crossings} == {100.0}
    assert unsent(blog.lake, blog.source, FIRST) == []


def test_a_folder_of_replies_is_read_by_the_adapter(blog: Blog, tmp_path: Path) -> None:
    folder = tmp_path / "scraped"
    folder.mkdir()
    counts = '"like_count": 1, "comment_count": 0'
    for n, count in enumerate((3, 4, "null", 5)):
        stamp = (FIRST + n).start.astimezone(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
        articles = f'[{{"key": "a", "name": "A", "read_count": {count}, {counts}}}]'
        (folder / f"{stamp}.json").write_text(f'{{"data": {{"note_stats": {articles}, "last_page": true}}}}')
    (folder / f"{(FIRST + 4).key}.json").write_text("<html>")
    result = put_in(blog, folder).result()
    assert result.accepted == 3
    assert [record.failed for record in result.refused] == [("required_fields",), ("readable_listing",)]
    advice = str(result.error(blog.source))
    assert "No sound snapshot can be made of them; another capture" in advice
    assert "ratchet correct" not in advice


def test_only_what_can_be_true_of_a_file_is_said_to_be_correctable(blog: Blog, tmp_path: Path) -> None:
    folder = tmp_path / "scraped"
    folder.mkdir()
    for n, count in enumerate((3, 1, "null")):
        articles = f'[{{"key": "a", "name": "A", "read_count": {count}, "like_count": 1, "comment_count": 0}}]'
        (folder / f"{(FIRST + n).key}.json").write_text(f'{{"data": {{"note_stats": {articles}, "last_page": true}}}}')
    advice = str(put_in(blog, folder).result().error(blog.source))
    assert "No sound snapshot can be made of 1 of them" in advice
    assert f"If one of the others is true: ratchet correct {BLOG} HOUR --accept" in advice


def test_time_is_that_of_the_file_and_not_the_present(blog: Blog, tmp_path: Path) -> None:
    put_in(blog, write_csv(tmp_path / "f.csv", rows(FIRST, {"a": 1})))
    assert blog.lake.captures()[0].captured_at == datetime(2026, 4, 3, 6, 5, tzinfo=UTC)
