"""What an accepted snapshot was made from: the record in its Parquet metadata, and who stands for an hour."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.core.errors import NothingAccepted
from pipeline.core.files import damaged
from pipeline.core.hours import Hour
from pipeline.core.lake import VALIDATED, CaptureRef, SourceLake
from pipeline.core.parquet import reading
from pipeline.core.records import Lineage

_METADATA_KEY = b"ratchet"


def with_lineage(table: pa.Table, lineage: Lineage) -> pa.Table:
    """The table with the lineage in its metadata, as JSON, in the place of all that was there."""
    return table.replace_schema_metadata({_METADATA_KEY: msgspec.json.encode(lineage)})


def read_lineage(path: Path) -> Lineage:
    """What the snapshot was made from. Raises LakeFault where the file does not say."""
    with reading(path):
        schema = pq.read_schema(path)
    return lineage_in(schema, path)


def lineage_in(schema: pa.Schema, path: Path) -> Lineage:
    """The same from what was read of ``path`` already."""
    try:
        return msgspec.json.decode((schema.metadata or {})[_METADATA_KEY], type=Lineage)
    except (KeyError, msgspec.DecodeError, msgspec.ValidationError) as fault:
        raise damaged(path, "it does not say what it was made from") from fault


def accepted_lineage(lake: SourceLake, hour: Hour) -> Lineage:
    """What the hour's accepted snapshot was made from. Raises NothingAccepted where there is none."""
    if not lake.exists(VALIDATED, hour):
        raise NothingAccepted(
            f"{lake.name} has no accepted snapshot for {hour.key}, so there is nothing to go on from.",
            f"Look at its checks, or run: ratchet status {lake.name}",
        )
    return read_lineage(lake.path(VALIDATED, hour))


def standing_capture(lake: SourceLake, hour: Hour) -> CaptureRef:
    """The capture that stands for the hour: the accepted one, else the newest. Raises NothingAccepted."""
    if lake.exists(VALIDATED, hour):
        return CaptureRef(hour, read_lineage(lake.path(VALIDATED, hour)).capture)
    captures = lake.captures(hour, hour)
    if not captures:
        raise NothingAccepted(
            f"{lake.name} captured nothing at {hour.key}.",
            "An hour that has passed stays a gap; observe the present.",
        )
    return captures[-1]
