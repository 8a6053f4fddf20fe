"""The steps from the configuration of production to a deployment that records an hour."""

from __future__ import annotations

from pipeline_tests.rehearsal.checkout import at_hand
from pipeline_tests.rehearsal.rehearsal import PRESENT, Rehearsal

_WORLD = "fresh"


def copy_configuration(rehearsal: Rehearsal) -> str:
    copies = rehearsal.stage(PRESENT, rehearsal.production)
    staging = rehearsal.staging
    words = f"{len(copies)} sources, {len(staging.values)} variables of theirs with values of staging"
    return "; ".join([words, *staging.remarks])


def verify_configuration(rehearsal: Rehearsal) -> str:
    """By the version that is to be released, before time is spent on installing it."""
    revision = rehearsal.revisions[PRESENT]
    checkout = at_hand(rehearsal.repository, revision, rehearsal.folder / "verifying")
    said = []
    for form in ("copied", "staged"):
        sources = rehearsal.folder / f"{form}-{PRESENT}"
        environment = {**rehearsal.staging.environment, "RATCHET_DEFS": str(sources)}
        lines = checkout.must("ratchet", "source", "check", environment=environment).splitlines()
        said.append(f"as {form}: {sum(': good.' in line for line in lines)} sources good")
    return "; ".join(said)


def install(rehearsal: Rehearsal) -> str:
    checkout, environment = rehearsal.check_out(PRESENT), rehearsal.staging.environment
    version = checkout.must("ratchet", "--version", environment=environment).strip()
    if rehearsal.quick:
        return f"{version} at {checkout.revision.name}, in the environment at hand: the short form installs nothing"
    checkout.must("python", "-m", "pip", "check", environment=environment)
    return f"{version} with all of requirements.lock, by its hashes; pip finds no conflict"


def start(rehearsal: Rehearsal) -> str:
    world = rehearsal.new_world(_WORLD, PRESENT)
    world.remember(rehearsal.checkouts[PRESENT], world.past)
    return rehearsal.start(world, PRESENT)


def materialise(rehearsal: Rehearsal) -> str:
    return rehearsal.materialise(rehearsal.worlds[_WORLD])


def check_integration(rehearsal: Rehearsal) -> str:
    world = rehearsal.worlds[_WORLD]
    words = rehearsal.check(world, {source.name for source in world.sources})
    rehearsal.stop()
    return words
