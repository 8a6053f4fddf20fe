"""What all Parquet files of the lake have in common. Loads neither DuckDB nor pandas: an export needs none of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from pipeline.core.files import damaged

TIME_TYPE = pa.timestamp("us", "UTC")
ROW_GROUP = 122_880
"""Rows of a row group, which DuckDB reads in parallel in multiples of its own vector size."""


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn Arrow's complaint about a missing or damaged file into LakeFault."""
    try:
        yield
    except (pa.ArrowException, OSError) as fault:
        raise damaged(path, str(fault)) from fault
