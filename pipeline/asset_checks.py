"""The checks of a source as Dagster asset checks: blocking, one result a partition, a table of what failed.

Names, descriptions and judgement come from `core.validation`; here they only get Dagster's words.
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from pipeline.core import history
from pipeline.core.lineage import standing_capture
from pipeline.core.model import Finding, Source
from pipeline.core.signals import drift
from pipeline.core.text import plain
from pipeline.core.validation import conservation
from pipeline.core.validation.checks import CAPTURE_CHECKS
from pipeline.drawing import draw_if_possible
from pipeline.failures import Step, failing_loudly
from pipeline.graph import DELTA, RAW, asset_key, pool
from pipeline.metadata import finding_metadata
from pipeline.resources import CLOCK, LAKE, lock_key

_LONGEST = 2_000
"""Characters of a description, which the UI takes for Markdown."""


def build_asset_checks(source: Source, partitions: dg.PartitionsDefinition) -> list[dg.AssetChecksDefinition]:
    """The checks of the capture, drift among them, and those of the delta, each in one step of its own."""
    resources = {LAKE, CLOCK, lock_key(source)}

    @dg.multi_asset_check(
        name=f"{source.name}_capture_checks",
        specs=[
            _spec(asset_key(source, RAW), check.name, check.description, partitions, check.blocking)
            for check in CAPTURE_CHECKS
        ]
        + [_spec(asset_key(source, RAW), drift.CHECK, drift.DESCRIPTION, partitions, blocking=False)],
        required_resource_keys=resources,
        pool=pool(source),
    )
    def capture_checks(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        step = Step.of(context, source)
        lake = step.lake
        with failing_loudly(step):
            judged = history.verdict(lake, source, standing_capture(lake, step.hour))
            if not judged.accepted:
                history.record_refusal(lake, judged)
            findings = (*judged.judged, history.steadiness(lake, judged))
        for finding in findings:
            yield _check_result(asset_key(source, RAW), finding)
        if step.is_live and not judged.accepted:
            draw_if_possible(source, step.clock.now(), context.log)

    @dg.multi_asset_check(
        name=f"{source.name}_delta_checks",
        specs=[_spec(asset_key(source, DELTA), conservation.CHECK, conservation.DESCRIPTION, partitions)],
        required_resource_keys=resources,
        pool=pool(source),
    )
    def delta_checks(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        step = Step.of(context, source)
        with failing_loudly(step):
            finding = history.conservation(step.lake, step.hour)
        yield _check_result(asset_key(source, DELTA), finding)

    return [capture_checks, delta_checks]


def _check_result(asset: dg.AssetKey, finding: Finding) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(asset_key=asset, check_name=finding.check, **verdict_words(finding))


def verdict_words(finding: Finding) -> dict[str, Any]:
    """A finding as Dagster's passed, severity, description and metadata.

    What is named without standing in the way is a failed check of severity WARN, which blocks nothing.
    """
    warning = finding.passed and finding.failing > 0
    return {
        "passed": finding.passed and not warning,
        "severity": dg.AssetCheckSeverity.WARN if warning else dg.AssetCheckSeverity.ERROR,
        "description": plain(finding.reason, _LONGEST),
        "metadata": finding_metadata(finding),
    }


def _spec(
    asset: dg.AssetKey, name: str, description: str, partitions: dg.PartitionsDefinition, blocking: bool = True
) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        name=name, asset=asset, blocking=blocking, description=description, partitions_def=partitions
    )
