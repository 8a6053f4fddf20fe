"""`ratchet source add` and `source check`: questions, one look at the live platform, and a secret in one place only."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stamina
from click.testing import CliRunner, Result

from pipeline.cli.source import command
from pipeline.core import project as project_module
from pipeline.core.errors import ConfigError, DeadSession, RatchetError, Refused, TransportFault
from pipeline.core.project import Project
from pipeline.core.source_file import keep_secret, write_source_file
from pipeline.core.sources import read_source
from pipeline.platforms.openmetrics.adapter import OpenMetrics
from pipeline.sandbox.article import Article
from pipeline.sandbox.faults import Reply
from pipeline.sandbox.server import NoteSandbox
from pipeline_tests.dagster_parts import MOMENT
from pipeline_tests.platforms.openmetrics.parts import Told, answer
from pipeline_tests.platforms.stand_in import StandIn, answers

SECRET = "planted-session-of-the-owner"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    monkeypatch.setattr(project_module, "ROOT", tmp_path)
    monkeypatch.setenv("RATCHET_DEFS", str(tmp_path / "defs"))
    monkeypatch.setenv("RATCHET_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    with stamina.set_testing(True, attempts=1):
        yield Project.here()


@pytest.fixture
def sandbox() -> Iterator[NoteSandbox]:
    articles = [Article(f"n{n}", f"Article [bold]{n}[/]", MOMENT, 100 + n, n, 0) for n in range(7)]
    with NoteSandbox(lambda: articles, cookie=SECRET) as running:
        yield running


def ask(*arguments: str, answers: str = "") -> Result:
    return CliRunner().invoke(command, arguments, input=answers)


def add(sandbox: NoteSandbox, answers: str, *more: str) -> Result:
    here = ("--set", f"base_url={sandbox.url}", "--set", "requests_per_second=1000")
    return ask("add", "--platform", "note", "--name", "my_blog", *here, *more, answers=answers)


def fault(result: Result) -> RatchetError:
    assert isinstance(result.exception, RatchetError), result.output
    return result.exception


def test_a_source_is_asked_for_written_and_its_first_items_are_shown(
    checkout: Project, sandbox: NoteSandbox, tmp_path: Path
) -> None:
    result = add(sandbox, f"\n{SECRET}\n")
    assert result.exit_code == 0, result.output
    assert "7 items in 1 request; the first 5 are" in result.output
    assert "n4" in result.output
    assert "n5" not in result.output
    assert "Article [bold]1[/]" in result.output
    assert len(sandbox.requests) == 1
    source = read_source(checkout.defs / "my_blog" / "defs.yaml")
    assert (source.platform.credential, source.enabled, source.counter_names) == (
        SECRET,
        True,
        ("views", "likes", "comments"),
    )


def test_an_id_is_shown_so_that_it_can_be_copied_and_takes_no_effect(checkout: Project) -> None:
    articles = [Article("a_/b:c*d\x1b[2J\u202e", "Title\x1b[2J\u202e", MOMENT, 100, 1, 0)]
    with NoteSandbox(lambda: articles, cookie=SECRET) as running:
        said = add(running, f"\n{SECRET}\n").output
    assert "a_/b:c*d [2J" in said
    assert not set("\x1b\u202e\u2060") & set(said)


def test_the_secret_stands_in_dotenv_alone_which_only_its_owner_reads(
    checkout: Project, sandbox: NoteSandbox, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("OTHER=kept\n")
    result = add(sandbox, f"\n{SECRET}\n")
    assert SECRET not in result.output
    holding = [path for path in tmp_path.rglob("*") if path.is_file() and SECRET in path.read_text()]
    assert holding == [tmp_path / ".env"]
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    assert "OTHER=kept" in (tmp_path / ".env").read_text()
    assert "MY_BLOG_SESSION_COOKIE" in (tmp_path / ".env").read_text()


def test_a_secret_that_the_environment_holds_already_is_not_asked_for(
    checkout: Project, sandbox: NoteSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_COOKIE", SECRET)
    result = add(sandbox, "MY_COOKIE\n")
    assert "MY_COOKIE is set already." in result.output
    assert result.exit_code == 0
    assert not (tmp_path / ".env").exists()


def test_a_credential_that_is_turned_away_leaves_the_source_switched_off(
    checkout: Project, sandbox: NoteSandbox
) -> None:
    result = add(sandbox, "\nwrong-secret\n")
    assert isinstance(fault(result), DeadSession)
    assert "switched off" in result.output
    assert not read_source(checkout.defs / "my_blog" / "defs.yaml").enabled


def test_a_secret_that_is_given_in_place_of_its_variable_is_written_nowhere(
    checkout: Project, sandbox: NoteSandbox, tmp_path: Path
) -> None:
    result = add(sandbox, f"{SECRET}\nmy_cookie\nMY_COOKIE\n{SECRET}\n")
    assert result.exit_code == 0, result.output
    assert result.output.count("capital letters") == 2
    holding = [path for path in tmp_path.rglob("*") if path.is_file() and SECRET in path.read_text()]
    assert holding == [tmp_path / ".env"]
    assert "{{ env.MY_COOKIE }}" in (checkout.defs / "my_blog" / "defs.yaml").read_text()


def test_a_secret_that_dotenv_would_change_is_written_nowhere(
    checkout: Project, sandbox: NoteSandbox, tmp_path: Path
) -> None:
    error = fault(add(sandbox, "\nbefore${HOME}after\n"))
    assert isinstance(error, ConfigError)
    assert "MY_BLOG_SESSION_COOKIE in the environment" in error.next_step
    assert "before" not in str(error)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("secret", ["pa$$w0rd", "it's", 'a"b', "back\\slash\\", " #not a comment", "a=b", "`id`"])
def test_a_secret_is_read_from_dotenv_as_it_was_given(checkout: Project, tmp_path: Path, secret: str) -> None:
    keep_secret(tmp_path / ".env", "MY_SECRET", secret)
    assert project_module.environment()["MY_SECRET"] == secret


@pytest.mark.parametrize("answer", ["[", "*x", "2026-13-45", "{{ env.HOME }}", "!!python/object/apply:os.system [id]"])
def test_an_answer_that_is_no_yaml_is_judged_as_it_stands(checkout: Project, sandbox: NoteSandbox, answer: str) -> None:
    error = fault(add(sandbox, f"\n{SECRET}\n", "--set", f"timeout={answer}"))
    assert isinstance(error, ConfigError)
    assert "timeout: a number is expected, found a" in error.what


def test_an_account_that_lists_nothing_is_said_to_be_refused_until_it_is_taken_as_true(checkout: Project) -> None:
    with NoteSandbox(list, cookie=SECRET) as empty:
        result = add(empty, f"\n{SECRET}\n")
    assert result.exit_code == 0, result.output
    assert "0 items in 1 request" in result.output
    assert "An empty listing is refused" in " ".join(result.output.split())


def test_items_that_would_be_refused_are_said_to_be(checkout: Project, sandbox: NoteSandbox) -> None:
    body = b'{"data": {"note_stats": [{"key": "n1", "name": "A", "read_count": -5}], "last_page": true}}'
    sandbox.fail_next(Reply(body=body))
    error = fault(add(sandbox, f"\n{SECRET}\n"))
    assert isinstance(error, Refused)
    assert "Views is negative in 1 item" in error.what


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--platform", "geocities"), "There is no platform 'geocities'"),
        (("--platform", "json_api"), "/defs/NAME/defs.yaml after the example in docs/json-api.md"),
        (("--platform", "note", "--name", "My Blog"), "cannot name a source"),
        (("--platform", "note", "--name", "../up"), "cannot name a source"),
        (("--platform", "zenn", "--set", "nobody=1"), "'nobody' is none of this platform's keys"),
        (("--platform", "note", "--set", "session_cookie=abc"), "Secrets are asked for"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_written(
    checkout: Project, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    error = fault(ask("add", *arguments))
    assert isinstance(error, ConfigError)
    assert words in str(error)
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_cannot_be_is_asked_for_again(checkout: Project) -> None:
    given = ("--set", "username=a/b")  # refused by the YAML's reader, so nobody is asked
    result = ask("add", "--platform", "zenn", *given, answers="my blog\nmy_blog\n")
    assert "'my blog' cannot name a source. Use small letters" in result.output
    assert (checkout.defs / "my_blog" / "defs.yaml").exists()


@pytest.mark.parametrize(
    ("kind", "settings", "counter"),
    [
        ("note", {"session_cookie": "of-nobody"}, "views"),
        ("zenn", {"username": "someone"}, "likes"),
        ("github", {"repositories": ["ratchet/one"]}, "stars"),
        ("points", {"spool": "/spool"}, "events"),
        ("openmetrics", {"base_url": "http://127.0.0.1:9"}, "total"),
    ],
)
def test_the_rule_that_a_new_yaml_proposes_is_one_of_its_platform(
    checkout: Project, kind: str, settings: dict[str, Any], counter: str
) -> None:
    file = write_source_file(checkout.defs, "blog", kind, settings, enabled=False)
    text = file.read_text()
    file.write_text(text.replace("  # rules:", "  rules:").replace("  #   - {counter", "    - {counter"))
    assert [rule.counter for rule in read_source(file).rules] == [counter]


@pytest.mark.parametrize("address", [SECRET, f"http://127.0.0.1:1/{SECRET}"])
def test_a_channel_that_could_take_no_message_is_named_and_its_address_is_not(
    checkout: Project, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    file = write_source_file(checkout.defs, "blog", "zenn", {"username": "someone"}, enabled=False)
    channels = '  notify: ["json://127.0.0.1:1", "{{ env.HOOK }}"]'
    file.write_text(file.read_text().replace("  # owner:", f"{channels}\n  # owner:"))
    line = file.read_text().splitlines().index(channels) + 1
    monkeypatch.setenv("HOOK", address)
    error = fault(ask("check", "blog", "--offline"))
    assert isinstance(error, ConfigError)
    assert error.what == f"{file}:{line}: an address under 'notify' that apprise does not understand"
    assert SECRET not in str(error)
    every = ask("check")
    assert (every.exit_code, "good" in every.output, error.what in every.output) == (2, False, True)
    monkeypatch.setenv("HOOK", "jsons://127.0.0.1:1")
    assert "blog: good." in ask("check").output


def test_a_name_that_is_taken_stays_as_it_is(checkout: Project, sandbox: NoteSandbox) -> None:
    add(sandbox, f"\n{SECRET}\n")
    before = (checkout.defs / "my_blog" / "defs.yaml").read_text()
    assert "already" in str(fault(add(sandbox, f"\n{SECRET}\n")))
    assert (checkout.defs / "my_blog" / "defs.yaml").read_text() == before


def test_a_check_looks_again_at_any_time_and_offline_at_the_yaml_alone(checkout: Project, sandbox: NoteSandbox) -> None:
    add(sandbox, f"\n{SECRET}\n")
    looked = ask("check", "my_blog").output
    assert looked.startswith("my_blog: its YAML is good. note: ")
    assert "7 items in 1 request" in looked
    assert len(sandbox.requests) == 2
    offline = ask("check", "my_blog", "--offline").output
    assert offline == "my_blog: good. note: views, likes, comments; 0 rules.\n"
    assert ask("check").output == offline
    assert len(sandbox.requests) == 2


def test_lists_and_answers_by_hand_stand_in_the_yaml_as_their_types(checkout: Project) -> None:
    names = "ratchet/one, ratchet/two"
    given = ("--set", f"repositories={names}", "--set", "base_url=http://127.0.0.1:9", "--set", "releases=false")
    ask("add", "--platform", "github", "--name", "repos", *given, answers="\n\n\n\n")
    platform = read_source(checkout.defs / "repos" / "defs.yaml").platform
    assert platform.model_dump(include={"repositories", "releases"}) == {
        "repositories": ("ratchet/one", "ratchet/two"),
        "releases": False,
    }


def test_a_program_that_exposes_metrics_needs_an_address_and_no_more(checkout: Project, tmp_path: Path) -> None:
    told = Told(answer({500: 40}, {"queue_size": 3}))
    with StandIn(told) as program:
        given = ("--set", f"base_url={program.url}", "--set", f"spool={tmp_path / 'spool'}")
        result = ask("add", "--platform", "openmetrics", "--name", "server", *given, answers="\n\n\n")
        assert result.exit_code == 0, result.output
        assert "3 items in 2 requests" in result.output
        assert 'errors_total{code="500"}' in result.output
        assert "total 40, resets 0" in result.output
        source = read_source(checkout.defs / "server" / "defs.yaml")
        assert isinstance(source.platform, OpenMetrics)
        assert (source.platform.spool, source.platform.token, source.enabled) == (tmp_path / "spool", None, True)
        told.body = answer({500: 40}).removesuffix(b"# EOF\n")
        refused = fault(ask("check", "server"))
    assert isinstance(refused, Refused)
    assert "does not end with # EOF" in refused.what


def test_what_may_be_left_out_is_said_to_be(checkout: Project) -> None:
    with StandIn(Told(answer({500: 40}))) as program:
        given = ("--set", f"base_url={program.url}")
        result = ask("add", "--platform", "openmetrics", "--name", "server", *given, answers="\n\n\n\n\n\n")
    assert "folder for ratchet scrape (Enter for none): \n" in result.output
    assert result.exit_code == 0, result.output


def test_points_need_their_spool(checkout: Project, tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    result = ask("add", "--platform", "points", "--name", "shop", answers=f"{tmp_path / 'spool'}\n\n\n")
    assert result.exit_code == 0, result.output
    assert read_source(checkout.defs / "shop" / "defs.yaml").enabled


@pytest.mark.parametrize(
    ("given", "option"),
    [
        ((), "--platform KIND"),
        (("--platform", "note"), "--name NAME"),
        (("--platform", "zenn", "--name", "mine"), "--set username=VALUE"),
        (("--platform", "note", "--name", "mine"), "MINE_SESSION_COOKIE in .env"),
    ],
)
def test_where_nobody_can_answer_the_option_that_does_is_named(
    checkout: Project, given: tuple[str, ...], option: str
) -> None:
    error = fault(ask("add", *given))
    assert isinstance(error, ConfigError)
    assert "needs an answer" in error.what
    assert option in error.next_step


def test_a_new_source_is_told_of_to_a_dagster_that_runs_already(checkout: Project, sandbox: NoteSandbox) -> None:
    assert "Reload definitions" in add(sandbox, f"\n{SECRET}\n").output
    assert "Reload definitions" in ask("check", "my_blog").output


def test_an_address_at_which_nobody_answers_is_looked_for_in_the_file(checkout: Project, sandbox: NoteSandbox) -> None:
    sandbox.fail_next(Reply(404))
    error = fault(add(sandbox, f"\n{SECRET}\n"))
    assert isinstance(error, TransportFault)
    assert "defs/my_blog/defs.yaml, its address" in error.next_step
    assert "tick" not in error.next_step


def test_an_expression_that_finds_nothing_in_any_item_is_a_warning(checkout: Project) -> None:
    file = checkout.defs / "posts" / "defs.yaml"
    file.parent.mkdir(parents=True)
    described = "path: /posts, items: '@', fields: {item_id: id, title: name}, counters: {views: views}"
    with StandIn(lambda asked: answers([{"id": 1, "title": "One", "views": 7}])) as platform:
        text = f"  source: posts\n  platform: {{kind: json_api, base_url: '{platform.url}', {described}}}\n"
        file.write_text(f"type: pipeline.components.CounterSource\nattributes:\n{text}")
        result = ask("check", "posts")
    assert result.exit_code == 0, result.output
    assert "fields.title: name finds nothing in the only item" in " ".join(result.output.split())
