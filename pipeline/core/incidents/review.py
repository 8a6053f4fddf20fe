"""From what stands in the way now to the book of incidents: what opens, and what is over."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pipeline.core.errors import ConfigError
from pipeline.core.hours import Hour
from pipeline.core.incidents.book import Book, Incident, Over
from pipeline.core.incidents.notes import CHANNEL, Failing, read_note
from pipeline.core.incidents.troubles import BLOCKING, FAILING_LONG, SESSION, SETTLING, Trouble, settled, troubles
from pipeline.core.lake import VALIDATED, Lake, SourceLake
from pipeline.core.ledger import corrections, read_ledger
from pipeline.core.lineage import standing_capture
from pipeline.core.model import Cause, HourState, Source
from pipeline.core.publishing import SENDING
from pipeline.core.records import Correction

_WATCHED, _BROKEN = "watched-", "broken-"
_COMMON = frozenset({Cause.TRANSPORT, Cause.LAKE, Cause.FAULT})
"""What is likely to meet several sources at once: told when the last of them has made its last attempt."""

Key = tuple[str, Cause, str]


@dataclass(frozen=True)
class Watch:
    """What is looked at: the sources, the folders of those that cannot load, and the ids of the channels in use.

    ``finished`` names sources for which nobody tries again in this hour.
    """

    sources: Sequence[Source]
    broken: Mapping[str, ConfigError]
    channels: Collection[str]
    finished: Collection[str] = ()

    @property
    def subjects(self) -> set[str]:
        """Whose incidents are judged here: those of any other source or channel are left as they are."""
        return {source.name for source in self.sources} | set(self.broken) | set(self.channels)

    def may_open(self, subject: str, now: datetime) -> bool:
        """A click on a source that nobody awaits is watched by whoever clicked."""
        idle = {source.name for source in self.sources if not source.is_awaited(now)}
        return subject not in idle or subject in self.finished


def review(lake: Lake, watch: Watch, now: datetime) -> dict[Key, Trouble]:
    """Open and close incidents, and return what stands at ``now``. The caller holds the project's sending lock.

    An incident opens when its trouble is due. It is over when no trouble of its kind stands; one that
    costs hours, when none that costs hours stands, so a platform that fails in changing ways is no news
    each time. But a capture that was read ends that of a dead session, also where it was refused.
    """
    book = Book(lake.project)
    standing = {trouble.key: trouble for trouble in _standing(lake, watch, now)}
    open_before = {incident.key: incident for incident in book.open_incidents() if incident.subject in watch.subjects}
    for key, trouble in standing.items():
        at_its_end = trouble.at is not None and trouble.subject in watch.finished
        is_new = key not in open_before and watch.may_open(trouble.subject, now)
        if is_new and (trouble.due <= now or at_its_end):
            book.open(trouble, now)
    for key, incident in open_before.items():
        if key not in standing and not any(_goes_on(incident, trouble) for trouble in standing.values()):
            book.close(_over(lake, watch, incident, now))
    return standing


def _goes_on(incident: Incident, trouble: Trouble) -> bool:
    """Whether another trouble of its subject stands in the way of the end of the incident."""
    if incident.subject != trouble.subject or not {incident.cause, trouble.cause} <= BLOCKING:
        return False
    return not (incident.cause in SESSION and trouble.cause is Cause.REFUSED)


def _standing(lake: Lake, watch: Watch, now: datetime) -> Iterator[Trouble]:
    for source in watch.sources:
        for trouble in _of_source(lake, source, now):
            # Silence that is not long enough yet is none.
            if trouble.cause is not Cause.NOTHING_CAPTURED or trouble.due <= now:
                yield _together(lake, watch, trouble)
    yield from _of_channels(lake, watch)
    yield from _of_broken(lake.project, watch, now)


def _of_source(lake: Lake, source: Source, now: datetime) -> list[Trouble]:
    if source.simulated:
        return []
    since = _remembered(lake.project, _WATCHED + source.name, source.is_awaited(now), now)
    return troubles(lake.source(source.name), source, now, since)


def _remembered(project: SourceLake, name: str, stands: bool, now: datetime) -> datetime | None:
    """Since when something that leaves no other trace stands."""
    note = project.read_note(name)
    if not stands:
        if note is not None:
            project.drop_note(name)
        return None
    if note is None:
        project.write_note(name, {"since": now.isoformat()}, by=SENDING)
        return now
    return datetime.fromisoformat(note["since"])


def _together(lake: Lake, watch: Watch, trouble: Trouble) -> Trouble:
    """Due only when no source has an attempt of that hour before it: what is common makes one message."""
    if trouble.cause not in _COMMON or trouble.at is None:
        return trouble
    hour = Hour.of(trouble.at)
    ahead = [
        settled(source, hour)
        for source in watch.sources
        if source.is_awaited(trouble.at) and not lake.source(source.name).exists(VALIDATED, hour)
    ]
    return replace(trouble, due=max([trouble.due, *ahead]))


def _of_channels(lake: Lake, watch: Watch) -> Iterator[Trouble]:
    """Every channel in use that some sender could not reach, since the first of its failures."""
    for channel in sorted(watch.channels):
        notes = (read_note(sender, CHANNEL + channel, Failing) for sender in lake.senders())
        failing = min(filter(None, notes), key=lambda note: note.since, default=None)
        if failing is not None:
            yield Trouble(
                channel,
                Cause.CHANNEL_FAILED,
                failing.since,
                failing.since + FAILING_LONG,
                failing.detail,
                "Check its address in .env and the service behind it, then run: ratchet alert test",
            )


def _of_broken(project: SourceLake, watch: Watch, now: datetime) -> Iterator[Trouble]:
    for name in {note.removeprefix(_BROKEN) for note in project.note_names(_BROKEN)} - set(watch.broken):
        project.drop_note(_BROKEN + name)
    for name, error in watch.broken.items():
        since = _remembered(project, _BROKEN + name, True, now) or now
        yield Trouble(name, Cause.CONFIGURATION, since, since + SETTLING, error.what, error.next_step)


def _over(lake: Lake, watch: Watch, incident: Incident, now: datetime) -> Over:
    source = next((source for source in watch.sources if source.name == incident.subject), None)
    if source is None or incident.cause is Cause.CONFIGURATION:
        return Over(incident.id, now, now)
    if incident.cause is Cause.CREDENTIAL_ENDING:
        return Over(incident.id, now, now if source.is_awaited(now) else None)
    if incident.cause is Cause.HEARTBEAT_FAILED:
        return Over(incident.id, now, now if source.heartbeat_url else None)
    of_source = lake.source(source.name)
    ended = _recovered(of_source, incident)
    # A refused capture that its owner accepted ends its own incident; silence began with an accepted one.
    silence = incident.cause is Cause.NOTHING_CAPTURED
    if ended is None or ended < incident.since or (silence and ended == incident.since):
        return Over(incident.id, now)
    hours = read_ledger(of_source, source, now, since=Hour.of(incident.since)).hours
    states = [state for hour, state in hours.items() if hour < Hour.of(ended)]
    word = _word_on(of_source, incident)
    return Over(
        incident.id,
        now,
        ended,
        gaps=states.count(HourState.GAP),
        quarantined=states.count(HourState.QUARANTINED),
        decided=word.words if word else "",
        reason=word.reason if word else "",
    )


def _recovered(lake: SourceLake, incident: Incident) -> datetime | None:
    """When the newest capture was accepted or, after a dead session, read at all."""
    if incident.cause in SESSION:
        read = lake.last_capture()
        return read.captured_at if read else None
    accepted = lake.last_accepted()
    return standing_capture(lake, accepted).captured_at if accepted else None


def _word_on(lake: SourceLake, incident: Incident) -> Correction | None:
    """The owner's word by which the refused capture of an incident was accepted."""
    hour = Hour.of(incident.since)
    if incident.cause is not Cause.REFUSED or not lake.exists(VALIDATED, hour):
        return None
    capture = standing_capture(lake, hour)
    if capture.captured_at != incident.since:
        return None
    return next((word for word in reversed(corrections(lake)) if word.capture == capture.name), None)
