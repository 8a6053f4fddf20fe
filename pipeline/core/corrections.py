"""The owner's signed decisions: a refused capture is true, or the fall of some of its items; or an hour is rejected.

A decision is a file of its own and changes nothing by itself: `history.settle` works it in.
The latest decision on a capture counts, so each can be taken back by another.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from pipeline.core.errors import ConfigError, Refused
from pipeline.core.files import encode_json
from pipeline.core.grounds import ground_of
from pipeline.core.history import verdict
from pipeline.core.hours import Hour, format_time, parse_time
from pipeline.core.lake import VALIDATED, CaptureRef, SourceLake
from pipeline.core.ledger import corrections
from pipeline.core.lineage import read_lineage
from pipeline.core.model import Source
from pipeline.core.records import Action, Correction
from pipeline.core.refusals import OVERRULABLE
from pipeline.core.text import listed
from pipeline.core.unsettled import plan_rebuild
from pipeline.core.validation.decreases import fallen_items

_NAMED, _LONGEST = 10, 200


@dataclass(frozen=True)
class Choice:
    """What is to be decided. ``items``: of `lower`, the ids whose fall is true.

    ``captured_at``: which refused capture of the hour is meant, where it has several; the newest by default.
    """

    action: Action
    items: Sequence[str] = ()
    captured_at: str | None = None


def decide(
    lake: SourceLake,
    source: Source,
    hour: Hour,
    choice: Choice | Action,
    *,
    by: str,
    reason: str,
    made_at: datetime,
) -> Correction:
    """Sign a decision on the hour and plan the rebuild from there on.

    Raises ConfigError where the hour holds nothing to decide on, an item did not fall or the signature is
    empty, and Refused where something speaks against the capture that the decision cannot overrule.
    """
    if not by.strip() or not reason.strip():
        raise ConfigError("A correction is signed.", "Say who decides and why: --by NAME --reason TEXT")
    choice = choice if isinstance(choice, Choice) else Choice(choice)
    _require_sense(choice)
    _require_later(lake, made_at)
    correction = Correction(
        id=uuid.uuid4().hex[:12],
        made_at=made_at,
        by=by.strip(),
        reason=reason.strip(),
        action=choice.action,
        hour=hour.key,
        capture=_chosen(lake, hour, choice).name,
        items=tuple(dict.fromkeys(choice.items)),
    )
    if choice.action != "reject":
        _require_ground(lake, source, correction)
    plan_rebuild(lake, hour)  # first, so that a kill between the two leaves nothing to remember
    lake.publish(lake.correction_path(made_at, correction.id), encode_json(correction))
    return correction


def _require_sense(choice: Choice) -> None:
    if choice.action == "lower" and not choice.items:
        raise ConfigError(
            "No item is named whose fall is true.",
            "Name each by its id: --lower ITEM --lower ITEM, or `items` of the job.",
        )
    if choice.action != "lower" and choice.items:
        raise ConfigError("Only lower values are accepted item by item.", "Leave the items out, or choose `lower`.")
    if choice.action == "reject" and choice.captured_at is not None:
        raise ConfigError("An hour has one accepted snapshot, which is the one to reject.", "Leave out --captured-at.")


def _require_later(lake: SourceLake, made_at: datetime) -> None:
    """The latest decision counts, by its time; one that is made under a clock that went back would not."""
    newest = max((decision.made_at for decision in corrections(lake)), default=None)
    if newest is not None and made_at <= newest:
        raise ConfigError(
            f"The newest correction of {lake.name} was made at {format_time(newest)}, and the clock of this machine "
            f"says {format_time(made_at)}: a new one would not count.",
            "Set the time (NTP), then correct again.",
        )


def _chosen(lake: SourceLake, hour: Hour, choice: Choice) -> CaptureRef:
    accepted = lake.exists(VALIDATED, hour)
    if choice.action == "reject":
        if not accepted:
            raise ConfigError(
                f"{lake.name} has no accepted snapshot at {hour.key}.",
                _those(lake, "accepted", lake.accepted_hours()),
            )
        return CaptureRef(hour, read_lineage(lake.path(VALIDATED, hour)).capture)
    if accepted:
        raise ConfigError(
            f"{hour.key} of {lake.name} is observed already.",
            f"To take its snapshot back first: ratchet correct {lake.name} {hour.key} --reject --by NAME --reason TEXT",
        )
    refused = lake.captures(hour, hour)
    if not refused:
        raise ConfigError(
            f"{lake.name} captured nothing at {hour.key}: it is a gap.",
            _those(lake, "refused", {capture.hour for capture in lake.refused()} - set(lake.accepted_hours())),
        )
    if choice.captured_at is not None:
        return _captured_at(lake, refused, choice.captured_at)
    # A capture that the owner rejected is taken back by name of the decision, the newest one else.
    rejected = {d.capture for d in corrections(lake) if d.action == "reject"}
    return next((c for c in reversed(refused) if c.name in rejected), refused[-1])


def _those(lake: SourceLake, state: str, hours: Collection[Hour]) -> str:
    """The hours that can be decided on, the latest first."""
    if not hours:
        return f"No hour of {lake.name} is {state}: ratchet status {lake.name}"
    latest = [hour.key for hour in sorted(hours, reverse=True)[:_NAMED]]
    return f"Those that are {state}: {listed(latest, len(hours))}"


def _captured_at(lake: SourceLake, refused: Sequence[CaptureRef], moment: str) -> CaptureRef:
    """The capture of that time, written as `ratchet status` does, or of that name."""
    for capture in refused:
        if moment in (capture.name, format_time(capture.captured_at)) or _same(moment, capture.captured_at):
            return capture
    times = ", ".join(format_time(capture.captured_at) for capture in refused)
    raise ConfigError(
        f"{lake.name} has no capture of {moment[:_LONGEST]!r} in that hour.", f"Choose one with --captured-at: {times}"
    )


def _same(moment: str, captured_at: datetime) -> bool:
    try:
        return parse_time(moment) == captured_at
    except ValueError:
        return False


def _require_ground(lake: SourceLake, source: Source, correction: Correction) -> None:
    """A sound snapshot follows from the decision, and each item that it names has fallen."""
    hour = Hour.parse(correction.hour)
    capture = CaptureRef(hour, correction.capture)
    judged = verdict(lake, source, capture, correction)
    unsound = [f.reason for f in judged.findings if not f.passed and f.check not in OVERRULABLE]
    if not unsound and judged.compared_with is None and judged.listing.items.empty:
        unsound = [judged.reason]
    if unsound:
        raise Refused(
            f"The capture at {hour.key} cannot be taken as true: {unsound[0]}",
            "No sound snapshot can be made of it. The hour stays quarantined and the next sound capture goes on.",
        )
    if correction.action == "lower":
        _require_fall(correction, fallen_items(ground_of(lake, source, capture).evidence))
    left = [f.reason for f in judged.judged if not f.passed]
    if left:
        raise Refused(
            f"Beside these items, the capture at {hour.key} is still refused: {' '.join(left)}",
            "Nothing was changed. Name every item whose fall is true, or take the whole capture as true: --accept",
        )


def _require_fall(correction: Correction, fell: frozenset[str]) -> None:
    unknown = [item for item in correction.items if item not in fell]
    if unknown:
        # Not `plain`, which changes what could be copied from here.
        known = ", ".join(f"{item!r}" for item in sorted(fell)[:_NAMED]) or "none"
        named = ", ".join(f"{item[:_LONGEST]!r}" for item in unknown)
        raise ConfigError(
            f"Nothing fell of {named} in the capture at {correction.hour}.",
            f"Those that fell, by their ids: {known}{' and more' if len(fell) > _NAMED else ''}",
        )
