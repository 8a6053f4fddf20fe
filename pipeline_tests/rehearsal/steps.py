"""Steps that are walked in order until one fails, and the written result with a line for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Generic, Literal, TypeVar

import click
import httpx
import msgspec

from pipeline.core.errors import RatchetError

StageT = TypeVar("StageT")
RELEASER, MACHINE, OWNER = "whoever releases", "whoever runs the machine", "the `owner` of the source's YAML"
"""Who looks when a step fails."""
Outcome = Literal["passed", "failed", "not reached"]


class Failed(Exception):
    """A step did not come to what is expected of it. Says what was seen instead."""


FAULTS = (Failed, RatchetError, AssertionError, OSError, httpx.HTTPError)
"""What a step can fail with. Anything else is a fault of the rehearsal itself, and is shown as one."""


@dataclass(frozen=True)
class Step(Generic[StageT]):
    """``play`` returns what was seen, in plain words, and raises one of FAULTS where that is not ``expected``.

    ``owner`` is who looks when it fails, ``rollback`` is how to go back from it: both stand in docs/runbook.md.
    ``at_once``: it costs nothing, so it is looked at before all others are waited for, and again in its place.
    """

    name: str
    owner: str
    expected: str
    rollback: str
    play: Callable[[StageT], str]
    at_once: bool = False


@dataclass(frozen=True)
class Line:
    """What became of one step."""

    step: str
    outcome: Outcome
    happened: str
    seconds: float
    owner: str
    expected: str
    rollback: str


@dataclass
class Result:
    """Written anew after every step, so that what a killed walk came to is known.

    ``facts``: what was walked, by name; they are asked for each time, since some are known only on the way.
    """

    title: str
    file: Path
    facts: Callable[[], Mapping[str, Any]]

    def walk(self, steps: Sequence[Step[StageT]], stage: StageT) -> bool:
        """Play the steps, stop at the first that fails; whether none did."""
        lines = {step.name: _line(step, "not reached") for step in steps}
        self._write(list(lines.values()))
        for step in steps:
            if step.at_once and (line := _played(step, stage)).outcome == "failed":
                lines[step.name] = line
                return self._went_on(lines, step)
        for number, step in enumerate(steps, start=1):
            click.echo(f"{number} of {len(steps)}: {step.name} ...")
            lines[step.name] = _played(step, stage)
            if not self._went_on(lines, step):
                return False
        return True

    def _went_on(self, lines: Mapping[str, Line], step: Step[Any]) -> bool:
        """Write and tell what became of a step; whether it passed."""
        self._write(list(lines.values()))
        line = lines[step.name]
        click.echo(f"  {step.name}: {line.outcome} in {line.seconds:.0f} s: {line.happened}")
        if line.outcome == "failed":
            click.echo(f"  Expected: {step.expected}\n  Who: {step.owner}\n  Rollback: {step.rollback}", err=True)
        return line.outcome == "passed"

    def _write(self, lines: Sequence[Line]) -> None:
        """``file`` with the ends .json and .md."""
        passed = all(line.outcome == "passed" for line in lines)
        content = {**self.facts(), "passed": passed, "steps": [asdict(line) for line in lines]}
        self.file.parent.mkdir(parents=True, exist_ok=True)
        as_json = msgspec.json.format(msgspec.json.encode(content), indent=2)
        self.file.with_suffix(".json").write_bytes(as_json + b"\n")
        self.file.with_suffix(".md").write_text(self._markdown(lines, passed), encoding="utf-8")

    def _markdown(self, lines: Sequence[Line], passed: bool) -> str:
        facts = "".join(f"- {name.replace('_', ' ')}: {_cell(value)}\n" for name, value in self.facts().items())
        rows = "".join(
            f"| {number} | {line.step} | **{line.outcome}** | {line.seconds:.1f} s | {_cell(line.happened)} |\n"
            for number, line in enumerate(lines, start=1)
        )
        ended = "Every step passed." if passed else "Not every step passed."
        failed = "".join(
            f"\n**{line.step}** failed. Expected: {line.expected} Who looks: {line.owner}. Rollback: {line.rollback}\n"
            for line in lines
            if line.outcome == "failed"
        )
        head = "| | step | result | took | seen |\n|---|---|---|---|---|\n"
        return f"# {self.title}\n\n{ended}\n\n{facts}\n{head}{rows}{failed}"


def _played(step: Step[StageT], stage: StageT) -> Line:
    began = perf_counter()
    try:
        happened = step.play(stage)
    except FAULTS as fault:
        words = str(fault).strip() or type(fault).__name__
        return _line(step, "failed", words, perf_counter() - began)
    return _line(step, "passed", happened, perf_counter() - began)


def _line(step: Step[Any], outcome: Outcome, happened: str = "", took: float = 0.0) -> Line:
    return Line(step.name, outcome, happened, round(took, 1), step.owner, step.expected, step.rollback)


def _cell(value: object) -> str:
    """Text from a platform or a program, in one cell of a table."""
    return " ".join(str(value).split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
