"""The section on the quality of the captures: what drifted lately, and each signal over the last thirty days."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

from markupsafe import Markup

from pipeline.core.signals.drift import Drift, drifts
from pipeline.core.signals.series import WINDOW_HOURS, Kind, Measured, Name
from pipeline.core.text import counted

DAYS = 30
_WINDOW = timedelta(hours=WINDOW_HOURS)
_WIDTH, _HEIGHT, _STEPS = 240, 28, 120
_NAMED = 20


def quality(captures: Sequence[Measured], timezone: str) -> dict[str, Any]:
    """``captures``: those of the last DAYS, oldest first. A signal that was zero throughout is counted, not drawn."""
    if not captures:
        return {"sentences": ["Nothing was measured in the last 30 days."], "drifted": [], "rows": []}
    names = list(dict.fromkeys(name for capture in captures for name in capture.numbers))
    series = {name: [(c.at, c.numbers[name]) for c in captures if name in c.numbers] for name in names}
    shown = {name: numbers for name, numbers in series.items() if any(value for _, value in numbers)}
    drifted = list(_drifted(captures))
    return {
        "sentences": _sentences(captures, drifted, len(series) - len(shown)),
        "drifted": [
            {"since": f"{drift.since.astimezone(ZoneInfo(timezone)):%-d %b %H:%M}", "what": drift.what}
            for drift in reversed(drifted[-_NAMED:])
        ],
        "rows": [_row(name, numbers, captures[0].at, captures[-1].at) for name, numbers in shown.items()],
    }


def _drifted(captures: Sequence[Measured]) -> Iterator[Drift]:
    """Every drift of the last seven days, once, oldest first."""
    told = set[tuple[str, datetime]]()
    first = 0
    for place, capture in enumerate(captures):
        if capture.at <= captures[-1].at - _WINDOW:
            continue
        while captures[first].at <= capture.at - _WINDOW:
            first += 1
        for drift in drifts(capture, captures[first:place]):
            if (drift.signal, drift.since) not in told:
                told.add((drift.signal, drift.since))
                yield drift


def _sentences(captures: Sequence[Measured], drifted: Sequence[Drift], quiet: int) -> list[str]:
    count = counted(len(captures), "capture")
    words = f"{count} measured in the last {DAYS} days. {quiet} of the signals were zero throughout and are not drawn."
    named = f"{len(drifted)} drifted in the last seven days." if drifted else "Nothing drifted in the last seven days."
    return [f"{words} {named}"]


def _row(name: Name, numbers: Sequence[tuple[datetime, float]], first: datetime, last: datetime) -> dict[str, Any]:
    values = [value for _, value in numbers]
    return {
        "name": name.text,
        "last": _words(name, values[-1]),
        "usual": _words(name, median(values)),
        "highest": _words(name, max(values)),
        "line": _line(name, numbers, first, last),
    }


def _words(name: Name, value: float) -> str:
    if name.kind is Kind.SHARE:
        return f"{100 * value:.2g} %" if value < 0.1 else f"{100 * value:.0f} %"
    if name.kind is Kind.SECONDS:
        return f"{value:.2f} s" if abs(value) < 10 else f"{value:,.0f} s"
    return f"{value:,.0f}"


def _line(name: Name, numbers: Sequence[tuple[datetime, float]], first: datetime, last: datetime) -> Markup:
    """The highest value of each stretch of time, of an hour at least; no line over stretches without a capture."""
    span = max((last - first).total_seconds(), 1.0)
    steps = min(_STEPS, round(span / 3600) + 1) + 1
    highest: dict[int, float] = {}
    for at, value in numbers:
        step = round((at - first).total_seconds() / span * (steps - 1))
        highest[step] = max(value, highest.get(step, value))
    top, low = max(*highest.values(), 0.0), min(*highest.values(), 0.0)
    scale = (_HEIGHT - 4) / (top - low or 1)
    points = [
        f"{'L' if step - 1 in highest else 'M'}{step * _WIDTH / (steps - 1):.0f},{2 + (top - value) * scale:.1f}h0"
        for step, value in sorted(highest.items())
    ]
    return Markup(
        '<svg class="spark" viewBox="0 0 {} {}" role="img" aria-label="{} over time"><path d="{}"/></svg>'
    ).format(_WIDTH, _HEIGHT, name.text, "".join(points))
