"""A module fits in one head, a function on one screen. Exceptions stand here with their reason."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

from pipeline.core.project import ROOT
from pipeline.platforms import KINDS

MODULE, FUNCTION = 300, 50
TEST_MODULE = 450
"""A module of tests is read one test at a time."""
TESTS = ("pipeline_tests", "points/tests")
LONG_MODULES = {
    "pipeline/core/history.py": "the fold: its steps, each of an hour, and their order are one thing",
    "pipeline/core/lake.py": "every path of the lake, and the only code that lists or moves what lies there",
    "pipeline/platforms/json_api/paging.py": "five ways in which pages follow each other, with the model of each",
    "pipeline/platforms/openmetrics/tally.py": "one pass over pages, whose steps share what was counted so far",
}


def modules() -> Iterator[Path]:
    for folder in ("pipeline", "points/src", "docs", *TESTS):
        yield from sorted((ROOT / folder).rglob("*.py"))


def lengths(module: Path) -> Iterator[tuple[str, int]]:
    """Of each function, in lines without its docstring."""
    for found in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef):
            told = _lines(found.body[0]) if ast.get_docstring(found) is not None else 0
            yield found.name, _lines(found) - told


def _lines(statement: ast.stmt) -> int:
    assert statement.end_lineno is not None, "what was parsed has an end"
    return statement.end_lineno - statement.lineno + 1


def test_long_modules_are_listed_with_a_reason_and_no_others_are() -> None:
    counts = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8").count("\n") for path in modules()}
    long = {name for name, lines in counts.items() if lines > (TEST_MODULE if name.startswith(TESTS) else MODULE)}
    assert long == LONG_MODULES.keys()


def test_no_function_is_longer_than_a_screen() -> None:
    long = [
        f"{path.relative_to(ROOT)}: {name}" for path in modules() for name, lines in lengths(path) if lines > FUNCTION
    ]
    assert long == []


def test_the_contract_that_no_platform_builds_on_another_names_them_all() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    [named] = [contract["modules"] for contract in contracts if contract["type"] == "independence"]
    adapters = {".".join(where.partition(":")[0].split(".")[:3]) for where in KINDS.values() if ":" in where}
    assert set(named) == adapters
