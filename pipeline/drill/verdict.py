"""The verdict on one fault, from what anybody outside can see.

That is the exit code and standard error of the command, what the receiver of messages got, the bytes
of the lake before and after, and what Dagster's GraphQL says of the runs.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from textwrap import shorten

import pyarrow as pa

from pipeline.core.hours import Hour
from pipeline.core.lake import DELTA, QUARANTINE, RAW, REPORT, VALIDATED
from pipeline.drill.stage import Ended, Stage
from pipeline.graph import SNAPSHOT

_ACCEPTED = (VALIDATED, DELTA, REPORT)
_KEPT = (*_ACCEPTED, RAW, QUARANTINE)
_ZSTD = ".zst"
_LONGEST = 240
_INCIDENT = "\nNext: "
"""What messages of incidents have, and those of crossings have not."""
_RUNS = """
query Runs($snapshot: AssetKeyInput!, $hours: [String!]) {
  runsOrError(limit: 100) { ... on Runs { results { status } } }
  assetOrError(assetKey: $snapshot) {
    ... on Asset { assetMaterializations(partitions: $hours, limit: 100) { partition } }
  }
}
"""
_dagster = threading.Lock()
"""Dagster's context of a webserver is asked by one thread at a time."""


class Left(Enum):
    """What has to be in the lake afterwards, beside what was there before."""

    NOTHING = "nothing recorded"
    EVIDENCE = "refused and kept in quarantine"
    ACCEPTED = "the hour accepted once"


@dataclass(frozen=True)
class Expected:
    """``says`` stands on standard error and ``message`` in the one message; None where no message is due.

    ``run``: a state that Dagster has to show for a run, None where no run begins. ``of_all``: the message
    is about the lake of all sources and names its folder.
    """

    exit_code: int
    says: str
    message: str | None
    left: Left = Left.NOTHING
    run: str | None = "FAILURE"
    of_all: bool = False

    @property
    def words(self) -> str:
        """What is expected, as the drill's table says it."""
        told = f"message '{self.message}'" if self.message else "no incident"
        return f"exit {self.exit_code}, {self.left.value}, {told}"


@dataclass(frozen=True)
class Seen:
    """``messages``: title and text. ``runs``: the states of all runs. ``materialized``: snapshots of the hour."""

    ended: Ended
    before: Mapping[str, bytes]
    after: Mapping[str, bytes]
    messages: Sequence[tuple[str, str]]
    runs: Sequence[str]
    materialized: int

    @property
    def words(self) -> str:
        """What happened, as the drill's table says it: of several errors the first."""
        lines = [line for line in self.ended.stderr.splitlines() if line.strip()]
        errors = [line.removeprefix("Error: ") for line in lines if line.startswith("Error: ")]
        words = [f"exit {self.ended.exit_code}"]
        words += [f"'{shorten(said, _LONGEST, placeholder=' …')}'" for said in (errors or lines)[:1]]
        words += [f"message '{title}'" for title, _ in self.messages]
        return ", ".join(words)


def look(stage: Stage, ended: Ended, before: Mapping[str, bytes], hour: Hour, lake: Path | None = None) -> Seen:
    """What there is to see now; ``lake`` is the source's folder where the fault has moved it."""
    runs, materialized = _ask_dagster(stage, hour)
    return Seen(ended, before, files(lake or stage.lake.root), list(stage.receiver.messages), runs, materialized)


def files(folder: Path) -> dict[str, bytes]:
    """Every file of a source's folder by its name, but the locks."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".lock"
    }


def problems(expected: Expected, seen: Seen, stage: Stage) -> list[str]:
    """What was not as it has to be, each in plain words. None of them: the fault was loud."""
    return [
        *_of_the_command(expected, seen.ended),
        *_of_the_messages(expected, seen, str(stage.project.lake.root) if expected.of_all else stage.subject.name),
        *_of_the_lake(expected, seen),
        *_of_dagster(expected, seen),
        *_of_the_secret(stage.sandbox.cookie, seen),
    ]


def _of_the_command(expected: Expected, ended: Ended) -> Iterator[str]:
    if ended.exit_code != expected.exit_code:
        yield f"it ended with {ended.exit_code}"
    if expected.says not in ended.stderr:
        yield f"standard error does not say '{expected.says}'"
    if "Traceback" in ended.stderr:
        yield "standard error holds a traceback"
    lines = [line for line in ended.stderr.splitlines() if line.strip()]
    if expected.exit_code and (len(lines) < 2 or lines[-1].startswith("Error:")):
        yield "standard error names no next step"


def _of_the_messages(expected: Expected, seen: Seen, concerned: str) -> Iterator[str]:
    if expected.message is None:
        if any(_INCIDENT in text for _, text in seen.messages):  # a crossing may be told where an hour was accepted
            yield "an incident was told that is none"
        return
    if len(seen.messages) != 1:
        yield f"{len(seen.messages)} messages arrived"
    for title, text in seen.messages:
        whole = f"{title}\n{text}"
        if expected.message not in whole or concerned not in whole:
            yield "the message does not name the fault and whom it concerns"
        if expected.left is not Left.ACCEPTED and _INCIDENT not in text:
            yield "the message names no next step"


def _of_the_lake(expected: Expected, seen: Seen) -> Iterator[str]:
    for name, content in seen.before.items():
        if _folder(name) in _KEPT and seen.after.get(name) != content:
            yield f"{name} was changed"
    new = [_folder(name) for name in seen.after if name not in seen.before]
    accepted = expected.left is Left.ACCEPTED
    for folder in (VALIDATED, DELTA):
        if new.count(folder) != accepted:
            yield f"{new.count(folder)} new files in {folder}"
    if (REPORT in new) != accepted:
        yield f"{new.count(REPORT)} new files in {REPORT}"
    if new.count(QUARANTINE) != (expected.left is Left.EVIDENCE):
        yield f"{new.count(QUARANTINE)} new files in {QUARANTINE}"
    if new.count(RAW) != (expected.left is not Left.NOTHING):
        yield f"{new.count(RAW)} new captures"


def _of_dagster(expected: Expected, seen: Seen) -> Iterator[str]:
    if expected.run is not None and expected.run not in seen.runs:
        yield f"Dagster shows no run as {expected.run}"
    if expected.left is not Left.ACCEPTED and (seen.materialized or "SUCCESS" in seen.runs):
        yield "Dagster shows the hour as observed"


def _of_the_secret(secret: str, seen: Seen) -> Iterator[str]:
    told = [seen.ended.stdout, seen.ended.stderr, *("\n".join(message) for message in seen.messages)]
    stored = [name for name, content in seen.after.items() if secret.encode() in _unpacked(name, content)]
    if stored or any(secret in text for text in told):
        yield "the session's secret was written down"


def _unpacked(name: str, content: bytes) -> bytes:
    if not name.endswith(_ZSTD):
        return content
    try:
        with pa.input_stream(pa.py_buffer(content), compression="zstd") as stream:
            unpacked: bytes = stream.read()
            return unpacked
    except OSError:  # one that the drill damaged
        return content


def _folder(name: str) -> str:
    return name.partition("/")[0]


def _ask_dagster(stage: Stage, hour: Hour) -> tuple[list[str], int]:
    """The states of all runs, and how often the snapshot of the hour was materialised, as GraphQL says."""
    import dagster as dg
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._core.workspace.load_target import EmptyWorkspaceTarget
    from dagster_graphql.cli import execute_query

    variables = {"snapshot": {"path": [stage.subject.name, SNAPSHOT]}, "hours": [hour.partition_key]}
    with (
        _dagster,
        dg.DagsterInstance.from_config(str(stage.project.dagster_home)) as instance,
        WorkspaceProcessContext(instance, EmptyWorkspaceTarget()) as context,
    ):
        answered = execute_query(context, _RUNS, variables)["data"]
    runs = [run["status"] for run in answered["runsOrError"]["results"]]
    return runs, len(answered["assetOrError"].get("assetMaterializations", ()))
