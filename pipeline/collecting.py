"""Collecting without a daemon: the run of the present hour in this process, then its messages."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeline.core.errors import AlreadyObserved, ChannelFault, LakeFault, RatchetError, SourceBusy, WrongHour
from pipeline.core.history import read_report, refusal, verdict
from pipeline.core.hours import Hour, format_time
from pipeline.core.incidents.notes import note_attempt
from pipeline.core.lake import VALIDATED, SourceLake
from pipeline.core.lineage import standing_capture
from pipeline.core.model import Source, outside
from pipeline.core.observe import PRESENT, Clock
from pipeline.core.project import Project
from pipeline.core.records import Report
from pipeline.core.report.markdown import summary_line
from pipeline.core.unsettled import unsettled_from
from pipeline.notify.delivery import Delivery
from pipeline.notify.incidents import tell_incidents, watched
from pipeline.notify.sending import send_unsent

if TYPE_CHECKING:
    from pipeline.running import Outcome, SourceRuns


@dataclass(frozen=True)
class Collected:
    """``left``: the first hour of what an earlier run had left and this one finished."""

    report: Report
    deliveries: list[Delivery]
    left: Hour | None


def collect(project: Project, source: Source, clock: Clock = PRESENT) -> Collected:
    """Capture the present hour, then send what is unsent, of this hour and of those whose channel was down.

    What an earlier run left is finished before.

    Nobody may try again in this hour, so a capture that failed is told as an incident at once.
    Raises the RatchetError that says why the capture was not accepted, or AlreadyObserved; a note of it
    says where a channel did not take the incident. Raises ChannelFault where only a channel failed; a note of it
    says what was captured.
    """
    lake, hour = project.lake.source(source.name), Hour.of(clock.now())
    try:
        already, left = _observe(project, source, lake, hour, clock)
    except (SourceBusy, WrongHour):
        raise
    except RatchetError as error:
        try:
            tell_incidents(project.lake, watched(project, source), clock.now)
        except RatchetError as untold:  # why the capture failed is what its caller has to know first
            error.add_note(untold.what)
        raise
    try:
        deliveries = _tell(project, source, lake, clock)
    except ChannelFault as fault:
        if not already:
            fault.add_note(f"The capture was accepted: {summary_line(read_report(lake, hour))}")
        raise
    if already:
        raise AlreadyObserved(
            f"{hour.key} of {source.name} was already observed"
            f" at {format_time(standing_capture(lake, hour).captured_at)};"
            f" {finished_words(left) if left else 'nothing was changed'}.",
            f"The next hour begins at {format_time(hour.end)}.",
        )
    return Collected(read_report(lake, hour), deliveries, left)


def finished_words(left: Hour) -> str:
    """What became of the hours from ``left`` on, for the end of a sentence."""
    return f"finished what an earlier run left, from {left.key} on"


def _tell(project: Project, source: Source, lake: SourceLake, clock: Clock) -> list[Delivery]:
    """Raises ChannelFault after both incidents and reports were tried."""
    deliveries: list[Delivery] = []
    fault: ChannelFault | None = None
    try:
        deliveries += tell_incidents(project.lake, watched(project, source), clock.now)
    except ChannelFault as error:
        fault = error
    deliveries += send_unsent(lake, source, clock.now)
    if fault is not None:
        raise fault
    return deliveries


def _observe(project: Project, source: Source, lake: SourceLake, hour: Hour, clock: Clock) -> tuple[bool, Hour | None]:
    """Give the hour its accepted snapshot; whether it had one already, and the first hour that had to be finished."""
    with lake.writing():
        none_of_its_hours = outside(source, hour)
        if none_of_its_hours:
            raise WrongHour(none_of_its_hours, "Change 'start' or 'end' in its YAML to go on.")
        already, left = lake.exists(VALIDATED, hour), unsettled_from(lake)
        if not already or left is not None:
            _capture(project, source, lake, hour, clock)
    return already, left


def _capture(project: Project, source: Source, lake: SourceLake, hour: Hour, clock: Clock) -> None:
    from pipeline.lost_runs import end_lost_runs
    from pipeline.running import SourceRuns, dagster_instance

    try:
        with dagster_instance(project) as instance:
            end_lost_runs(instance, lake, source, clock.now())
            # Its partitions begin with its first capture, and this hour may be over before they are made.
            begun = source.start is not None or lake.first_capture() is not None
            runs = SourceRuns.of(source if begun else replace(source, start=hour), instance)
            capture_hour(runs, lake, hour, clock)
    except LakeFault as fault:
        with suppress(LakeFault):  # Dagster's own database failed, so no step remembered it
            note_attempt(lake, hour, fault, clock.now())
        raise


def capture_hour(runs: SourceRuns, lake: SourceLake, hour: Hour, clock: Clock) -> None:
    """One run of ``hour``. Raises what went wrong in it as the error that it was."""
    outcome = runs.capture(hour, clock)
    if not outcome.success:
        raise _error(outcome, runs.source, lake, hour)


def _error(outcome: Outcome, source: Source, lake: SourceLake, hour: Hour) -> RatchetError:
    if outcome.blocked:
        return refusal(lake, verdict(lake, source, standing_capture(lake, hour)))
    return outcome.error()
