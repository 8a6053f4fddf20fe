"""The steps from the previous version to the present one, and back: on one lake and one instance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.core.errors import ConfigError
from pipeline.core.model import Source
from pipeline.core.project import environment
from pipeline.running import POSTGRES
from pipeline_tests.rehearsal.checkout import Checkout, Ended
from pipeline_tests.rehearsal.rehearsal import PRESENT, PREVIOUS, Rehearsal
from pipeline_tests.rehearsal.stage import World, export, parsed_rows, shows
from pipeline_tests.rehearsal.steps import Failed

_WORLD = "upgraded"
_IN_REPOSITORY = Path("pipeline") / "defs"
_REFUSALS = range(2, 19)
"""The exit codes with which Ratchet refuses (pipeline/core/errors.py)."""

_KEY = {"captured_at", "item_id"}
Rows = list[dict[str, Any]]


def begin_with_previous(rehearsal: Rehearsal) -> str:
    previous = rehearsal.check_out(PREVIOUS)
    _require_able(rehearsal, previous)
    rehearsal.stage(PREVIOUS, _configuration_of(rehearsal, previous))
    world = rehearsal.new_world(_WORLD, PREVIOUS)
    world.remember(previous, world.past)
    names = ", ".join(source.name for source in world.sources)
    remark = f" ({previous.revision.remark})" if previous.revision.remark else ""
    return f"{previous.revision.name}{remark} recorded {len(world.past)} hours each of {names}"


def _require_able(rehearsal: Rehearsal, previous: Checkout) -> None:
    """Raises ConfigError where the version cannot play its part."""
    name, other = previous.revision.name, "Name a later one: PREVIOUS=REF"
    if environment().get(POSTGRES) and "dagster-postgres==" not in (previous.root / "requirements.lock").read_text():
        raise ConfigError(f"The version {name} cannot use PostgreSQL.", f"{other}, or unset {POSTGRES}.")
    if previous.run("ratchet", "import", "--help", environment=rehearsal.staging.environment).returncode:
        raise ConfigError(f"The version {name} has no ratchet import, with which its past is made.", other)


def _configuration_of(rehearsal: Rehearsal, previous: Checkout) -> Path:
    """That of its own time where the configuration lies in the repository; the same one otherwise."""
    within = rehearsal.production == (rehearsal.repository / _IN_REPOSITORY).resolve()
    return previous.root / _IN_REPOSITORY if within else rehearsal.production


def upgrade(rehearsal: Rehearsal) -> str:
    world, present = rehearsal.worlds[_WORLD], rehearsal.checkouts[PRESENT]
    before = {source.name: _rows(world, rehearsal.checkouts[PREVIOUS], source) for source in world.sources}
    rehearsal.take_over(world, PRESENT)
    present.must("dagster", "instance", "migrate", environment=world.environment)
    rehearsal.start(world, PRESENT)
    for source in world.sources:
        if source.name in before:  # one that is new in this version has no past
            _require_unchanged(rehearsal, world, source, before[source.name])
    rehearsal.materialise(world)
    words = rehearsal.check(world, set(before))
    present.must("ratchet", "verify", environment=world.environment)
    rehearsal.stop()
    return f"the old hours read the same and stand in Dagster; {words}; the lake is sound"


def _require_unchanged(rehearsal: Rehearsal, world: World, source: Source, before: Rows) -> None:
    missing = [hour for hour in world.past if not shows(rehearsal.stack, source, hour)]
    if missing:
        raise Failed(f"Dagster no longer shows {missing[0]} of {source.name}, which the previous version recorded")
    _require_same(before, _rows(world, rehearsal.checkouts[PRESENT], source), f"{source.name} in the present version")


def roll_back(rehearsal: Rehearsal) -> str:
    world, previous = rehearsal.worlds[_WORLD], rehearsal.checkouts[PREVIOUS]
    written = {source.name: _rows(world, rehearsal.checkouts[PRESENT], source) for source in world.sources}
    rehearsal.take_over(world, PREVIOUS)
    refused = []
    for source in world.sources:
        ended = previous.run(*export(source), environment=world.environment)
        if ended.returncode:
            refused.append(f"{source.name}: {refusal(ended, previous.revision.name)}")
        else:
            whose = f"{source.name} in the previous version"
            _require_same(written[source.name], parsed_rows(ended.stdout), whose)
    if refused:
        return "; ".join(refused)
    rehearsal.start(world, PREVIOUS)
    for source in world.sources:
        hour = rehearsal.hours[source.name]
        if not shows(rehearsal.stack, source, hour):
            raise Failed(f"Dagster of the previous version does not show {hour} of {source.name}")
    rehearsal.stop()
    words = [_goes_on(world, previous, source) for source in world.sources]
    return f"{previous.revision.name} reads every row of the present version and shows its hours; {'; '.join(words)}"


def _goes_on(world: World, previous: Checkout, source: Source) -> str:
    """Let the previous version work an hour into the history that lies before what the present one wrote."""
    before = _rows(world, previous, source)
    ended = world.imported(previous, source, world.late)
    if ended.returncode:
        return f"{source.name}: a late hour is {refusal(ended, previous.revision.name)}"
    after = _rows(world, previous, source)
    changed = [row for row in before if row not in after]
    if changed:
        raise Failed(f"{len(changed)} rows of {source.name} changed when a late hour was worked in")
    if len(after) == len(before):
        raise Failed(f"the late hour of {source.name} is not in its history")
    previous.must("ratchet", "verify", source.name, environment=world.environment)
    return f"{source.name} goes on with {len(after) - len(before)} rows of a late hour, and is sound"


def refusal(ended: Ended, version: str) -> str:
    """That a program refused in plain words. Raises Failed where it broke instead."""
    lines = [line for line in ended.stderr.splitlines() if line.strip()]
    words = f"exit code {ended.returncode}: {' '.join(lines[-2:])}"
    if "Traceback" in ended.stderr or ended.returncode not in _REFUSALS or len(lines) < 2:
        raise Failed(f"{version} neither reads it nor refuses in plain words: {words}")
    return f"refused by {version} with {words}"


def _rows(world: World, checkout: Checkout, source: Source) -> Rows:
    """Every accepted row, as a version exports it."""
    return parsed_rows(checkout.must(*export(source), environment=world.environment))


def _require_same(expected: Rows, found: Rows, whose: str) -> None:
    """Compare rows by the columns that both versions know."""
    known = sorted(set(expected[0]) & set(found[0])) if expected and found else []

    def of(rows: Rows) -> Rows:
        return [{name: row[name] for name in known} for row in rows]

    if not _KEY.issubset(known) or of(expected) != of(found):
        raise Failed(f"the history of {whose} is not what was written: {len(found)} rows, and {len(expected)} were")
