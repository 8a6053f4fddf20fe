"""Measuring a capture while it is judged, and keeping what was measured: once, when it is judged first.

A duration cannot be measured again, so signals are a record of an evaluation and no part of what follows from raw
captures: a rebuild judges again and leaves them as they are. They are published before the verdict to which they
belong, so that whatever is killed, every verdict has its signals.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pipeline.core.capture import Ended
from pipeline.core.files import encode_json
from pipeline.core.imported import is_rows
from pipeline.core.lake import SIGNALS, CaptureRef, SourceLake
from pipeline.core.listing import Listing
from pipeline.core.model import FEED_STATE, Origin, Source
from pipeline.core.readings import Shifted
from pipeline.core.records import Signal, Signals, Volume
from pipeline.core.signals.fields import LOOKED_AT, field_names
from pipeline.core.validation.checks import Timed
from pipeline.platforms.protocol import Page


@dataclass
class Arrived:
    """What passes by while the parts of a stored capture are read. ``first``: the pages whose fields are named."""

    bytes: int = 0
    last_reply: datetime | None = None
    first: list[Page] = field(default_factory=list)

    def passing(self, parts: Iterable[Page | Shifted | Ended]) -> Iterator[Page | Shifted | Ended]:
        """The same parts, one by one, with their bytes, fields and times noted as they go by."""
        looked_at = 0
        for part in parts:
            if isinstance(part, Page):
                self.bytes += len(part.body)
                self.last_reply = part.fetched_at
                if looked_at < LOOKED_AT and not is_rows(part):
                    self.first.append(part)
                    looked_at += len(part.body)
            yield part


def capture_signals(
    source: Source, capture: CaptureRef, origin: Origin, timed: Sequence[Timed], listing: Listing, arrived: Arrived
) -> Signals:
    """What the checks measured on a capture."""
    live = origin is Origin.LIVE
    captured_at = capture.captured_at
    due = capture.hour.start.timestamp() + 60 * source.minute
    return Signals(
        source=source.name,
        hour=capture.hour.key,
        capture=capture.name,
        captured_at=captured_at,
        origin=origin,
        checks=tuple(_signal(each) for each in timed),
        volume=_volume(listing, arrived),
        late_seconds=captured_at.timestamp() - due if live else None,
        capture_seconds=(arrived.last_reply - captured_at).total_seconds() if live and arrived.last_reply else None,
    )


def delta_signals(lake: SourceLake, capture: CaptureRef, origin: Origin, timed: Timed) -> Signals:
    """What the check of a delta measured; ``capture`` is the accepted one of its hour."""
    return Signals(lake.name, capture.hour.key, capture.name, capture.captured_at, origin, (_signal(timed),))


def keep_signals(lake: SourceLake, capture: CaptureRef, signals: Signals) -> None:
    """Publish the signals of a capture, or those of a delta under the name of its hour. What is there stays."""
    name = capture.name if signals.volume is not None else capture.hour.key
    if not lake.exists(SIGNALS, capture.hour, name):
        lake.publish(lake.place(SIGNALS, capture.hour, name), encode_json(signals))


def _signal(timed: Timed) -> Signal:
    finding = timed.finding
    return Signal(
        check=finding.check,
        passed=finding.passed,
        failing=finding.failing,
        judged=finding.facts.get("judged", True),
        seconds=None if timed.seconds is None else round(timed.seconds, 6),
        measures={name: float(n) for name, value in finding.facts.items() if (n := _number(value)) is not None},
    )


def _number(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, list):
        return len(value)
    return value if isinstance(value, int | float) else None


def _volume(listing: Listing, arrived: Arrived) -> Volume:
    return Volume(
        items=len(listing.items),
        pages=listing.pages,
        nulls={str(name): int(column.isna().sum()) for name, column in listing.items.items() if name != FEED_STATE},
        bytes=arrived.bytes if arrived.last_reply else None,
        fields=field_names(arrived.first),
        refused_records=listing.refused_count,
    )
