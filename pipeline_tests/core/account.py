"""A made-up account on note.com: captures of real pages, read by the real adapter, told hour by hour.

Rows stand as note.com lists them, so a test damages an account where the platform would: it leaves
a row out, lists it twice, lowers a count or puts a text where a number was due.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.core import history
from pipeline.core.capture import store_capture
from pipeline.core.corrections import Choice, decide
from pipeline.core.hours import Hour
from pipeline.core.lake import DELTA, VALIDATED, CaptureRef, Lake, SourceLake
from pipeline.core.ledger import read_ledger
from pipeline.core.model import Counter, Finding, HourState, Origin, Rule, RuleKind, Source
from pipeline.core.policy import Policy, Trend
from pipeline.core.records import Action, Report
from pipeline.core.snapshots import read_table
from pipeline.core.validation.checks import CAPTURE_CHECKS
from pipeline.core.verdicts import Verdict
from pipeline.platforms.note import Note
from pipeline.platforms.protocol import CutShort, Page

from .snapshots import at

Row = dict[str, Any]
Listing = Sequence[Row | Page]
"""Rows, which go into pages of twenty, or the pages themselves."""

VIEWS = Counter("views", Policy(Trend.NEVER_DECREASES))
LIKES = Counter("likes", Policy(Trend.MAY_DECREASE))
COMMENTS = Counter("comments", Policy(Trend.TOLERANCE, 0.1))
CHECKS = [check.name for check in CAPTURE_CHECKS]
MILESTONES = Rule("views", RuleKind.CROSSES, (100.0, 200.0))
COOKIE = "planted-secret-session"


def a_source(**changes: Any) -> Source:
    """An account with one counter of each policy: views, likes (may fall) and comments (by a tenth)."""
    source = Source(
        name="blog",
        platform=Note.model_validate({"session_cookie": COOKIE}),
        counters=(VIEWS, LIKES, COMMENTS),
        rules=(MILESTONES,),
    )
    return replace(source, **changes)


def row(key: str, views: Any = 0, likes: Any = 0, comments: Any = 0, **fields: Any) -> Row:
    counts = {"read_count": views, "like_count": likes, "comment_count": comments}
    return {"key": key, "name": f"Title of {key}"} | counts | fields


def rows(**views: int) -> list[Row]:
    """One row an item with so many views: ``rows(a=10, b=20)``."""
    return [row(key, count) for key, count in views.items()]


def many(count: int, views: int = 100, likes: int = 100, comments: int = 100) -> list[Row]:
    return [row(f"n{number:04}", views, likes, comments) for number in range(count)]


def page(body: bytes, request: str = "GET /api/v1/stats/pv?filter=all&page=1&sort=pv") -> Page:
    return Page(request, 200, {"content-type": "application/json"}, at(0), body)


def pages(listing: Sequence[Row], published: Mapping[str, str] | None = None, size: int = 20) -> list[Page]:
    """The listing in pages of ``size`` and, for each item of ``published``, its detail."""
    cut = [listing[start : start + size] for start in range(0, len(listing), size)] or [[]]
    found = [
        page(
            json.dumps({"data": {"note_stats": list(part), "last_page": part is cut[-1]}}).encode(),
            f"GET /api/v1/stats/pv?filter=all&page={number}&sort=pv",
        )
        for number, part in enumerate(cut, 1)
    ]
    for key, publish_at in (published or {}).items():
        detail = {"data": {"key": key, "publish_at": publish_at}}
        found.append(page(json.dumps(detail).encode(), f"GET /api/v3/notes/{key}"))
    return found


@dataclass
class Account:
    """A source and its lake. Times are hours after ``snapshots.START``, which is 00:17 of a day."""

    lake: SourceLake
    source: Source
    origin: Origin = Origin.REPLAY

    @classmethod
    def under(cls, folder: Path, **changes: Any) -> Account:
        source = a_source(**changes)
        return cls(Lake(folder).source(source.name), source)

    def change(self, **changes: Any) -> None:
        """Change the source's YAML from now on."""
        self.source = replace(self.source, **changes)

    def capture(
        self, hours: float, listing: Listing, published: Mapping[str, str] | None = None, cut: str | None = None
    ) -> CaptureRef:
        """Store a capture. ``cut`` is why the listing was left before its end."""
        arrived = [part for part in listing if isinstance(part, Page)]
        arrived = arrived or pages([part for part in listing if not isinstance(part, Page)], published)
        return store_capture(self.lake, self.source, self.origin, at(hours), _until(arrived, cut))[0]

    def judge(self, hours: float, listing: Listing, **more: Any) -> Verdict:
        return history.verdict(self.lake, self.source, self.capture(hours, listing, **more))

    def tell(self, hours: float, listing: Listing, **more: Any) -> bool:
        """Store a capture and give its hour what the capture is worth; whether the hour was observed."""
        self.capture(hours, listing, **more)
        history.settle_hour(self.lake, self.source, hour(hours))
        return self.lake.exists(VALIDATED, hour(hours))

    def settle(self, first: float = 0) -> list[Hour]:
        """Work every hour from ``first`` on in again; the hours that changed."""
        return [done for done, changed in history.settle(self.lake, self.source, hour(first)) if changed]

    def correct(
        self, hours: float, choice: Choice | Action, made: float = 20, reason: str = "I deleted it"
    ) -> list[Hour]:
        """Decide as `ratchet correct` does; the hours that changed."""
        decide(self.lake, self.source, hour(hours), choice, by="Ada", reason=reason, made_at=at(made))
        return history.finish_interrupted(self.lake, self.source)

    def snapshot(self, hours: float) -> dict[str, dict[str, Any]]:
        """The accepted snapshot by item."""
        table = read_table(self.lake.path(VALIDATED, hour(hours)))
        return {item["item_id"]: item for item in table.to_pylist()}

    def delta(self, hours: float) -> dict[str, dict[str, Any]]:
        table = read_table(self.lake.path(DELTA, hour(hours)))
        return {item["item_id"]: item for item in table.to_pylist()}

    def report(self, hours: float) -> Report:
        return history.read_report(self.lake, hour(hours))

    def states(self, now: float = 0) -> dict[str, HourState]:
        ledger = read_ledger(self.lake, self.source, at(now))
        return {found.key: state for found, state in ledger.hours.items()}

    def files(self, *folders: str) -> dict[str, bytes]:
        """Every file of the source, or of some folders, by its path; locks, notes and checksums left out."""
        return {
            str(path.relative_to(self.lake.root)): path.read_bytes()
            for folder in folders or ("",)
            for path in sorted((self.lake.root / folder).rglob("*"))
            if path.is_file() and not path.name.startswith(".") and path.parent.name not in ("notes", "checksums")
        }


def hour(hours: float) -> Hour:
    return Hour.of(at(hours))


def failed(findings: Iterable[Finding]) -> list[str]:
    """The names of the checks that refuse."""
    return [finding.check for finding in findings if not finding.passed]


def finding(judged: Verdict, check: str) -> Finding:
    [found] = [finding for finding in judged.findings if finding.check == check]
    return found


def broken_off_by(fault: Exception, arrived: Sequence[Page] = ()) -> Callable[[], Iterator[Page]]:
    """Pages of which the next one never arrives."""

    def stream() -> Iterator[Page]:
        yield from arrived
        raise fault

    return stream


def _until(arrived: Sequence[Page], cut: str | None) -> Iterator[Page]:
    yield from arrived
    if cut is not None:
        raise CutShort(cut)


def assert_refused_by(judged: Verdict, check: str, *words: str) -> None:
    """``check`` alone refuses, in these words; all others pass."""
    assert failed(judged.findings) == [check], judged.reason
    assert [found.check for found in judged.findings] == CHECKS
    for word in words:
        assert word in judged.reason
    # Numbers of which some are none cannot be compared.
    skipped = ["non_decreasing_counts"] if check == "required_fields" else []
    assert [found.check for found in judged.findings if not found.facts.get("judged", True)] == skipped


def assert_accepted(judged: Verdict) -> None:
    assert failed(judged.findings) == [], judged.reason
    assert judged.accepted
