"""The report of an hour: what moved, over the whole catalogue, and the page that says so."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from xml.etree import ElementTree

import msgspec
import pytest

from pipeline.core.lake import REPORT, REPORT_TEXT
from pipeline.core.model import Origin, Rule, RuleKind
from pipeline.core.records import Correction, Coverage, Items, Movement, Report, Revision
from pipeline.core.report.build import TOP_MOVERS
from pipeline.core.report.markdown import coverage_words, report_text, summary_line
from pipeline.core.report.picture import movers_picture

from .account import Account, hour, row, rows
from .snapshots import at


def text(account: Account, hours: float) -> str:
    return account.lake.path(REPORT_TEXT, hour(hours)).read_text()


# The record -----------------------------------------------------------------------------------------------


def test_the_first_report_has_totals_and_no_movement(account: Account) -> None:
    account.tell(0, rows(a=10, b=20))
    report = account.report(0)
    assert report.movement["views"] == Movement(total=30, delta=None, per_hour=None, items_moved=0)
    assert (report.previous_hour, report.elapsed_seconds, report.top_movers, report.crossings) == (None, None, (), ())
    assert report.items == Items(observed=2, carried=0, first_seen=2)
    assert "the first snapshot of this source" in text(account, 0)
    assert "nothing to compare with yet" in summary_line(report)


def test_movement_is_of_the_whole_catalogue_carried_items_included(account: Account) -> None:
    account.tell(0, [row("a", 10, likes=5), row("b", 20, likes=1)])
    account.tell(2, [row("a", 14, likes=3)])
    report = account.report(2)
    assert report.movement["views"] == Movement(total=34, delta=4, per_hour=2.0, items_moved=1)
    assert report.movement["likes"] == Movement(total=4, delta=-2, per_hour=-1.0, items_moved=1)
    assert report.movement["comments"] == Movement(total=0, delta=0, per_hour=0.0, items_moved=0)
    assert report.items == Items(observed=1, carried=1, first_seen=0)
    assert (report.previous_hour, report.elapsed_seconds) == (hour(0).key, 7200.0)


def test_an_item_published_since_counts_from_zero_and_another_newcomer_not(account: Account) -> None:
    account.tell(0, rows(a=10))
    account.tell(1, rows(a=10, new=7, old=500), published={"new": "2026-11-01T01:00:00Z"})
    report = account.report(1)
    assert report.movement["views"] == Movement(total=517, delta=7, per_hour=7.0, items_moved=1)
    assert report.items.first_seen == 2


def test_the_top_movers_are_the_largest_gains_and_no_more_than_ten(account: Account) -> None:
    keys = [f"n{number:02}" for number in range(15)]
    account.tell(0, [row(key, 10, likes=50) for key in keys])
    account.tell(1, [row(key, 10 + number // 2, likes=51 if key == "n03" else 50) for number, key in enumerate(keys)])
    movers = account.report(1).top_movers
    views = [(mover.item_id, mover.delta) for mover in movers if mover.counter == "views"]
    assert len(views) == TOP_MOVERS
    assert views == sorted(views, key=lambda mover: (-mover[1], mover[0]))
    assert views[:3] == [("n14", 7), ("n12", 6), ("n13", 6)]
    assert [(m.item_id, m.value, m.title) for m in movers if m.counter == "likes"] == [("n03", 51, "Title of n03")]


def test_what_a_rule_remembers_goes_from_report_to_report(account: Account) -> None:
    rate = Rule("views", RuleKind.RATE_ABOVE, (50.0,), rearm_below=25.0)
    account.change(rules=(rate,))
    for hours, views in ((0, 0), (1, 60), (2, 120), (4, 130), (5, 200)):
        account.tell(hours, rows(a=views))
    assert [len(account.report(hours).crossings) for hours in (0, 1, 2, 4, 5)] == [0, 1, 0, 0, 1]
    assert account.report(2).rule_state == {rate.name: {"a": {"firing": True}}}
    assert account.report(4).rule_state == {}


def test_a_simulated_source_says_so_everywhere(account: Account) -> None:
    account.change(simulated=True, owner="ada@example.org")
    account.tell(0, rows(a=10))
    report = account.report(0)
    assert (report.simulated, report.owner, report.origin) == (True, "ada@example.org", Origin.REPLAY)
    assert "(simulated)" in text(account, 0).splitlines()[0]
    assert "(simulated)" in summary_line(report)


def test_a_report_made_again_is_the_same_to_the_byte(account: Account) -> None:
    account.tell(0, rows(a=90))
    account.tell(1, rows(a=120))
    before = account.files("report")
    account.lake.supersede(REPORT, hour(1))
    account.lake.supersede(REPORT_TEXT, hour(1))
    account.settle(0)
    assert account.files("report") == before


def test_a_report_is_read_back_as_it_was_written(account: Account) -> None:
    account.tell(0, rows(a=90))
    account.tell(1, rows(a=120))
    stored = account.lake.path(REPORT, hour(1)).read_bytes()
    report = msgspec.json.decode(stored, type=Report)
    assert report == account.report(1)
    assert [(crossing.item_id, crossing.threshold) for crossing in report.crossings] == [("a", 100.0)]
    # Fields are only ever added: a reader of today takes a record of tomorrow.
    later = stored.replace(b'"source"', b'"added_later": 1, "source"', 1)
    assert msgspec.json.decode(later, type=Report) == report


# The page -------------------------------------------------------------------------------------------------


def test_the_page_says_over_what_time_a_rate_was_measured(account: Account) -> None:
    account.change(rules=(Rule("views", RuleKind.RATE_ABOVE, (50.0,)),))
    account.tell(0, rows(a=0, b=0))
    account.tell(1.5, rows(b=0))
    account.tell(2, rows(a=200, b=40))
    assert "| 100 views per hour over 2 hours, more than 50 |" in text(account, 2)
    assert "| 80 views per hour over 30 minutes, more than 50 |" in text(account, 2)


def test_the_page_tells_crossings_movement_movers_and_coverage(account: Account) -> None:
    account.tell(0, rows(a=90, b=5))
    account.tell(1, rows(a=50))
    account.tell(3, rows(a=1234))
    page = text(account, 3)
    assert page.startswith(f"# blog, {hour(3).key}\n")
    assert "3.00 hours after the snapshot before (2026-11-01T00)" in page
    assert "1 item observed, 1 carried from earlier" in page
    assert "| Title of a | 100 views (90 → 1,234) | views crosses |" in page
    assert "| views | 1,239 | 1,144 | 381.33 | 1 |" in page
    assert "- last 24h: 2 of 4 hours observed, 1 gap, 1 quarantined" in page
    assert page == report_text(account.report(3))


def test_a_quiet_hour_has_a_page_that_says_so(account: Account) -> None:
    account.tell(0, rows(a=10))
    account.tell(1, rows(a=10))
    page = text(account, 1)
    assert "None in this hour." in page
    assert "Nothing moved" in page
    assert account.report(1).crossings == ()


TITLES = [
    "**bold** _and_ `code`",
    "[click](https://example.org) <script>alert(1)</script>",
    "| a | table |\n# heading",
    "![picture](x) &lt;b&gt; @everyone",
]


@pytest.mark.parametrize("text", TITLES)
def test_text_from_outside_takes_no_effect_in_a_page(account: Account, text: str) -> None:
    account.tell(0, [row("a", 90, name=text)])
    account.tell(1, [row("a", 150, name=text)])
    report = account.report(1)
    assert report.crossings[0].title == text
    page = report_text(speaking(report, text))
    for effect in ("**bold", "`code", "](", "<script", "| a |", "\n# heading", "&lt;", "@everyone", "https://"):
        assert effect not in page
    assert len(page.splitlines()) == len(report_text(speaking(report, "plain")).splitlines())


def speaking(report: Report, text: str) -> Report:
    """A report of which all that comes from outside is ``text``: titles, ids, words of the owner and of a platform."""
    [crossing], [mover] = report.crossings, report.top_movers
    return msgspec.structs.replace(
        report,
        crossings=(replace(crossing, title=text), replace(crossing, title=None, item_id=text)),
        top_movers=(msgspec.structs.replace(mover, title=text), msgspec.structs.replace(mover, title="", item_id=text)),
        warnings=(text,),
        revisions=(Revision(text, None, "views", date(2026, 11, 1), 1, 2),),
        revised=1,
        corrections=(Correction("1", at(1), text, text, "lower", report.hour, "capture", (text,)),),
    )


@pytest.mark.parametrize(
    ("coverage", "words"),
    [
        (Coverage(1, 1, 0, 0), "1 of 1 hour observed"),
        (Coverage(24, 24, 0, 0), "24 of 24 hours observed"),
        (Coverage(24, 22, 1, 1), "22 of 24 hours observed, 1 gap, 1 quarantined"),
        (Coverage(720, 711, 2, 7), "711 of 720 hours observed, 7 gaps, 2 quarantined"),
    ],
)
def test_coverage_is_told_in_words(coverage: Coverage, words: str) -> None:
    assert coverage_words(coverage) == words


def test_one_line_for_a_terminal(account: Account) -> None:
    account.tell(0, rows(a=90))
    account.tell(1, rows(a=1190))
    assert summary_line(account.report(1)) == (
        f"blog {hour(1).key}: 1 item observed; views +1,100, likes +0, comments +0; 2 crossings."
    )


@pytest.mark.parametrize(
    "title", [*TITLES, "a\x00b\x01c\x1b[0m", "\ufffe\uffff", "\ud800", "</text><script>alert(1)</script>"]
)
def test_the_picture_is_well_formed_and_holds_nothing_that_runs(account: Account, title: str) -> None:
    account.tell(0, [row("a", 90)])
    account.tell(1, [row("a", 150)])
    report = account.report(1)
    mover = msgspec.structs.replace(report.top_movers[0], title=title)
    picture = movers_picture(msgspec.structs.replace(report, top_movers=(mover,)))
    assert picture is not None
    for element in ElementTree.fromstring(picture).iter():
        assert element.tag.rpartition("}")[2] not in ("script", "a", "foreignObject")
        assert not [name for name in element.attrib if name.startswith("on") or name.endswith("href")]
