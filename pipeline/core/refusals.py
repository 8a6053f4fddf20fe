"""Who has the last word on a refusal, and how it is typed. Knows no check, for those who only tell of one."""

from __future__ import annotations

from collections.abc import Collection

REJECTED = "rejected_by_owner"
"""Stands in the place of a check where the owner alone refuses."""
COMPLETE_LISTING, DECREASES = "complete_listing", "non_decreasing_counts"
OVERRULABLE = frozenset({COMPLETE_LISTING, DECREASES})
"""The checks despite which the owner may take a capture as true."""


def refusal_advice(source: str, hour: str, failed: Collection[str]) -> str | None:
    """What the owner can type against the checks that failed; None where none of it would count."""
    if not set(failed) <= OVERRULABLE:
        return None
    words = f"If it is true, say so: ratchet correct {source} {hour} --accept --by NAME --reason TEXT"
    return words + (
        " (for some items only, --lower ITEM in the place of --accept)" if set(failed) == {DECREASES} else ""
    )
