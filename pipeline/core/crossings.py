"""A crossing in words, the same for a terminal, a report, a chat and the page. Whose item it was stands beside them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import pyarrow as pa

from pipeline.core.model import Crossing, RuleKind, Source
from pipeline.core.text import duration
from pipeline.platforms.protocol import Feed


def crossing_words(crossing: Crossing, over: timedelta | None = None) -> str:
    """``100 views (97 → 104)``. ``over``: the time over which a rate was measured, where that is known."""
    mark, value, counter = _number(crossing.threshold), _number(crossing.value), crossing.counter
    now = f"(now {value})" if crossing.previous_value is None else f"({_number(crossing.previous_value)} → {value})"
    match crossing.kind:
        case RuleKind.CROSSES:
            return f"{mark} {counter} {now}"
        case RuleKind.RATE_ABOVE:
            per = "minute" if crossing.rule.endswith("/minute") else "hour"
            measured = "" if over is None else f" over {duration(over)}"
            return f"{value} {counter} per {per}{measured}, more than {mark}"
        case RuleKind.GAINED:
            gain = f"{crossing.threshold * 100:.6g}%" if crossing.rule.endswith(" share") else mark
            return f"{counter} up by {gain} or more {now}"
        case RuleKind.ABOVE | RuleKind.BELOW as side:
            return f"{counter} {side} {mark} {now}"


def measured_over(source: Source, crossings: Iterable[Crossing], delta: pa.Table) -> dict[str, timedelta]:
    """By item, over which time its rates were measured: what the delta of the hour spans.

    Empty for a feed, whose rates may be those of single minutes.
    """
    fired = {crossing.item_id for crossing in crossings if crossing.kind is RuleKind.RATE_ABOVE}
    if not fired or isinstance(source.platform, Feed):
        return {}
    spans = zip(delta["item_id"].to_pylist(), delta["elapsed_seconds"].to_pylist(), strict=True)
    return {item: timedelta(seconds=span) for item, span in spans if item in fired and span is not None}


def _number(value: float) -> str:
    if value == int(value):
        return f"{value:,.0f}"
    return f"{value:,.2f}" if abs(value) >= 1 else f"{value:.3g}"
