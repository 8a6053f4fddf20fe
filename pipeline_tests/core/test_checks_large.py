"""A million failing rows: a table of at most a hundred of them, their exact count, and bounded memory."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from pipeline.core.validation.expectations import SAMPLE

ROWS = 1_000_000
JUDGE = """
import json, resource, sys
import pandas as pd
import pyarrow as pa
from pipeline.core.model import Bounds, Counter
from pipeline.core.policy import Policy, Trend
from pipeline.core.validation.checks import judge
from pipeline.core.validation.evidence import Evidence
from pipeline.core.parquet import TIME_TYPE
from pipeline.core.listing import Listing
from pipeline_tests.core.snapshots import at

rows = int(sys.argv[1])
ids = pa.array([f"n{number:07}" for number in range(rows)])
text = pd.ArrowDtype(pa.string())

def frame(views, names=ids):
    numbers = pd.Series(pa.array(views), dtype=pd.ArrowDtype(pa.int64()))
    return pd.DataFrame({"item_id": pd.Series(names, dtype=text), "title": pd.Series(ids, dtype=text),
        "url": pd.Series(ids, dtype=text),
        "published_at": pd.Series(pa.nulls(rows, TIME_TYPE), dtype=pd.ArrowDtype(TIME_TYPE)), "views": numbers})

counters = (Counter("views", Policy(Trend.NEVER_DECREASES)),)
previous = frame([100] * rows).assign(status="observed", last_observed_at=pd.Timestamp(at(0)))
listings = {
    "sound": frame([101] * rows),
    "non_decreasing_counts": frame([99] * rows),
    "required_fields": frame([-1] * rows),
    "unique_items": frame([101] * rows, pa.array([f"n{number // 2:07}" for number in range(rows)])),
    "complete_listing": frame([101] * rows, pa.array([f"m{number:07}" for number in range(rows)])),
}
told = {}
for name, items in listings.items():
    judged = judge(Evidence(counters, Bounds(), Listing(at(1), items, (), 1), previous))
    told[name] = {f.check: [f.failing, len(f.rows), len(f.reason)] for f in judged if not f.passed}
    told[name]["megabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def judged() -> dict[str, Any]:
    done = subprocess.run([sys.executable, "-c", JUDGE, str(ROWS)], capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    ("check", "failing"),
    [
        ("non_decreasing_counts", ROWS),
        ("required_fields", ROWS),
        ("unique_items", ROWS // 2),
        ("complete_listing", ROWS),
    ],
)
def test_a_million_failing_rows_are_counted_and_only_a_sample_is_shown(
    judged: dict[str, Any], check: str, failing: int
) -> None:
    counted, shown, reason = judged[check][check]
    assert counted == failing
    assert 0 < shown <= 2 * SAMPLE  # a repeated listing shows what stands twice, and what vanished
    assert reason < 1000


def test_a_sound_million_passes(judged: dict[str, Any]) -> None:
    assert judged["sound"].keys() == {"megabytes"}


def test_failing_rows_take_little_more_memory_than_sound_ones(judged: dict[str, Any]) -> None:
    peak = max(found["megabytes"] for found in judged.values())
    assert peak < 1500
    assert peak - judged["sound"]["megabytes"] < 500
