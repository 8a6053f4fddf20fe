"""The words of a message: a report's crossings become one grouped text.

Only pure functions of a report live here; `delivery` sends what they return.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from textwrap import shorten
from typing import Any, Literal

import msgspec

from pipeline.core.analysis.gains import Gain
from pipeline.core.crossings import crossing_words
from pipeline.core.hours import parse_time
from pipeline.core.model import Crossing
from pipeline.core.text import counted, duration, link, plain, unlisted

MAX_LINES = 10
MAX_TITLE = 240
"""An error is told by a title of up to 200 characters, in which ``plain`` then puts some invisible ones."""
MAX_ITEM_LINES = 1_300
"""Characters of all item lines. With what stands around them a message stays below Discord's 2,000."""

Tone = Literal["info", "success", "warning", "failure"]


@dataclass(frozen=True)
class Message:
    """One grouped message: plain text that also reads the same where a channel renders Markdown.

    ``tone`` is what a webhook gets as ``type``, and a chat may show as a colour. ``crossings`` names what it
    tells (``rule|item|threshold``), for its receipts. ``picture`` is a PNG that shows what the body says, for
    channels that can show one.
    """

    title: str
    body: str
    tone: Tone = field(default="info", kw_only=True)
    crossings: tuple[str, ...] = ()
    picture: bytes | None = field(default=None, repr=False)


Lately = Mapping[tuple[str, str], Sequence[Gain]]
"""What an item and counter gained since the observation before and over the last day, as far as it is known."""


def crossings_message(report: Mapping[str, Any], lately: Lately | None = None) -> Message:
    """One message for all crossings of one report (the content of ``report/<hour>.json``).

    A line an item, the highest mark first, at most MAX_LINES of them; several milestones of one
    counter that an item passed at once are told as the highest. Raises ValueError for a report
    without crossings: a quiet hour has no message.
    """
    crossings = report["crossings"]
    if not crossings:
        raise ValueError(f"the report of {report['hour']} has no crossings; quiet hours send no message")
    items: dict[str, list[Mapping[str, Any]]] = {}
    for crossing in sorted(crossings, key=lambda crossing: -crossing["threshold"]):
        items.setdefault(crossing["item_id"], []).append(crossing)
    lines = _fitting([_item_line(of_item, lately or {}) for of_item in items.values()])
    lines += unlisted(lines, len(items))
    movement = _movement_line(report)
    if movement:
        lines.append(movement)
    if report["simulated"]:
        lines.insert(0, "These numbers are simulated; there is no real account behind them.")
    return Message(
        title=_headline(report, len(items)),
        body="\n".join(lines),
        crossings=tuple(map(crossing_name, crossings)),
    )


def crossing_name(crossing: Mapping[str, Any]) -> str:
    """Names a crossing in receipts: a milestone has the same name in whichever hour it is passed."""
    return f"{crossing['rule']}|{crossing['item_id']}|{crossing['threshold']:.15g}"


def _headline(report: Mapping[str, Any], items: int) -> str:
    label = "SIMULATED " if report["simulated"] else ""
    seen = f"{parse_time(report['captured_at']):%Y-%m-%d %H:%M} UTC"
    return f"{label}{plain(report['source'])}: {counted(items, 'item')} passed a mark (seen {seen})"


def _fitting(lines: Sequence[str]) -> list[str]:
    fitting: list[str] = []
    for line in lines[:MAX_LINES]:
        if sum(map(len, fitting)) + len(line) > MAX_ITEM_LINES:
            break
        fitting.append(line)
    return fitting


def _item_line(crossings: Sequence[Mapping[str, Any]], lately: Lately) -> str:
    """``- 1,000 views (988 → 1,012), +24 in 1 hour, +310 in 24 hours: “Title” https://…``.

    Our words come first, so that the title of a script written from right to left does not turn the line around.
    ``crossings`` are those of one item, the highest threshold first.
    """
    milestones: set[str] = set()
    told: dict[str, list[str]] = {}
    for crossing in crossings:
        if crossing["kind"] == "crosses":
            if crossing["counter"] in milestones:
                continue
            milestones.add(crossing["counter"])
        told.setdefault(crossing["counter"], []).append(_mark(crossing))
    first = crossings[0]
    marks = [
        ", ".join(of_counter) + _gained(lately.get((first["item_id"], counter), ()))
        for counter, of_counter in told.items()
    ]
    title = plain(first["title"] or "", MAX_TITLE) or plain(first["item_id"], MAX_TITLE)
    address = link(first["url"])
    return f"- {shorten('; '.join(marks), 200, placeholder=' …')}: “{title}”" + (f" {address}" if address else "")


def _gained(gains: Sequence[Gain]) -> str:
    words = ", ".join(f"{gain.value:+,} {gain.note}" for gain in gains if gain.value is not None)
    return f", {words}" if words else ""


def _mark(crossing: Mapping[str, Any]) -> str:
    made = msgspec.convert(crossing, Crossing)
    return crossing_words(replace(made, counter=plain(made.counter)))


def _movement_line(report: Mapping[str, Any]) -> str | None:
    """What the whole catalogue did since the observation before; None where there was none."""
    if not report["elapsed_seconds"]:
        return None
    moved = [
        f"{plain(counter)} {movement['delta']:+,} ({movement['items_moved']:,} moved)"
        for counter, movement in report["movement"].items()
        if movement["delta"] is not None  # None while no item has a predecessor
    ]
    span = duration(timedelta(seconds=report["elapsed_seconds"]))
    return shorten(f"All items in {span}: {', '.join(moved)}", 300, placeholder=" …") if moved else None
