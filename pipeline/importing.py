"""Importing the past: every capture of a file into the lake, then the fold, then one Dagster run that tells of it.

An imported capture is stored, judged and published like any other, with the origin `import`, which
sends no message. What is in the lake already is left as it is, so an import that was interrupted is
finished by running it again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from pipeline.core.capture import store_capture
from pipeline.core.errors import HoursRefused
from pipeline.core.history import settle
from pipeline.core.history_files.past import Past
from pipeline.core.hours import Hour
from pipeline.core.lake import VALIDATED, SourceLake
from pipeline.core.model import Origin, Source
from pipeline.core.project import Project
from pipeline.core.records import Quarantine, decode
from pipeline.core.refusals import OVERRULABLE
from pipeline.core.unsettled import unsettled_from
from pipeline.core.untold import remember_untold, untold

_REMEMBER_EVERY = 100


@dataclass(frozen=True)
class Result:
    """What became of the hours of a file: how many stand accepted, and the findings of those that do not."""

    accepted: int
    refused: tuple[Quarantine, ...]

    def error(self, source: Source) -> HoursRefused | None:
        """The error that ends the command, with the advice for its owner; None where every hour was accepted."""
        if not self.refused:
            return None
        hours = "hour of the file was" if len(self.refused) == 1 else "hours of the file were"
        return HoursRefused(
            f"{len(self.refused):,} {hours} refused, {self.accepted:,} accepted.",
            f"The captures are kept in quarantine. {self._advice(source)}",
        )

    def _advice(self, source: Source) -> str:
        """For those that can be true, and for those of which no correction makes a snapshot."""
        possible = sum(set(record.failed) <= OVERRULABLE for record in self.refused)
        unsound = len(self.refused) - possible
        one = "one" if unsound == 0 else "one of the others"
        accept = f"If {one} is true: ratchet correct {source.name} HOUR --accept --by NAME --reason TEXT"
        if unsound == 0:
            return accept
        them = "them" if possible == 0 else f"{unsound:,} of them"
        lost = f"No sound snapshot can be made of {them}; another capture of such an hour can still be imported."
        return f"{lost} {accept}" if possible else lost


@dataclass(frozen=True)
class Import:
    """What a file holds that the lake does not.

    ``pending``: captures to be stored, oldest first. ``stored``: how many the lake has already, and
    ``observed``: how many belong to an hour that has its snapshot, which stays.
    """

    lake: SourceLake
    source: Source
    past: Past
    pending: tuple[datetime, ...]
    stored: int
    observed: int

    @classmethod
    def of(cls, lake: SourceLake, source: Source, past: Past) -> Import:
        """The caller holds `SourceLake.writing`."""
        captured, accepted = {capture.captured_at for capture in lake.captures()}, set(lake.accepted_hours())
        new = [at for at in past.moments if at not in captured]
        pending = tuple(at for at in new if Hour.of(at) not in accepted)
        return cls(lake, source, past, pending, len(past.moments) - len(new), len(new) - len(pending))

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to store, to judge or to tell Dagster. Raises LakeFault."""
        return not self.pending and unsettled_from(self.lake) is None and not untold(self.lake)

    def store(self) -> Iterator[Hour]:
        """Store what is pending; yields the hour of each capture."""
        remember_untold(self.lake, {Hour.of(at) for at in self.pending})
        for at in self.pending:
            capture, _ = store_capture(self.lake, self.source, Origin.IMPORT, at, self.past.pages(at))
            yield capture.hour

    def to_settle(self) -> int:
        """How many hours `settle` will work on."""
        first = unsettled_from(self.lake)
        return len({capture.hour for capture in self.lake.captures(first)}) if first else 0

    def settle(self) -> Iterator[Hour]:
        """Work what was stored into the history, and every later hour again; yields each hour."""
        first = unsettled_from(self.lake)
        changed: list[Hour] = []
        for hour, has_changed in settle(self.lake, self.source, first) if first else ():
            changed += [hour] if has_changed else []
            if len(changed) == _REMEMBER_EVERY:
                remember_untold(self.lake, changed)
                changed = []
            yield hour
        remember_untold(self.lake, changed)

    def tell(self, project: Project) -> int:
        """One Dagster run over the whole range; returns of how many hours it told. Raises what went wrong in it."""
        hours = len(untold(self.lake))
        if hours == 0:
            return 0
        from pipeline.lost_runs import end_lost_runs
        from pipeline.running import SourceRuns, dagster_instance

        with dagster_instance(project) as instance:
            end_lost_runs(instance, self.lake, self.source, datetime.now(UTC))
            SourceRuns.of(self.source, instance).history()
        return hours

    def result(self) -> Result:
        """Of the hours of the file; an hour that is refused is told with its last findings."""
        hours = sorted({Hour.of(at) for at in self.past.moments})
        accepted = sum(self.lake.exists(VALIDATED, hour) for hour in hours)
        last = {capture.hour: capture for capture in self.lake.refused(hours[0], hours[-1])}
        refused = [last[hour] for hour in hours if hour in last and not self.lake.exists(VALIDATED, hour)]
        return Result(accepted, tuple(decode(self.lake.quarantine(capture), Quarantine) for capture in refused))
