"""The words of incidents: what happened, since when, what to do next, whom it concerns, how to go back.

Only pure functions; `incidents` decides what is told when. Several sources that one cause met at once
stand in one message.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from textwrap import shorten

from pipeline.core.incidents.book import Incident, Over
from pipeline.core.incidents.troubles import BLOCKING
from pipeline.core.model import Cause, Source
from pipeline.core.text import counted, duration, plain, unlisted
from pipeline.notify.wording import Message, Tone

MAX_SUBJECTS = 12
_MAX_WHAT, _MAX_ROW, _MAX_OWN = 400, 120, 200
_MAX_BODY = 1_700
"""With the title a message stays below Discord's 2,000 characters."""

HEADLINES = {
    Cause.SESSION_EXPIRED: "the session has expired",
    Cause.FORBIDDEN: "the platform forbids the access",
    Cause.TRANSPORT: "the platform cannot be reached",
    Cause.REFUSED: "the capture was refused",
    Cause.NOTHING_CAPTURED: "nothing was captured for two hours",
    Cause.LAKE: "the lake cannot be used",
    Cause.CLOCK: "the clock of this machine went back",
    Cause.FAULT: "a fault in Ratchet",
    Cause.CREDENTIAL_ENDING: "the credential ends soon",
    Cause.CHANNEL_FAILED: "this channel takes no messages",
    Cause.HEARTBEAT_FAILED: "the heartbeat is not taken",
    Cause.CONFIGURATION: "the source cannot load",
}
_EFFECTS = {
    Cause.SESSION_EXPIRED: "Nothing is recorded, and the platform is not called, until the credential changes.",
    Cause.FORBIDDEN: "The credential is known and may not read this. Nothing is recorded, and the platform is not"
    " called, until the credential or its rights change.",
    Cause.TRANSPORT: "All attempts of the hour failed; the hour stays a gap. The next hour is tried by itself.",
    Cause.REFUSED: "The hour has no snapshot; the capture and its findings are kept in quarantine.",
    Cause.NOTHING_CAPTURED: "The hours that pass stay gaps.",
    Cause.LAKE: "Nothing is recorded until it is mended; what was accepted stays as it is.",
    Cause.CLOCK: "Nothing is recorded until the time is right: set it, for example with NTP.",
    Cause.FAULT: "The hour is not complete.",
    Cause.CREDENTIAL_ENDING: "Captures go on until then.",
    Cause.CHANNEL_FAILED: "What it was to be told is kept and sent when it works, for 48 hours.",
    Cause.HEARTBEAT_FAILED: "Captures go on, but the service outside may raise an alarm.",
    Cause.CONFIGURATION: "Nothing is recorded of it; the other sources go on.",
}
_AGAIN = {
    Cause.SESSION_EXPIRED: "The session works again",
    Cause.FORBIDDEN: "The platform allows the access again",
}


@dataclass(frozen=True)
class Told:
    """One incident as it is told now. ``source`` is None for a channel and for a source that cannot load.

    ``again``: the message is a reminder. ``over``: it tells of the end.
    """

    incident: Incident
    source: Source | None
    again: bool = False
    over: Over | None = None


def incident_message(told: Sequence[Told], now: datetime) -> Message:
    """One message for incidents of one cause that are all open, or all over. ``told`` is not empty."""
    first = told[0]
    lines = _ending(told) if first.over else _one(first, now) if len(told) == 1 else _many(told, now)
    tone: Tone = "success" if first.over else "failure" if first.incident.cause in BLOCKING else "warning"
    return Message(_title(told), shorten_lines(lines), tone=tone)


def lake_message(what: str, next_step: str) -> Message:
    """For a lake in which not even an incident can be written."""
    return Message(
        title="Ratchet: the lake cannot be used",
        body="\n".join(
            [plain(what, _MAX_WHAT), _EFFECTS[Cause.LAKE], f"Next: {next_step}", "This message can come again."]
        ),
        tone="failure",
    )


def trial_message(names: Sequence[str]) -> Message:
    """What `ratchet alert test` sends to a channel of the sources ``names``."""
    sources = shorten(", ".join(names), _MAX_WHAT, placeholder=" …")
    return Message(
        title="Ratchet: a test of this channel",
        body=f"Crossings and incidents of {sources} will arrive here. There is nothing to do.",
    )


def shorten_lines(lines: Sequence[str]) -> str:
    """As many whole lines as one message holds, and where the others are to be had."""
    fitting: list[str] = []
    for line in lines:
        if sum(len(kept) + 1 for kept in fitting) + len(line) > _MAX_BODY:
            fitting.append("… (more: ratchet status)")
            break
        fitting.append(line)
    return "\n".join(fitting)


def _title(told: Sequence[Told]) -> str:
    first = told[0]
    who = plain(first.incident.subject) if len(told) == 1 else f"{len(told)} sources"
    if first.over:
        return f"{who}: over: {HEADLINES[first.incident.cause]}"
    return f"{who}: {'still: ' if first.again else ''}{HEADLINES[first.incident.cause]}"


def _one(told: Told, now: datetime) -> list[str]:
    incident = told.incident
    what = plain(incident.what, _MAX_WHAT)
    return [
        what if what.endswith((".", "…")) else f"{what}.",
        *_since(incident, now),
        _EFFECTS[incident.cause],
        f"Next: {incident.next_step}",
        *_own_words(told.source),
        # Last, since they are what may be cut.
        *(f"- {plain(row, _MAX_ROW)}" for row in incident.rows),
    ]


def _many(told: Sequence[Told], now: datetime) -> list[str]:
    lines = [f"- {each.incident.subject}: {plain(each.incident.what, 90)}" for each in told[:MAX_SUBJECTS]]
    earliest = min((each.incident for each in told), key=lambda incident: incident.since)
    owners = sorted({_one_line(each.source.owner) for each in told if each.source and each.source.owner})
    return [
        _EFFECTS[told[0].incident.cause],
        *_since(earliest, now),
        f"Next, as for {told[0].incident.subject}: {told[0].incident.next_step}",
        *([f"Owner: {_one_line(', '.join(owners))}"] if owners else []),
        *lines,
        *unlisted(lines, len(told)),
    ]


def _ending(told: Sequence[Told]) -> list[str]:
    lines = []
    for each in told[:MAX_SUBJECTS]:
        if each.over is not None:
            prefix = f"- {plain(each.incident.subject)}: " if len(told) > 1 else ""
            lines.append(prefix + _end_words(each.incident, each.over))
    lines += unlisted(told[:MAX_SUBJECTS], len(told))
    return [*lines, "There is nothing to do." if len(told) > 1 else f"It was: {plain(told[0].incident.what, 200)}"]


def _end_words(incident: Incident, over: Over) -> str:
    ended = over.recovered_at or over.over_at
    span = f"{duration(ended - incident.since)}, from {incident.since:%Y-%m-%d %H:%M} to {ended:%Y-%m-%d %H:%M} UTC"
    if incident.cause is Cause.CREDENTIAL_ENDING:
        return "The credential was renewed."
    if incident.cause in (Cause.CHANNEL_FAILED, Cause.HEARTBEAT_FAILED, Cause.CONFIGURATION):
        return f"It works again, after {span}."
    if over.decided:
        words = f"{plain(over.decided, _MAX_OWN)}: {plain(over.reason, _MAX_OWN)}"
        return f"The capture of {incident.since:%Y-%m-%d %H:%M} UTC was {words}"
    lost = over.gaps + over.quarantined
    words = "no hour was lost" if not lost else f"{counted(lost, 'hour')} lost"
    if over.quarantined:
        words += f", {over.quarantined} of them refused and kept in quarantine"
    return f"{_AGAIN.get(incident.cause, 'Captures are accepted again')} after {span}; {words}."


def _since(incident: Incident, now: datetime) -> list[str]:
    if incident.cause is Cause.CREDENTIAL_ENDING:
        return []
    return [f"Since {incident.since:%Y-%m-%d %H:%M} UTC ({duration(now - incident.since)})."]


def _own_words(source: Source | None) -> list[str]:
    """What the owner wrote into the YAML for whoever is woken."""
    if source is None:
        return []
    found = {"Owner": source.owner, "Expected": source.expected, "To go back": source.rollback}
    return [f"{name}: {_one_line(words)}" for name, words in found.items() if words]


def _one_line(words: str) -> str:
    return shorten(words, _MAX_OWN, placeholder=" …")
