"""What is wrong in a source's YAML is told all at once, in words of YAML, and without what could be a secret."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline_tests.core.source_yaml import END, SOUND, refused

EXPECTED = {
    "minute: 2.5": "minute: a whole number is expected, found 2.5",
    "minute: [7]": "minute: a whole number is expected, found a list",
    "enabled: 7up": "enabled: true or false is expected, found a text",
    "owner: true": "owner: a text is expected, found true",
    "owner: 2026-11-01": "owner: a text is expected, found a date",
    "bounds: [1]": "bounds: a mapping (key: value) is expected, found a list",
    "bounds: {gone_share: {a: 1}}": "bounds.gone_share: a number is expected, found a mapping",
    "bounds: {gone: 1}": "there is no key 'gone' in bounds",
    "digests: daily": "digests: a list is expected, found a text",
    "digests: [hourly]": "digests[0]: 'daily' or 'weekly' is expected",
    "credential_days: 7": "credential_days: a list is expected (like [7]), found 7",
    "credential_days:": "credential_days: a list is expected, found nothing",
}


@pytest.mark.parametrize(("line", "words"), EXPECTED.items(), ids=EXPECTED.keys())
def test_what_is_expected_and_what_was_found_is_told_in_words_of_yaml(tmp_path: Path, line: str, words: str) -> None:
    error = refused(tmp_path, f"{SOUND}  {line}\n")
    assert error.what == f"{error.file}:{END}: {words}"
    assert error.next_step == "Mend the line."


@pytest.mark.parametrize(
    ("crosses", "words"),
    [
        ("crosses: 100", "rules[0].crosses: a list is expected (like [100]), found 100"),
        ("gained: [1]", "rules[0].gained: a number or a text is expected, found a list"),
        ("crosses: [100, x]", "rules[0].crosses[1]: a whole number is expected, found a text"),
    ],
)
def test_a_place_in_a_list_is_told_by_its_number(tmp_path: Path, crosses: str, words: str) -> None:
    error = refused(tmp_path, SOUND.replace("crosses: [500, 100]", crosses))
    assert error.what == f"{error.file}:11: {words}"


@pytest.mark.parametrize("number", ["40960817", "4096.0817"])
@pytest.mark.parametrize("line", ["notify: {}", "notify: [{}]", "heartbeat_url: {}", "platform: {}"])
def test_a_number_that_could_be_a_secret_is_not_repeated(tmp_path: Path, line: str, number: str) -> None:
    text = re.sub(r"  platform:\n.*\n.*\n", "", SOUND) if line.startswith("platform") else SOUND
    error = refused(tmp_path, f"{text}  {line.format(number)}\n")
    assert "is expected, found a number" in error.what
    assert number not in str(error)


def test_a_number_in_the_place_of_a_credential_is_not_repeated(tmp_path: Path) -> None:
    error = refused(tmp_path, SOUND.replace('"{{ env.COOKIE }}"', "40960817"))
    assert error.what.endswith(":6: platform.session_cookie: a text is expected, found a number")


def test_every_mistake_is_named_at_once_in_the_order_of_the_lines(tmp_path: Path) -> None:
    text = SOUND.replace("crosses: [500, 100]", "crosses: 100").replace("source: my_blog", "source: other")
    text = text.replace("kind: note", "kind: note\n    colour: red\n    timeout: 0")
    error = refused(tmp_path, text + "  minute: soon\n  countres: {}\n")
    assert error.what.split("\n") == [
        f"{error.file}:{line}: {words}"
        for line, words in (
            (6, "there is no key 'colour' in platform"),
            (7, "platform.timeout: Input should be greater than 0"),
            (13, "rules[0].crosses: a list is expected (like [100]), found 100"),
            (END + 2, "minute: a whole number is expected, found a text"),
            (END + 3, "there is no key 'countres'"),
        )
    ]
    assert (error.line, error.exit_code) == (6, 2)
    assert re.fullmatch(
        "The keys in platform are: kind, .*\\. Mend these lines\\. The keys are: source, .*\\.", error.next_step
    )


def test_an_unknown_kind_and_a_name_that_is_not_the_folders_are_named_with_the_rest(tmp_path: Path) -> None:
    text = SOUND.replace("source: my_blog", "source: other").replace("kind: note", "kind: nite")
    error = refused(tmp_path, text)
    first, second = error.what.split("\n")
    assert first.startswith(f"{error.file}:3: the source is not called as its folder is")
    assert second == f"{error.file}:5: the kind of platform is unknown"


def test_more_than_ten_mistakes_are_counted(tmp_path: Path) -> None:
    rules = "".join(f"    - {{counter: views, above: [{n}]}}\n" for n in range(13))
    *named, last = refused(tmp_path, SOUND + rules).what.split("\n")
    assert len(named) == 10
    assert last == "and 3 more"


@pytest.mark.parametrize("name", ["date", "str", "CounterSpec", "function-x", "a[b]"])
def test_a_key_of_the_file_is_not_taken_for_a_word_of_pydantic(tmp_path: Path, name: str) -> None:
    error = refused(tmp_path, SOUND.replace("kind: note", f"kind: note\n    {name}: 1"))
    assert error.what == f"{error.file}:6: there is no key '{name}' in platform"


@pytest.mark.parametrize("key", ["sid=40960817", '"two\\nlines: 40960817"', '"\\e[31m40960817"', "4096 0817"])
def test_what_does_not_look_like_a_key_is_not_repeated(tmp_path: Path, key: str) -> None:
    error = refused(tmp_path, SOUND.replace("kind: note", f"kind: note\n    {key}: 1"))
    assert error.what == f"{error.file}:6: there is no key '...' in platform"


def test_other_mistakes_are_named_with_a_variable_that_is_not_set(tmp_path: Path) -> None:
    text = SOUND.replace("env.COOKIE", "env.NOPE").replace("crosses: [500, 100]", "crosses: 100")
    error = refused(tmp_path, text)
    assert [line.split(": ", 1)[1] for line in error.what.split("\n")] == [
        "the variable NOPE is not set",
        "rules[0].crosses: a list is expected (like [100]), found 100",
    ]
    assert error.next_step == "Put NOPE=... into .env or the environment. Mend these lines."


def test_a_file_with_a_great_many_mistakes_names_the_first_ones(tmp_path: Path) -> None:
    error = refused(tmp_path, SOUND + "".join(f"  wrong_{number}: 1\n" for number in range(500)))
    told = error.what.split("\n")
    assert len(told) == 11
    assert told[-1] == "and 490 more"
