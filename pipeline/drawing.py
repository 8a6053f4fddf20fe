"""Drawing the pages of a source, by every run that changed what they tell."""

from datetime import datetime

from dagster import DagsterLogManager

from pipeline.core.errors import NothingAccepted, RatchetError
from pipeline.core.model import Source
from pipeline.core.project import Project
from pipeline.site.build import Story, build_index, read_story, write_page


def draw_pages(source: Source, now: datetime, log: DagsterLogManager) -> Story | None:
    """The page of ``source`` and the page over all; what the first tells, or None where it could not be drawn.

    The pages follow from the lake and can be drawn again: what keeps them from it fails no run.
    """
    project = Project.here()
    try:
        story = read_story(project, source, now)
        write_page(project, story)
        build_index(project)
    except NothingAccepted as nothing:
        log.info(f"{source.name} has no page yet: {nothing.what}")
    except RatchetError as fault:
        log.warning(f"The page of {source.name} was not drawn: {fault}")
    else:
        return story
    return None
