"""Drawing the pages of a source, by every run that changed what they tell."""

from contextlib import suppress
from datetime import datetime
from traceback import format_exc

from dagster import DagsterLogManager

from pipeline.core.errors import LakeFault, NothingAccepted, RatchetError
from pipeline.core.model import Source
from pipeline.core.project import Project
from pipeline.core.withheld import without_secrets
from pipeline.site.build import Story, build_index, page_name, read_story, site_folder, write_page


def draw_pages(source: Source, now: datetime) -> Story | None:
    """The page of ``source`` and the page over all; what the first tells, None where nothing is accepted yet.

    Raises LakeFault where a file is damaged or the folder cannot be written.
    """
    project = Project.here()
    try:
        story = read_story(project, source, now)
    except NothingAccepted:
        build_index(project)
        return None
    write_page(project, story)
    build_index(project)
    return story


def draw_if_possible(source: Source, now: datetime, log: DagsterLogManager) -> Story | None:
    """As `draw_pages` in a run, which they must not fail: they can be drawn again, and say when they were."""
    try:
        return draw_pages(source, now)
    except RatchetError as fault:
        log.warning(f"The page of {source.name} was not drawn: {fault}")
    except Exception:  # of whatever kind: the hour is in the lake, and its run is not to be called failed for a page
        log.error(f"A fault in Ratchet: the page of {source.name} was not drawn.\n{without_secrets(format_exc())}")
    return None


def require_drawn(project: Project, source: Source, since: datetime) -> None:
    """For whoever waited for a run that draws the page. Raises LakeFault where it was not drawn.

    ``since``: when the run was asked for. A source without an accepted hour has no page.
    """
    page = site_folder(project) / page_name(source.name)
    if project.lake.source(source.name).last_accepted() is None:
        return
    with suppress(OSError):
        if page.stat().st_mtime >= since.timestamp():
            return
    raise LakeFault(
        f"All of it is done, but the page {page} could not be drawn.", f"See why: ratchet report {source.name}"
    )
