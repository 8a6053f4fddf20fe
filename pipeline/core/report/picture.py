"""The hour as a picture: the largest gains as bars, small enough to stand inside Dagster's metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.core.records import Report
from pipeline.core.text import plain

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

BARS = 8
_TITLE_LENGTH = 32


def movers_picture(report: Report) -> bytes | None:
    """An SVG of the top movers of the report's first counter; None where nothing moved.

    Plain shapes without script or links: text from a platform is made plain here and escaped by
    the drawing library.
    """
    counter = next(iter(report.movement), None)
    movers = [mover for mover in report.top_movers if mover.counter == counter][:BARS]
    if not movers:
        return None
    import pygal
    from pygal.style import Style

    style = Style(
        background="transparent",
        plot_background="transparent",
        colors=("#4f43dd",),
        label_font_size=12,
        font_family="sans-serif",
    )
    chart = pygal.HorizontalBar(
        width=560,
        height=60 + 28 * len(movers),
        js=(),
        pretty_print=False,
        no_prefix=True,
        show_legend=False,
        print_values=True,
        margin=8,
        style=style,
        title=f"{counter} gained by {report.hour}{' (simulated)' if report.simulated else ''}",
    )
    chart.x_labels = [_label(mover.title or "") or _label(mover.item_id) for mover in reversed(movers)]
    chart.add(counter, [mover.delta for mover in reversed(movers)])
    chart.add_xml_filter(_without_scripts)
    return bytes(chart.render())


def _label(text: str) -> str:
    """Outside text that XML can hold: `plain` leaves two characters that it cannot."""
    return plain(text.replace("\ufffe", "").replace("\uffff", ""), _TITLE_LENGTH)


def _without_scripts(root: Element) -> Element:
    """Pygal writes its settings as a script, whether or not a script is there that would read them."""
    for parent in list(root.iter()):
        for child in [child for child in parent if child.tag == "script"]:
            parent.remove(child)
    return root
