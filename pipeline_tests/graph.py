"""The definitions of the two shipped sources in words, for docs/definitions.md: so a change of the graph shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import dagster as dg
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph

from pipeline.definitions import definitions

SHIPPED = ("demo", "recorded")
SHARED = ("incidents", "maintenance")
_HEAD = """\
# Definitions

What Dagster is told of the two shipped sources, and of what all sources share. Made by `make format`; do not edit.
Any other source makes the same under its own name.
"""


def definitions_in_words() -> str:
    """Assets, checks, jobs, schedules and sensors as Markdown tables, without the sources that an owner added."""
    defs = definitions()
    graph, repository = defs.resolve_asset_graph(), defs.get_repository_def()
    tables = {
        "Assets": _assets(graph),
        "Checks": _checks(graph),
        "Jobs": _jobs(repository.get_all_jobs()),
        "Schedules": _schedules(repository.schedule_defs),
        "Sensors": _sensors(repository.sensor_defs),
    }
    return "\n".join([_HEAD, *(f"## {title}\n\n{table}\n" for title, table in tables.items())])


def _assets(graph: AssetGraph) -> str:
    nodes = [graph.get(key) for key in sorted(graph.get_all_asset_keys()) if key.path[0] in SHIPPED]
    return _table(
        ("asset", "of", "group", "kinds", "partitions", "pools", "tags"),
        (
            (
                node.key.to_user_string(),
                {key.to_user_string() for key in node.parent_keys},
                node.group_name,
                node.kinds,
                _partitions(node.partitions_def),
                node.pools or "",
                _tags(node.tags),
            )
            for node in nodes
        ),
    )


def _checks(graph: AssetGraph) -> str:
    specs = [graph.get_check_spec(key) for key in sorted(graph.asset_check_keys) if key.asset_key.path[0] in SHIPPED]
    return _table(
        ("asset", "check", "blocking", "description"),
        ((s.asset_key.to_user_string(), s.name, "yes" if s.blocking else "no", s.description) for s in specs),
    )


def _jobs(jobs: Iterable[dg.JobDefinition]) -> str:
    return _table(
        ("job", "steps", "partitions", "tags"),
        ((j.name, {n.name for n in j.nodes}, _partitions(j.partitions_def), _tags(j.tags)) for j in _shipped(jobs)),
    )


def _schedules(schedules: Iterable[dg.ScheduleDefinition]) -> str:
    return _table(
        ("schedule", "cron", "time zone", "job", "at first"),
        (
            (s.name, s.cron_schedule, s.execution_timezone, s.job_name, s.default_status.value)
            for s in _shipped(schedules)
        ),
    )


def _sensors(sensors: Iterable[dg.SensorDefinition]) -> str:
    return _table(
        ("sensor", "seconds between looks", "jobs", "at first"),
        (
            (s.name, s.minimum_interval_seconds, {target.job_name for target in s.targets}, s.default_status.value)
            for s in _shipped(sensors)
        ),
    )


def _shipped(found: Iterable[Any]) -> list[Any]:
    ours = tuple(f"{name}_" for name in (*SHIPPED, *SHARED))
    return sorted((d for d in found if d.name in SHARED or d.name.startswith(ours)), key=lambda each: each.name)


def _partitions(found: dg.PartitionsDefinition | None) -> str:
    """Without the first hour: where the YAML names none, it is that of the first start."""
    return "hourly" if isinstance(found, dg.HourlyPartitionsDefinition) else "" if found is None else str(found)


def _tags(tags: Mapping[str, str]) -> set[str]:
    """Without those that Dagster adds, which name the kinds once more."""
    return {f"{name}={value}" for name, value in tags.items() if not name.startswith("dagster/")}


def _table(head: tuple[str, ...], rows: Iterable[Iterable[object]]) -> str:
    return "\n".join(f"| {' | '.join(map(_cell, row))} |" for row in (head, ["---"] * len(head), *rows))


def _cell(cell: object) -> str:
    return ", ".join(sorted(cell)) if isinstance(cell, set | frozenset) else str(cell)
