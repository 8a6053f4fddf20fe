"""An account of any size that was made up: its history up to one hour, and the pages of the next.

Two articles in five gain views in the hour, a few of them likes and comments; all is drawn with a
fixed seed. Articles stand in the order of their views, as note.com lists them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa

from pipeline.core.capture import store_capture
from pipeline.core.files import encode_json
from pipeline.core.hours import Hour
from pipeline.core.lake import REPORT, VALIDATED, CaptureRef, Lake, SourceLake
from pipeline.core.lineage import with_lineage
from pipeline.core.model import Counter, Origin, Rule, RuleKind, Source
from pipeline.core.parquet import TIME_TYPE
from pipeline.core.records import Lineage, Terms
from pipeline.core.report.build import Observed, build_report
from pipeline.core.snapshots import build_snapshot, encode_table
from pipeline.platforms.note import Note
from pipeline.platforms.protocol import Page

BEFORE = datetime(2026, 11, 22, 13, 17, tzinfo=UTC)
NOW = BEFORE + timedelta(hours=1)
COOKIE = "made-up-session"
PAGE_SIZE = 1_000
_WORDS = (
    *("how", "to", "write", "an", "article", "that", "people", "read", "until", "its", "end", "and", "why", "second"),
    *("harder", "notes", "on", "tools", "numbers", "mornings", "gardens", "trains", "music", "cooking", "learning"),
    *("teaching", "memory", "small", "large", "old", "new", "one", "two", "three", "four", "five", "six", "of"),
)


def made_source(name: str = "made", base_url: str = "http://127.0.0.1:1") -> Source:
    """The account with all of note.com's counters, milestones and a rate."""
    platform = Note.model_validate({"session_cookie": COOKIE, "base_url": base_url, "requests_per_second": 1_000_000})
    counters = tuple(Counter(counter, policy) for counter, policy in platform.policies.items())
    rules = (
        Rule("views", RuleKind.CROSSES, (1_000.0, 10_000.0, 100_000.0, 1_000_000.0)),
        Rule("views", RuleKind.RATE_ABOVE, (5_000.0,), rearm_below=2_500.0),
    )
    return Source(name, platform, counters, rules)


@dataclass(frozen=True)
class MadeAccount:
    """The articles of an account in the order of its listing, at BEFORE and at NOW."""

    before: pd.DataFrame
    now: pd.DataFrame

    @classmethod
    def of(cls, items: int) -> MadeAccount:
        draw = np.random.default_rng(20261122)
        views = np.sort((draw.lognormal(5.0, 1.6, items)).astype(np.int64))[::-1]
        likes, comments = views // draw.integers(15, 60, items), views // draw.integers(100, 900, items)
        gained = draw.poisson(np.minimum(views / 400, 200.0)) * (draw.random(items) < 0.4)
        keys = draw.permutation(items)
        words = draw.integers(0, len(_WORDS), (items, 6))
        published = pa.array(
            [int(BEFORE.timestamp()) - int(s) for s in draw.integers(60 * 86_400, 1_000 * 86_400, items)], pa.int64()
        )
        before = pd.DataFrame(
            {
                "item_id": _texts(f"n{key:012x}" for key in (keys * 2_654_435_761) % (1 << 48)),
                "title": _texts(" ".join(_WORDS[word] for word in row) for row in words),
                "url": _texts(f"https://note.com/maker/n/n{key:012x}" for key in (keys * 2_654_435_761) % (1 << 48)),
                "published_at": pd.Series(
                    published.cast(pa.timestamp("s", "UTC")).cast(TIME_TYPE), dtype=pd.ArrowDtype(TIME_TYPE)
                ),
                "views": views,
                "likes": likes,
                "comments": comments,
            }
        )
        liked = draw.binomial(gained, 0.03)
        now = before.assign(views=views + gained, likes=likes + liked, comments=comments + liked // 4)
        return cls(before, now)

    def pages(self) -> Iterator[Page]:
        """The listing at NOW in the shape of note.com."""
        last = (len(self.now) - 1) // PAGE_SIZE
        for number in range(last + 1):
            rows = self.now.iloc[number * PAGE_SIZE : (number + 1) * PAGE_SIZE].to_dict("records")
            listing: dict[str, Any] = {"note_stats": [_stats(row) for row in rows], "last_page": number == last}
            request = f"GET /api/v1/stats/pv?filter=all&page={number + 1}&sort=pv"
            yield Page(request, 200, {"content-type": "application/json"}, NOW, msgspec.json.encode({"data": listing}))


def _texts(values: Iterator[str]) -> pd.Series:
    return pd.Series(pa.array(values, pa.string()), dtype=pd.ArrowDtype(pa.string()))


def _stats(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {
        "id": int(row["item_id"][1:], 16),
        "key": row["item_id"],
        "name": row["title"],
        "user": {"urlname": "maker"},
        "read_count": row["views"],
        "like_count": row["likes"],
        "comment_count": row["comments"],
    }


def write_history(root: Path, items: int) -> tuple[SourceLake, CaptureRef]:
    """A lake with one accepted hour of the account, and the capture of the next hour, not yet judged."""
    account, source = MadeAccount.of(items), made_source()
    lake, hour = Lake(root).source(source.name), Hour.of(BEFORE)
    with lake.writing():
        table = build_snapshot(account.before, None, source.counters, BEFORE, overruled=False)
        terms = Terms(source.counters, source.bounds, source.rules)
        lineage = Lineage(source.name, hour.key, f"{hour.key}-made", Origin.REPLAY, None, BEFORE, (), terms)
        lake.publish(lake.path(VALIDATED, hour), encode_table(with_lineage(table, lineage)))
        empty = pa.table({"previous_captured_at": pa.nulls(0, TIME_TYPE)})
        report = build_report(source, Observed(hour, lineage, table, empty, None), [], {}, {}, [])
        lake.publish(lake.path(REPORT, hour), encode_json(report))
        capture, _ = store_capture(lake, source, Origin.REPLAY, NOW, account.pages())
    return lake, capture
