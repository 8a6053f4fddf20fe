"""What a year of imported history costs: the checks and the lake, and beside them what Dagster takes to be told."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter

import numpy as np

from pipeline_tests.bench.figures import Effort, Figure, command
from pipeline_tests.bench.made_account import MadeAccount

ITEMS = 200
END = datetime(2026, 4, 4, 12, 17, tzinfo=UTC)  # in the time of the recording, which is past for everybody
YEAR, PART_OF_A_YEAR = 8_760, 48
_AIM_MINUTES = 10
_YAML = """\
type: pipeline.components.CounterSource
attributes:
  source: bench
  platform: {kind: note, session_cookie: made-up}
  rules:
    - {counter: views, crosses: [1000, 10000, 100000]}
    - {counter: views, rate_above: 5000, per: hour, rearm_below: 2500}
"""
_SAID = re.compile(r"Checks and lake: ([\d.,]+) s. Telling Dagster of [\d,]+ hours?: ([\d.,]+) s")


def write_history(file: Path, hours: int) -> None:
    """An hourly CSV file up to END in which two items in five gain views in each hour."""
    account, draw = MadeAccount.of(ITEMS).before, np.random.default_rng(20261122)
    views = account["views"].to_numpy().copy()
    fixed = [account[name].tolist() for name in ("item_id", "likes", "comments", "title", "url")]
    with file.open("w") as opened:
        opened.write("captured_at,item_id,views,likes,comments,title,url\n")
        for hour in range(hours):
            views += (draw.random(ITEMS) < 0.4) * draw.integers(1, 6, ITEMS)
            opened.writelines(_rows(END - timedelta(hours=hours - hour), views.tolist(), fixed))


def _rows(at: datetime, views: list[int], fixed: list[list[object]]) -> Iterator[str]:
    for count, (item, likes, comments, title, url) in zip(views, zip(*fixed, strict=True), strict=True):
        yield f"{at.isoformat()},{item},{count},{likes},{comments},{title},{url}\n"


def a_year_of_history(folder: Path, effort: Effort) -> list[Figure]:
    """One `ratchet import`, as its owner runs it. The quick bench imports two days, and says what a year would take."""
    hours = effort.times(YEAR, PART_OF_A_YEAR)
    history, defs = folder / "history.csv", folder / "defs" / "bench" / "defs.yaml"
    write_history(history, hours)
    defs.parent.mkdir(parents=True)
    defs.write_text(_YAML)
    data = folder / "data"
    places = {"RATCHET_DEFS": str(folder / "defs"), "RATCHET_DATA": str(data), "DAGSTER_HOME": str(data / "dagster")}
    ratchet = str(Path(sys.executable).with_name("ratchet"))
    started = perf_counter()
    said = command([ratchet, "import", "bench", str(history)], {**os.environ, **places})()
    whole = perf_counter() - started
    in_lake, telling = (float(found.replace(",", "")) for found in _SAID.search(said).groups())  # type: ignore[union-attr]
    minutes = in_lake / hours * YEAR / 60
    return [
        Figure(f"checks and lake of a year of {ITEMS} items, hourly", minutes, "min", aim=_AIM_MINUTES),
        Figure("an hour of it", in_lake / hours, "s"),
        Figure("telling Dagster of an hour", telling / hours, "s"),
        Figure(f"`ratchet import` of {hours:,} hours, all in all", whole, "s"),
    ]
