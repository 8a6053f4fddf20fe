"""What lies in a lake, and what must hold of it after a kill and after the run that follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.core.lake import SourceLake
from pipeline.core.records import Signals

_IMMUTABLE = ("raw/", "quarantine/", "corrections/", "receipts/", "superseded/", "signals/")
_PASSING = ("notes/", "checksums/", ".incoming/")


@dataclass(frozen=True)
class Contents:
    """Every file of a source by its path in the lake: its bytes, and the rest that is not published."""

    files: Mapping[str, bytes]
    notes: frozenset[str]
    incoming: frozenset[str]

    @classmethod
    def of(cls, lake: SourceLake) -> Contents:
        paths = {str(path.relative_to(lake.root)): path for path in lake.root.rglob("*") if path.is_file()}
        return cls(
            {
                name: path.read_bytes()
                for name, path in paths.items()
                if not name.startswith(_PASSING) and not name.endswith(".lock")
            },
            frozenset(name for name in paths if name.startswith("notes/")),
            frozenset(name for name in paths if name.startswith(".incoming/")),
        )

    @property
    def facts(self) -> dict[str, Any]:
        """What each file says, without what no two runs agree about."""
        return {name: _facts(name, content) for name, content in self.files.items()}


def faults_after_kill(before: Contents, left: Contents, after: Contents) -> list[str]:
    """Every file is whole, is what it was or what it was to become, and nothing that was there is lost."""
    faults = _lost(before, left)
    for name, content in left.files.items():
        fault = _unreadable(name, content)
        if fault is not None:
            faults.append(f"{name} is half written: {fault}")
        elif content != before.files.get(name) and _facts(name, content) != _facts(name, after.files.get(name)):
            faults.append(f"{name} is neither what it was nor what it was to become")
    return faults


def faults_after_rerun(before: Contents, found: Contents, after: Contents) -> list[str]:
    """The lake equals one that nobody disturbed, and nothing lies about."""
    faults = _lost(before, found)
    faults += [f"{name} is missing after the next run" for name in sorted(after.files.keys() - found.files.keys())]
    faults += [f"{name} is one too many after the next run" for name in sorted(found.files.keys() - after.files.keys())]
    faults += [
        f"{name} differs from an undisturbed lake"
        for name in sorted(found.files.keys() & after.files.keys())
        if _facts(name, found.files[name]) != _facts(name, after.files[name])
    ]
    faults += [f"{name} was not swept" for name in sorted(found.incoming)]
    faults += [f"{name} was left" for name in sorted(found.notes - after.notes)]
    return faults


def _lost(before: Contents, now: Contents) -> list[str]:
    kept = {content for name, content in now.files.items() if name.startswith("superseded/")}
    return [
        f"{name} was accepted and is lost"
        for name, content in before.files.items()
        if now.files.get(name) != content and (name.startswith(_IMMUTABLE) or content not in kept)
    ]


def _unreadable(name: str, content: bytes) -> str | None:
    try:
        if name.endswith(".parquet"):
            pq.read_table(pa.BufferReader(content)).validate(full=True)
        elif name.endswith(".json"):
            msgspec.json.decode(content)
        elif name.endswith(".jsonl.zst"):
            lines = _lines(content)
            return None if lines and "cut_short" in lines[-1] else "it has no last line"
        elif not content.endswith(b"\n"):
            return "it breaks off"
    except (pa.ArrowException, OSError, msgspec.DecodeError) as fault:
        return str(fault)
    return None


def _facts(name: str, content: bytes | None) -> Any:
    """What a file says. A reply carries the time of day in a header, and is asked for anew after a kill.

    How long a check took is no fact of the lake: no two runs agree about it.
    """
    if content is None:
        return None
    if name.startswith("signals/"):
        signals = msgspec.json.decode(content, type=Signals)
        return msgspec.structs.replace(
            signals, checks=tuple(msgspec.structs.replace(c, seconds=None) for c in signals.checks)
        )
    if not name.endswith(".jsonl.zst"):
        return content
    lines = _lines(content)
    for line in lines:
        line.get("headers", {}).pop("date", None)
    return lines


def _lines(content: bytes) -> list[dict[str, Any]]:
    with pa.CompressedInputStream(pa.BufferReader(content), "zstd") as stream:
        return [msgspec.json.decode(line, type=dict[str, Any]) for line in stream.read().splitlines()]
