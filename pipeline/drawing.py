"""Drawing the pages of a source, by every run that changed what they tell."""

from datetime import datetime

from dagster import DagsterLogManager

from pipeline.core.errors import NothingAccepted, RatchetError
from pipeline.core.model import Source
from pipeline.core.project import Project
from pipeline.site.build import Story, build_index, read_story, write_page


def draw_pages(source: Source, now: datetime) -> Story | None:
    """The page of ``source`` and the page over all; what the first tells, None where nothing is accepted yet.

    Raises LakeFault where a file is damaged or the folder cannot be written.
    """
    project = Project.here()
    try:
        story = read_story(project, source, now)
    except NothingAccepted:
        return None
    write_page(project, story)
    build_index(project)
    return story


def draw_if_possible(source: Source, now: datetime, log: DagsterLogManager) -> Story | None:
    """As `draw_pages` in the run of an hour, which they must not fail: they can be drawn again at any time."""
    try:
        return draw_pages(source, now)
    except RatchetError as fault:
        log.warning(f"The page of {source.name} was not drawn: {fault}")
        return None
