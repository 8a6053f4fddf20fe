"""docs/runbook.md: the steps of a release with owner, expected result and way back, from the steps themselves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipeline_tests.rehearsal.order import LONG, SHORT
from pipeline_tests.rehearsal.release import CHECKLIST
from pipeline_tests.rehearsal.steps import Step


def runbook() -> str:
    texts = Environment(loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined)
    left_out = ", ".join(f"*{step.name}*" for step in LONG if step not in SHORT)
    template = texts.get_template("runbook.md.j2")
    return template.render(rehearsal=LONG, checklist=CHECKLIST, table=_table, left_out=left_out) + "\n"


def _table(steps: Sequence[Step[Any]]) -> str:
    lines = ["| | step | owner | expected | rollback |", "|---|---|---|---|---|"]
    for number, step in enumerate(steps, start=1):
        lines.append(f"| {number} | {step.name} | {step.owner} | {step.expected} | {step.rollback} |")
    return "\n".join(lines)
