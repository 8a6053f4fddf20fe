"""The pages as files: what stands in them, what cannot get out of them, how large they are."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.analysis.happenings import Happening, Kind
from pipeline.core.errors import LakeFault, NothingAccepted
from pipeline.core.ledger import Ledger
from pipeline.core.project import Project
from pipeline.site.build import LARGEST, Story, build_index, read_story, source_page, write_page
from pipeline_tests.core.account import Account, a_source, row
from pipeline_tests.core.history_of import grown, together, watched
from pipeline_tests.core.snapshots import at
from pipeline_tests.dagster_parts import COOKIE_VARIABLE, write_source

from .pages import TITLES, a_year, made_site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Account]:
    return made_site(tmp_path_factory.mktemp("site"))


def _page(project: Project, name: str = "blog") -> str:
    return (project.data / "site" / f"{name}.html").read_text(encoding="utf-8")


def _data(page: str) -> dict[str, Any]:
    [data] = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    found: dict[str, Any] = json.loads(data)
    return found


def test_a_page_allows_nothing_but_its_own_two_blocks(site: tuple[Project, Account]) -> None:
    for name in ("blog", "index"):
        page = _page(site[0], name)
        [policy] = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
        blocks = {
            "script-src": re.findall(r"<script>(.*?)</script>", page, re.S),
            "style-src": re.findall(r"<style>(.*?)</style>", page, re.S),
        }
        assert policy.startswith("default-src 'none'; ")
        for directive, [block] in blocks.items():
            digest = base64.b64encode(hashlib.sha256(block.encode()).digest()).decode()
            assert f"{directive} 'sha256-{digest}'" in policy
        assert "unsafe" not in policy
        assert not re.search(r"\son\w+=", page.split("<script")[0])
        assert " style=" not in page.split("<script")[0]


def test_titles_stand_in_a_page_as_text(site: tuple[Project, Account]) -> None:
    page = _page(site[0])
    found = {item["i"]: item["t"] for item in _data(page)["items"]}
    assert {name: found[name] for name in TITLES} == TITLES
    assert page.count("</script>") == 2
    assert "<img" not in page
    assert "<b>cross-posted" not in page


def test_titles_that_need_no_script_are_escaped_too() -> None:
    hours = [float(hour) for hour in range(24 * 10)]
    told = together({0: {"old": 5}}, grown(hours, "new", 5, [(24, 10), (1_000, 1)]))
    history = watched(told, {"new": 5.0})
    items = tuple(replace(item, title=TITLES["script"]) for item in history.items)
    page = source_page(Story(a_source(), replace(history, items=items), Ledger("blog", {}), [], at(30))).decode()
    assert '<td><bdi dir="auto">&lt;/script&gt;&lt;script&gt;' in page
    assert page.count("</script>") == 2


def test_a_page_says_what_the_ledger_and_the_reports_say(site: tuple[Project, Account]) -> None:
    project, account = site
    data, page = _data(_page(project)), _page(project)
    assert data["hours"]["runs"] == [0, 7, 2, 3, 0, 5, 1, 1, 0, 14]
    report = account.report(29)
    assert data["catalogue"]["views"]["total"][-1] == report.movement["views"].total
    movement = report.movement["views"].delta
    assert data["catalogue"]["views"]["gained"][-1] == movement
    assert f"<dd>{report.movement['views'].total:,}</dd>" in page
    assert f"<dd>+{movement}</dd><small>in 1 hour</small>" in page
    assert "26 of 30 hours observed, 3 gaps, 1 quarantined." in page
    assert "(Asia/Tokyo)" in page
    assert {happening["k"] for happening in data["happenings"]} == {"crossed", "published", "marked", "quarantined"}


def test_a_page_of_a_year_in_which_everything_moves_stays_small_and_says_what_it_leaves_out() -> None:
    page = source_page(a_year())
    assert len(page) < LARGEST
    text = page.decode()
    [days] = re.findall(r"Every capture of the last (\d+) days is drawn, of earlier days the last one each", text)
    assert 7 <= int(days) <= 90
    assert "All of it is written by: ratchet export made -o made.csv" in text


def test_pages_are_made_again_in_one_step_and_leave_nothing_behind(site: tuple[Project, Account]) -> None:
    project, account = site
    before = _page(project)
    write_page(project, read_story(project, account.source, at(30)))
    assert _page(project) == before
    assert sorted(path.name for path in (project.data / "site").iterdir()) == [".cache", "blog.html", "index.html"]


def test_the_page_over_all_sources_leads_to_each(site: tuple[Project, Account]) -> None:
    page = _page(site[0], "index")
    assert '<a href="blog.html">blog</a>' in page
    assert [part["source"] for part in _data(page)["sources"]] == ["blog"]


def test_a_source_called_index_does_not_take_the_place_of_the_page_over_all(
    site: tuple[Project, Account], tmp_path: Path
) -> None:
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / "index").symlink_to(site[0].data / "lake" / "blog")
    project = Project(defs=tmp_path, data=tmp_path)
    assert write_page(project, read_story(project, a_source(name="index"), at(30))).name == "index-source.html"
    build_index(project)
    assert '<a href="index-source.html">index</a>' in _page(project, "index")


def test_the_page_over_all_stands_without_any_source_and_beside_a_broken_card(tmp_path: Path) -> None:
    project = Project(defs=tmp_path, data=tmp_path)
    card = tmp_path / "site" / ".cache" / "blog" / "card.json"
    card.parent.mkdir(parents=True)
    card.write_text("{}")
    assert "No source has an accepted hour yet." in build_index(project).read_text()


def test_the_page_over_all_names_the_sources_that_have_no_page_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(COOKIE_VARIABLE, "planted")
    project, _ = made_site(tmp_path)
    for name in ("blog", "new"):
        write_source(project, name, "http://127.0.0.1:9")
    assert "1 source. Without a page yet: new." in build_index(project).read_text()


def test_a_source_without_an_accepted_hour_has_no_page(tmp_path: Path) -> None:
    project = Project(defs=tmp_path, data=tmp_path)
    with pytest.raises(NothingAccepted):
        write_page(project, read_story(project, a_source(), at(0)))
    assert not (tmp_path / "site" / "blog.html").exists()


def test_a_folder_that_cannot_be_written_is_a_fault_with_words(site: tuple[Project, Account], tmp_path: Path) -> None:
    project, account = site
    elsewhere = Project(defs=tmp_path, data=tmp_path)
    (tmp_path / "site").write_text("a file")
    with pytest.raises(LakeFault, match="cannot be used"):
        write_page(elsewhere, read_story(project, account.source, at(30)))


def test_the_page_names_what_drifted_and_draws_the_signals_that_ever_moved(tmp_path: Path) -> None:
    project = Project(defs=tmp_path / "defs", data=tmp_path)
    account = Account(project.lake.source("blog"), a_source(timezone="Asia/Tokyo"))
    with account.lake.writing():
        for hours in range(10):
            more = {"badge": "<b>gold</b>"} if hours == 8 else {}
            titles = [None if hours == 9 and n == 0 else f"T{n}" for n in range(8)]
            account.tell(hours, [row(f"n{n}", hours, name=title, **more) for n, title in enumerate(titles)])
    page = write_page(project, read_story(project, account.source, at(10))).read_text()
    section = page[page.index('id="quality"') : page.index('id="happened-title"')]
    assert "the platform sends what it never sent before: data.note_stats.badge" in section
    assert "title missing in 12 % of items since 09:17 UTC, never before (9 captures)" in section
    assert section.index("title missing in") < section.index("never sent before")  # the newest first
    assert "<td>1 Nov 17:17</td>" in section  # 08:17 UTC, where the source is read
    assert "2 drifted in the last seven days." in section
    assert '<td class="text">title missing</td>' in section
    assert "gold" not in section
    assert '<td class="text">views missing</td>' not in section  # zero throughout
    assert section.count('class="spark"') == section.count(' over time"><path') > 3


def test_spikes_stand_in_a_table_with_what_came_before_them_as_text() -> None:
    hours = [float(hour) for hour in range(24 * 9)]
    told = together(grown(hours, "n1", -50, [(10_000, 2)]), {200.0: {"n1": 900}, 201.0: {"n1": 902}})
    history = watched({hour: values for hour, values in told.items() if hour <= 201})
    mark = Happening(at(199), Kind.MARK, "n1", f"{TITLES['script']} (Ada)")
    item = replace(history.items[0], title=TITLES["image"])
    story = Story(a_source(), replace(history, items=(item,)), Ledger("blog", {}), [mark], at(30))
    [row] = re.findall(r'<table id="spikes">.*?<tbody>\n(.*?)\n</tbody>', source_page(story).decode(), re.S)
    when, name, gained, *_, before = re.findall(r"<td[^>]*>(.*?)</td>", row)
    assert when == "Mon, 9 Nov 2026, 07:17"
    assert "onerror" in name
    assert "<img" not in row
    assert gained == "+402 in 1 hour"
    assert "marked &lt;/script&gt;&lt;script&gt;window.reached = true&lt;/script&gt; (Ada) as it began" in before
