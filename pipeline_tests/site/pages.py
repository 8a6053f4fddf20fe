"""Sources with pages for the tests: a small account with hostile titles, and a whole year in memory."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from pipeline.core.analysis.marks import make_mark
from pipeline.core.analysis.watched import OBSERVED, Item, Watched
from pipeline.core.hours import Hour, microseconds
from pipeline.core.ledger import Ledger
from pipeline.core.model import HourState
from pipeline.core.project import Project
from pipeline.site.build import Story, build_index, read_story, write_page
from pipeline_tests.core.account import Account, Row, a_source, row
from pipeline_tests.core.snapshots import at

TITLES = {
    "script": "</script><script>window.reached = true</script>",
    "image": '"><img src=x onerror="window.reached = true">',
    "quotes": "\"double\" 'single' & ampersand {{ 7 * 7 }} <!--<script> \N{LINE SEPARATOR}javascript:alert(1)",
    "emoji": "👩‍👩‍👧 family \N{VARIATION SELECTOR-16} ❤️",
    "rtl": "\N{RIGHT-TO-LEFT OVERRIDE}שלום עולם (1)",
    "long": "ab " * 100,
}
HOURS = 30


def made_site(data: Path) -> tuple[Project, Account]:
    """Thirty hours of an account in which hours are missing, one is refused, and things happen; and its pages."""
    project = Project(defs=data / "defs", data=data)
    account = Account(project.lake.source("blog"), a_source(timezone="Asia/Tokyo"))
    with account.lake.writing():
        for hours in range(HOURS):
            if hours in (7, 8, 9):
                continue
            account.tell(hours, _listing(hours), published={"n2": "2026-11-01T04:00:00Z"} if hours > 3 else None)
        make_mark(account.lake, "<b>cross-posted</b>", by="Ada", made_at=at(40), at=at(12), item_id="script")
    write_page(project, read_story(project, account.source, at(HOURS)))
    build_index(project)
    return project, account


def _listing(hours: int) -> list[Row]:
    views = {name: 40 + place * 7 + hours * (place + 1) for place, name in enumerate(TITLES)}
    if hours == 15:
        views["script"] = 1  # refused: a counter fell
    listing = [row(name, views[name], likes=views[name] // 9, name=TITLES[name]) for name in TITLES]
    listing += [row("n1", 900 if hours < 20 else 1_900 + hours, name="Spike")]
    return listing + ([row("n2", 3 * (hours - 3), name="New")] if hours > 3 else [])


def a_year(items: int = 200, hours: int = 8_760) -> Story:
    """Every item gains something in every hour: the most that a page can have to hold."""
    draw = np.random.default_rng(7)
    begin = datetime(2025, 11, 22, 11, 17, tzinfo=UTC)
    values = np.cumsum(draw.integers(1, 60, (hours, items)), axis=0)
    listed = tuple(
        Item(
            f"n{place:012}",
            f"An article of usual length, number {place}",
            f"https://note.com/maker/n/n{place:012}",
            begin,
            False,
        )
        for place in range(items)
    )
    watched = Watched(
        source="made",
        counters=("views", "likes", "comments"),
        items=listed,
        left_out=0,
        captured_at=microseconds(begin) + np.arange(hours) * 3_600_000_000,
        status=np.full((hours, items), OBSERVED, np.int8),
        values={"views": values, "likes": values // 40, "comments": values // 900},
        titles=np.zeros((hours, items), np.int32),
        title_names=("Title",),
        told=(),
        first_accepted_at=begin,
    )
    states = dict.fromkeys((Hour.of(begin + timedelta(hours=n)) for n in range(hours)), HourState.OBSERVED)
    return Story(a_source(name="made"), watched, Ledger("made", states), [], begin + timedelta(hours=hours))
