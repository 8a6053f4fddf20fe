"""The picture of a message: for each item that it tells of, the counter of its first mark over the last days, as a PNG.

PNG, since chats show no SVG. Only digits and the names of counters are written in it, so no title needs
a font, and whatever it says stands in the message as well.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.core.analysis.watched import MISSING, Watched

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

DAYS = 7
MOST = 3
WIDTH, HEIGHT = 720, 190
"""Of one item's chart."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 84, 22, 38, 30
_FINER = 2
"""Drawn so many times larger and then made smaller: Pillow draws lines with hard edges."""
_PAPER, _INK, _SOFT, _GRID, _LINE, _THRESHOLD = "#ffffff", "#1d1f24", "#5c6370", "#e3e4e8", "#3b4cc0", "#b3541e"
_TOGETHER_HOURS = 1.5


def crossings_picture(crossings: Sequence[Mapping[str, Any]], recent: Watched) -> bytes | None:
    """A chart for each of the first MOST items, the highest mark first, as PNG; None where nothing can be drawn.

    ``crossings`` are those of a report, ``recent`` the days before it.
    """
    first: dict[str, Mapping[str, Any]] = {}
    for crossing in sorted(crossings, key=lambda crossing: -crossing["threshold"]):
        first.setdefault(crossing["item_id"], crossing)
    drawable = [
        (crossing, place)
        for crossing in first.values()
        if (place := recent.place(crossing["item_id"])) is not None
        and np.count_nonzero(recent.values[crossing["counter"]][:, place] != MISSING) > 1
    ][:MOST]
    if not drawable:
        return None
    from PIL import Image, ImageDraw

    size = (WIDTH * _FINER, HEIGHT * _FINER * len(drawable))
    image = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(image)
    for number, (crossing, place) in enumerate(drawable):
        _chart(draw, number * HEIGHT, crossing, recent, place)
    small = image.resize((WIDTH, HEIGHT * len(drawable)), Image.Resampling.LANCZOS)
    content = io.BytesIO()
    small.save(content, "PNG", optimize=True)
    return content.getvalue()


def _chart(draw: ImageDraw, down: int, crossing: Mapping[str, Any], recent: Watched, place: int) -> None:
    hours, values = _course(recent, crossing["counter"], place)
    mark = crossing["threshold"] if crossing["kind"] in ("crosses", "above", "below") else None
    low, high = _span(values, mark)

    def x(hour: float) -> float:
        return _LEFT + (hour - hours[0]) / (hours[-1] - hours[0]) * (WIDTH - _LEFT - _RIGHT)

    def y(value: float) -> float:
        return down + HEIGHT - _BOTTOM - (value - low) / (high - low) * (HEIGHT - _TOP - _BOTTOM)

    _write(draw, (_LEFT, down + 8), f"{crossing['counter']}: {values[-1]:,} now", _INK, 15)
    for value in (low, high):
        _draw(draw, [(_LEFT, y(value)), (WIDTH - _RIGHT, y(value))], _GRID, 1)
        _write(draw, (_LEFT - 8, y(value)), f"{value:,.0f}", _SOFT, 12, "rm")
    for hour, anchor in ((hours[0], "la"), (hours[-1], "ra")):
        when = datetime.fromtimestamp(hour * 3600, UTC)
        _write(draw, (x(hour), down + HEIGHT - _BOTTOM + 7), f"{when:%Y-%m-%d %H:%M} UTC", _SOFT, 12, anchor)
    if mark is not None and low < mark < high:
        for begin in range(_LEFT, WIDTH - _RIGHT, 9):
            _draw(draw, [(begin, y(mark)), (min(begin + 5, WIDTH - _RIGHT), y(mark))], _THRESHOLD, 1.5)
        _write(draw, (_LEFT + 6, y(mark) - 3), f"{mark:,.10g}", _THRESHOLD, 12, "ld")
    points = [(x(hour), y(value)) for hour, value in zip(hours, values, strict=True)]
    for n, (one, next_one) in enumerate(pairwise(points)):
        # As on the page: where hours between were not observed the line is thin.
        _draw(draw, [one, next_one], _LINE, 2.4 if hours[n + 1] - hours[n] <= _TOGETHER_HOURS else 1)
    right, bottom = points[-1]
    draw.ellipse([_FINER * edge for edge in (right - 4, bottom - 4, right + 4, bottom + 4)], fill=_LINE)


def _course(recent: Watched, counter: str, place: int) -> tuple[list[float], list[int]]:
    """When it was observed, in hours since 1970, and its counts; from its publication where that was watched."""
    column, item = recent.values[counter][:, place], recent.items[place]
    seen = column != MISSING
    hours, values = (recent.captured_at[seen] / 3_600_000_000).tolist(), column[seen].tolist()
    if item.zero and item.published_at is not None:
        published = item.published_at.timestamp() / 3600
        if recent.captured_at[0] / 3_600_000_000 <= published < hours[0]:
            return [published, *hours], [0, *values]
    return hours, values


def _span(values: Sequence[int], mark: float | None) -> tuple[float, float]:
    """What the chart reaches from and to: the values, and the mark where it is near them."""
    low, high = float(min(values)), float(max(values))
    if mark is not None and mark < high + max(1.0, high - low):
        low, high = min(low, mark), max(high, mark)
    return low, high if high > low else low + 1


def _draw(draw: ImageDraw, line: Sequence[tuple[float, float]], colour: str, width: float) -> None:
    points = [(_FINER * x, _FINER * y) for x, y in line]
    draw.line(points, fill=colour, width=round(_FINER * width), joint="curve")


def _write(draw: ImageDraw, at: tuple[float, float], text: str, colour: str, size: int, anchor: str = "la") -> None:
    from PIL import ImageFont

    draw.text(
        (_FINER * at[0], _FINER * at[1]), text, fill=colour, font=ImageFont.load_default(_FINER * size), anchor=anchor
    )
