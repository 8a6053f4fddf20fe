"""The pages in a real headless Chromium, opened from disk: what a person sees, and that nothing leaves."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest

from pipeline.core.hours import Hour
from pipeline.core.project import Project
from pipeline.site.build import build_index, read_story, source_page, write_page
from pipeline_tests.core.account import Account, a_source, rows
from pipeline_tests.core.snapshots import at
from pipeline_tests.dagster_parts import COOKIE_VARIABLE, write_source
from pipeline_tests.loopback import Quiet, serving

from .pages import TITLES, a_year, made_site

pytest.importorskip("selenium", reason="selenium is not installed: it opens the pages in a real browser")
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from pipeline_tests.chromium import chromium

pytestmark = pytest.mark.browser

DESK, PHONE = (1200, 900), (375, 812)


class Browser:
    """One Chromium for the module; each test opens its page anew."""

    def __init__(self, driver: webdriver.Chrome, site: Path) -> None:
        self.driver, self.site = driver, site

    def open(self, name: str = "blog", size: tuple[int, int] = DESK, **media: str) -> None:
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size is PHONE}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        features = [{"name": name.replace("_", "-"), "value": value} for name, value in media.items()]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        for log in ("browser", "performance"):
            self.driver.get_log(log)
        self.driver.get((self.site / f"{name}.html").as_uri())

    def requests(self) -> list[str]:
        """Everything that was asked for since the page was opened."""
        entries = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [e["params"]["request"]["url"] for e in entries if e["method"] == "Network.requestWillBeSent"]

    def complaints(self) -> list[str]:
        return [str(entry["message"]) for entry in self.driver.get_log("browser")]

    def run(self, script: str) -> Any:
        return self.driver.execute_script(script)

    def find(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def texts(self, selector: str) -> list[str]:
        """As the document holds them: what is shown can be cut by its style."""
        found: list[str] = self.run(f"return [...document.querySelectorAll({selector!r})].map((e) => e.textContent)")
        return found


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Account]:
    project, account = made_site(tmp_path_factory.mktemp("browser"))
    return project.data / "site", account


@pytest.fixture(scope="module")
def browser(built: tuple[Path, Account]) -> Iterator[Browser]:
    with chromium() as driver:
        yield Browser(driver, built[0])


@pytest.mark.parametrize("name", ["blog", "index"])
def test_a_page_renders_without_a_complaint_and_asks_for_nothing_but_itself(browser: Browser, name: str) -> None:
    browser.open(name)
    assert browser.run("return document.querySelectorAll('canvas').length") == 3
    assert browser.complaints() == []
    assert browser.requests() == [(browser.site / f"{name}.html").as_uri()]


class _Counting(Quiet):
    """Somewhere outside: remembers what it was asked for."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(204)
        self.end_headers()


@pytest.fixture
def outside() -> Iterator[str]:
    with serving(_Counting) as port:
        yield f"http://127.0.0.1:{port}"


def test_the_policy_stops_what_would_load_send_or_run(browser: Browser, outside: str) -> None:
    browser.open()
    ended = browser.driver.execute_async_script(
        """const [outside, done] = arguments;
        const image = new Image(), script = document.createElement('script');
        script.textContent = 'window.reached = true';
        document.body.append(script);
        image.onload = () => done('loaded');
        image.onerror = () => fetch(outside + '/fetched').then(() => done('sent'), () => done('stopped'));
        image.src = outside + '/image.png';
        document.body.append(image);""",
        outside,
    )
    assert ended == "stopped"
    assert _Counting.asked == []
    assert browser.run("return window.reached") is None
    assert any("Content Security Policy" in complaint for complaint in browser.complaints())


def test_the_lines_are_drawn(browser: Browser) -> None:
    browser.open()
    painted = browser.run(
        """return [...document.querySelectorAll('canvas')].map((canvas) => {
          const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
          const colours = new Set();
          for (let at = 0; at < pixels.length; at += 4) colours.add(pixels.slice(at, at + 4).join());
          return colours.has('59,76,192,255');  // --accent
        })"""
    )
    assert painted == [True, True, True]


def test_titles_are_shown_as_text(browser: Browser) -> None:
    browser.open()
    shown = browser.texts("#items tbody td:first-child bdi")
    assert set(TITLES.values()) <= set(shown)
    assert browser.run("return window.reached") is None
    browser.run(
        "[...document.querySelectorAll('#items tbody button')]"
        ".find((button) => button.textContent.startsWith('</script')).click()"
    )
    assert browser.texts("#subject bdi") == [TITLES["script"]]
    assert any("<b>cross-posted</b> (Ada)" in text for text in browser.texts("#happened bdi"))
    assert browser.run("return window.reached") is None
    assert browser.complaints() == []


def test_an_address_that_would_run_as_script_is_no_link(browser: Browser) -> None:
    story = a_year(items=3, hours=30)
    addresses = ("javascript:window.reached = true", " JaVaScRiPt:window.reached = true", "https://note.com/me/n/n1")
    items = tuple(replace(item, url=url) for item, url in zip(story.watched.items, addresses, strict=True))
    (browser.site / "links.html").write_bytes(source_page(replace(story, watched=replace(story.watched, items=items))))
    browser.open("links")
    assert browser.run("return [...document.querySelectorAll('#items a')].map((a) => a.href)") == [addresses[-1]]
    assert browser.complaints() == []


def test_an_item_that_is_counted_and_no_longer_listed_says_so(tmp_path: Path, browser: Browser) -> None:
    project = Project(defs=tmp_path / "defs", data=tmp_path)
    account = Account(project.lake.source("blog"), a_source())
    views = {f"n{number}": 100 + number for number in range(12)}
    with account.lake.writing():
        assert account.tell(0, rows(**views))
        assert account.tell(1, rows(**{name: counted for name, counted in views.items() if name != "n11"}))
    (browser.site / "gone.html").write_bytes(source_page(read_story(project, account.source, at(2))))
    browser.open("gone")
    assert "11 items listed on 1 November 2026 at 01:17 (UTC), 1 no longer listed: 1,266 views" in browser.texts("p")[0]
    [marked] = browser.texts("#items tbody tr:has(small)")
    assert marked.startswith("Title of n11")
    assert "not in the newest capture" in marked
    assert browser.complaints() == []


def test_hours_that_were_refused_since_the_last_accepted_one_stand_in_the_strip(
    tmp_path: Path, browser: Browser
) -> None:
    project = Project(defs=tmp_path / "defs", data=tmp_path)
    account = Account(project.lake.source("blog"), a_source())
    with account.lake.writing():
        for hours in range(5):
            account.tell(hours, rows(a=10 + hours if hours < 4 else 1))
    browser.site.joinpath("refused.html").write_bytes(source_page(read_story(project, account.source, at(4))))
    try:
        browser.open("refused")
        crosses = browser.run(
            """const canvas = document.querySelector('.chart > .chart:nth-of-type(3) canvas');
            const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
            let found = 0;
            for (let at = 0; at < pixels.length; at += 4) found += pixels.slice(at, at + 4).join() === '179,38,30,255';
            return found;"""  # --warn
        )
    finally:
        browser.site.joinpath("refused.html").unlink()
    assert crosses > 10


def test_a_page_that_should_have_been_drawn_again_says_so(
    built: tuple[Path, Account], browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(defs=built[0].parent / "defs", data=built[0].parent)
    browser.open("blog")
    assert "days ago, and captures should come every hour" in browser.find(".stale").text
    assert "ratchet status blog says what" in browser.find(".stale").text
    browser.open("index")  # which knows no source of that name
    assert browser.texts(".stale") == []
    monkeypatch.setenv(COOKIE_VARIABLE, "planted")
    file = write_source(project, "blog", "http://127.0.0.1:9")
    build_index(project)
    shutil.rmtree(file.parent)
    browser.open("index")
    assert "ratchet status blog says what" in browser.find("section .stale").text

    story = read_story(project, replace(built[1].source, name="blog"), datetime.now(UTC))
    try:
        an_hour_ago = Hour.of(datetime.now(UTC)) + -1
        for name, source in (("late", story.source), ("ended", replace(story.source, end=an_hour_ago))):
            drawn = datetime.now(UTC) - (timedelta(minutes=119) if name == "late" else timedelta(days=9))
            write_page(project, replace(story, source=replace(source, name=name), drawn_at=drawn))
            browser.open(name)
            assert browser.texts("#age") == ["."]
        for ago, words in ((timedelta(hours=3), "3 hours ago"), (timedelta(hours=50), "2 days ago")):
            write_page(
                project, replace(story, source=replace(story.source, name="late"), drawn_at=datetime.now(UTC) - ago)
            )
            browser.open("late")
            assert words in browser.find(".stale").text
    finally:
        for name in ("late", "ended"):
            (built[0] / f"{name}.html").unlink()
            shutil.rmtree(built[0] / ".cache" / name)


def test_each_source_of_the_page_over_all_has_a_time_axis_of_its_own(
    built: tuple[Path, Account], browser: Browser
) -> None:
    story = a_year(items=2, hours=30)
    project = Project(defs=built[0].parent, data=built[0].parent)
    write_page(project, replace(story, source=replace(story.source, name="earlier")))
    build_index(project)
    try:
        browser.open("index")
        strips = browser.run(  # of the hours, the last chart of each source
            """return [...document.querySelectorAll('.chart > .chart:nth-of-type(3) canvas')].map((canvas) => {
              const {width, height} = canvas;
              const pixels = canvas.getContext('2d').getImageData(0, 0, width, height).data;
              let first = width, last = 0;
              for (let at = 0; at < pixels.length; at += 4) {
                if (pixels.slice(at, at + 4).join() !== '59,76,192,255') continue;  // --accent
                first = Math.min(first, (at / 4) % width);
                last = Math.max(last, (at / 4) % width);
              }
              return (last - first) / width;
            })"""
        )
        assert len(strips) == 2
        assert min(strips) > 0.7
    finally:
        shutil.rmtree(built[0] / ".cache" / "earlier")
        build_index(project)


def _column(browser: Browser, number: int) -> list[str]:
    return browser.texts(f"#items tbody td:nth-child({number})")


def test_the_table_sorts_both_ways(browser: Browser) -> None:
    browser.open()
    for direction in ("descending", "ascending"):
        browser.find("th[data-column='24h'] button").click()
        gained = [int(text.replace(",", "")) for text in _column(browser, 5)]
        assert len(gained) == 8
        assert gained == sorted(gained, reverse=direction == "descending")
        assert browser.find("th[data-column='24h']").get_attribute("aria-sort") == direction


def test_what_is_not_known_stands_last_either_way_and_says_why(browser: Browser) -> None:
    browser.open()
    for _ in range(2):
        browser.find("th[data-column='7d'] button").click()
        assert _column(browser, 6) == ["+78", *["–"] * 7]
    reason = browser.find("#items td.unknown:nth-child(6)").get_attribute("title")
    assert reason == "Not known: no observation about 7 days before the newest"


def test_the_filter_leaves_what_it_names(browser: Browser) -> None:
    browser.open()
    browser.find("#filter").send_keys("spike")
    assert browser.texts("#items tbody td:first-child bdi") == ["Spike"]
    assert "1 of 1 items that match, of 8" in browser.find("#count").text


def test_a_spike_is_shown_on_a_log_scale_that_can_be_switched_off(browser: Browser) -> None:
    browser.open()
    assert browser.run("return document.getElementById('log').checked") is True
    browser.find("#log").click()
    assert browser.run("return document.getElementById('log').checked") is False
    assert "logarithmic" not in browser.find("#words").text


def test_the_charts_stand_as_words_and_as_a_table(browser: Browser) -> None:
    browser.open()
    assert browser.find("#charts").get_attribute("role") == "img"
    assert "views on 1 Nov 2026" in browser.find("#words").text
    browser.find("#daily summary").click()
    browser.driver.implicitly_wait(2)
    assert browser.find("#days tbody tr td").text == "2 Nov 2026"
    browser.driver.implicitly_wait(0)


def test_a_long_title_is_cut_in_the_table_and_whole_where_it_is_chosen(browser: Browser) -> None:
    browser.open(size=PHONE)
    assert (
        browser.run("return Math.max(...[...document.querySelectorAll('#items tbody tr')].map((r) => r.offsetHeight))")
        < 90
    )
    browser.run(
        "[...document.querySelectorAll('#items tbody button')].find((b) => b.textContent.startsWith('ab ab')).click()"
    )
    assert browser.run("return document.querySelector('#subject bdi').offsetHeight") > 150
    assert browser.texts("#subject bdi") == [TITLES["long"]]


def test_a_tooltip_tells_the_hour_under_the_pointer(browser: Browser) -> None:
    browser.open()
    ActionChains(browser.driver).move_to_element(browser.find(".u-over")).perform()
    browser.driver.implicitly_wait(2)
    told = browser.find(".tip:not([hidden])").text
    browser.driver.implicitly_wait(0)
    assert told.startswith("Sun, 1 Nov 2026, 23:17")
    assert "an hour" in told


def test_the_page_is_dark_where_the_system_is(browser: Browser) -> None:
    ground = "return getComputedStyle(document.body).backgroundColor"
    browser.open(prefers_color_scheme="light")
    light = browser.run(ground)
    browser.open(prefers_color_scheme="dark")
    dark = browser.run(ground)
    assert (light, dark) == ("rgb(245, 245, 242)", "rgb(19, 20, 23)")


@pytest.mark.parametrize("name", ["blog", "index"])
def test_a_phone_shows_the_page_without_scrolling_sideways(browser: Browser, name: str) -> None:
    browser.open(name, PHONE)
    assert browser.run("return document.documentElement.scrollWidth") == PHONE[0]
    assert (
        browser.run("return Math.max(...[...document.querySelectorAll('canvas')].map((c) => c.clientWidth))")
        <= PHONE[0]
    )
    assert browser.complaints() == []


def test_the_page_prints_on_white_and_comes_back(browser: Browser) -> None:
    browser.open(prefers_color_scheme="dark")
    browser.run(
        "window.seen = []; addEventListener('beforeprint', () => seen.push(document.documentElement.className))"
    )
    printed = browser.driver.execute_cdp_cmd("Page.printToPDF", {"printBackground": False})
    content = base64.b64decode(printed["data"])
    assert content.startswith(b"%PDF-")
    assert len(content) > 20_000
    assert browser.run("return window.seen") == ["print"]
    assert browser.run("return document.documentElement.className") == ""
