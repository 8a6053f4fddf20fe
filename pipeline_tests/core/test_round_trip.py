"""What is exported can be imported: into an empty lake it makes the very same observations again."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.core import history
from pipeline.core.capture import store_capture
from pipeline.core.export.formats import Format, write_file
from pipeline.core.export.tables import Contents, plan_export
from pipeline.core.history_files.reading import read_past
from pipeline.core.lake import VALIDATED
from pipeline.core.model import Origin
from pipeline.core.snapshots import read_table

from .account import Account, row
from .snapshots import at

ITEM = ["item_id", "title", "url", "published_at", "last_observed_at", "views", "likes", "comments", "views_max"]


@pytest.fixture
def told(account: Account) -> Account:
    """Four hours: titles and ids that a spreadsheet would calculate, an item that goes and comes back, a gap."""
    first = [row("=1+1", 10, name="=cmd()"), row("-a", 20, name="'=quoted"), row("c", 30, name='a "b",\nc')]
    account.tell(0, first, published={"c": "2026-10-30T09:00:00+09:00"})
    account.tell(1, [row("=1+1", 11, name="=cmd()"), row("c", 30)])
    account.tell(3, [row("=1+1", 12, name="=cmd()"), row("-a", 25, name="'=quoted"), row("c", 31), row("new", 1)])
    account.tell(4, [row("=1+1", 12), row("-a", 25), row("c", 31), row("new", 4, name="@home")])
    return account


@pytest.mark.parametrize("kind", [Format.CSV, Format.PARQUET])
def test_an_export_of_snapshots_makes_the_same_history_again(told: Account, tmp_path: Path, kind: Format) -> None:
    file = tmp_path / f"history.{kind}"
    write_file(plan_export(told.lake, Contents.SNAPSHOTS), kind, file, at(9), lambda hour: None)

    again = Account.under(tmp_path / "again")
    past = read_past(file, again.source, at(9), None, None, None)
    for moment in past.moments:
        store_capture(again.lake, again.source, Origin.IMPORT, moment, past.pages(moment))
    again.settle()

    hours = told.lake.accepted_hours()
    assert again.lake.accepted_hours() == hours
    for hour in hours:
        before, after = (read_table(account.lake.path(VALIDATED, hour)) for account in (told, again))
        assert after.select(ITEM).equals(before.select(ITEM)), hour
        assert history.conservation(again.lake, hour).passed
