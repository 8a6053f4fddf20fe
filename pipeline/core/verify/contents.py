"""What the files of one hour say, and whether they agree with each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.core.capture import Ended, read_head, read_pages
from pipeline.core.hours import Hour
from pipeline.core.lake import CaptureRef, SourceLake
from pipeline.core.model import SNAPSHOT_COLUMNS
from pipeline.core.parquet import reading
from pipeline.core.readings import Shifted
from pipeline.core.records import Lineage, Report
from pipeline.core.report.build import exact_sum
from pipeline.core.validation.conservation import conserves_counts

_BATCH_ROWS = 150_000


@dataclass(frozen=True)
class Judged:
    """The tables of one accepted hour. ``previous`` is the snapshot that its delta was made against."""

    hour: Hour
    lineage: Lineage
    snapshot: pa.Table
    delta: pa.Table
    previous: pa.Table | None

    @property
    def counters(self) -> tuple[str, ...]:
        """The names of the counters as they were when the hour was accepted."""
        return tuple(counter.name for counter in self.lineage.terms.counters)


def read_parquet(path: Path) -> pa.Table:
    """A whole file with its metadata, on one thread: thousands of small ones follow. Raises LakeFault."""
    with reading(path), pq.ParquetFile(path) as file:
        return file.read(use_threads=False)


def capture_disagreement(lake: SourceLake, capture: CaptureRef) -> str | None:
    """What a stored capture says wrongly of itself. Raises LakeFault where it cannot be read to its end."""
    head = read_head(lake, capture)
    if head.captured_at != capture.captured_at:
        return "it says another time than its name"
    count = 0
    for part in read_pages(lake, capture):
        if isinstance(part, Ended):
            if part.pages != count:
                return f"it holds {count} pages and says {part.pages}"
        elif not isinstance(part, Shifted):
            count += 1
    return None


def snapshot_disagreement(hour: Hour, lineage: Lineage, table: pa.Table) -> str | None:
    """What an accepted snapshot lacks or contradicts."""
    wanted = [*SNAPSHOT_COLUMNS, *(n for c in lineage.terms.counters for n in (c.name, f"{c.name}_max"))]
    lacking = [name for name in wanted if name not in table.column_names]
    if lacking:
        return f"it has no column {lacking[0]}"
    if lineage.hour != hour.key:
        return f"it says that it is {lineage.hour}"
    if len(table) == 0:
        return "it has no row"
    if pc.count_distinct(table["item_id"]).as_py() != len(table) or table["item_id"].null_count:
        return "an item stands in it twice, or without a name"
    if set(table["captured_at"].unique().to_pylist()) != {CaptureRef(hour, lineage.capture).captured_at}:
        return "its rows are not all of its capture's time"
    return None


def report_disagreement(report: Report, judged: Judged) -> str | None:
    """The first number of a report that its snapshot or delta contradicts."""
    snapshot, delta = judged.snapshot, judged.delta
    carried = pc.sum(pc.equal(snapshot["status"], "carried")).as_py() or 0
    if (report.hour, report.captured_at) != (judged.hour.key, snapshot["captured_at"][0].as_py()):
        return "it is of another hour"
    items = (report.items.observed, report.items.carried, report.items.first_seen)
    if items != (len(snapshot) - carried, carried, delta["previous_captured_at"].null_count):
        return "its number of items is not that of the snapshot"
    for counter, movement in report.movement.items():
        if movement.total != (exact_sum(snapshot[counter]) or 0):
            return f"its total of {counter} is not that of the snapshot"
        if movement.delta != exact_sum(delta[f"{counter}_delta"]):
            return f"its change of {counter} is not that of the delta"
    unknown = {crossing.item_id for crossing in report.crossings}.difference(delta["item_id"].to_pylist())
    return f"a crossing is of {min(unknown)}, which has no delta" if unknown else None


def not_conserving(hours: Iterable[Judged]) -> Iterator[tuple[Hour, str]]:
    """The hours whose delta does not add up, and why. Judged many at once: an hour has few items as a rule."""
    batch: list[Judged] = []
    for judged in hours:
        if batch and (batch[0].counters != judged.counters or sum(len(b.snapshot) for b in batch) > _BATCH_ROWS):
            yield from _not_conserving(batch)
            batch = []
        batch.append(judged)
    if batch:
        yield from _not_conserving(batch)


def _not_conserving(batch: Sequence[Judged]) -> Iterator[tuple[Hour, str]]:
    previous = [_labelled(judged.hour, judged.previous) for judged in batch if judged.previous is not None]
    try:
        finding = conserves_counts(
            pa.concat_tables([_labelled(judged.hour, judged.delta) for judged in batch]),
            _stacked([_labelled(judged.hour, judged.snapshot) for judged in batch]),
            _stacked(previous) if previous else None,
            batch[0].counters,
        )
    except (KeyError, pa.ArrowInvalid) as fault:
        if len(batch) == 1:
            yield batch[0].hour, f"it does not fit its snapshots: {fault}"
            return
        passed = False
    else:
        passed = finding.passed
    if len(batch) == 1 and not passed:
        yield batch[0].hour, finding.reason.replace(f"{batch[0].hour.key} ", "")
    elif not passed:
        for judged in batch:
            yield from _not_conserving([judged])


def _labelled(hour: Hour, table: pa.Table) -> pa.Table:
    """With the hour before each item's name, so that many hours fit into one table."""
    names = pc.binary_join_element_wise(hour.key, table["item_id"], " ")
    return table.set_column(table.column_names.index("item_id"), "item_id", names).replace_schema_metadata(None)


def _stacked(tables: Sequence[pa.Table]) -> pa.Table:
    return pa.concat_tables(tables, promote_options="default")
