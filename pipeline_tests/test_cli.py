"""What the commands say and end with where nothing goes as wished: arguments, broken files, signals, faults."""

from __future__ import annotations

import io
import json
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from pydantic import BaseModel, SecretStr
from rich.console import Console

from pipeline import cli, collecting, serving
from pipeline.cli.collect import command as collect_command
from pipeline.cli.dev import command as dev_command
from pipeline.cli.drill import _print_table as drill_table
from pipeline.cli.summary import hours_words, print_summary
from pipeline.core.corrections import decide
from pipeline.core.errors import ConfigError
from pipeline.core.history import read_report
from pipeline.core.hours import Hour
from pipeline.core.ledger import Ledger
from pipeline.core.model import Crossing, HourState, RuleKind
from pipeline.core.project import Project
from pipeline.core.text import counted
from pipeline.core.withheld import withhold
from pipeline.drill.drilling import Row
from pipeline.replaying import Replay
from pipeline.sandbox.article import Article
from pipeline.sandbox.server import NoteSandbox
from pipeline.serving import _echo
from pipeline_tests.dagster_parts import (
    BLOG,
    COOKIE,
    COOKIE_VARIABLE,
    HOUR,
    MOMENT,
    STATUS_HEAD,
    Account,
    Blog,
    made_blog,
    made_project,
    program,
    ratchet,
    some_articles,
    write_source,
)

NOWHERE = "http://127.0.0.1:9"


# Correct --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("2026-04-04T12", "--accept", "--reject"), "A correction does one thing."),
        (("2026-04-04T12",), "A correction accepts or rejects.\n"),
        (("2026-04-04T12", "--lower", "n1", "--accept"), "Keep one of --accept, --lower and --reject."),
        (("2026-04-04T12", "--lower", "n1"), "captured nothing at 2026-04-04T12"),
        (("noon", "--accept"), "Take one of the keys of `hours` in `ratchet status SOURCE --json`."),
        (("2026-04-04T12", "--accept"), "captured nothing at 2026-04-04T12"),
        (("2026-04-04T12", "--accept"), f"No hour of {BLOG} is refused: ratchet status {BLOG}"),
    ],
)
def test_a_correction_that_cannot_be_is_refused_before_dagster_is_imported(
    project: Project, arguments: tuple[str, ...], words: str
) -> None:
    write_source(project, BLOG, NOWHERE)
    done = ratchet("correct", BLOG, *arguments, "--by", "Ada", "--reason", "I looked", PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not re.search(r"\| +dagster$", done.stderr, re.MULTILINE)


# Status and rebuild of every source -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, new_home: Path) -> Iterator[Project]:
    """A source with an accepted and a rejected hour, a broken one, and some that the present brings nothing."""
    with made_project(tmp_path_factory.mktemp("told"), new_home) as project, made_blog(project) as blog:
        assert blog.capture(MOMENT - timedelta(hours=1)).success
        assert blog.capture().success
        decide(blog.lake, blog.source, HOUR, "reject", by="Ada", reason="tests", made_at=MOMENT)
        blog.runs.history()
        write_source(project, "a_broken_one", NOWHERE, colour="red")
        write_source(project, "idle", NOWHERE, enabled=False)
        write_source(project, "over", NOWHERE, end="2026-04-01")
        write_source(project, "ending", NOWHERE, end=Hour.of(datetime.now(UTC) + timedelta(minutes=3)).key)
        write_source(project, "silent", NOWHERE)
        write_source(project, "trial", NOWHERE, simulated=True)
        yield project


def test_the_status_shows_the_last_day_as_marks_the_totals_and_what_the_owner_decided(told: Project) -> None:
    done = ratchet("status", BLOG, COLUMNS="200")
    assert done.returncode == 0, done.stderr
    assert "✎ blog 2026-04-04T12 rejected by Ada on 2026-04-04 12:17: tests" in done.stdout
    table = done.stdout.splitlines()
    assert table[0].split() == STATUS_HEAD
    name, marks, observed, quarantined, _, *accepted = table[1].split()
    assert (name, marks, observed, quarantined) == (BLOG, 24 * "·", "1", "1")
    assert accepted == ["2026-04-04"]
    assert ["source", "last", "incident", "credential"] in [line.split() for line in table]


def test_the_status_of_a_narrow_terminal_cuts_nothing(told: Project) -> None:
    narrow, wide = (ratchet("status", COLUMNS=columns).stdout.splitlines()[:6] for columns in ("50", "200"))
    assert narrow == wide
    assert "…" not in ratchet("status", COLUMNS="30").stdout


BROKEN = ("a_broken_one", "defs.yaml:", "there is no key 'colour'", "The keys are: source,")


def test_a_source_that_is_over_is_said_to_have_ended(told: Project) -> None:
    table, *_ = ratchet("status", COLUMNS="200").stdout.split("\n\n")
    lines = {line.split()[0]: line for line in table.splitlines()}
    assert lines["over"].rstrip().endswith("(ended)")
    assert "(ended)" not in lines[BLOG] + lines["ending"]


def test_a_broken_source_keeps_the_status_of_the_others_from_nobody(told: Project) -> None:
    done = ratchet("status")
    assert done.returncode == 2
    assert all(words in done.stderr for words in BROKEN)
    assert BLOG in done.stdout
    assert "silent" in done.stdout
    assert "a_broken_one" not in done.stdout


def test_a_broken_source_is_left_out_of_the_json(told: Project) -> None:
    done = ratchet("status", "--json")
    assert done.returncode == 2
    assert list(json.loads(done.stdout)) == [BLOG, "ending", "idle", "over", "silent", "trial"]
    assert all(words in done.stderr for words in BROKEN)


def test_the_status_of_all_tells_the_history_of_a_source_whose_cookie_is_not_set_and_that_it_is_not(
    told: Project,
) -> None:
    done = ratchet("status", "--json", **{COOKIE_VARIABLE: ""})
    assert done.returncode == 2
    assert json.loads(done.stdout)[BLOG]["observed"] == 1
    assert f"{BLOG}/defs.yaml:6: the variable {COOKIE_VARIABLE} is not set" in done.stderr


def test_history_is_read_without_the_cookie_that_a_capture_needs(told: Project) -> None:
    unset = {COOKIE_VARIABLE: ""}
    status = ratchet("status", BLOG, **unset)
    assert (status.returncode, "2026-04-04T12 rejected by Ada" in status.stdout) == (0, True)
    assert f"the variable {COOKIE_VARIABLE} is not set" in status.stderr
    assert status.stderr.rstrip().endswith(f"Put {COOKIE_VARIABLE}=... into .env or the environment.")
    for reading in ("report", "show", "digest", "verify"):
        read = ratchet(reading, BLOG, **unset)
        assert (read.returncode, read.stderr) == (0, ""), reading
    assert ratchet("export", BLOG, "-o", str(told.data / "history.csv"), **unset).returncode == 0
    for capturing in (("collect", BLOG), ("digest", BLOG, "--send"), ("rebuild", BLOG)):
        refused = ratchet(*capturing, **unset)
        assert (refused.returncode, f"the variable {COOKIE_VARIABLE} is not set" in refused.stderr) == (2, True)


def test_a_broken_source_keeps_the_rebuild_of_the_others_from_nobody(told: Project) -> None:
    done = ratchet("rebuild")
    assert done.returncode == 2
    assert f"{BLOG}: 2 hours told to Dagster." in done.stdout
    assert "trial: the lake holds nothing yet." in done.stdout
    assert all(words in done.stderr for words in BROKEN)


def test_max_age_of_all_asks_only_what_the_present_should_bring(told: Project) -> None:
    done = ratchet("status", "--max-age", "2h")
    stale = [line for line in done.stderr.splitlines() if "accepted" in line]
    assert stale == [
        f"{BLOG} has accepted nothing since 2026-04-04T11:17:00Z. Run: ratchet collect {BLOG}",
        "ending has never accepted anything. Run: ratchet collect ending",
        "silent has never accepted anything. Run: ratchet collect silent",
    ]
    assert done.returncode == 2


@pytest.mark.parametrize("name", ["idle", "over", "trial"])
def test_max_age_of_one_source_always_asks_it(told: Project, name: str) -> None:
    done = ratchet("status", name, "--max-age", "2h")
    assert (done.returncode, f"{name} has never accepted anything" in done.stderr) == (1, True)


def test_a_channel_that_could_take_no_message_is_told_by_the_status_without_its_address(
    told: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RATCHET_TEST_HOOK", "http://127.0.0.1:1/planted-token")
    write_source(told, "trial", NOWHERE, simulated=True, notify=["{{ env.RATCHET_TEST_HOOK }}"])
    done = ratchet("status", "trial")
    assert "! trial: no message can be sent to its channel http-" in done.stdout
    assert "ratchet source check trial --offline" in done.stdout
    assert "planted-token" not in done.stdout + done.stderr
    assert "no message can be sent" not in ratchet("status", BLOG).stdout
    write_source(told, "trial", NOWHERE, simulated=True)


def test_a_rejected_hour_is_told_as_rejected_once(told: Project) -> None:
    assert f"{BLOG} {HOUR.key} rejected by Ada: tests\n" in ratchet("status", BLOG).stdout


def test_what_is_said_of_an_hour_is_one_line_where_no_terminal_is(told: Project) -> None:
    assert re.search(r"^✗ blog 2026-04-04T12 rejected by .*tests", ratchet("status", COLUMNS="20").stdout, re.MULTILINE)


def test_the_room_of_each_source_is_told_with_its_growth_by_the_year(told: Project) -> None:
    said = ratchet("status", "--storage").stdout
    assert re.search(rf"{BLOG}: 0\.\d MB in \d+ files for 2 hours; a year of its hours takes [\d.]+ MB\.\n", said)
    assert ratchet("status", BLOG, "--storage").stdout in said


def test_a_check_of_one_rule_says_so(project: Project) -> None:
    write_source(project, BLOG, NOWHERE, rules=[{"counter": "views", "crosses": [100]}])
    write_source(project, "silent", NOWHERE)
    said = ratchet("source", "check").stdout
    assert "; 1 rule.\n" in said
    assert "; 0 rules.\n" in said


def test_one_of_a_kind_is_told_as_one() -> None:
    hours = {HOUR: HourState.OBSERVED, HOUR + 1: HourState.GAP}
    assert hours_words(Ledger(BLOG, hours)) == "1 hour observed, 0 quarantined, 1 gap"
    assert hours_words(Ledger(BLOG, hours | {HOUR + 2: HourState.GAP})).endswith("2 gaps")
    assert counted(1_204, "gap") == "1,204 gaps"


def test_a_drill_of_one_fault_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    drill_table([Row("401", "12", "it ended with 12", True)])
    assert capsys.readouterr().out.endswith("1 fault: 1 loud, 0 quiet, 0 not injected.\n")


@pytest.mark.parametrize("terminal", [True, False])
def test_the_reason_of_a_refusal_breaks_between_words_on_a_terminal_and_nowhere_else(
    blog: Blog, terminal: bool
) -> None:
    assert blog.capture(MOMENT - timedelta(hours=1)).success
    blog.account.views = dict.fromkeys(blog.account.views, 1)
    assert blog.capture().blocked
    out = io.StringIO()
    print_summary(Console(file=out, width=60, force_terminal=terminal, color_system=None), blog.lake, blog.source)
    said = out.getvalue()
    (refused,) = re.findall(r"^  quarantined.*?(?=\n  crossings)", said, re.MULTILINE | re.DOTALL)
    assert len(refused) > 120
    assert ("\n" in refused) is terminal
    if terminal:
        assert max(map(len, refused.splitlines())) <= 60
    assert f"Files   {blog.lake.root}\n" in said


# Collect --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("title", "shown"), [("Red \x1b[31mend\n", "Red [31mend"), ("\x1b\u202e", "n1 [2J"), (None, "n1")]
)
def test_a_title_reaches_the_terminal_without_its_escapes(
    blog: Blog, monkeypatch: pytest.MonkeyPatch, title: str | None, shown: str
) -> None:
    assert blog.capture().success
    report = read_report(blog.lake, HOUR)
    item = "n1" if title is None else "n1\x1b[2J"
    crossing = Crossing("views crosses", RuleKind.CROSSES, "views", item, title, None, 100.0, 120.0, 90.0, HOUR.key)

    def collected(*_: object) -> collecting.Collected:
        import msgspec

        return collecting.Collected(msgspec.structs.replace(report, crossings=(crossing,)), [], None)

    monkeypatch.setattr(collecting, "collect", collected)
    said = CliRunner().invoke(collect_command, [BLOG]).output
    assert "\x1b" not in said
    assert f"  {shown}: 100 views (90 → 120)\n" in said


# How a command ends ---------------------------------------------------------------------------------------


class Slow:
    """A listing that a test can wait for, and that answers only when it is let."""

    def __init__(self) -> None:
        self.asked, self.let = threading.Event(), threading.Event()
        self.account: Account = some_articles()

    def __call__(self) -> list[Article]:
        self.asked.set()
        self.let.wait(60)
        return self.account()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_command_in_one_line(project: Project, number: int, code: int) -> None:
    slow = Slow()
    with NoteSandbox(slow, cookie=COOKIE) as sandbox:
        write_source(project, BLOG, sandbox.url)
        running = subprocess.Popen(
            [program("ratchet"), "collect", BLOG], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            assert slow.asked.wait(60)
            running.send_signal(number)
            out, err = running.communicate(timeout=60)
        finally:
            running.kill()
            slow.let.set()
    assert (running.returncode, out) == (code, "")
    assert err.strip() == "Interrupted. Nothing accepted is lost; run it again."


def test_an_interrupt_without_a_signal_ends_as_ctrl_c_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ends(monkeypatch, KeyboardInterrupt()) == 130
    assert capsys.readouterr().err.strip() == "Interrupted. Nothing accepted is lost; run it again."


def test_a_fault_of_ratchet_itself_says_so_behind_its_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ends(monkeypatch, ZeroDivisionError("planted")) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("Traceback")
    assert lines[-2:] == [
        "ZeroDivisionError: planted",
        "This is a fault in Ratchet; please report it with the text above.",
    ]


class Channel(BaseModel):
    address: SecretStr


def test_a_fault_of_ratchet_itself_is_told_without_the_secrets_in_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    withhold(Channel(address=SecretStr("json://hooks.example/planted-'token'")))
    assert ends(monkeypatch, ValueError({"url": "https://hooks.example/planted-'token'?x"})) == 1
    assert "ValueError: {'url': \"https://hooks.example/(withheld)?x\"}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [(("--help",), 0, ""), (("nonsense",), 2, "No such command"), (("status", "--max-age", "x"), 2, "is not an age")],
)
def test_help_and_wrong_usage_end_as_they_always_did(arguments: tuple[str, ...], code: int, words: str) -> None:
    done = ratchet(*arguments)
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def ends(monkeypatch: pytest.MonkeyPatch, fault: BaseException) -> int:
    """The exit code of a command that raises ``fault``."""

    def raising(*_: object) -> None:
        raise fault

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(sys, "argv", ["ratchet", "status"])
    monkeypatch.setattr(cli.cli, "get_command", raising)
    try:
        with pytest.raises(SystemExit) as caught:
            cli.main()
    finally:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, before)
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_a_port_that_is_taken_is_told_before_anything_is_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Replay, "of_recording", lambda *_: pytest.fail("the recording was looked at first"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        result = CliRunner().invoke(dev_command, ["--replay", "--port", port])
    assert isinstance(result.exception, ConfigError)
    assert f"Port {port} of 127.0.0.1 cannot be opened" in result.exception.what


def test_the_log_of_dagster_has_no_colours_where_no_terminal_is(capsys: pytest.CaptureFixture[str]) -> None:
    _echo(["\x1b[32m2026-11-26\x1b[0m - dagster - INFO\n"])
    assert capsys.readouterr().out == "2026-11-26 - dagster - INFO\n"


def test_what_dagster_says_is_read_to_its_end_also_when_nobody_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("pipeline.serving.click.echo", broken)
    said = iter(["a line\n"] * 3)
    serving._echo(said)
    assert list(said) == []
