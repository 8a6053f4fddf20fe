"""The peer of a capture: a Dagster job of the same shape that does nothing.

Four hourly partitioned assets in a row and as many blocking partitioned checks as a source has.
`python -m pipeline_tests.bench.trivial_job HOUR` runs it once, in process, in the instance of
DAGSTER_HOME; `dagster job execute -f` runs it by Dagster's own command.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from datetime import datetime

import dagster as dg

warnings.filterwarnings("ignore", category=dg.PreviewWarning)

JOB = "trivial"
CHECKS = {"first": 5, "third": 1}
"""Checks by asset, as many as `raw_snapshot` and `hourly_delta` have."""

_partitions = dg.HourlyPartitionsDefinition(start_date=datetime(2026, 1, 1), end_offset=1)  # noqa: DTZ001  as Dagster writes it


def _check(asset: str, number: int) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=asset, name=f"check_{number}", blocking=True, partitions_def=_partitions)
    def check() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=True)

    return check


def _asset(name: str, deps: list[str]) -> dg.AssetsDefinition:
    @dg.asset(name=name, deps=deps, partitions_def=_partitions)
    def asset() -> None:
        pass

    return asset


defs = dg.Definitions(
    assets=[_asset("first", []), _asset("second", ["first"]), _asset("third", ["second"]), _asset("fourth", ["third"])],
    asset_checks=[_check(asset, number) for asset, many in CHECKS.items() for number in range(many)],
    jobs=[dg.define_asset_job(JOB, selection=dg.AssetSelection.all())],
    executor=dg.in_process_executor,
)


def trivial_run(instance: dg.DagsterInstance) -> Callable[[str], None]:
    """Runs the job of a partition in this process. Raises what goes wrong."""
    job = defs.resolve_job_def(JOB)
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}

    def run(partition: str) -> None:
        assert job.execute_in_process(run_config=quiet, instance=instance, partition_key=partition).success

    return run


if __name__ == "__main__":
    with dg.DagsterInstance.get() as instance:
        trivial_run(instance)(sys.argv[1])
