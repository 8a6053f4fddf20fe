"""conserves_counts: a delta that does not add up is found, and nothing is published from it."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pipeline.core import history
from pipeline.core.errors import LakeFault
from pipeline.core.lake import DELTA, REPORT, VALIDATED
from pipeline.core.snapshots import encode_table, read_table
from pipeline.core.validation.conservation import CHECK

from .account import Account, assert_accepted, hour, row, rows


@pytest.fixture
def told(account: Account) -> Account:
    """Two hours: ``a`` gains 5 and ``b`` nothing, ``c`` is new, ``d`` is carried."""
    account.tell(0, rows(a=10, b=20, d=40))
    account.tell(1, [row("a", 15), row("b", 20), row("c", 7)])
    return account


def delta(account: Account) -> pa.Table:
    return read_table(account.lake.path(DELTA, hour(1)))


def with_value(table: pa.Table, item: str, column: str, value: int | None) -> pa.Table:
    changed = pc.if_else(pc.equal(table["item_id"], item), pa.scalar(value, pa.int64()), table[column])
    return table.set_column(table.column_names.index(column), column, changed)


def test_a_delta_that_adds_up_passes_with_new_and_carried_items(told: Account) -> None:
    found = history.conservation(told.lake, hour(1))
    assert (found.check, found.passed, found.facts["items_compared"]) == (CHECK, True, 3)
    assert history.conservation(told.lake, hour(0)).passed


@pytest.mark.parametrize(
    ("item", "column", "value", "words"),
    [
        ("a", "views_delta", 6, "views is not conserved for 1 item: Title of a [a]"),
        ("a", "views_delta", None, "views has no delta for 1 item: Title of a [a]"),
        ("b", "views_delta", None, "views has no delta for 1 item: Title of b [b]"),
        ("b", "likes_delta", -1, "likes is not conserved for 1 item: Title of b [b]"),
        ("c", "views_delta", 8, "views is not conserved for 1 item: Title of c [c]"),
        ("a", "views", 16, "views of the delta is not that of the snapshot for 1 item"),
        ("a", "comments", None, "comments of the delta is not that of the snapshot for 1 item"),
    ],
)
def test_a_count_that_is_gained_or_lost_on_the_way_is_found(
    told: Account, item: str, column: str, value: int | None, words: str
) -> None:
    found = history.conservation(told.lake, hour(1), with_value(delta(told), item, column, value))
    assert not found.passed
    assert words in found.reason
    assert found.failing == 1
    assert [told_row["item_id"] for told_row in found.rows] == [item]
    # Its neighbours, the checks of the capture, have nothing to say about that.
    assert_accepted(history.verdict(told.lake, told.source, told.lake.captures(hour(1), hour(1))[0]))


def test_an_observed_item_without_a_row_is_found(told: Account) -> None:
    found = history.conservation(told.lake, hour(1), delta(told).filter(pc.field("item_id") != "b"))
    assert not found.passed
    assert "Title of b [b]" in found.reason


def test_a_row_of_an_item_that_was_not_observed_is_found(told: Account) -> None:
    table = delta(told)
    invented = table.slice(0, 1).set_column(0, "item_id", pa.array(["x"]))
    found = history.conservation(told.lake, hour(1), pa.concat_tables([table, invented]))
    assert not found.passed
    assert "[x]" in found.reason


def test_a_delta_that_does_not_add_up_is_never_published(told: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = with_value(delta(told), "a", "views_delta", 6)
    told.lake.supersede(DELTA, hour(1))
    before = told.files()
    monkeypatch.setattr(history, "hour_delta", lambda *arguments: wrong)
    with pytest.raises(LakeFault, match="does not add up"):
        history.publish_delta(told.lake, hour(1))
    assert told.files() == before


def test_no_report_is_made_of_a_delta_that_was_changed_in_the_lake(told: Account) -> None:
    told.lake.supersede(REPORT, hour(1))
    told.lake.publish_generation(DELTA, hour(1), encode_table(with_value(delta(told), "a", "views_delta", 6)))
    with pytest.raises(LakeFault, match="does not add up"):
        history.publish_report(told.lake, told.source, hour(1))
    assert not told.lake.exists(REPORT, hour(1))
    assert told.lake.exists(VALIDATED, hour(1))
