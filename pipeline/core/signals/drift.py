"""Drift: what a capture measures that earlier ones did not, named while everything still passes.

A number is compared with the captures of the seven days before it:

- A share (fields missing, items named by a check, counts that fell within their policy), or a number that is usually
  zero, drifts where it is above zero since less than NEWS, and was never so before, or at most half as much. What has
  stood for longer than that is how the platform is, and is no news.
- The number of items drifts where it is a tenth below the median of the last day or half above it.
- Lateness drifts by ten minutes, durations by three times the median and a second; those of the checks count where no
  item was named.
- A field that no earlier capture held is new. One that each of the last captures held is lost. Both are named once:
  for the next capture they are known.

Fewer than ENOUGH captures say nothing about what is usual.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from pipeline.core.hours import format_time
from pipeline.core.model import Finding
from pipeline.core.records import Signals
from pipeline.core.signals.series import BYTES, CAPTURE, CHECKS, ITEMS, LATE, Kind, Measured, Name, measured
from pipeline.core.text import listed

CHECK = "steady_signals"
DESCRIPTION = "Nothing that the checks measure drifts from what it used to be. Blocks nothing."
ENOUGH = 6
NEWS = timedelta(hours=24)
_DAY = 24
_FEWER, _MORE, _TIMES, _LATER_SECONDS = 0.9, 1.5, 3.0, 600.0
_NAMED = 5
_STEADY = (ITEMS, BYTES, LATE, CAPTURE, CHECKS)
"""Numbers that are usually not zero."""


@dataclass(frozen=True)
class Drift:
    """``what`` is a sentence's worth of words without its end; ``since`` the capture with which it began."""

    signal: str
    what: str
    since: datetime


def steady_signals(now: Signals, before: Sequence[Measured]) -> Finding:
    """A warning that names every drift, with the numbers of this capture among its facts."""
    current = measured(now)
    found = drifts(current, before)
    facts = {name.fact: round(value, 6) for name, value in current.numbers.items()} | {"compared_with": len(before)}
    if not found:
        reason = f"Like the {len(before)} captures before." if len(before) >= ENOUGH else "Too few captures to compare."
        return Finding(CHECK, True, reason, facts=facts)
    rows = tuple({"signal": d.signal, "what": d.what, "since": format_time(d.since)} for d in found)
    return Finding(CHECK, True, sentences(found), len(found), rows, facts)


def sentences(found: Sequence[Drift]) -> str:
    """What drifts in plain sentences, the first few by name and the others counted."""
    more = f" And {len(found) - _NAMED} more." if len(found) > _NAMED else ""
    return " ".join(f"{drift.what[:1].upper()}{drift.what[1:]}." for drift in found[:_NAMED]) + more


def drifts(now: Measured, before: Sequence[Measured]) -> list[Drift]:
    """Everything that drifts in one capture, the fields first. ``before``: earlier captures, oldest first."""
    found = list(_fields(now, [earlier for earlier in before if earlier.fields]))
    for name, value in now.numbers.items():
        series = [(earlier.at, earlier.numbers[name]) for earlier in before if name in earlier.numbers]
        if name in _STEADY:
            drift = _departing(name, value, now.at, series[-_DAY:])
        else:
            drift = _risen(name, value, now.at, series)
        if drift is not None:
            found.append(drift)
    return found


def _fields(now: Measured, before: Sequence[Measured]) -> Iterator[Drift]:
    if not now.fields or not before or not _readable(now):
        return
    known = frozenset[str]().union(*(earlier.fields for earlier in before))
    if new := sorted(now.fields - known):
        yield Drift("fields", f"the platform sends what it never sent before: {listed(new[:_NAMED], len(new))}", now.at)
    lately = [earlier.fields for earlier in before[-_DAY:] if _readable(earlier)]
    if len(lately) >= ENOUGH and (lost := sorted(frozenset.intersection(*map(frozenset, lately)) - now.fields)):
        yield Drift("fields", f"the platform no longer sends {listed(lost[:_NAMED], len(lost))}", now.at)


def _readable(capture: Measured) -> bool:
    return all(check.passed for check in capture.signals.checks if check.check == "readable_listing")


def _risen(name: Name, value: float, at: datetime, series: Sequence[tuple[datetime, float]]) -> Drift | None:
    """Above zero, since lately, and never so high before that."""
    if value <= 0:
        return None
    begun = len(series)
    while begun and series[begun - 1][1] > 0:
        begun -= 1
    since = series[begun][0] if begun < len(series) else at
    earlier = [number for _, number in series[:begun]]
    highest = max(earlier, default=0.0)
    if len(earlier) < ENOUGH or at - since > NEWS or value <= 2 * highest:
        return None
    amount = f"{value:g} times" if name.kind is Kind.NUMBER else f"in {_share(value)} of items"
    most = f"{highest:g} times" if name.kind is Kind.NUMBER else _share(highest)
    usual = "never before" if highest == 0 else f"at most {most} before"
    what = f"{name.text} {amount} since {since:%H:%M} UTC, {usual} ({len(earlier):,} captures)"
    return Drift(name.text, what, since)


def _departing(name: Name, value: float, at: datetime, lately: Sequence[tuple[datetime, float]]) -> Drift | None:
    """Away from what is usual, since the first of the captures in a row that were so too."""
    usual = [number for _, number in lately]
    what = _departed(name, value, usual)
    if what is None:
        return None
    since = at
    for moment, number in reversed(lately):
        if _departed(name, number, usual) is None:
            break
        since = moment
    return Drift(name.text, what, since)


def _departed(name: Name, value: float, lately: Sequence[float]) -> str | None:
    """In words how a number that is usually not zero left what is usual; None where it did not."""
    if len(lately) < ENOUGH:
        return None
    usual = median(lately)
    if name is ITEMS and not _FEWER * usual <= value <= _MORE * usual:
        return f"{value:,.0f} items listed, where {usual:,.0f} are usual"
    if name is LATE and value > usual + _LATER_SECONDS:
        return f"the capture began {value / 60:.0f} minutes after the source's minute, where {usual / 60:.0f} are usual"
    if name in (CAPTURE, CHECKS) and value > _TIMES * usual + 1:
        return f"{name.text} took {value:.1f} s, where {usual:.1f} s are usual"
    return None


def _share(value: float) -> str:
    """0.5 %, and no more digits than say something."""
    return f"{100 * value:.2g} %" if value < 0.1 else f"{100 * value:.0f} %"
