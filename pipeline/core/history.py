"""The fold that makes a source's history: captures and corrections in, accepted hours out.

Each step below makes one kind of file of one hour, and is what the Dagster asset of that name
runs. `settle` runs them over a stretch of history, oldest hour first, each capture judged against
the last accepted snapshot before it; it is how corrections, late captures and interrupted runs
are worked in. Every function expects its caller to hold `SourceLake.writing`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import msgspec
import pyarrow as pa

from pipeline.core.capture import read_head
from pipeline.core.crossings import measured_over
from pipeline.core.deltas import hour_delta
from pipeline.core.errors import LakeFault, NothingAccepted, Refused
from pipeline.core.feeds import keep_refused, minutes_of
from pipeline.core.files import encode_json
from pipeline.core.grounds import ground_of
from pipeline.core.hours import Hour
from pipeline.core.lake import DELTA, RAW, REPORT, REPORT_TEXT, VALIDATED, CaptureRef, SourceLake
from pipeline.core.ledger import corrections, read_coverage
from pipeline.core.lineage import accepted_lineage, read_lineage, with_lineage
from pipeline.core.model import Finding, Source
from pipeline.core.records import Correction, Lineage, Quarantine, Report, decode
from pipeline.core.refusals import REJECTED, refusal_advice
from pipeline.core.report.build import Observed, build_report
from pipeline.core.report.markdown import report_text
from pipeline.core.revisions import revisions
from pipeline.core.rules import evaluate
from pipeline.core.signals.drift import steady_signals
from pipeline.core.signals.measuring import delta_signals, keep_signals
from pipeline.core.signals.series import measured_before
from pipeline.core.snapshots import build_snapshot, encode_table, read_table
from pipeline.core.unsettled import REBUILD, plan_rebuild, planned_rebuild, unsettled_from
from pipeline.core.validation.checks import Timed, judge_timed
from pipeline.core.validation.conservation import conserves_counts
from pipeline.core.verdicts import Verdict, left_of_fall
from pipeline.platforms.protocol import Feed

# One capture --------------------------------------------------------------------------------


def verdict(lake: SourceLake, source: Source, capture: CaptureRef, word: Correction | None = None) -> Verdict:
    """Judge a stored capture against the last accepted hour before it. Raises LakeFault where it is damaged.

    ``word``: the decision that the owner is about to make on it, in the place of the latest one.
    """
    on = ground_of(lake, source, capture)
    decisions = (word,) if word else tuple(d for d in corrections(lake) if d.capture == capture.name)[-1:]
    timed = judge_timed(on.evidence)
    return Verdict(
        capture,
        on.terms,
        on.evidence.listing,
        on.previous,
        timed,
        decisions,
        source,
        read_head(lake, capture).origin,
        on.arrived,
        left_of_fall(on.evidence, timed, decisions),
    )


def steadiness(lake: SourceLake, judged: Verdict) -> Finding:
    """Whether the capture measures what earlier ones did: names what drifts, and stands in nobody's way.

    Raises LakeFault where what was measured before cannot be read.
    """
    return steady_signals(judged.signals, measured_before(lake, judged.capture))


def record_refusal(lake: SourceLake, judged: Verdict) -> Quarantine:
    """Publish the findings of a refused capture beside its evidence; a record that exists stays. Raises LakeFault."""
    record = Quarantine(
        source=lake.name,
        hour=judged.capture.hour.key,
        capture=judged.capture.name,
        captured_at=judged.capture.captured_at,
        origin=judged.origin,
        compared_with=judged.compared_with.key if judged.compared_with else None,
        failed=tuple(f.check for f in judged.findings if not f.passed) or (REJECTED,),
        reason=judged.reason,
        findings=judged.findings,
        terms=judged.terms,
    )
    if not lake.quarantine(judged.capture).exists():
        keep_signals(lake, judged.capture, judged.signals)
        _plan_what_follows(lake, judged.capture.hour)
    lake.publish(lake.quarantine(judged.capture), encode_json(record))
    return record


# One hour, step by step ---------------------------------------------------------------------


def publish_snapshot(lake: SourceLake, judged: Verdict) -> bool:
    """The gate: writes the accepted snapshot of the hour, or raises Refused and writes nothing.

    Returns False where the lake holds this very snapshot already. Raises LakeFault.
    """
    if not judged.accepted:
        raise refusal(lake, judged)
    keep_refused(lake, judged.capture, judged.listing)
    if not _is_accepted(lake, judged.capture):
        keep_signals(lake, judged.capture, judged.signals)
    hour, previous = judged.capture.hour, judged.compared_with
    previous_path = lake.path(VALIDATED, previous) if previous else None
    captured_at = judged.capture.captured_at
    table = build_snapshot(
        judged.listing.items,
        previous_path,
        judged.terms.counters,
        captured_at,
        overruled=judged.overruled,
        lowered=judged.lowered,
    )
    lineage = Lineage(
        source=lake.name,
        hour=hour.key,
        capture=judged.capture.name,
        origin=judged.origin,
        previous_hour=previous.key if previous else None,
        first_accepted_at=read_lineage(previous_path).first_accepted_at if previous_path else captured_at,
        corrections=tuple(decision.id for decision in judged.decisions),
        terms=judged.terms,
        credential_expires=judged.listing.credential_expires,
    )
    _plan_what_follows(lake, hour)
    return _publish_table(lake, VALIDATED, hour, with_lineage(table, lineage))


def _is_accepted(lake: SourceLake, capture: CaptureRef) -> bool:
    """Whether this very capture is its hour's already."""
    path = lake.path(VALIDATED, capture.hour)
    return path.exists() and read_lineage(path).capture == capture.name


def _plan_what_follows(lake: SourceLake, hour: Hour) -> None:
    """What becomes of an hour concerns every accepted one after it: their predecessor, their coverage."""
    newest = lake.last_accepted()
    if newest is not None and newest > hour:
        plan_rebuild(lake, hour)


def refusal(lake: SourceLake, judged: Verdict) -> Refused:
    """The error for a refused capture, in the words of its owner."""
    failed = [finding.check for finding in judged.findings if not finding.passed] or [REJECTED]
    hour = judged.capture.hour
    advice = refusal_advice(lake.name, hour.key, failed)
    advice = advice or "No sound snapshot can be made of it; the next sound capture goes on."
    refused = sum(each == judged.capture or lake.quarantine(each).exists() for each in lake.captures(hour, hour))
    several = f" {refused} captures of this hour are refused now." if refused > 1 else ""
    return Refused(
        f"The capture of {lake.name} at {hour.key} was refused by {', '.join(failed)}. {judged.reason}{several}",
        f"It is kept in {lake.quarantine(judged.capture)}. {advice}",
    )


def publish_delta(lake: SourceLake, hour: Hour) -> bool:
    """The change of every observed item since its last observation; False where the lake holds this very one.

    Raises NothingAccepted where the hour has no snapshot, LakeFault where the delta does not add up.
    """
    lineage = accepted_lineage(lake, hour)
    previous = _before(lake, lineage)
    counters = [counter.name for counter in lineage.terms.counters]
    delta = hour_delta(lake.path(VALIDATED, hour), previous, counters, lineage.first_accepted_at)
    begun = perf_counter()
    finding = _conserved(lake, hour, delta, lineage)
    if not lake.exists(DELTA, hour):
        capture, timed = CaptureRef(hour, lineage.capture), Timed(finding, perf_counter() - begun)
        keep_signals(lake, capture, delta_signals(lake, capture, lineage.origin, timed))
    _require_passed(lake, hour, finding)
    return _publish_table(lake, DELTA, hour, delta)


def conservation(lake: SourceLake, hour: Hour, delta: pa.Table | None = None) -> Finding:
    """Judge the delta of the hour, the stored one unless ``delta`` is given, against its two snapshots.

    Raises NothingAccepted where the hour has no snapshot, LakeFault where a file is missing or damaged.
    """
    lineage = accepted_lineage(lake, hour)
    return _conserved(lake, hour, read_table(lake.path(DELTA, hour)) if delta is None else delta, lineage)


def _conserved(lake: SourceLake, hour: Hour, delta: pa.Table, lineage: Lineage) -> Finding:
    previous = _before(lake, lineage)
    return conserves_counts(
        delta,
        read_table(lake.path(VALIDATED, hour)),
        read_table(previous) if previous else None,
        [counter.name for counter in lineage.terms.counters],
    )


def _before(lake: SourceLake, lineage: Lineage) -> Path | None:
    """The accepted snapshot that another one followed."""
    return lake.path(VALIDATED, Hour.parse(lineage.previous_hour)) if lineage.previous_hour else None


def measure_again(lake: SourceLake, source: Source, hour: Hour, name: str) -> None:
    """Publish signals that were lost, without their durations. ``name``: of the capture, or the hour of a delta.

    Raises LakeFault where the capture is damaged, NothingAccepted where the hour has no delta any longer.
    """
    if name == hour.key:
        lineage = accepted_lineage(lake, hour)
        capture = CaptureRef(hour, lineage.capture)
        again = delta_signals(lake, capture, lineage.origin, Timed(conservation(lake, hour), None))
    else:
        capture = CaptureRef(hour, name)
        again = verdict(lake, source, capture).signals
        again = msgspec.structs.replace(
            again, checks=tuple(msgspec.structs.replace(check, seconds=None) for check in again.checks)
        )
    keep_signals(lake, capture, again)


def _require_passed(lake: SourceLake, hour: Hour, finding: Finding) -> None:
    if not finding.passed:
        raise LakeFault(
            f"The delta of {lake.name} at {hour.key} does not add up. {finding.reason}",
            f"Make it again: ratchet rebuild {lake.name}",
        )


def publish_report(lake: SourceLake, source: Source, hour: Hour) -> bool:
    """Judge the rules and write the report and its text; False where the lake holds these very ones.

    Raises NothingAccepted where the hour has no snapshot or no delta, LakeFault where the delta does not add up.
    """
    accepted_lineage(lake, hour)
    if not lake.exists(DELTA, hour):
        raise NothingAccepted(
            f"{lake.name} has no delta for {hour.key}.", f"Materialize hourly_delta of {hour.key} first."
        )
    _require_passed(lake, hour, conservation(lake, hour))
    return _publish_report(lake, source, hour)


def _publish_report(lake: SourceLake, source: Source, hour: Hour) -> bool:
    """The report of an hour whose delta was judged."""
    lineage = accepted_lineage(lake, hour)
    current = lake.path(VALIDATED, hour)
    previous = _before(lake, lineage)
    before = read_report(lake, Hour.parse(lineage.previous_hour)) if lineage.previous_hour else None
    delta = read_table(lake.path(DELTA, hour))
    snapshot = read_table(current)
    captured_at = snapshot["captured_at"][0].as_py()
    minutes = minutes_of(source.platform, current) if isinstance(source.platform, Feed) else None
    crossings, state = evaluate(
        lineage.terms.rules, current, previous, delta, before.rule_state if before else {}, captured_at, minutes
    )
    windows = [c.name for c in lineage.terms.counters if c.name in source.platform.windows]
    elapsed = (captured_at - before.captured_at).total_seconds() if before else None
    report = build_report(
        source,
        Observed(hour, lineage, snapshot, delta, elapsed, revisions(current, previous, windows)),
        crossings,
        state,
        read_coverage(lake, hour),
        [decision for decision in corrections(lake) if decision.id in lineage.corrections],
    )
    measured = measured_over(source, crossings, delta)
    changed = lake.publish_generation(REPORT, hour, encode_json(report))
    return lake.publish_generation(REPORT_TEXT, hour, report_text(report, measured).encode()) or changed


def read_report(lake: SourceLake, hour: Hour) -> Report:
    """The report of an accepted hour. Raises LakeFault where there is none, or where it is damaged."""
    return decode(lake.path(REPORT, hour), Report)


def _publish_table(lake: SourceLake, kind: str, hour: Hour, table: pa.Table) -> bool:
    path = lake.path(kind, hour)
    # Compared as tables, not as bytes: a new Parquet library must not make new generations.
    if path.exists() and read_table(path).equals(table, check_metadata=True):
        return False
    return lake.publish_generation(kind, hour, encode_table(table))


# A stretch of history -----------------------------------------------------------------------


def settle_hour(lake: SourceLake, source: Source, hour: Hour) -> bool:
    """Give the hour its first capture that passes, or none. Returns whether any file changed.

    An hour whose accepted capture is lost keeps what was accepted of it. Raises LakeFault where a file is damaged.
    """
    if lake.exists(VALIDATED, hour) and not lake.exists(RAW, hour, read_lineage(lake.path(VALIDATED, hour)).capture):
        return False
    for capture in lake.captures(hour, hour):
        judged = verdict(lake, source, capture)
        if judged.accepted:
            steps = (
                publish_snapshot(lake, judged),
                publish_delta(lake, hour),
                _publish_report(lake, source, hour),
            )
            return any(steps)
        record_refusal(lake, judged)
    superseded = [lake.supersede(kind, hour) for kind in (REPORT_TEXT, REPORT, DELTA, VALIDATED)]
    return any(superseded)


def settle(lake: SourceLake, source: Source, first: Hour, before: Hour | None = None) -> Iterator[tuple[Hour, bool]]:
    """Work every hour from ``first`` on, or up to ``before``, into the history again; yields whether each changed.

    A killed run is taken up by the next start, from a note in the lake. Hours without a capture are not among them.
    Raises LakeFault where a file is damaged; the hours before it are settled then.
    """
    plan_rebuild(lake, first)
    for hour in sorted({capture.hour for capture in lake.captures(first, before + -1 if before else None)}):
        yield hour, settle_hour(lake, source, hour)
    lake.drop_note(REBUILD)


def finish_interrupted(lake: SourceLake, source: Source, before: Hour | None = None) -> list[Hour]:
    """Complete what a killed run left, wherever in the history; returns the hours that changed.

    ``before`` is the hour that the caller is about to work on itself; without a planned rebuild,
    which concerns every hour, it is left to the caller.
    """
    first = unsettled_from(lake, before)
    if first is None:
        return []
    last = None if planned_rebuild(lake) else before
    return [hour for hour, changed in settle(lake, source, first, last) if changed]
