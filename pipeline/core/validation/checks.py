"""The checks of a capture and their order, one function each. docs/reliability.md says why each exists.

Each takes the same evidence and returns one Finding. A check whose ground is missing (the items of
an unreadable listing, the numbers of a listing with broken fields) says that it was not judged
instead of adding follow-up errors to the one that counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import pandas as pd

from pipeline.core.credential import days_left, runway_words
from pipeline.core.hours import format_time
from pipeline.core.model import Finding
from pipeline.core.refusals import COMPLETE_LISTING, DECREASES
from pipeline.core.text import counted
from pipeline.core.validation.decreases import non_decreasing_counts
from pipeline.core.validation.evidence import Evidence, allowed
from pipeline.core.validation.expectations import SAMPLE, Expectation, breaches
from pipeline.core.validation.fields import required_fields
from pipeline.core.validation.words import NAMED, names, records, sentence

CHECKS_VERSION = "1"


@dataclass(frozen=True)
class Check:
    """What a check that is not ``blocking`` finds is named and stands in nobody's way."""

    name: str
    description: str
    judge: Callable[[Evidence], Finding]
    blocking: bool = True


# readable_listing ---------------------------------------------------------------------------


def readable_listing(evidence: Evidence) -> Finding:
    """Refuses a listing that was cut short, or of which a page could not be read."""
    problems = evidence.listing.problems
    frame = pd.DataFrame([vars(problem) for problem in problems], columns=["page", "request", "problem"])
    broken = breaches(frame, [Expectation("problem", "a page could not be used", pd.Series.isna)])
    facts: dict[str, Any] = {"pages": evidence.listing.pages, "items": len(evidence.items)}
    if evidence.listing.shifts:
        facts["read_again"] = list(evidence.listing.shifts)
    if not broken:
        shifts = len(evidence.listing.shifts)
        again = f" Items moved between them, so they were read {shifts + 1} times." if shifts else ""
        whole = f"Read whole: {counted(evidence.listing.pages, 'page')}.{again}"
        return Finding("readable_listing", True, whole, facts=facts)
    reason = "; ".join(
        f"page {problem.page}: {problem.problem}" if problem.page else problem.problem for problem in problems[:NAMED]
    )
    return Finding("readable_listing", False, sentence(reason), broken[0].failing, records(broken[0].rows), facts)


# unique_items -------------------------------------------------------------------------------


def unique_items(evidence: Evidence) -> Finding:
    """Refuses a listing in which an id stands twice. Names what is gone instead: both come from an order that moved."""
    each_once = Finding("unique_items", True, f"{counted(len(evidence.items), 'item')}, each once.")
    repeated = evidence.named[evidence.named["item_id"].duplicated(keep=False)]
    if repeated.empty:
        return each_once
    counts = repeated.groupby("item_id", sort=False, observed=True).agg(
        title=("title", "first"), occurrences=("item_id", "size")
    )
    broken = breaches(
        counts.reset_index(), [Expectation("occurrences", "an item stands twice", lambda column: column == 1)]
    )
    if not broken:
        return each_once
    rows = records(broken[0].rows)
    missing = _gone(evidence)
    lost = f" Missing instead: {names(missing)}." if len(missing) else ""
    return Finding(
        "unique_items",
        False,
        f"Listed more than once: {names(broken[0].rows, broken[0].failing)}.{lost}"
        " Pages were read while their order moved.",
        broken[0].failing,
        rows + tuple(row | {"occurrences": 0} for row in records(missing.head(SAMPLE)[["item_id", "title"]])),
    )


# complete_listing ---------------------------------------------------------------------------


def complete_listing(evidence: Evidence) -> Finding:
    """Refuses an empty listing, and one that lacks more items of the last snapshot than the bounds allow.

    Items that were carried already are not counted again. Fewer that are gone pass, and are named.
    """
    observed = _observed_before(evidence)
    gone = _gone(evidence)
    bounds = evidence.bounds
    most = allowed(bounds.gone_items, bounds.gone_share, len(observed))
    summary = pd.DataFrame({"items": [len(evidence.items)], "too_many_gone": [len(gone) - most]})
    broken = breaches(
        summary,
        [
            Expectation("items", "the listing is empty", lambda column: column > 0),
            Expectation("too_many_gone", "too many items are gone", lambda column: column <= 0),
        ],
    )
    facts = {"items": len(evidence.items), "items_gone": len(gone), "items_gone_allowed": most}
    reason = f"{counted(len(evidence.items), 'item')} listed, none gone."
    if len(gone):
        reason = f"Gone since the last accepted snapshot: {names(gone)} ({len(gone)} of {len(observed)})."
    if broken and broken[0].expectation.column == "items":
        reason = "The listing is empty."
    elif broken:
        reason += f" More than {most} at once is taken for a broken listing."
    elif len(gone):
        reason += " They are carried with their last values."
    return Finding(COMPLETE_LISTING, not broken, reason, len(gone), _gone_rows(gone), facts)


def _observed_before(evidence: Evidence) -> pd.DataFrame:
    if evidence.previous is None:
        return pd.DataFrame({"item_id": [], "title": [], "last_observed_at": []})
    before = evidence.previous[["item_id", "title", "last_observed_at"]]
    return before[evidence.previous["status"] != "carried"]


def _gone(evidence: Evidence) -> pd.DataFrame:
    observed = _observed_before(evidence)
    return observed[~observed["item_id"].isin(evidence.named["item_id"])]


def _gone_rows(gone: pd.DataFrame) -> tuple[Mapping[str, Any], ...]:
    return records(gone.head(SAMPLE)[["item_id", "title", "last_observed_at"]])


# credential_runway --------------------------------------------------------------------------


def credential_runway(evidence: Evidence) -> Finding:
    """Warns where a credential ends within the days of which its owner wants to know. It always passes."""
    expires, captured_at = evidence.listing.credential_expires, evidence.listing.captured_at
    if expires is None:
        reason = "Nothing tells when the credential ends. Where you know it, write expires_on into the source's YAML."
        return Finding("credential_runway", True, reason)
    days = days_left(expires, captured_at)
    facts = {"expires_at": format_time(expires), "days_left": round(days, 2)}
    broken = breaches(
        pd.DataFrame([facts]),
        [
            Expectation("days_left", f"the credential ends within {limit} days", _longer_than(limit))
            for limit in sorted(evidence.credential_days)
        ],
    )
    reason = runway_words(expires, captured_at)
    if not broken:
        return Finding("credential_runway", True, reason, facts=facts)
    facts["limit"] = broken[0].expectation.words
    return Finding("credential_runway", True, f"{reason} Renew it before: data still flows.", 1, (), facts)


def _longer_than(days: int) -> Callable[[pd.Series], pd.Series]:
    return lambda column: column > days


# The order of the checks -------------------------------------------------------------------------------


CAPTURE_CHECKS = (
    Check(
        "readable_listing",
        "Every page is what the platform declares, none repeated, within the bounds.",
        readable_listing,
    ),
    Check(
        "required_fields",
        "Every item has its fields: types, no nulls, no negatives, times not in the future.",
        required_fields,
    ),
    Check("unique_items", "No item stands twice in the listing.", unique_items),
    Check(
        COMPLETE_LISTING,
        "The listing is not empty, and no more items are gone at once than the bounds allow.",
        complete_listing,
    ),
    Check(
        DECREASES,
        "Each counter keeps its policy against the last accepted value, and no counter falls en masse.",
        non_decreasing_counts,
    ),
    Check(
        "credential_runway",
        "The token or cookie lasts for more than the days of notice. Blocks nothing.",
        credential_runway,
        blocking=False,
    ),
)

ADVISORY = frozenset(check.name for check in CAPTURE_CHECKS if not check.blocking)

_GROUNDS = {
    "required_fields": ("readable_listing",),
    "unique_items": ("readable_listing",),
    COMPLETE_LISTING: ("readable_listing",),
    DECREASES: ("readable_listing", "required_fields"),
}


@dataclass(frozen=True)
class Timed:
    """A finding and the seconds that it took; None where nobody measured."""

    finding: Finding
    seconds: float | None


def judge(evidence: Evidence) -> tuple[Finding, ...]:
    """Every check on one capture, in the order of CAPTURE_CHECKS."""
    return tuple(timed.finding for timed in judge_timed(evidence))


def judge_timed(evidence: Evidence) -> tuple[Timed, ...]:
    """The same with the seconds that each check took."""
    found: dict[str, Timed] = {}
    for check in CAPTURE_CHECKS:
        unsound = [ground for ground in _GROUNDS.get(check.name, ()) if not found[ground].finding.passed]
        begun = perf_counter()
        finding = (
            Finding(check.name, True, f"Not judged, since {unsound[0]} failed.", facts={"judged": False})
            if unsound
            else check.judge(evidence)
        )
        found[check.name] = Timed(finding, perf_counter() - begun)
    return tuple(found.values())
