"""The asset of the whole history, materialised by real Dagster: what it shows, and that it is no part of a capture."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from pipeline.core.analysis.first_hours import first_hours
from pipeline.core.lake import Lake
from pipeline.graph import asset_key
from pipeline.long_view import FIRST_HOURS, SPIKES, build_long_view, first_hours_metadata
from pipeline.resources import LAKE
from pipeline_tests.core.account import Account, rows
from pipeline_tests.core.history_of import grown, together, watched


def test_the_asset_says_why_it_has_nothing_to_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATCHET_DATA", str(tmp_path))
    account = Account.under(tmp_path / "lake")
    with account.lake.writing():
        account.tell(0, rows(a=10))
    view = build_long_view(account.source)
    lake = dg.ResourceDefinition.hardcoded_resource(Lake(tmp_path / "lake"))
    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize(view.assets[:1], resources={LAKE: lake}, instance=instance)
    assert done.success
    [made] = done.asset_materializations_for_node(f"{account.source.name}__{FIRST_HOURS}")
    assert str(made.metadata["in_words"].value).startswith("Withheld: 0 items published while watched can be used")
    assert "half_after_hours" not in made.metadata


def test_its_metadata_has_numbers_to_plot_and_tables() -> None:
    hours = [float(hour) for hour in range(24 * 20)]
    parts = [grown(hours, f"n{n}", 5 + n, [(24, 10), (10_000, 0.5)]) for n in range(6)]
    history = watched(together({0: {"old": 1}}, *parts), {f"n{n}": 5.0 + n for n in range(6)})
    found = first_hours_metadata(first_hours(history, "views"))
    assert found["items"] == 6
    assert found["items_left_out"] == 1
    assert 23 <= found["faded_after_hours"] <= 26
    assert 0 < found["share_after_36_hours"] < 1
    assert len(found["by_item"].records) == 6


def test_it_stands_apart_from_the_assets_of_an_hour() -> None:
    account = Account.under(Path("nowhere"))
    view = build_long_view(account.source)
    for name, asset in zip((FIRST_HOURS, SPIKES), view.assets, strict=True):
        assert asset.group_names_by_key[asset_key(account.source, name)] == "blog_long_view"
        assert asset.partitions_def is None
    assert view.schedule.cron_schedule == "47 3 * * *"
