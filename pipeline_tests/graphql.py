"""Dagster's GraphQL: what the UI asks of an instance and shows of a source."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import dagster as dg
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget
from dagster_graphql.cli import execute_query

Ask = Callable[..., Mapping[str, Any]]

SHOWN = """
query Shown($group: AssetGroupSelector!) {
  assetNodes(group: $group, loadMaterializations: true) {
    assetKey { path }
    assetPartitionStatuses {
      ... on TimePartitionStatuses { ranges { startKey endKey status } }
    }
    assetChecksOrError {
      ... on AssetChecks {
        checks {
          name
          blocking
          partitionStatuses {
            __typename
            ... on AssetCheckTimePartitionStatuses { ranges { startKey endKey status } }
          }
        }
      }
    }
  }
}
"""
EXECUTIONS = """
query Executions($asset: AssetKeyInput!, $check: String!, $partition: String) {
  assetCheckExecutions(assetKey: $asset, checkName: $check, partition: $partition, limit: 1) {
    status
    partition
    evaluation { success severity description }
  }
}
"""


@contextmanager
def loaded_in_process(instance: dg.DagsterInstance) -> Iterator[WorkspaceProcessContext]:
    """The definitions as Dagster loads them, and ``instance``."""
    origin = InProcessCodeLocationOrigin(
        LoadableTargetOrigin(module_name="pipeline.definitions"), location_name="pipeline"
    )
    with warnings.catch_warnings():
        # While it describes a location to itself, Dagster uses parts of its own that it calls deprecated.
        warnings.simplefilter("ignore", DeprecationWarning)
        with WorkspaceProcessContext(instance, InProcessWorkspaceLoadTarget(origin)) as context:
            yield context


@contextmanager
def asking_in_process(instance: dg.DagsterInstance) -> Iterator[Ask]:
    """Ask the webserver's resolvers about ``instance``."""
    with loaded_in_process(instance) as context:

        def ask(query: str, **variables: Any) -> Mapping[str, Any]:
            answered = execute_query(context, query, variables)
            assert "errors" not in answered, answered["errors"]
            found: Mapping[str, Any] = answered["data"]
            return found

        yield ask


def shown(ask: Ask, source: str) -> dict[str, Any]:
    """Everything that the UI shows of a source's hours: by asset its partitions, by check its results."""
    group = {
        "groupName": source,
        "repositoryName": "__repository__",
        "repositoryLocationName": "pipeline",
    }
    states: dict[str, Any] = {}
    for node in ask(SHOWN, group=group)["assetNodes"]:
        asset = node["assetKey"]["path"][-1]
        states[asset] = node["assetPartitionStatuses"]["ranges"]
        for check in node["assetChecksOrError"]["checks"]:
            states[f"{asset}: {check['name']}"] = check["partitionStatuses"]
    return states
