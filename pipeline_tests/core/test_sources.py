"""A source's YAML: what is wrong is named with its file and line, and nothing from the environment is repeated."""

from __future__ import annotations

import re
import traceback
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.core import project, sources
from pipeline.core.errors import ConfigError
from pipeline.core.hours import Hour
from pipeline.core.model import Bounds, Counter, RuleKind
from pipeline.core.policy import Policy, Trend
from pipeline.core.project import Project
from pipeline.core.source_spec import BoundsSpec
from pipeline.core.sources import find_source, read_source, read_source_of_history
from pipeline.platforms.note import Note
from pipeline_tests.core.source_yaml import END, SECRET, SOUND, read, refused

# What is sound ----------------------------------------------------------------------------------------


def test_a_sound_file_becomes_a_source(tmp_path: Path) -> None:
    source = read(tmp_path, SOUND + "  bounds: {gone_items: 1}\n  start: 2026-11-01\n  end: 2026-11-30T23\n")
    assert source.counters == (
        Counter("views", Policy(Trend.NEVER_DECREASES)),
        Counter("likes", Policy(Trend.TOLERANCE, 0.05), optional=True),
    )
    crosses, rate, gained = source.rules
    assert (crosses.kind, crosses.thresholds) == (RuleKind.CROSSES, (100.0, 500.0))
    assert (rate.thresholds, rate.per_seconds, rate.rearm_below) == ((50.0,), 60, 25.0)
    assert (gained.thresholds, gained.share, gained.cooldown) == ((0.1,), True, timedelta(hours=6))
    assert source.bounds == Bounds(gone_items=1)
    assert (source.start, source.end) == (Hour.parse("2026-11-01T00"), Hour.parse("2026-11-30T23"))
    assert source.platform.credential == "session"


def test_a_source_that_names_no_counters_has_those_of_its_platform(tmp_path: Path) -> None:
    text = re.sub(r"  counters:\n.*", "", SOUND, flags=re.DOTALL)
    assert {c.name: c.policy for c in read(tmp_path, text).counters} == dict(Note.default_policies)


@pytest.mark.parametrize(
    ("cooldown", "length"),
    [("30m", timedelta(minutes=30)), ("6h", timedelta(hours=6)), ("2d", timedelta(days=2)), ("0m", timedelta(0))],
)
def test_a_cooldown_is_written_in_minutes_hours_or_days(tmp_path: Path, cooldown: str, length: timedelta) -> None:
    assert read(tmp_path, SOUND.replace("6h", cooldown)).rules[2].cooldown == length


@pytest.mark.parametrize(
    ("gained", "thresholds", "share"), [("10%", 0.1, True), ("2.5%", 0.025, True), ("40", 40, False)]
)
def test_a_gain_is_a_number_or_a_share(tmp_path: Path, gained: str, thresholds: float, share: bool) -> None:
    rule = read(tmp_path, SOUND.replace("10%", gained)).rules[2]
    assert rule.thresholds[0] == pytest.approx(thresholds)
    assert rule.share is share


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("gained: 1000000", "likes gained 1e+06"),
        ("gained: 1000001", "likes gained 1000001"),
        ("gained: 1234567.5", "likes gained 1234567.5"),
        ("gained: 40", "likes gained 40"),
        ("gained: 2.9%", "likes gained 0.029 share"),
        ("rate_above: 100", "likes rate_above 100/hour"),
        ("crosses: [1000001]", "likes crosses"),
    ],
)
def test_the_name_of_a_rule_says_its_threshold_in_full(tmp_path: Path, written: str, name: str) -> None:
    assert read(tmp_path, SOUND.replace("gained: 10%, cooldown: 6h", written)).rules[2].name == name


def test_a_day_begins_with_its_first_hour_and_ends_with_its_last(tmp_path: Path) -> None:
    source = read(tmp_path, SOUND + "  start: 2026-11-01\n  end: 2026-11-01\n")
    assert (source.start, source.end) == (Hour.parse("2026-11-01T00"), Hour.parse("2026-11-01T23"))
    assert read(tmp_path, SOUND + "  end: 2026-11-01T04\n").end == Hour.parse("2026-11-01T04")


def test_the_minute_of_the_schedule_is_odd_and_leaves_room_for_two_more_attempts(tmp_path: Path) -> None:
    texts = {f"blog_{n}": SOUND.replace("my_blog", f"blog_{n}") for n in range(50)}
    minutes = [read(tmp_path, text, name=name).minute for name, text in texts.items()]
    assert minutes == [read(tmp_path, text, name=name).minute for name, text in texts.items()]
    assert len(set(minutes)) > 10
    assert all(minute % 2 == 1 and minute % 15 != 0 and minute + 20 < 60 for minute in minutes)
    attempts = {minute + later for minute in minutes for later in (0, 10, 20)}
    assert not attempts & {0, 15, 30, 45}
    assert read(tmp_path, SOUND + "  minute: 23\n").minute == 23


def test_all_variables_that_are_not_set_are_named_at_once(tmp_path: Path) -> None:
    error = refused(tmp_path, SOUND.replace("env.COOKIE", "env.NOPE") + "  notify: ['{{ env.A }}', '{{ env.NOPE }}']\n")
    assert (error.line, error.what) == (6, f"{error.file}:6: the variables NOPE, A are not set")
    assert error.next_step == "Put NOPE=..., A=... into .env or the environment."


def test_a_source_is_read_for_its_history_without_what_is_not_set(tmp_path: Path) -> None:
    told = SOUND + "  notify: ['{{ env.NOPE }}', 'json://a']\n  heartbeat_url: '{{ env.NOPE }}'\n"
    file, whole = tmp_path / "my_blog" / "defs.yaml", read(tmp_path, SOUND)
    file.write_text(told.replace("env.COOKIE", "env.NOPE"))
    source = read_source_of_history(file, {})
    assert (source.counters, source.rules, source.minute) == (whole.counters, whole.rules, whole.minute)
    assert (source.notify, source.heartbeat_url) == ((), None)
    assert source.unset is not None
    assert source.unset.what == f"{file}:6: the variable NOPE is not set"
    assert read_source_of_history(file, {"NOPE": "https://a.example"}).unset is None


def test_where_no_source_can_be_made_without_the_variable_the_variable_is_what_is_named(tmp_path: Path) -> None:
    file = tmp_path / "my_blog" / "defs.yaml"
    read(tmp_path, SOUND)
    file.write_text(SOUND + "  timezone: '{{ env.NOPE }}'\n")
    with pytest.raises(ConfigError, match="the variable NOPE is not set"):
        read_source_of_history(file, {"COOKIE": "session"})


# What is wrong ----------------------------------------------------------------------------------------

WRONG = {
    "a wrong key": (SOUND + "  countres: {}\n", END, "there is no key 'countres'"),
    "a wrong key of the platform": (
        SOUND.replace("    session_", "    colour: red\n    session_"),
        6,
        "there is no key 'colour'",
    ),
    "a wrong key of a counter": (SOUND.replace("optional", "maybe"), 9, "there is no key 'maybe'"),
    "a wrong key of a rule": (SOUND.replace("per:", "every:"), 12, "there is no key 'every'"),
    "a missing key": (SOUND.replace("  source: my_blog\n", ""), 2, "the key 'source' is missing"),
    "a missing key of the platform": (
        SOUND.replace('    session_cookie: "{{ env.COOKIE }}"\n', ""),
        4,
        "the key 'session_cookie' is missing",
    ),
    "a missing variable": (SOUND.replace("env.COOKIE", "env.NOPE"), 6, "the variable NOPE is not set"),
    "an empty variable": (SOUND.replace("env.COOKIE", "env.EMPTY"), 6, "the variable EMPTY is not set"),
    "other braces": (SOUND + "  owner: '{{ me }}'\n", END, "only {{ env.NAME }} can stand in double braces"),
    "an unknown counter": (
        SOUND.replace("views: never", "stars: never"),
        8,
        "the platform note has no counter 'stars'",
    ),
    "a rule on an unknown counter": (
        SOUND.replace("{counter: likes", "{counter: comments"),
        13,
        "a rule on the counter 'comments', which this source does not have",
    ),
    "a rule twice": (SOUND + "    - {counter: views, crosses: [7]}\n", END, "the rule of line 11 stands here again"),
    "a rule without a threshold": (SOUND.replace(", crosses: [500, 100]", ""), 11, "a rule has exactly one of crosses"),
    "a rule with two thresholds": (SOUND.replace("[500, 100]", "[5], above: 3"), 11, "a rule has exactly one of"),
    "a milestone twice": (SOUND.replace("[500, 100]", "[500, 100, 500]"), 11, "a milestone stands here twice"),
    "a milestone that is a boolean": (SOUND.replace("[500, 100]", "[true]"), 11, "a milestone is a whole number"),
    "a gain of nothing": (SOUND.replace("10%", "0"), 13, "gained is more than 0"),
    "a gain below nothing": (SOUND.replace("10%", "-5"), 13, "gained is more than 0"),
    "a share of nothing": (SOUND.replace("10%", "0.0%"), 13, "gained is more than 0"),
    "a gain that is a boolean": (SOUND.replace("10%", "true"), 13, "gained is a number"),
    "a tolerance in short": (
        SOUND.replace(": never_decreases", ": tolerance"),
        8,
        "is written {policy: tolerance, tolerance: 0.01}",
    ),
    "a milestone of nothing": (SOUND.replace("[500, 100]", "[0]"), 11, "greater than 0"),
    "a bound above the threshold": (SOUND.replace("rearm_below: 25", "rearm_below: 51"), 12, "is not larger"),
    "a cooldown of what needs none": (SOUND.replace("rearm_below: 25", "cooldown: 1h"), 12, "has no cooldown"),
    "a cooldown in another unit": (SOUND.replace("6h", "6w"), 13, "cooldown"),
    "a cooldown for ever": (SOUND.replace("6h", "99999999999999d"), 13, "no duration is that long"),
    "a share that is none": (SOUND.replace("10%", "ten"), 13, "a share such as 10%"),
    "a threshold that is no number": (SOUND.replace("rate_above: 50", "rate_above: .nan"), 12, "finite number"),
    "an endless threshold": (SOUND.replace("rate_above: 50", "rate_above: .inf"), 12, "finite number"),
    "a policy that is none": (
        SOUND.replace(": never_decreases", ": rises"),
        8,
        "'never_decreases', 'tolerance', 'may_decrease' or 'gauge'",
    ),
    "a tolerance without a share": (
        SOUND.replace(", tolerance: 0.05", ""),
        9,
        "is written {policy: tolerance, tolerance: 0.01}",
    ),
    "a tolerance of everything": (SOUND.replace("0.05", "1.5"), 9, "tolerance: Input should be less than 1"),
    "a wrong type": (SOUND + "  minute: soon\n", END, "minute: a whole number is expected, found a text"),
    "a minute that everybody takes": (SOUND + "  minute: 30\n", END, "minutes 15, 30 and 45"),
    "a share above one": (SOUND + "  bounds:\n    gone_share: 20\n", END + 1, "less than or equal to 1"),
    "a name that is not its folder's": (SOUND.replace("my_blog", "other"), 3, "not called as its folder"),
    "a name with a dash": (SOUND.replace("my_blog", "my-blog"), 3, "source: a name is small letters, digits and _"),
    "a name that climbs": (SOUND.replace("my_blog", "../other"), 3, "and begins with a letter"),
    "an unknown platform": (SOUND.replace("kind: note", "kind: nite"), 5, "the kind of platform is unknown"),
    "no platform": (SOUND.replace("    kind: note\n", ""), 4, "the kind of platform is unknown"),
    "a platform that is a word": (
        re.sub(r"platform:\n.*\n.*\n", "platform: note\n", SOUND),
        4,
        "platform: a mapping (key",
    ),
    "an hour that is none": (SOUND + "  start: 2026-11-01T14:30\n", END, "an hour is written 2026-11-22T14"),
    "a day that is none": (SOUND + "  start: 2026-13-45\n", END, "month must be in 1..12"),
    "an end before the start": (SOUND + "  start: 2026-11-02\n  end: 2026-11-01\n", 2, "end lies before start"),
    "a double key": (SOUND + "  owner: Ada\n  owner: Bob\n", END + 1, "the key 'owner' stands here twice"),
    "a double key inside": (
        SOUND.replace("optional: true", "policy: tolerance"),
        9,
        "the key 'policy' stands here twice",
    ),
    "a tab": (SOUND + "\towner: Ada\n", END, "this is not YAML"),
    "an open bracket": (SOUND + "  notify: [\n", END + 1, "this is not YAML"),
    "a control character": (SOUND + "  owner: \x07\n", END, "this is not YAML"),
    "another component": (SOUND.replace("CounterSource", "Other"), 1, "a source begins with 'type' and 'attributes'"),
    "a list": ("- a\n", 1, "a source begins with 'type' and 'attributes'"),
}


@pytest.mark.parametrize(("text", "line", "words"), WRONG.values(), ids=WRONG.keys())
def test_a_mistake_is_named_with_its_file_and_line(tmp_path: Path, text: str, line: int, words: str) -> None:
    error = refused(tmp_path, text, {"EMPTY": ""})
    assert words in str(error)
    assert error.line == line
    assert str(error).startswith(f"{tmp_path / 'my_blog' / 'defs.yaml'}:{line}: ")
    assert error.exit_code == 2
    assert error.next_step


@pytest.mark.parametrize("text", ["", "# nothing but a remark\n", "a: &a [*a]\n"])
def test_a_file_that_holds_nothing_or_itself_is_named(tmp_path: Path, text: str) -> None:
    assert refused(tmp_path, text).line is None


def test_a_file_that_is_no_text_or_not_there_is_named(tmp_path: Path) -> None:
    file = tmp_path / "defs.yaml"
    with pytest.raises(ConfigError, match=r"defs\.yaml: the file cannot be read"):
        read_source(file)
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"defs\.yaml: the file cannot be read"):
        read_source(file)


# Values from the environment ----------------------------------------------------------------------------

PLANTED = "'{{ env.SECRET }}'"
PLACES = {
    "source": SOUND.replace("my_blog", PLANTED),
    "platform": re.sub(r"platform:\n.*\n.*\n", f"platform: {PLANTED}\n", SOUND),
    "kind": SOUND.replace("kind: note", f"kind: {PLANTED}"),
    "base_url": SOUND.replace("kind: note", f"kind: note\n    base_url: 'https://user:{PLANTED[1:-1]}@example.org'"),
    "requests_per_second": SOUND.replace("kind: note", f"kind: note\n    requests_per_second: {PLANTED}"),
    "session_cookie": SOUND.replace('"{{ env.COOKIE }}"', f"[{PLANTED}]"),
    "counters": re.sub(r"counters:\n.*\n.*\n", f"counters: {PLANTED}\n", SOUND),
    "policy": SOUND.replace(": never_decreases", f": {PLANTED}"),
    "policy in full": SOUND.replace("policy: tolerance", f"policy: {PLANTED}"),
    "tolerance": SOUND.replace("0.05", PLANTED),
    "optional": SOUND.replace("optional: true", f"optional: {PLANTED}"),
    "rules": re.sub(r"rules:\n(.*\n){3}", f"rules: {PLANTED}\n", SOUND),
    "rule": SOUND.replace("{counter: views, crosses: [500, 100]}", PLANTED),
    "counter of a rule": SOUND.replace("{counter: likes", f"{{counter: {PLANTED}"),
    "crosses": SOUND.replace("[500, 100]", PLANTED),
    "milestone": SOUND.replace("[500, 100]", f"[{PLANTED}]"),
    "rate_above": SOUND.replace("rate_above: 50", f"rate_above: {PLANTED}"),
    "per": SOUND.replace("per: minute", f"per: {PLANTED}"),
    "rearm_below": SOUND.replace("rearm_below: 25", f"rearm_below: {PLANTED}"),
    "gained": SOUND.replace("10%", PLANTED),
    "cooldown": SOUND.replace("6h", PLANTED),
    "above": SOUND.replace("crosses: [500, 100]", f"above: {PLANTED}"),
    "below": SOUND.replace("crosses: [500, 100]", f"below: {PLANTED}"),
    "bounds": SOUND + f"  bounds: {PLANTED}\n",
    **{name: SOUND + f"  bounds: {{{name}: {PLANTED}}}\n" for name in BoundsSpec.model_fields},
    "notify": SOUND + f"  notify: {PLANTED}\n",
    "channel": SOUND + f"  notify: [{{a: {PLANTED}}}]\n",
    **{name: SOUND + f"  {name}: {PLANTED}\n" for name in ("minute", "start", "end", "enabled", "simulated")},
    **{name: SOUND + f"  {name}: [{PLANTED}]\n" for name in ("owner", "expected", "rollback")},
    "beside a mistake": SOUND + f"  owner: {PLANTED}\n  notify: [{PLANTED}]\n  countres: {{}}\n",
}


@pytest.mark.parametrize("text", PLACES.values(), ids=PLACES.keys())
def test_no_error_repeats_a_value_from_the_environment(tmp_path: Path, text: str) -> None:
    assert refused(tmp_path, text).line is not None


def test_no_error_repeats_a_number_from_the_environment(tmp_path: Path) -> None:
    rule = "    - {counter: views, above: '{{ env.NUMBER }}'}\n"
    error = refused(tmp_path, SOUND + rule + rule, {"NUMBER": "70007"})
    assert "70007" not in str(error)


@pytest.mark.parametrize(
    "written", ["*{}", "!{} x", "!p!{} x", "!<{}> x", "!!int {}", "!!float {}", "!!bool {}", "!!timestamp {}", "[{}"]
)
def test_no_error_repeats_a_secret_that_was_written_where_yaml_takes_it_for_something_else(
    tmp_path: Path, written: str
) -> None:
    assert refused(tmp_path, f"{SOUND}  owner: {written.format(SECRET)}\n").line in (END, END + 1)


def test_an_env_file_that_is_no_text_is_named_and_not_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_bytes(f"COOKIE={SECRET}\xff\n".encode("latin-1"))
    monkeypatch.setattr(project, "env_file", lambda: tmp_path / ".env")
    with pytest.raises(ConfigError, match=r"\.env: the file cannot be read") as caught:
        project.environment()
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_line_of_the_env_file_that_says_nothing_is_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".env").write_text(f"={SECRET}\nA '{SECRET}\n{SECRET}\nB=\"{SECRET}\nCOOKIE=session\n")
    monkeypatch.setattr(project, "env_file", lambda: tmp_path / ".env")
    assert project.environment()["COOKIE"] == "session"
    assert "could not parse" in caplog.text
    assert SECRET not in caplog.text + "".join(capfd.readouterr())


def test_a_source_shows_neither_its_credential_nor_its_channels(tmp_path: Path) -> None:
    text = SOUND.replace("env.COOKIE", "env.SECRET") + f"  notify: ['discord://{PLANTED[1:-1]}']\n"
    source = read(tmp_path, text)
    assert source.notify == (f"discord://{SECRET}",)
    assert source.platform.credential == SECRET
    assert SECRET not in repr(source)
    assert SECRET not in str(source.platform)


# Names --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    (
        *("item_id", "title", "captured_at", "status", "elapsed_seconds", "previous_captured_at"),
        *("views_max", "views_peak", "views_delta", "views_per_hour", "views_before"),
    ),
)
def test_a_counter_cannot_have_a_name_that_the_lake_uses_itself(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Odd(Note, frozen=True):
        default_policies = {name: Policy(Trend.MAY_DECREASE)}  # noqa: RUF012

    monkeypatch.setattr(sources, "adapter", lambda kind: Odd)
    text = re.sub(r"counters:\n(.*\n)*", f"counters:\n    {name}: may_decrease\n", SOUND)
    error = refused(tmp_path, text)
    assert f"a counter cannot be called '{name}'" in str(error)
    assert error.line == 8


def test_a_source_is_found_by_its_folder_and_others_are_named(tmp_path: Path) -> None:
    (tmp_path / "my_blog").mkdir()
    (tmp_path / "my_blog" / "defs.yaml").write_text(SOUND.replace('"{{ env.COOKIE }}"', "session"))
    here = Project(defs=tmp_path, data=tmp_path / "data")
    assert find_source(here, "my_blog").name == "my_blog"
    for name in ("other", "../my_blog", "my_blog/../my_blog", str(tmp_path / "my_blog"), "", "My_blog", "my_blog\0"):
        with pytest.raises(ConfigError, match="Known sources: my_blog"):
            find_source(here, name)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("  platform: {kind: [note], session_cookie: secret}", "the kind of platform is unknown"),
        ("  platform: {kind: {note: 1}, session_cookie: secret}", "the kind of platform is unknown"),
        (
            f"  platform: {{kind: note, session_cookie: secret}}\n  rules: [{{counter: views, crosses: [{10**400}]}}]",
            "cannot be read (OverflowError)",
        ),
    ],
    ids=["a list", "a mapping", "beyond a float"],
)
def test_a_source_that_nobody_thought_of_keeps_no_other_back(tmp_path: Path, line: str, words: str) -> None:
    file = tmp_path / "odd" / "defs.yaml"
    file.parent.mkdir()
    file.write_text(f"type: pipeline.components.CounterSource\nattributes:\n  source: odd\n{line}\n")
    with pytest.raises(ConfigError, match=re.escape(words)) as told:
        read_source(file, {})
    assert "secret" not in str(told.value)
