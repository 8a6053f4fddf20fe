"""Replaying a recorded account: every capture over real HTTP, each hour a Dagster run of its own.

The recorded captures carry their own time, so the clock of the run stands still at it. A capture
that is earlier than others in the lake goes in first; the hours after it are then settled once, in
one run, so that the lake equals one that was told in order.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from pipeline.collecting import capture_hour
from pipeline.core.errors import Refused
from pipeline.core.hours import Hour
from pipeline.core.lake import SourceLake
from pipeline.core.model import Source
from pipeline.core.observe import RecordedClock
from pipeline.core.project import ROOT, Project
from pipeline.core.sources import find_source
from pipeline.core.unsettled import unsettled_from
from pipeline.drawing import draw_pages
from pipeline.lost_runs import end_lost_runs
from pipeline.running import SourceRuns, dagster_instance
from pipeline.sandbox.recording import RecordedAccount, Recording
from pipeline.sandbox.server import NoteSandbox

RECORDED = "recorded"
RECORDING = ROOT / "data" / "recordings" / "note_account.csv"
PAGE_SIZE = 20


@dataclass(frozen=True)
class Replay:
    """What is to be replayed: ``pending`` captures of the ``wanted`` ones, oldest first."""

    project: Project
    source: Source
    recording: Recording
    wanted: int
    pending: tuple[datetime, ...]

    @classmethod
    def of_recording(cls, project: Project, last: int | None = None) -> Replay:
        """The replay of the bundled recording, or of its ``last`` captures. Raises ConfigError or LakeFault."""
        source = find_source(project, RECORDED)
        recording = Recording.read(RECORDING)
        wanted = recording.captures[-last:] if last else recording.captures
        stored = {capture.captured_at for capture in project.lake.source(source.name).captures()}
        return cls(project, source, recording, len(wanted), tuple(c for c in wanted if c not in stored))

    @property
    def lake(self) -> SourceLake:
        """The lake of the source that shows the recording."""
        return self.project.lake.source(self.source.name)

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to store or to settle. Raises LakeFault."""
        return not self.pending and unsettled_from(self.lake) is None

    def run(self) -> Iterator[Hour]:
        """Replay what is pending; yields each hour when it is done. The caller holds the lake.

        A refused capture is a result. Anything else that fails is raised and ends the replay, which
        can be taken up where it stopped.
        """
        account = RecordedAccount(self.recording)
        address = urlsplit(self.source.platform.base_url)
        sandbox = NoteSandbox(
            account,
            cookie=self.source.platform.credential,
            port=address.port or 0,
            page_size=PAGE_SIZE,
            clock=account.shown_at,
        )
        with sandbox, dagster_instance(self.project) as instance:
            end_lost_runs(instance, self.lake, self.source, datetime.now(UTC))
            runs = SourceRuns.of(self.source, instance)
            if unsettled_from(self.lake) is not None:  # of a replay that was interrupted: the next hour builds on it
                runs.history()
            for captured_at in self.pending:
                account.show(captured_at)
                hour = Hour.of(captured_at)
                with suppress(Refused):  # recorded as it happened: the summary names it
                    capture_hour(runs, self.lake, hour, RecordedClock(captured_at))
                yield hour
            if unsettled_from(self.lake) is not None:
                runs.history()
        draw_pages(self.source, datetime.now(UTC))
