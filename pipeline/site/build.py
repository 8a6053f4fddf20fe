"""Building the pages from the lake: the page of a source, and the one over all sources beside it.

What a page is made of can be lost at any time: ``.cache`` beside the pages holds months that were read
and what each source shows on the page over all. A page is replaced in one step.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from pipeline.core.analysis.first_hours import first_hours
from pipeline.core.analysis.gains import standings
from pipeline.core.analysis.happenings import Happening, happenings
from pipeline.core.analysis.slots import slots
from pipeline.core.analysis.spikes import Spike, spikes
from pipeline.core.analysis.watched import Watched, read_watched
from pipeline.core.files import lake_faults, replacing
from pipeline.core.hours import Hour
from pipeline.core.ledger import Ledger, read_ledger
from pipeline.core.model import Source
from pipeline.core.project import Project
from pipeline.core.signals.series import Measured, measured_since
from pipeline.core.sources import sources_of_history
from pipeline.core.text import counted
from pipeline.site import payload, quality, words
from pipeline.site.rendering import embedded, render

LARGEST = 1_500_000
"""Bytes of a page. Where every capture of 90 days has no room, those of fewer days are drawn."""
_ROOM = LARGEST - 270_000
"""For the numbers: the script, the style and what stands in words take the rest."""
_HOURLY_DAYS = (90, 60, 30, 14, 7, 2)
_CARD = "card.json"


@dataclass(frozen=True)
class Story:
    """Everything that the page of a source tells of."""

    source: Source
    watched: Watched
    ledger: Ledger
    happenings: list[Happening]
    drawn_at: datetime
    measured: Sequence[Measured] = ()

    @cached_property
    def spikes(self) -> list[Spike]:
        """Of the first counter alone, oldest first, each with what happened before it."""
        return spikes(self.watched, self.watched.counters[0], self.happenings)


class _Card(msgspec.Struct, frozen=True):
    """What the page over all sources shows of one."""

    name: str
    simulated: bool
    timezone: str
    summary: str
    drawn: str
    figures: dict[str, Any]
    data: dict[str, Any]


def site_folder(project: Project) -> Path:
    """Where the pages lie, and ``.cache`` beside them."""
    return project.data / "site"


def cache_folder(project: Project, source: str) -> Path:
    """Months of a source that were read before."""
    return site_folder(project) / ".cache" / source


def page_name(source: str) -> str:
    """The file of a source's page; a source may be called as the page over all is."""
    return "index-source.html" if source == "index" else f"{source}.html"


def read_story(project: Project, source: Source, now: datetime) -> Story:
    """What there is to tell of a source. Reads without a lock.

    Raises NothingAccepted where the source has no accepted hour, LakeFault where a file is damaged.
    """
    lake = project.lake.source(source.name)
    watched = read_watched(lake, cache_folder(project, source.name))
    signals = measured_since(lake, Hour.of(watched.moment(-1)) + -24 * quality.DAYS)
    return Story(source, watched, read_ledger(lake, source, now), happenings(lake, watched), now, signals)


def write_page(project: Project, story: Story) -> Path:
    """Make the page of a source again, and its card for the page over all; where the page is.

    A page is complete or not there. Raises LakeFault where the disk is full or the folder cannot be written.
    """
    name = story.source.name
    page = site_folder(project) / page_name(name)
    _replace(cache_folder(project, name) / _CARD, msgspec.json.encode(_card(story)))
    _replace(page, source_page(story))
    return page


def build_index(project: Project) -> Path:
    """Make the page over all sources that have a page. Raises as `write_page` does."""
    folders = sorted((site_folder(project) / ".cache").glob(f"*/{_CARD}"))
    cards = [card for folder in folders if (card := _read_card(folder)) is not None]
    sound, now = {source.name: source for source in sources_of_history(project)[0]}, datetime.now(UTC)
    for card in cards:  # a source that was paused or has left is not awaited any longer
        card.data["awaited"] = card.name in sound and sound[card.name].is_awaited(now)
    zones = {card.timezone for card in cards}
    timezone = zones.pop() if len(zones) == 1 else "UTC"
    content = render(
        "index.html.j2",
        {"timezone": timezone, "sources": [card.data for card in cards]},
        cards=cards,
        page_name=page_name,
        windows=words.WINDOW_WORDS.values(),
        timezone=timezone,
        summary=_index_summary([card.name for card in cards], sound),
    )
    page = site_folder(project) / "index.html"
    _replace(page, content)
    return page


def _read_card(path: Path) -> _Card | None:
    """None where it is not one of this version: the next hour of its source makes it again, or `ratchet report`."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Card)
    except (OSError, msgspec.DecodeError):
        return None


def _index_summary(shown: Sequence[str], known: Iterable[str]) -> str:
    if not shown:
        return "No source has an accepted hour yet."
    without = [name for name in known if name not in shown]
    more = f" Without a page yet: {', '.join(without)}." if without else ""
    return f"{counted(len(shown), 'source')}.{more}"


def _card(story: Story) -> _Card:
    axis = payload.make_axis(story.watched, 30)
    data = _common(story, axis) | {"happenings": []}
    return _Card(
        name=story.source.name,
        simulated=story.source.simulated,
        timezone=story.source.timezone,
        summary=words.summary(story.watched, story.source, story.ledger),
        drawn=words.drawn(story.drawn_at, story.source),
        figures=words.figures(story.watched),
        data=data,
    )


def _common(story: Story, axis: payload.Axis) -> dict[str, Any]:
    return {
        "source": story.source.name,
        "timezone": story.source.timezone,
        "counters": list(story.watched.counters),
        "drawn": int(story.drawn_at.timestamp()),
        "awaited": story.source.is_awaited(story.drawn_at),
        "ends": int(story.source.end.end.timestamp()) if story.source.end else None,
        **payload.axis_payload(story.watched, axis),
        "hours": payload.hours_payload(story.ledger),
        "catalogue": payload.catalogue_payload(story.watched, axis),
    }


def source_page(story: Story) -> bytes:
    """The page of a source: at most LARGEST bytes."""
    watched, counter = story.watched, story.watched.counters[0]
    data, hourly_days, charted = _fitting(story)
    return render(
        "source.html.j2",
        data,
        source=story.source,
        summary=words.summary(watched, story.source, story.ledger),
        drawn=words.drawn(story.drawn_at, story.source),
        figures=words.figures(watched),
        ages=words.ages(first_hours(watched, counter)),
        week=words.week(slots(watched, counter, story.source.timezone)),
        quality=quality.quality(story.measured, story.source.timezone),
        spikes=words.spikes(story.spikes, story.source.timezone),
        left_out=words.left_out(watched),
        thinning=words.thinning(
            watched, hourly_days, charted, len(story.happenings), min(len(story.happenings), payload.MOST_HAPPENINGS)
        ),
    )


def _fitting(story: Story) -> tuple[dict[str, Any], int, int]:
    """The most numbers for which a page has room: days in which every capture is drawn, and items with charts."""
    watched = story.watched
    ranked = {counter: standings(watched, counter) for counter in watched.counters}
    told = payload.happenings_payload(story.happenings)
    charted = len(watched.items)
    while True:
        for hourly_days in _HOURLY_DAYS:
            axis = payload.make_axis(watched, hourly_days)
            items = payload.items_payload(watched, axis, ranked, charted)
            data = _common(story, axis) | items | {"happenings": told}
            if len(embedded(data).encode()) <= _ROOM or not charted:
                return data, hourly_days, charted
        charted //= 2


def _replace(path: Path, content: bytes) -> None:
    """Give ``path`` this content in one step."""
    with lake_faults(path), replacing(path) as file:
        file.write(content)
