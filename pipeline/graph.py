"""Names in Dagster's graph: the assets, jobs, schedule, sensor and pool of a source."""

from __future__ import annotations

import dagster as dg

from pipeline.core.model import Source

RAW, SNAPSHOT, DELTA, REPORT = "raw_snapshot", "validated_snapshot", "hourly_delta", "threshold_report"
ASSETS = (RAW, SNAPSHOT, DELTA, REPORT)
SOURCE_TAG = "ratchet/source"
INCIDENTS_JOB = INCIDENTS_SENSOR = "incidents"
PROJECT = "_project"
"""Stands in SOURCE_TAG of runs that concern all sources."""


def asset_key(source: Source, asset: str) -> dg.AssetKey:
    """The asset of that name (one of ASSETS) of one source: ``<source>/<asset>``."""
    return dg.AssetKey([source.name, asset])


def asset_tags(source: Source) -> dict[str, str]:
    """What the UI can filter assets by, beside group, kind and owner."""
    return {"platform": source.platform.kind} | ({"simulated": "true"} if source.simulated else {})


def asset_owners(source: Source) -> list[str] | None:
    """Whom the UI names: Dagster takes addresses only."""
    return [source.owner] if source.owner and "@" in source.owner else None


def pool(source: Source) -> str:
    """Runs of one source queue behind each other (dagster.yaml: run granularity, limit 1)."""
    return f"source_{source.name}"


def notify_pool(source: Source) -> str:
    """Messages of one source go out one after the other, and wait for no capture."""
    return f"messages_{source.name}"


def know_pools(instance: dg.DagsterInstance, source: Source) -> None:
    """Tell the queue of the source's pools: one that it never saw has no limit in its first look."""
    storage = instance.event_log_storage
    for name in {pool(source), notify_pool(source)} - storage.get_concurrency_keys():
        storage.initialize_concurrency_limit_to_default(name)


def capture_job(source: Source) -> str:
    """Observes the present hour: the four assets and their checks."""
    return f"{source.name}_capture"


def history_job(source: Source) -> str:
    """Works a stretch of the past into the history and tells Dagster of it."""
    return f"{source.name}_history"


def correct_job(source: Source) -> str:
    """Signs a decision of the owner on one hour, and works it into the history."""
    return f"{source.name}_correct"


def notify_job(source: Source) -> str:
    """Sends what one report has to say."""
    return f"{source.name}_notify"
