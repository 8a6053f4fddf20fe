"""A source that cannot load, as Dagster shows it: one asset whose check fails with file, line and next step."""

from __future__ import annotations

import re

import dagster as dg

from pipeline.core.errors import ConfigError


def broken_source_definitions(folder: str, error: ConfigError) -> dg.Definitions:
    """``folder``: the name of the folder in ``defs/``, which need not be a sound name of a source."""
    name = re.sub(r"[^A-Za-z0-9_]", "_", folder)

    @dg.asset(
        key=[name, "configuration"],
        group_name=name,
        description=f"This source cannot load: {error}",
        kinds={"yaml"},
    )
    def configuration() -> None:
        raise dg.Failure(str(error), allow_retries=False)

    @dg.asset_check(asset=configuration, name="loads", description="The source's YAML can be used.", blocking=True)
    def loads() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(
            passed=False, description=str(error), metadata={"file": str(error.file), "line": error.line or 0}
        )

    return dg.Definitions(assets=[configuration], asset_checks=[loads])
