"""What a message says, and that nothing which came from outside takes effect in it."""

import re
import unicodedata
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.analysis.gains import Gain
from pipeline.core.text import as_data, legible, link, plain
from pipeline.notify.wording import crossings_message

from .reports import HOSTILE_TITLES, crossing, report

# What the channels look for: mentions, links and markup, by the patterns of their renderers.
ACTIVE = re.compile(
    r"""@\w | <[@!\#] | https?:// | \w\.\w | [*`~|\[\]<>\\] | (?<!\w)_ | _(?!\w) | \#[\s\w] | [＃＠]\w
    | :\w+: | (?<!\w)/\w | &\#?\w+; | [\n\r\u2028\x00-\x1f\u202a-\u202e\u2066-\u2069\ud800-\udfff]""",
    re.VERBOSE,
)


def test_a_message_names_source_time_items_marks_and_movement() -> None:
    message = crossings_message(
        report(crossing(), crossing(item_id="n2", title="Second", threshold=1000.0, value=1012.0))
    )
    assert message.title == "my_blog: 2 items passed a mark (seen 2026-11-22 14:17 UTC)"
    assert message.body.split("\n") == [
        "- 1,000 views (97 → 1,012): “Second”",
        "- 100 views (97 → 104): “How a ratchet works”",
        "All items in 1 hour: views +312 (28 moved), likes -3 (2 moved)",
    ]
    assert message.crossings == ("views crosses|n1|100", "views crosses|n2|1000")


def test_milestones_passed_at_once_are_told_as_the_highest_and_all_stand_in_the_receipt() -> None:
    message = crossings_message(
        report(
            crossing(value=1012.0),
            crossing(threshold=1000.0, value=1012.0),
            crossing(threshold=500.0, value=1012.0),
            crossing(rule="likes crosses", counter="likes", threshold=10.0, value=11.0, previous_value=9.0),
        )
    )
    assert message.body.split("\n")[0] == "- 1,000 views (97 → 1,012); 10 likes (9 → 11): “How a ratchet works”"
    assert "1 item passed" in message.title
    assert len(message.crossings) == 4


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "rate_above", "rule": "views rate_above 50/hour", "threshold": 50.0, "value": 312.4},
         "312.40 views per hour, more than 50"),
        ({"kind": "rate_above", "rule": "errors rate_above 0.5/minute", "counter": "errors", "threshold": 0.5,
          "value": 0.75}, "0.75 errors per minute, more than 0.5"),
        ({"kind": "gained", "rule": "views gained 30", "threshold": 30.0}, "views up by 30 or more (97 → 104)"),
        ({"kind": "gained", "rule": "views gained 0.5 share", "threshold": 0.5},
         "views up by 50% or more (97 → 104)"),
        ({"kind": "above", "rule": "load above 2.5", "counter": "load", "threshold": 2.5, "value": 3.25,
          "previous_value": None}, "load above 2.50 (now 3.25)"),
        ({"kind": "below", "rule": "stock below 10", "counter": "stock", "threshold": 10.0, "value": 4.0},
         "stock below 10 (97 → 4)"),
    ],
)  # fmt: skip
def test_every_kind_of_rule_has_its_words(changes: dict[str, Any], words: str) -> None:
    assert crossings_message(report(crossing(**changes))).body.startswith(f"- {words}: “")


def test_a_line_tells_what_the_item_gained_lately_and_where_it_stands() -> None:
    gains = [Gain(7, "in 1 hour"), Gain(31, "in 24 hours")]
    told = crossings_message(report(crossing(url="https://note.com/me/n/n_1")), {("n1", "views"): gains})
    assert told.body.split("\n")[0] == (
        "- 100 views (97 → 104), +7 in 1 hour, +31 in 24 hours: “How a ratchet works” https://note.com/me/n/n%5F1"
    )


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "https://note.com@evil.example/",
        "https://user:word@note.com/",
        "//note.com/x",
        "https://evil_example/",
        "https://note.com:x/",
        "https://note.com/" + "x" * 150,
        "",
        None,
    ],
)
def test_what_is_no_plain_address_is_no_link(url: str | None) -> None:
    assert link(url) is None
    assert "http" not in crossings_message(report(crossing(url=url))).body


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_an_address_leads_where_it_says_and_does_nothing_else(rest: str) -> None:
    found = link(f"https://note.com/n/{rest}", limit=10_000)
    assert found is not None
    assert found.startswith("https://note.com/n/")
    assert re.fullmatch(r"[A-Za-z0-9/%.=&?#+,-]*", found.removeprefix("https://"))
    sent, meant = urlsplit(found), urlsplit(f"https://note.com/n/{rest}")
    assert (unquote(sent.path), unquote(sent.query)) == (unquote(meant.path), unquote(meant.query))


def test_a_kind_without_words_is_an_error_and_no_empty_line() -> None:
    with pytest.raises(ValueError, match="Invalid enum value 'vanished'"):
        crossings_message(report(crossing(kind="vanished")))


def test_ten_lines_are_shown_and_the_rest_is_counted() -> None:
    lines = crossings_message(report(*(crossing(item_id=f"n{n}") for n in range(25)))).body.split("\n")
    assert sum(line.startswith("- ") for line in lines) == 10
    assert "and 15 more" in lines


def test_a_simulated_source_is_labelled_in_title_and_body() -> None:
    message = crossings_message(report(crossing(), simulated=True))
    assert message.title.startswith("SIMULATED my_blog:")
    assert message.body.startswith("These numbers are simulated; there is no real account behind them.\n")


def test_without_an_earlier_observation_there_is_no_movement_to_tell() -> None:
    message = crossings_message(report(crossing(), elapsed_seconds=None))
    assert "All items" not in message.body


def test_a_counter_in_its_first_hour_has_no_movement_to_tell() -> None:
    joined = {"stars": {"delta": None, "per_hour": None, "items_moved": 0}}
    assert "stars" not in crossings_message(report(crossing(), movement=joined)).body


def test_a_quiet_hour_has_no_message() -> None:
    with pytest.raises(ValueError, match="quiet hours send no message"):
        crossings_message(report())


def test_an_item_without_a_title_is_named_by_its_id() -> None:
    assert "“n1”" in crossings_message(report(crossing(title=None))).body


@pytest.mark.parametrize("title", HOSTILE_TITLES.values(), ids=HOSTILE_TITLES.keys())
def test_nothing_in_a_title_takes_effect(title: str) -> None:
    assert ACTIVE.search(title), "the title must be able to do something for this test to mean anything"
    assert not ACTIVE.search(plain(title))
    lines = crossings_message(report(crossing(title=title))).body.split("\n")
    assert len(lines) == 2
    assert plain(title) in lines[0]


@pytest.mark.parametrize("text", HOSTILE_TITLES.values(), ids=HOSTILE_TITLES.keys())
def test_nothing_in_a_name_an_id_or_an_address_takes_effect(text: str) -> None:
    movement = {text: {"delta": 1, "items_moved": 1}}
    hostile = crossing(title=None, item_id=text, counter=text, url=f"https://note.com/{text}")
    message = crossings_message(report(hostile, source=text, movement=movement))
    ours = crossings_message(report(crossing(title="", item_id="n", counter="c", url="https://note.com/"), source="s"))
    assert not ACTIVE.search(message.title.removesuffix(ours.title.removeprefix("s")))
    line, moved = message.body.split("\n")
    told, _, address = line.removeprefix("- ").partition(" https://note.com/")
    assert not ACTIVE.search(told)
    assert re.fullmatch(r"[A-Za-z0-9/%.=&?#+,-]*", address)
    assert not ACTIVE.search(moved.removeprefix("All items in 1.0 h: "))


@pytest.mark.parametrize(
    "title",
    ["snake_case in my_blog", "C++ (part 2): what's new, and why?", "R & D 100% – “quoted”", "日本語の題"],
)
def test_an_ordinary_title_stays_as_it_is(title: str) -> None:
    assert plain(title) == title


@pytest.mark.parametrize("title", ["Node.js", "C#", "10:30", "me@example.org", "👩‍💻 می‌خواهم"])
def test_what_is_changed_still_reads_the_same(title: str) -> None:
    assert plain(title).replace("\u2060", "") == title


@given(st.text(st.characters(exclude_categories=[]), max_size=300), st.integers(2, 200))
def test_any_text_becomes_one_bounded_harmless_line(text: str, limit: int) -> None:
    line = plain(text, limit)
    assert len(line) <= limit
    assert not ACTIVE.search(line)
    assert not {unicodedata.category(character) for character in line} & {"Cc", "Cs", "Zl", "Zp"}


@given(st.text(st.characters(exclude_categories=[]), max_size=300))
def test_what_was_made_harmless_is_itself_again_as_data(text: str) -> None:
    assert as_data(f"[{plain(text, 2_000)}]") == f"[{legible(text, 2_000)}]"


def test_the_longest_message_fits_the_smallest_of_the_big_channels() -> None:
    counters = [f"counter_number_{n}_of_a_long_name" for n in range(12)]
    crossings = [
        crossing(item_id=f"n{n}", title="long " * 100, counter=counter, threshold=1e9, value=2e9)
        for n in range(30)
        for counter in counters
    ]
    movement = {counter: {"delta": 10**12, "items_moved": 10**6} for counter in counters}
    message = crossings_message(report(*crossings, source="s" * 100, movement=movement, simulated=True))
    shown = message.body.count("“long")
    assert len(message.title) + len(message.body) + 2 <= 2_000
    assert 1 <= shown < 10
    assert f"and {30 - shown} more" in message.body
