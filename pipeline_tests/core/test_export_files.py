"""A file of an export appears whole or not at all, and nothing that is there is lost by it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.core.errors import ConfigError, LakeFault, SourceBusy
from pipeline.core.export.formats import Format, write_file
from pipeline.core.export.tables import Contents, plan_export
from pipeline.core.hours import Hour
from pipeline.core.lake import DELTA, REPORT, VALIDATED

from .account import Account, hour, row
from .exports import AWKWARD, NOW, exported, from_csv, nothing


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where only exports are."""
    made = tmp_path / "exports"
    made.mkdir()
    yield made


@pytest.mark.parametrize("kind", Format)
def test_an_interrupted_export_leaves_nothing(told: Account, folder: Path, kind: Format) -> None:
    def interrupt(done: Hour) -> None:
        if done == hour(1):
            assert [file.name.startswith(".all.") for file in folder.iterdir()] == [True]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_file(plan_export(told.lake, Contents.SNAPSHOTS), kind, folder / f"all.{kind}", NOW, interrupt)
    assert list(folder.iterdir()) == []


def test_a_file_that_is_there_is_replaced_only_on_request(told: Account, folder: Path) -> None:
    file, export = folder / "all.csv", plan_export(told.lake, Contents.SNAPSHOTS)
    file.write_text("mine")
    with pytest.raises(ConfigError, match="there already") as refused:
        write_file(export, Format.CSV, file, NOW, lambda _: pytest.fail("it was read all the same"))
    assert "--force" in refused.value.next_step
    assert file.read_text() == "mine"
    write_file(export, Format.CSV, file, NOW, nothing, replace=True)
    assert len(from_csv(file)) == 3 * len(AWKWARD)
    assert list(folder.iterdir()) == [file]


def test_a_file_that_came_in_the_meantime_is_not_replaced(told: Account, folder: Path) -> None:
    file = folder / "all.csv"

    def meanwhile(_: Hour) -> None:
        file.write_text("mine")

    with pytest.raises(ConfigError, match="there already"):
        write_file(plan_export(told.lake, Contents.SNAPSHOTS), Format.CSV, file, NOW, meanwhile)
    assert (file.read_text(), list(folder.iterdir())) == ("mine", [file])


@pytest.mark.parametrize("replace", [False, True])
def test_what_is_no_file_is_never_replaced(told: Account, folder: Path, replace: bool) -> None:
    (folder / "all.csv").mkdir()
    with pytest.raises(ConfigError, match="is no file"):
        write_file(
            plan_export(told.lake, Contents.SNAPSHOTS), Format.CSV, folder / "all.csv", NOW, nothing, replace=replace
        )


@pytest.mark.parametrize("kind", Format)
def test_a_folder_that_is_not_there_is_one_clear_error(told: Account, folder: Path, kind: Format) -> None:
    with pytest.raises(ConfigError, match="cannot be written: No such file or directory"):
        write_file(plan_export(told.lake, Contents.SNAPSHOTS), kind, folder / "no" / "all", NOW, nothing)


@pytest.mark.parametrize("contents", Contents)
def test_a_damaged_hour_ends_the_export_and_leaves_nothing(told: Account, folder: Path, contents: Contents) -> None:
    export = plan_export(told.lake, contents)
    damaged = told.lake.path({Contents.CROSSINGS: REPORT, Contents.DELTAS: DELTA}.get(contents, VALIDATED), hour(3))
    damaged.write_bytes(damaged.read_bytes()[:-20])
    with pytest.raises(LakeFault, match="is damaged"):
        write_file(export, Format.CSV, folder / "all.csv", NOW, nothing)
    assert list(folder.iterdir()) == []


def test_a_snapshot_without_its_items_is_damaged(told: Account, folder: Path) -> None:
    path = told.lake.path(VALIDATED, hour(3))
    table = pq.read_table(path, partitioning=None)
    pq.write_table(table.drop_columns(["item_id"]), path)
    with pytest.raises(LakeFault, match="has no item_id"):
        exported(told, folder / "all.csv")


@pytest.mark.parametrize("contents", Contents)
@pytest.mark.parametrize("corrected", [0, 3], ids=["an hour that was read", "an hour that was not"])
def test_an_export_that_meets_a_rebuild_is_given_up(
    told: Account, folder: Path, contents: Contents, corrected: int
) -> None:
    heard: list[Hour] = []

    def correct(done: Hour) -> None:
        if not heard:
            told.correct(corrected, "reject")
        heard.append(done)

    with pytest.raises(SourceBusy, match="made again while"):
        write_file(plan_export(told.lake, contents), Format.CSV, folder / "all.csv", NOW, correct)
    assert list(folder.iterdir()) == []


def test_a_new_hour_disturbs_no_export(told: Account, folder: Path) -> None:
    export = plan_export(told.lake, Contents.SNAPSHOTS)
    told.tell(5, [row(key, 200, likes=9, name=title) for key, title in AWKWARD.items()])
    assert write_file(export, Format.CSV, folder / "all.csv", NOW, nothing) == 3 * len(AWKWARD)
