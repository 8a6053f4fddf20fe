"""The owner's signed decisions: take a refused capture as true, or reject an accepted hour.

A decision is a file of its own and changes nothing by itself: `history.settle` works it in.
The latest decision on a capture counts, so each can be taken back by another.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Literal

from pipeline.core.errors import ConfigError, Refused
from pipeline.core.history import OVERRULABLE, corrections, plan_rebuild, verdict
from pipeline.core.hours import Hour
from pipeline.core.lake import VALIDATED, CaptureRef, SourceLake, encode_json
from pipeline.core.lineage import read_lineage
from pipeline.core.model import Source
from pipeline.core.records import Correction


def decide(
    lake: SourceLake,
    source: Source,
    hour: Hour,
    action: Literal["accept", "reject"],
    *,
    by: str,
    reason: str,
    made_at: datetime,
) -> Correction:
    """Sign a decision on the hour and plan the rebuild from there on.

    Raises ConfigError where the hour holds nothing to decide on or the signature is empty, Refused
    where the capture cannot be taken as true because no sound table can be made of it.
    """
    if not by.strip() or not reason.strip():
        raise ConfigError("A correction is signed.", "Say who decides and why: --by NAME --reason TEXT")
    capture = _accepted(lake, hour) if action == "reject" else _acceptable(lake, source, hour)
    correction = Correction(
        id=uuid.uuid4().hex[:12],
        made_at=made_at,
        by=by.strip(),
        reason=reason.strip(),
        action=action,
        hour=hour.key,
        capture=capture.name,
    )
    plan_rebuild(lake, hour)  # first, so that a kill between the two leaves nothing to remember
    lake.publish(lake.correction_path(made_at, correction.id), encode_json(correction))
    return correction


def _accepted(lake: SourceLake, hour: Hour) -> CaptureRef:
    if not lake.exists(VALIDATED, hour):
        raise ConfigError(
            f"{lake.name} has no accepted snapshot at {hour.key}.",
            f"See its hours: ratchet status {lake.name}",
        )
    return CaptureRef(hour, read_lineage(lake.path(VALIDATED, hour)).capture)


def _acceptable(lake: SourceLake, source: Source, hour: Hour) -> CaptureRef:
    if lake.exists(VALIDATED, hour):
        raise ConfigError(
            f"{hour.key} of {lake.name} is observed already.",
            f"To take its snapshot back first: ratchet correct {lake.name} {hour.key} --reject --by NAME --reason TEXT",
        )
    refused = lake.captures(hour, hour)
    if not refused:
        raise ConfigError(
            f"{lake.name} captured nothing at {hour.key}: it is a gap.",
            f"See its hours: ratchet status {lake.name}",
        )
    # A capture that the owner rejected is taken back by name of the decision, the newest one else.
    rejected = {d.capture for d in corrections(lake) if d.action == "reject"}
    capture = next((c for c in reversed(refused) if c.name in rejected), refused[-1])
    judged = verdict(lake, source, capture)
    unsound = [f.reason for f in judged.findings if not f.passed and f.check not in OVERRULABLE]
    if not unsound and judged.compared_with is None and judged.listing.items.empty:
        unsound = [judged.reason]
    if unsound:
        raise Refused(
            f"The capture at {hour.key} cannot be taken as true: {unsound[0]}",
            "No sound snapshot can be made of it. The hour stays quarantined and the next sound capture goes on.",
        )
    return capture
