"""What Dagster's UI shows of an hour: numbers that plot over time, schemas, small tables, a picture.

Text from a platform goes into tables and plain text only, where no markup takes effect.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.core.analysis.spikes import Spike, before_words
from pipeline.core.capture import Ended, read_head, read_pages
from pipeline.core.hours import Hour, format_time
from pipeline.core.lake import DELTA, RAW, REPORT, SIGNALS, VALIDATED, CaptureRef, SourceLake
from pipeline.core.lineage import read_lineage
from pipeline.core.model import FEED_STATE, Counter, Finding
from pipeline.core.records import Lineage, Report, Signals, decode
from pipeline.core.report.build import exact_sum
from pipeline.core.report.markdown import coverage_words
from pipeline.core.report.picture import movers_picture
from pipeline.core.revisions import revision_row, revisions, windowed
from pipeline.core.signals.series import measured
from pipeline.core.snapshots import read_table
from pipeline.core.verdicts import Verdict
from pipeline.core.windows import is_days
from pipeline.platforms.protocol import Page

Metadata = dict[str, Any]
PREVIEW_ROWS = 5
TABLE_ROWS = 25

_COLUMNS = {
    "item_id": "the platform's own name of the item",
    "title": "as the platform gave it last",
    "url": "where a person can look at the item",
    "published_at": "when the item appeared (UTC)",
    "captured_at": "when this capture began (UTC)",
    "status": "observed, carried (not listed this time), or corrected (lowered by the owner)",
    "last_observed_at": "when the item was last listed (UTC)",
    "checks_version": "version of the checks that the capture passed",
    "previous_captured_at": "when the item was last observed before (UTC)",
    "elapsed_seconds": "time that the delta spans",
}


def raw_metadata(lake: SourceLake, capture: CaptureRef, judged: Verdict | None = None) -> Metadata:
    """``judged``: what the checks say of the capture, where it is not accepted yet."""
    head, last = read_head(lake, capture), capture.captured_at
    for part in read_pages(lake, capture):
        if isinstance(part, Page):
            last = max(last, part.fetched_at)
        elif isinstance(part, Ended):
            ended = part
    return {
        **({} if judged is None or judged.accepted else _refusal_metadata(judged)),
        "captured_at": dg.MetadataValue.timestamp(capture.captured_at),
        "seconds": round((last - capture.captured_at).total_seconds(), 2),
        "origin": head.origin.value,
        "pages": ended.pages,
        "bytes_received": ended.bytes,
        "bytes_stored": lake.raw(capture).stat().st_size,
        "file": dg.MetadataValue.path(lake.place(RAW, capture.hour, capture.name)),
    }


def _refusal_metadata(judged: Verdict) -> Metadata:
    """Why a capture goes no further, before anything else."""
    failed = [finding for finding in judged.judged if not finding.passed]
    rows = [{"check": finding.check, **row} for finding in failed for row in finding.rows]
    metadata: Metadata = {"refused_by": ", ".join(f.check for f in failed) or "its owner", "reason": judged.reason}
    return metadata | ({"refused_items": rows_table(rows)} if rows else {})


def snapshot_metadata(lake: SourceLake, hour: Hour) -> Metadata:
    """What the accepted snapshot of the hour says. Raises LakeFault."""
    path = lake.path(VALIDATED, hour)
    lineage, table = read_lineage(path), read_table(path)
    carried = pc.sum(pc.equal(table["status"], "carried")).as_py() or 0
    return {
        **_table_metadata(table, lineage.terms.counters),
        **_revision_metadata(lake, path, lineage, table),
        "items_observed": len(table) - carried,
        "items_carried": carried,
        **_totals(table, lineage),
        **signal_metadata(lake, CaptureRef(hour, lineage.capture)),
        "capture": lineage.capture,
        "compared_with": lineage.previous_hour or "nothing: the first snapshot",
        "file": dg.MetadataValue.path(lake.place(VALIDATED, hour)),
    }


def _revision_metadata(lake: SourceLake, path: Path, lineage: Lineage, snapshot: pa.Table) -> Metadata:
    """What the platform changed about earlier days, of counters that it tells per day."""
    told = windowed(snapshot.column_names, [counter.name for counter in lineage.terms.counters])
    if not told or lineage.previous_hour is None:
        return {}
    found = revisions(path, lake.path(VALIDATED, Hour.parse(lineage.previous_hour)), told)
    return {"days_revised": len(found)} | ({"revised": rows_table(map(revision_row, found))} if found else {})


def signal_metadata(lake: SourceLake, capture: CaptureRef) -> Metadata:
    """What the checks measured on a capture, as numbers that plot over time; nothing where nobody measured."""
    if not lake.exists(SIGNALS, capture.hour, capture.name):
        return {}
    found = measured(decode(lake.path(SIGNALS, capture.hour, capture.name), Signals))
    return {f"signal/{name.fact}": round(value, 6) for name, value in found.numbers.items()}


def delta_metadata(lake: SourceLake, hour: Hour) -> Metadata:
    """What the delta of the hour says. Raises LakeFault."""
    lineage, table = read_lineage(lake.path(VALIDATED, hour)), read_table(lake.path(DELTA, hour))
    return {
        **_table_metadata(table, lineage.terms.counters),
        "dagster/column_lineage": _delta_lineage(lineage, table.column_names),
        "since": lineage.previous_hour or "nothing: the first snapshot",
        "file": dg.MetadataValue.path(lake.place(DELTA, hour)),
    }


def _delta_lineage(lineage: Lineage, columns: Iterable[str]) -> dg.TableColumnLineage:
    """From which columns of the snapshots of two hours each column of the delta is made."""
    snapshot = dg.AssetKey([lineage.source, "validated_snapshot"])
    made_of = {"previous_captured_at": ["last_observed_at"], "elapsed_seconds": ["captured_at", "last_observed_at"]}
    for counter in lineage.terms.counters:
        # An item seen for the first time counts from zero since its publication.
        made_of[f"{counter.name}_delta"] = [counter.name, "published_at"]
        made_of[f"{counter.name}_per_hour"] = [counter.name, "published_at", "captured_at", "last_observed_at"]
    return dg.TableColumnLineage(
        {
            column: [dg.TableColumnDep(asset_key=snapshot, column_name=name) for name in made_of.get(column, [column])]
            for column in columns
        }
    )


def report_metadata(lake: SourceLake, report: Report) -> Metadata:
    """What a report says, with pictures and tables of what it has; nothing is shown that is None."""
    picture = movers_picture(report)
    day = report.coverage["24h"]
    metadata: Metadata = {"largest_gains": _inline(picture) if picture else None}
    if report.crossings:
        metadata["crossed"] = rows_table(
            {
                "item": crossing.title or crossing.item_id,
                "rule": crossing.rule,
                "mark": crossing.threshold,
                "value": _rounded(crossing.value),
                "before": _rounded(crossing.previous_value),
            }
            for crossing in report.crossings
        )
    if report.top_movers:
        metadata["top_movers"] = rows_table(
            {"item": mover.title or mover.item_id, "counter": mover.counter, "gained": mover.delta, "now": mover.value}
            for mover in report.top_movers
        )
    metadata["crossings"] = len(report.crossings)
    for counter, movement in report.movement.items():
        metadata[f"{counter}_gained"] = movement.delta
        metadata[f"{counter}_items_moved"] = movement.items_moved
    metadata |= {
        "hours_since_previous": _rounded(report.elapsed_seconds and report.elapsed_seconds / 3600),
        "coverage_24h": day.observed / day.hours,
        "coverage": coverage_words(report.coverage["30d"]) + " in the last 30 days",
        "simulated": report.simulated,
        "file": dg.MetadataValue.path(lake.place(REPORT, Hour.parse(report.hour))),
    }
    return {name: value for name, value in metadata.items() if value is not None}


def spikes_table(found: Sequence[Spike]) -> dg.TableMetadataValue:
    """The newest spikes, the newest first, and what was published or marked in the hours before each."""
    return rows_table(
        {
            "began": spike.began,
            "item": "all items" if spike.item is None else spike.item.title,
            "gained": spike.gained,
            "hours": round(spike.hours, 1),
            "usual_per_hour": round(spike.usual, 2),
            "before": before_words(spike),
        }
        for spike in reversed(found)
    )


def _inline(picture: bytes) -> dg.MarkdownMetadataValue:
    return dg.MetadataValue.md(f"![largest gains](data:image/svg+xml;base64,{base64.b64encode(picture).decode()})")


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def finding_metadata(finding: Finding) -> Metadata:
    """A finding, with a table of the first items that failed. Text from outside goes into the table alone."""
    metadata: Metadata = {"reason": finding.reason, "failing": finding.failing, **finding.facts}
    if finding.rows:
        metadata["failing_items"] = rows_table(finding.rows)
        if finding.failing > TABLE_ROWS:
            metadata["failing_items_shown"] = f"the first {TABLE_ROWS} of {finding.failing}"
    return metadata


def rows_table(rows: Iterable[Mapping[str, Any]]) -> dg.TableMetadataValue:
    """A table of plain cells, cut to TABLE_ROWS. Every row gets every column."""
    shown = [row for row, _ in zip(rows, range(TABLE_ROWS), strict=False)]
    names = list(dict.fromkeys(name for row in shown for name in row))
    return dg.MetadataValue.table(
        records=[dg.TableRecord({name: _cell(row.get(name)) for name in names}) for row in shown],
        schema=dg.TableSchema(columns=[dg.TableColumn(name, _type_of(shown, name)) for name in names]),
    )


def _table_metadata(table: pa.Table, counters: Iterable[Counter]) -> Metadata:
    descriptions = _COLUMNS | _counter_columns(counters)
    return {
        "dagster/row_count": len(table),
        "dagster/column_schema": dg.TableSchema(
            columns=[dg.TableColumn(f.name, str(f.type), descriptions.get(f.name)) for f in table.schema]
        ),
        "preview": rows_table(
            table.select([name for name in table.column_names if not (is_days(name) or name == FEED_STATE)])
            .slice(0, PREVIEW_ROWS)
            .to_pylist()
        ),
    }


def _counter_columns(counters: Iterable[Counter]) -> dict[str, str]:
    described: dict[str, str] = {}
    for counter in counters:
        described |= {
            counter.name: f"cumulative; policy {counter.policy.trend}",
            f"{counter.name}_max": "highest accepted value; milestones are judged on it",
            f"{counter.name}_peak": "highest value since the last correction; the tolerance is measured from it",
            f"{counter.name}_days": "what the total is made of: per day the highest number told, and the one told last",
            f"{counter.name}_delta": "change since the item was last observed; null where that is unknown",
            f"{counter.name}_per_hour": "the change over the elapsed time",
        }
    return described


def _totals(table: pa.Table, lineage: Lineage) -> Metadata:
    sums = {c.name: exact_sum(table[c.name]) for c in lineage.terms.counters}
    return {f"total_{name}": total for name, total in sums.items() if total is not None}


def _cell(value: Any) -> str | int | float | bool | None:
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return format_time(value) if hasattr(value, "tzinfo") else str(value)


def _type_of(rows: Iterable[Mapping[str, Any]], name: str) -> str:
    kinds = {type(row.get(name)) for row in rows} - {type(None)}
    return {int: "int", float: "float", bool: "bool"}.get(kinds.pop(), "string") if len(kinds) == 1 else "string"
