"""A source that cannot load, as Dagster shows it: one asset whose check fails with file, line and next step."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import dagster as dg

from pipeline.core.errors import ConfigError

_LOADS = "loads"


def _asset_name(folder: str) -> str:
    """A name that Dagster takes, and another one for each folder."""
    name = re.sub(r"[^A-Za-z0-9_]", "_", folder)
    return name if name == folder else f"{name}_{hashlib.sha256(folder.encode()).hexdigest()[:6]}"


def broken_source_definitions(folder: str, error: ConfigError) -> dg.Definitions:
    """``folder``: the name of the folder in ``defs/``, which need not be a sound name of a source."""
    name = _asset_name(folder)
    said = f"{error.what}. {error.next_step}"
    verdict: dict[str, Any] = {"passed": False, "description": said}

    @dg.asset(
        key=[name, "configuration"],
        group_name=name,
        description=f"This source cannot load: {said}",
        kinds={"yaml"},
    )
    def configuration() -> None:
        raise dg.Failure(said, allow_retries=False)

    @dg.asset_check(asset=configuration, name=_LOADS, description="The source's YAML can be used.", blocking=True)
    def loads() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(**verdict)

    @dg.sensor(
        name=f"{name}_configuration",
        description="Fail the check of this source once for each fault, so that nobody has to run it to see it.",
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def told(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        if context.cursor == said:
            return dg.SkipReason("The check says it already.")
        failed = dg.AssetCheckEvaluation(asset_key=configuration.key, check_name=_LOADS, blocking=True, **verdict)
        return dg.SensorResult(asset_events=[failed], cursor=said)

    return dg.Definitions(assets=[configuration], asset_checks=[loads], sensors=[told])
