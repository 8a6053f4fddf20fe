"""What a page says in words, and the parts of it that need no script: figures, ages, the week."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from markupsafe import Markup

from pipeline.core.analysis.first_hours import (
    AGES,
    YARDSTICK_HOURS,
    YARDSTICK_SHARE,
    Bounded,
    FirstHours,
    Spread,
    sentences,
)
from pipeline.core.analysis.gains import WINDOWS, total_gain
from pipeline.core.analysis.slots import WEEKDAYS, Slot, Slots, slot_sentences
from pipeline.core.analysis.spikes import FEWEST, TIMES, Spike, before_words
from pipeline.core.analysis.watched import CARRIED, Watched
from pipeline.core.ledger import Ledger
from pipeline.core.model import HourState, Source
from pipeline.core.text import counted, duration

WINDOW_WORDS = {"1h": "last hour", "24h": "last 24 hours", "7d": "last 7 days", "30d": "last 30 days"}
_UNKNOWN = "–"


def summary(watched: Watched, source: Source, ledger: Ledger) -> str:
    """What was counted, when last, and how complete the record is."""
    last = watched.moment(-1).astimezone(ZoneInfo(source.timezone))
    listed = int(watched.observed[-1].sum())
    counts = (
        ", ".join(f"{move.total:,} {name}" for name, move in watched.told[-1].movement.items()) if watched.told else ""
    )
    observed, quarantined = ledger.count(HourState.OBSERVED), ledger.count(HourState.QUARANTINED)
    words = f"{counted(listed, 'item')} listed on {last:%-d %B %Y at %H:%M} ({source.timezone})"
    carried = int((watched.status[-1] == CARRIED).sum())
    words += f", {carried:,} no longer listed" if carried else ""
    words += f": {counts}. " if counts else ". "
    words += f"{observed:,} of {len(ledger.hours):,} hours observed, {counted(ledger.count(HourState.GAP), 'gap')}"
    return words + (f", {quarantined:,} quarantined." if quarantined else ".")


def drawn(at: datetime, source: Source) -> str:
    """When the page was made; its script adds how long ago that is."""
    return f"Drawn on {at.astimezone(ZoneInfo(source.timezone)):%-d %B %Y at %H:%M} ({source.timezone})"


def figures(watched: Watched) -> dict[str, Any]:
    """By counter its total and the gain of each window, in words."""
    found = {}
    for counter in watched.counters:
        total = next((t.movement[counter].total for t in reversed(watched.told) if counter in t.movement), None)
        gains = []
        for window in WINDOWS:
            gain = total_gain(watched, counter, window)
            known = gain.value is not None
            gains.append(
                {"window": WINDOW_WORDS[window], "words": signed(gain.value), "known": known, "note": gain.note}
            )
        found[counter] = {"total": _UNKNOWN if total is None else f"{total:,}", "gains": gains}
    return found


def signed(gained: int | None) -> str:
    """``+12``, ``0``, ``−3``, or a dash where it is not known."""
    if gained is None:
        return _UNKNOWN
    return f"{gained:+,}".replace("-", "−") if gained else "0"


def thinning(watched: Watched, hourly_days: int, charted: int, happenings: int, shown: int) -> str:
    """What the page leaves out."""
    words = f"Every capture of the last {hourly_days} days is drawn, of earlier days the last one each."
    if charted < len(watched.items):
        words += f" Charts are here of the {charted:,} items with the highest counts."
    if shown < happenings:
        words += f" Of {happenings:,} events the newest {shown:,} are here."
    return words + f" All of it is written by: ratchet export {watched.source} -o {watched.source}.csv"


def left_out(watched: Watched) -> str:
    """How many items the page does not show, in a sentence; nothing where it shows all."""
    if not watched.left_out:
        return ""
    return f"{watched.left_out:,} more items are counted in the totals and are not listed here."


# The first 36 hours ---------------------------------------------------------------------------


def ages(found: FirstHours) -> dict[str, Any]:
    """What the section shows: sentences, chart, and tables by age and by item."""
    known = [age for age in AGES if found.shares[age] is not None]
    return {
        "sentences": sentences(found),
        "chart": _chart(found) if len(known) > 1 else None,
        "rows": [_age_row(found, age) for age in AGES] if found.items else [],
        "counter": found.counter,
        "each": [
            {
                "title": aged.item.title,
                "cells": [f"{aged.age / 24:.1f} d", f"{aged.total:,}", _bounded(aged.half), _bounded(aged.faded)],
            }
            for aged in sorted(found.items, key=lambda aged: aged.age)
        ],
    }


def _age_row(found: FirstHours, age: int) -> list[str]:
    share = found.shares[age]
    if share is None:
        count = f"{found.covered[age]} of {found.enough} needed"
        return [_age(age), count, *[_UNKNOWN] * 4]
    numbers = [f"{value:.0%}" for value in (share.lower, share.median, share.upper)]
    return [_age(age), str(share.items), *numbers, f"{share.low:.0%} to {share.high:.0%}"]


def _age(hours: int) -> str:
    return f"{hours} h" if hours < 168 else f"{hours // 24} d"


def _bounded(found: Bounded | None) -> str:
    return _UNKNOWN if found is None else f"{found.estimate:.1f} h ({found.low:.1f} to {found.high:.1f})"


_WIDTH, _HEIGHT, _LEFT, _TOP, _RIGHT, _BOTTOM = 860, 300, 52, 16, 20, 40


def _chart(found: FirstHours) -> Markup:
    """Shares by age: median, quartiles, what the observations bound the median by, and the yardstick.

    Ages stand at equal distances, since they double and triple.
    """
    step = (_WIDTH - _LEFT - _RIGHT) / (len(AGES) - 1)

    def x(age: int) -> float:
        return _LEFT + AGES.index(age) * step

    def y(share: float) -> float:
        return _TOP + (1 - share) * (_HEIGHT - _TOP - _BOTTOM)

    known: list[tuple[int, Spread]] = [(age, spread) for age in AGES if (spread := found.shares[age]) is not None]
    parts = [
        f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(s):.1f}" y2="{y(s):.1f}"/>'
        f'<text x="{_LEFT - 8}" y="{y(s) + 4:.1f}" text-anchor="end">{s:.0%}</text>'
        for s in (0, 0.25, 0.5, 0.75, 1)
    ]
    parts += [f'<text x="{x(a):.1f}" y="{_HEIGHT - 16}" text-anchor="middle">{_age(a)}</text>' for a in AGES]
    upper = [f"{x(age):.1f},{y(spread.upper):.1f}" for age, spread in known]
    lower = [f"{x(age):.1f},{y(spread.lower):.1f}" for age, spread in reversed(known)]
    parts.append(f'<polygon class="band" points="{" ".join(upper + lower)}"/>')
    parts.append(f'<polyline class="median" points="{" ".join(f"{x(a):.1f},{y(s.median):.1f}" for a, s in known)}"/>')
    for age, spread in known:
        across, up = f"{x(age):.1f}", y(spread.median)
        parts.append(
            f'<line class="bound" x1="{across}" x2="{across}" y1="{y(spread.low):.1f}" y2="{y(spread.high):.1f}"/>'
            f'<circle class="dot" cx="{across}" cy="{up:.1f}" r="4"/>'
            f'<text x="{across}" dx="{-8 if age == AGES[-1] else 8}" y="{up + 16:.1f}"'
            f' text-anchor="{"end" if age == AGES[-1] else "start"}">{spread.median:.0%}</text>'
        )
    at, half = x(YARDSTICK_HOURS), y(YARDSTICK_SHARE)
    parts.append(
        f'<path class="yard" d="M{_LEFT},{half:.1f}H{at:.1f}V{_HEIGHT - _BOTTOM}"/>'
        f'<rect class="yardmark" x="{at - 5:.1f}" y="{half - 5:.1f}" width="10" height="10"/>'
        f'<text class="yardtext" x="{at + 10:.1f}" y="{_HEIGHT - _BOTTOM - 12}">half of a news item’s visits within '
        f"{YARDSTICK_HOURS} h (Dezső and others, 2006)</text>"
    )
    label = f"Median share of the {found.counter} so far, by age: " + ", ".join(
        f"{spread.median:.0%} after {_age(age)}" for age, spread in known
    )
    return Markup('<svg class="ages" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        _WIDTH,
        _HEIGHT,
        label,
        Markup("".join(parts)),  # noqa: S704  numbers and words of this module
    )


# Spikes ---------------------------------------------------------------------------------------

MOST_SPIKES = 25


def spikes(found: Sequence[Spike], timezone: str) -> dict[str, Any]:
    """A sentence on what a spike is, and the table of the newest ones, the newest first."""
    words = f"A spike is a stretch that brought at least {FEWEST} and {TIMES:g} times the mean of the week before it. "
    if len(found) > MOST_SPIKES:
        words += f"The newest {MOST_SPIKES} of {len(found):,}. "
    words += "What stands beside it came before it; that need not be why." if found else "There is none."
    return {"words": words, "rows": [_spike_row(spike, ZoneInfo(timezone)) for spike in found[: -MOST_SPIKES - 1 : -1]]}


def _spike_row(spike: Spike, zone: ZoneInfo) -> dict[str, str]:
    return {
        "when": f"{spike.began.astimezone(zone):%a, %-d %b %Y, %H:%M}",
        "item": "all items" if spike.item is None else spike.item.title,
        "gained": f"+{spike.gained:,} in {duration(timedelta(hours=spike.hours))}",
        "usual": f"{spike.usual:,.1f}",
        "times": _UNKNOWN if spike.times is None else f"{spike.times:,.0f}",
        "before": before_words(spike),
    }


# When readers come ----------------------------------------------------------------------------


def week(found: Slots) -> dict[str, Any]:
    """Sentences and, where any slot is known, the table of 7 by 24."""
    rows = [
        {"day": day, "cells": [_cell(slot) for slot in found.cells[24 * n : 24 * n + 24]]}
        for n, day in enumerate(WEEKDAYS)
    ]
    return {
        "sentences": slot_sentences(found),
        "timezone": found.timezone,
        "rows": rows if found.known else [],
    }


def _cell(slot: Slot) -> dict[str, str]:
    title = f"{WEEKDAYS[slot.weekday]} {slot.hour}:00, {counted(slot.hours, 'observed hour')}"
    if slot.ratio is None:
        return {"style": "none", "title": f"{title}: too few", "words": ""}
    style = sum(slot.ratio >= bound for bound in (0.6, 0.9, 1.1, 1.5))
    return {"style": f"h{style}", "title": title, "words": f"{slot.ratio:.1f}"}
