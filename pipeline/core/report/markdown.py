"""A report as Markdown, for people who read the lake in an editor or on a forge. Titles take no effect in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from pipeline.core.crossings import crossing_words
from pipeline.core.hours import format_time
from pipeline.core.records import Coverage, Report
from pipeline.core.text import counted, plain

REVISIONS_NAMED = 25
_TITLE_LENGTH = 240


def report_text(report: Report, measured: Mapping[str, timedelta] | None = None) -> str:
    """The whole text, with a newline at its end: the same for the same arguments, so that a rebuild changes no file.

    ``measured``: by item, the time over which its rates were measured.
    """
    parts = [
        f"# {report.source}, {report.hour}{' (simulated)' if report.simulated else ''}",
        _summary(report),
        *(f"**Warning:** {plain(warning, 500)}" for warning in report.warnings),
        "## Crossings",
        _crossings(report, measured or {}),
        "## Movement",
        _table(
            ("counter", "total", "gained", "per hour", "items moved"),
            (
                (name, f"{m.total:,}", _number(m.delta), _number(m.per_hour), f"{m.items_moved:,}")
                for name, m in report.movement.items()
            ),
        ),
        "## Top movers",
        _movers(report),
        "## Coverage",
        "\n".join(f"- last {window}: {coverage_words(found)}" for window, found in report.coverage.items()),
    ]
    if report.revisions:
        parts += ["## Revised days", _revisions(report)]
    if report.corrections:
        parts += ["## Corrections", "\n".join(_corrections(report))]
    return "\n\n".join(parts) + "\n"


def coverage_words(coverage: Coverage) -> str:
    """``711 of 720 hours observed, 7 gaps, 2 quarantined``."""
    words = f"{coverage.observed} of {counted(coverage.hours, 'hour')} observed"
    words += f", {counted(coverage.gaps, 'gap')}" if coverage.gaps else ""
    return words + (f", {coverage.quarantined} quarantined" if coverage.quarantined else "")


def summary_line(report: Report) -> str:
    """One line for a terminal: items, what moved, how many crossings."""
    moved = ", ".join(
        f"{name} {movement.delta:+,}" for name, movement in report.movement.items() if movement.delta is not None
    )
    return (
        f"{report.source} {report.hour}{' (simulated)' if report.simulated else ''}: "
        f"{counted(report.items.observed, 'item')} observed; {moved or 'nothing to compare with yet'}; "
        f"{counted(len(report.crossings), 'crossing')}."
    )


def _summary(report: Report) -> str:
    since = (
        f"{report.elapsed_seconds / 3600:.2f} hours after the snapshot before ({report.previous_hour})"
        if report.elapsed_seconds is not None
        else "the first snapshot of this source"
    )
    items = report.items
    words = f"Captured at {format_time(report.captured_at)}, {since}. {counted(items.observed, 'item')} observed"
    words += f", {items.carried:,} carried from earlier" if items.carried else ""
    words += f", {items.first_seen:,} seen for the first time" if items.first_seen else ""
    return f"{words}. Origin: {report.origin}."


def _crossings(report: Report, measured: Mapping[str, timedelta]) -> str:
    if not report.crossings:
        return "None in this hour."
    return _table(
        ("item", "crossed", "rule"),
        (
            (
                plain(c.title or c.item_id, _TITLE_LENGTH),
                crossing_words(c, measured.get(c.item_id)),
                c.rule,
            )
            for c in report.crossings
        ),
    )


def _movers(report: Report) -> str:
    if not report.top_movers:
        return "Nothing moved, or nothing is known to have moved."
    return _table(
        ("item", "counter", "gained", "now"),
        (
            (plain(m.title or m.item_id, _TITLE_LENGTH), m.counter, _number(m.delta), _number(m.value))
            for m in report.top_movers
        ),
    )


def _revisions(report: Report) -> str:
    rows = (
        (
            plain(r.title or r.item_id, _TITLE_LENGTH),
            r.counter,
            r.day.isoformat(),
            "none" if r.before is None else f"{r.before:,}",
            f"{r.after:,}",
        )
        for r in report.revisions[:REVISIONS_NAMED]
    )
    more = report.revised - REVISIONS_NAMED
    words = "The platform changed what it had told of these days. A total counts the highest number ever told of a day."
    return f"{words}\n\n{_table(('item', 'counter', 'day', 'before', 'after'), rows)}" + (
        f"\n\nAnd {more:,} more." if more > 0 else ""
    )


def _corrections(report: Report) -> Iterable[str]:
    for decision in report.corrections:
        yield f"- {plain(decision.words, 500)} at {format_time(decision.made_at)}: {plain(decision.reason)}"


def _number(value: float | None) -> str:
    if value is None:
        return "unknown"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
