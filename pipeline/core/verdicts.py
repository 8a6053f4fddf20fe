"""What the checks and the owner say of one capture together, and who has the last word."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

from pipeline.core.hours import Hour
from pipeline.core.lake import CaptureRef
from pipeline.core.listing import Listing
from pipeline.core.model import Finding, Origin, Source
from pipeline.core.records import Correction, Signals, Terms
from pipeline.core.refusals import DECREASES, OVERRULABLE
from pipeline.core.signals.measuring import Arrived, capture_signals
from pipeline.core.validation.checks import Timed
from pipeline.core.validation.decreases import non_decreasing_counts
from pipeline.core.validation.evidence import Evidence


@dataclass(frozen=True)
class Verdict:
    """What the checks and the owner's decisions say of one capture, and what was measured meanwhile."""

    capture: CaptureRef
    terms: Terms
    listing: Listing
    compared_with: Hour | None
    timed: tuple[Timed, ...]
    decisions: tuple[Correction, ...]
    source: Source
    origin: Origin
    arrived: Arrived
    left: Finding | None = None
    """What non_decreasing_counts finds beside the falls that the owner answers for, where that was said of some."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What each check found, in the order of the checks, before any word of the owner."""
        return tuple(timed.finding for timed in self.timed)

    @cached_property
    def signals(self) -> Signals:
        """What was measured while the checks judged, to be kept beside what follows from the verdict."""
        return capture_signals(self.source, self.capture, self.origin, self.timed, self.listing, self.arrived)

    @property
    def rejected(self) -> bool:
        """Whether the owner refuses the capture, whatever the checks say."""
        return any(decision.action == "reject" for decision in self.decisions)

    @property
    def overruled(self) -> bool:
        """The owner took the capture as true although a check refused it."""
        return any(decision.action == "accept" for decision in self.decisions) and any(
            not finding.passed for finding in self.findings
        )

    @property
    def lowered(self) -> tuple[str, ...]:
        """The items whose fall the owner took as true although the check refused it."""
        return tuple(item for d in self.decisions if d.action == "lower" for item in d.items) if self.left else ()

    @property
    def judged(self) -> tuple[Finding, ...]:
        """The findings after the owner's word: what was overruled passes, and says by whom."""
        return tuple(self._after_the_word(finding) for finding in self.findings)

    def _after_the_word(self, finding: Finding) -> Finding:
        signed = "".join(f" {d.words[:1].upper()}{d.words[1:]}: {d.reason}" for d in self.decisions)
        if finding.passed:
            return finding
        if self.overruled and finding.check in OVERRULABLE:
            return replace(finding, passed=True, reason=finding.reason + signed)
        if self.left is not None and finding.check == self.left.check:
            return replace(finding, passed=True, reason=finding.reason + signed) if self.left.passed else self.left
        return finding

    @property
    def accepted(self) -> bool:
        """Whether it may be its hour's snapshot: each check passed or was overruled, and nobody rejected it."""
        return not self.rejected and all(finding.passed for finding in self.judged)

    @property
    def reason(self) -> str:
        """What the checks said of the capture, and the owner's word against it."""
        words = [finding.reason for finding in self.findings if not finding.passed]
        words += [f"Rejected by {d.by}: {d.reason}" for d in self.decisions if d.action == "reject"]
        return " ".join(words)


def left_of_fall(evidence: Evidence, timed: Iterable[Timed], decisions: Iterable[Correction]) -> Finding | None:
    """What is left of a refused fall beside the items that the owner named; None where there is nothing to ask."""
    named = frozenset(item for d in decisions if d.action == "lower" for item in d.items)
    refused = any(not t.finding.passed for t in timed if t.finding.check == DECREASES)
    return non_decreasing_counts(replace(evidence, lowered=named)) if named and refused else None
