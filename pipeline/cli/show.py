"""``ratchet show``: the items of a source, or one of them, as sparklines and a table. Imports no Dagster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from pipeline.core.analysis.happenings import Happening
    from pipeline.core.analysis.watched import Watched

_BARS = "▁▂▃▄▅▆▇█"
_ROWS, _DAYS, _FEWER_DAYS, _HAPPENINGS = 25, 30, 14, 8
_TITLE, _SHORTEST_TITLE, _LONGEST_ID = 46, 12, 300
_DAY = 86_400_000_000


@click.command()
@click.argument("source")
@click.argument("item", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--counter", help="Which counter; the first of the source by default.")
def command(source: str, item: str | None, as_json: bool, counter: str | None) -> None:
    """Show what the items of SOURCE gained, or ITEM alone with its first hours and what happened to it.

    A bar is a day (UTC), a dot one without observation. A dash is not zero: it is not known, as on the first day.

    \b
    Examples: ratchet show recorded
              ratchet show recorded n093 --json
    """
    from rich.console import Console

    from pipeline.cli.saying import say_json
    from pipeline.core.analysis.happenings import happenings
    from pipeline.core.analysis.watched import read_watched
    from pipeline.core.errors import ConfigError
    from pipeline.core.project import Project
    from pipeline.core.sources import find_lake
    from pipeline.site.build import cache_folder

    project = Project.here()
    lake = find_lake(project, source)
    watched = read_watched(lake, cache_folder(project, lake.name))
    counter = counter or watched.counters[0]
    if counter not in watched.counters:
        raise ConfigError(f"{source} has no such counter.", f"Its counters are: {', '.join(watched.counters)}.")
    place = watched.place(item) if item is not None else None
    if item is not None and place is None:
        raise ConfigError(f"{source} has no item of that id.", f"See its items: ratchet show {source}")
    happened = [h for h in happenings(lake, watched) if place is None or h.item_id in (item, None)]
    content = _content(watched, counter, place, happened)
    if as_json:
        say_json(content)
    else:
        _print(Console(highlight=False), content)


def _content(watched: Watched, counter: str, place: int | None, happened: list[Happening]) -> dict[str, Any]:
    """What is shown, ready for JSON."""
    from pipeline.core.analysis.first_hours import first_hours, sentences
    from pipeline.core.analysis.gains import standings
    from pipeline.core.hours import format_time

    ranked = standings(watched, counter)
    ages = first_hours(watched, counter)
    aged = next((a for a in ages.items if place is not None and a.item is watched.items[place]), None)
    chosen = range(len(watched.items)) if place is None else [place]
    items = [
        {
            "item_id": watched.items[at].item_id,
            "title": watched.items[at].title,
            "url": watched.items[at].url,
            "published_at": watched.items[at].published_at,
            "value": ranked[at].value,
            "gained": {name: gain.value for name, gain in ranked[at].gains.items()},
            "notes": {name: gain.note for name, gain in ranked[at].gains.items()},
            "rank": ranked[at].rank,
            "climbed": ranked[at].climbed,
            **_days(watched, counter, at),
        }
        for at in sorted(chosen, key=lambda at: -(ranked[at].value or 0))
    ]
    return {
        "source": watched.source,
        "counter": counter,
        "captured_at": format_time(watched.moment(-1)),
        "items": items,
        "left_out": watched.left_out,
        "first_hours": {
            "sentences": sentences(ages),
            "shares": {age: share.median if share else None for age, share in ages.shares.items()},
        }
        if place is None
        else {
            "shares": {age: share.estimate if share else None for age, share in aged.shares.items()} if aged else None
        },
        "happened": [
            {"at": format_time(h.at), "kind": h.kind.value, "item_id": h.item_id, "words": h.words} for h in happened
        ],
    }


def _days(watched: Watched, counter: str, place: int) -> dict[str, list[Any]]:
    """What the item gained on each of the last days; None where that day or the one before was not observed.

    ``observed``: whether that day was.
    """
    import numpy as np

    from pipeline.core.analysis.watched import MISSING

    column = watched.values[counter][:, place]
    seen = np.flatnonzero(column != MISSING)
    days = watched.captured_at[seen] // _DAY
    lasts = dict(zip(days.tolist(), column[seen].tolist(), strict=True))
    observed = set(lasts)
    if watched.items[place].zero and len(days):
        lasts.setdefault(int(days[0]) - 1, 0)  # it was published later, so nobody need have seen it
    today = int(watched.captured_at[-1] // _DAY)
    shown = range(today - _DAYS + 1, today + 1)
    return {
        "days": [lasts[day] - lasts[day - 1] if day in lasts and day - 1 in lasts else None for day in shown],
        "observed": [day in observed for day in shown],
    }


def _print(console: Console, content: dict[str, Any]) -> None:
    from rich.markup import escape

    from pipeline.core.text import legible

    captured = content["captured_at"][: len("2026-11-22T14:17")].replace("T", " ")
    console.print(
        f"[bold]{content['source']}[/bold]  {content['counter']}, last captured {captured} UTC\n", soft_wrap=True
    )
    _print_items(console, content)
    more = len(content["items"]) - _ROWS
    if more > 0:
        console.print(f"[dim]and {more:,} more: ratchet show {content['source']} --json[/]")
    sentences = _first_hours(content)
    if sentences:
        console.print("\n[bold]The first 36 hours[/]")
    for sentence in sentences:
        console.print(sentence, soft_wrap=not console.is_terminal)
    if content["happened"]:
        console.print()
    titles = {row["item_id"]: row["title"] for row in content["items"]}
    for happening in content["happened"][-_HAPPENINGS:]:
        words = f"{happening['kind']} {legible(happening['words'], 160)}{_whose(happening, titles)}"
        console.print(f"[dim]{happening['at'][:16].replace('T', ' ')}[/]  {escape(words)}", soft_wrap=True)


def _whose(happening: dict[str, Any], titles: dict[str, str]) -> str:
    """``: Title [id]``; the id alone where the words are the title."""
    from pipeline.core.analysis.happenings import Kind
    from pipeline.core.text import legible

    item = happening["item_id"]
    if item is None:
        return ""
    title = titles.get(item, "") if happening["kind"] not in (Kind.PUBLISHED, Kind.TITLE) else ""
    return f"{f': {legible(title, _TITLE)}' if title else ''} [{legible(item, _LONGEST_ID)}]"


def _print_items(console: Console, content: dict[str, Any]) -> None:
    """Titles give way where a terminal is narrow."""
    from pipeline.cli.saying import say_table, whole_width

    roomy = not console.is_terminal or console.width >= 100
    days, title = (_DAYS if roomy else _FEWER_DAYS), _TITLE
    wanted = whole_width(_items(content, days, title))
    if console.is_terminal and wanted > console.width:
        title = max(_TITLE - (wanted - console.width), _SHORTEST_TITLE)
    say_table(console, _items(content, days, title))


def _items(content: dict[str, Any], days: int, title: int) -> Table:
    from rich.markup import escape
    from rich.table import Table

    from pipeline.core.analysis.gains import WINDOWS
    from pipeline.core.text import legible

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("item", max_width=title, no_wrap=True)
    table.add_column(f"{days} days", no_wrap=True, min_width=days)
    for name in ("now", *WINDOWS, "rank"):
        table.add_column(name, justify="right", no_wrap=True, min_width=6 if name in ("now", "rank") else 4)
    table.add_column("id", no_wrap=True)
    for row in content["items"][:_ROWS]:
        gained = [_signed(row["gained"][name]) for name in WINDOWS]
        place = "–" if row["rank"] is None else f"{row['rank']}.{_climbed(row['climbed'])}"
        value = "–" if row["value"] is None else f"{row['value']:,}"
        cells = (sparkline(row["days"][-days:], row["observed"][-days:]), value, *gained, place)
        table.add_row(escape(legible(row["title"] or "")), *cells, escape(legible(row["item_id"], _LONGEST_ID)))
    return table


def _first_hours(content: dict[str, Any]) -> list[str]:
    """How fast the count arrives: in words for a source, as shares by age for an item."""
    found = content["first_hours"]
    if "sentences" in found:
        return list(found["sentences"])
    if found["shares"] is None:
        return []
    shares = [f"{age} h {share:.0%}" for age, share in found["shares"].items() if share is not None]
    return [f"Share of its {content['counter']} so far by age: {', '.join(shares)}."] if shares else []


def _signed(gained: int | None) -> str:
    return "[dim]–[/]" if gained is None else f"{gained:+,}" if gained else "0"


def _climbed(places: int | None) -> str:
    if not places:
        return ""
    return f" ▲{places}" if places > 0 else f" ▼{-places}"


def sparkline(days: list[int | None], observed: list[bool]) -> str:
    """The lowest bar is a day that brought nothing; whatever it brought stands above that."""
    highest = max((gained for gained in days if gained is not None), default=0)

    def bar(gained: int | None, seen: bool) -> str:
        if gained is None:
            return "–" if seen else "·"
        return _BARS[max(1, round(gained / highest * (len(_BARS) - 1)))] if gained > 0 else _BARS[0]

    return "".join(map(bar, days, observed))
