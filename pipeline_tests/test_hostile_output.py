"""What a platform or an owner wrote takes no effect in a terminal or in a log: no escapes, no lines of its own."""

from __future__ import annotations

import csv
import re
import signal
import time
from dataclasses import replace
from pathlib import Path

import msgspec
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner

from pipeline import cli
from pipeline.asset_checks import verdict_words
from pipeline.cli import watch
from pipeline.cli.status import _decision_words
from pipeline.collecting import Collected
from pipeline.core.analysis.marks import make_mark
from pipeline.core.corrections import Choice
from pipeline.core.errors import Refused
from pipeline.core.history import read_report
from pipeline.core.hours import format_time
from pipeline.core.incidents.book import Book
from pipeline.core.incidents.troubles import Trouble
from pipeline.core.lake import VALIDATED
from pipeline.core.model import Cause, Finding
from pipeline.core.project import Project
from pipeline.core.records import Correction, Quarantine, decode
from pipeline.core.validation.words import names
from pipeline.notify.delivery import Delivery
from pipeline.sandbox.article import Article
from pipeline.scraping import Collector
from pipeline.serving import addresses
from pipeline_tests.core.account import Account, Row, a_source, hour, row
from pipeline_tests.core.snapshots import at
from pipeline_tests.dagster_parts import BLOG, HOUR, MOMENT, Blog, ratchet
from pipeline_tests.notify.reports import HOSTILE_TITLES
from pipeline_tests.notify.test_wording import ACTIVE

OBEYED = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""What a terminal would obey, but for the ends of our own lines."""
PLANTED = "ERROR planted"
HOSTILE = f"\x1b[2J\x9b31m\x1b]0;owned\x07\rtitle\u202e\u2028\n{PLANTED}"
FALLEN, ITEM = "n1", f"n2{HOSTILE}"


def listing(hours: int) -> list[Row]:
    views = {FALLEN: 90 + hours if hours != 5 else 1, ITEM: 50 + hours}
    return [row(key, count, name=f"{HOSTILE} {hours // 4}") for key, count in views.items()]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Hours with hostile titles and ids: one refused and taken as true, one refused; marks and an open incident."""
    folder = tmp_path_factory.mktemp("hostile")
    project = Project(defs=folder / "defs", data=folder)
    account = Account(project.lake.source("blog"), a_source())
    with account.lake.writing():
        for hours in range(14):
            account.tell(hours, listing(hours))
        account.tell(14, [row(FALLEN, 2, name=HOSTILE), row(ITEM, 70, name=HOSTILE)])
        account.correct(5, Choice("lower", (FALLEN,)), reason=HOSTILE)
        make_mark(account.lake, f"posted {HOSTILE}", by=HOSTILE, made_at=at(40), at=at(13.5), item_id=FALLEN)
    with project.lake.project.sending():
        Book(project.lake.project).open(Trouble("blog", Cause.REFUSED, at(14), at(14), HOSTILE, "Look."), at(14))
    attributes = {"source": "blog", "platform": {"kind": "note", "session_cookie": "planted"}, "end": "2026-11-01T14"}
    attributes["notify"] = ["json://127.0.0.1:9/"]
    program = {"kind": "openmetrics", "base_url": "http://127.0.0.1:9", "spool": str(folder / "spool")}
    for name, content in {"blog": attributes, "server": {"source": "server", "platform": program}, HOSTILE: {}}.items():
        file = project.defs / name / "defs.yaml"
        file.parent.mkdir(parents=True)
        file.write_text(yaml.safe_dump({"type": "pipeline.components.CounterSource", "attributes": content}))
    return project


def said(project: Project, capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Everything that a command prints, the end that `main` gives it included."""
    environment = {"RATCHET_DATA": str(project.data), "RATCHET_DEFS": str(project.defs), "COLUMNS": "200"}
    done = CliRunner().invoke(cli.cli, list(arguments), env=environment)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        cli._explain(done.exception, None)
    return done.output + "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("status",), "accepted by Ada on 2026-11-01 20:17: [2J"),
        (("status", "--json"), "quarantined_hours"),
        (("show", "blog"), "posted [2J"),
        (("show", "blog", FALLEN), "posted [2J"),
        (("show", "blog", "--json"), "owned"),
        (("show", "blog", HOSTILE), "has no item of that id"),
        (("digest", "blog"), "blog, "),
        (("report", "blog"), "blog.html"),
        (("mark", "blog", f"seen {HOSTILE}", "--by", HOSTILE), "Marked"),
        (("mark", "blog", "seen", "--item", HOSTILE), "has no item"),
        (("correct", "blog", hour(14).key, "--lower", HOSTILE, "--by", "Ada", "--reason", "r"), "Nothing fell of"),
        (("correct", "blog", HOSTILE, "--accept", "--by", "Ada", "--reason", "r"), "is not an hour"),
        (("source", "check", "blog", "--offline"), "good"),
        (("collect", HOSTILE), "There is no source called"),
        (("verify", "blog"), "files are sound"),
        (("source", "check"), "owned"),
        (("metrics", "--once"), "owned"),
        (("alert", "test"), "did not take the test"),
        (("watch", "blog", "--once"), "Error: "),
        (("scrape", "blog", "--once"), "has no spool"),
        (("import", "blog", HOSTILE), "Error: "),
        (("rebuild", HOSTILE), "There is no source called"),
    ],
    ids=lambda value: None if isinstance(value, str) else "-".join(value)[:24].encode("ascii", "ignore").decode(),
)
def test_nothing_in_what_a_command_prints_is_obeyed_by_a_terminal(
    made: Project, capfd: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str
) -> None:
    found = said(made, capfd, *arguments)
    assert words in found
    assert OBEYED.search(found) is None
    assert PLANTED not in found.splitlines()


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def test_what_stands_in_the_way_of_a_watcher_is_not_obeyed(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def look() -> list[Delivery]:
        raise Refused(HOSTILE, "Wait.")

    monkeypatch.setattr(time, "sleep", interrupted)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(KeyboardInterrupt):
        watch._watch(look)
    found = "".join(capfd.readouterr())
    assert "Trying until it works" in found
    assert OBEYED.search(found) is None


@pytest.mark.parametrize("once", [("--once",), ()], ids=["once", "for ever"])
def test_what_a_collector_says_is_not_obeyed(
    made: Project, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, once: tuple[str, ...]
) -> None:
    monkeypatch.setattr(Collector, "scrape", lambda _: HOSTILE)
    monkeypatch.setattr(Collector, "look", lambda _: ([], [HOSTILE]))
    monkeypatch.setattr(Collector, "run", lambda _, every, say, told: say(HOSTILE))
    found = said(made, capfd, "scrape", "server", *once)
    assert "owned" in found
    assert OBEYED.search(found) is None


def test_the_crossings_of_a_capture_are_not_obeyed(
    made: Project, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    crossed = next(
        report for number in range(14) if (report := read_report(made.lake.source("blog"), hour(number))).crossings
    )
    assert (crossed.crossings[0].title or "").startswith(HOSTILE)
    for title in (HOSTILE, None):
        told = replace(crossed.crossings[0], title=title, item_id=HOSTILE)
        report = msgspec.structs.replace(crossed, crossings=(told,))
        monkeypatch.setattr("pipeline.collecting.collect", lambda *_, report=report: Collected(report, [], None))
        found = said(made, capfd, "collect", "blog")
        assert "owned" in found
        assert OBEYED.search(found) is None


def test_the_words_of_a_decision_and_the_names_in_a_finding_are_not_obeyed() -> None:
    made = Correction("1", at(40), HOSTILE, HOSTILE, "lower", hour(5).key, "c", (HOSTILE,))
    decision = _decision_words(msgspec.to_builtins(made))
    for found in (decision, names(pd.DataFrame([{"title": HOSTILE, "item_id": HOSTILE}]))):
        assert found.count("owned") >= 2
        assert OBEYED.search(found) is None
        assert PLANTED not in found.splitlines()


def test_what_dagster_is_told_of_a_history_is_not_obeyed(blog: Blog, tmp_path: Path) -> None:
    """An import of which an hour is refused and then taken as true, and the same told to a new instance."""
    file = tmp_path / "past.csv"
    with file.open("w", newline="") as opened:
        lines = csv.writer(opened)
        lines.writerow(["captured_at", "item_id", "views", "likes", "comments", "title"])
        for number, count in enumerate((5, 1)):
            at = format_time((HOUR + (number - 4)).start)
            lines.writerows([at, f"{key}{HOSTILE}", count, 0, 0, HOSTILE] for key in ("n1", "n2"))
    refused = (HOUR + -3).key
    decided = ("--accept", "--by", HOSTILE, "--reason", HOSTILE)
    for arguments, words in (
        (("import", BLOG, str(file)), "1 refused."),
        (("correct", BLOG, refused, *decided), "accepted by"),
        (("rebuild", BLOG), "2 hours told to Dagster"),
    ):
        done = ratchet(*arguments, COLUMNS="200")
        assert words in " ".join(done.stdout.split()), done.stderr
        assert OBEYED.search(done.stdout + done.stderr) is None
        assert PLANTED not in (done.stdout + done.stderr).splitlines()


@pytest.mark.parametrize("command", [("verify", "blog"), ("metrics", "--once")], ids="-".join)
def test_a_name_on_the_disk_is_not_obeyed_either(
    made: Project, capfd: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    stray = made.lake.source("blog").root / VALIDATED / "month=2026-11" / f"stray{HOSTILE}.parquet"
    stray.touch()
    try:
        found = said(made, capfd, *command)
    finally:
        stray.unlink()
    assert "stray [2J" in found
    assert OBEYED.search(found) is None


def test_an_error_of_any_kind_is_printed_without_its_escapes(capfd: pytest.CaptureFixture[str]) -> None:
    for error in (Refused(HOSTILE, "Wait."), ValueError(HOSTILE)):
        cli._explain(error, None)
        assert OBEYED.search("".join(capfd.readouterr())) is None


def test_a_title_writes_no_line_of_its_own_into_the_log_of_a_run(blog: Blog) -> None:
    views = {FALLEN: 90, "n2": 80}
    blog.sandbox.listing = lambda: [Article(key, HOSTILE, MOMENT, count, 0, 0) for key, count in views.items()]
    assert blog.capture().success
    views[FALLEN] = 1
    assert blog.capture(MOMENT.replace(hour=MOMENT.hour + 1)).blocked
    (run, *_) = blog.instance.get_runs(limit=1)
    logged = [entry.user_message for entry in blog.instance.all_logs(run.run_id)]
    logged += [str(entry.dagster_event.message) for entry in blog.instance.all_logs(run.run_id) if entry.dagster_event]
    [capture] = blog.lake.refused()
    reason = decode(blog.lake.quarantine(capture), Quarantine).reason
    assert "owned" in reason
    for text in [*logged, reason]:
        assert OBEYED.search(text) is None
        assert PLANTED not in text.splitlines()


@pytest.mark.parametrize("title", HOSTILE_TITLES.values(), ids=HOSTILE_TITLES)
def test_a_title_is_no_markup_in_what_the_ui_shows_of_a_check(title: str) -> None:
    """The UI takes a description for Markdown."""
    finding = Finding("unique_items", False, f"1 item stands twice: {title}.", 1)
    assert not ACTIVE.search(verdict_words(finding)["description"].removesuffix("."))


def test_dev_names_every_source_and_says_which_are_simulated() -> None:
    shop = a_source(name="a_longer_name", simulated=True)
    assert addresses([a_source(), shop], 3001) == [
        "blog           http://127.0.0.1:3001/locations/__repository__@pipeline/asset-groups/blog/lineage",
        "a_longer_name  http://127.0.0.1:3001/locations/__repository__@pipeline/asset-groups/a_longer_name/lineage"
        "  (simulated)",
    ]
