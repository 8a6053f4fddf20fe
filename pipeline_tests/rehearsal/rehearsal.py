"""What the steps of a rehearsal share: two versions, their configurations, and the worlds in which they run."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.core.hours import Hour
from pipeline.core.model import Source
from pipeline.core.project import environment
from pipeline.drill.receiver import Receiver
from pipeline.running import POSTGRES
from pipeline.sandbox.server import NoteSandbox
from pipeline_tests.live_stack import Stack
from pipeline_tests.rehearsal.checkout import Checkout, Revision, at_hand, installed
from pipeline_tests.rehearsal.database import throw_away_database
from pipeline_tests.rehearsal.stage import Account, World, integrated, materialised, started
from pipeline_tests.rehearsal.staging import Staging
from pipeline_tests.rehearsal.steps import Failed

PRESENT, PREVIOUS = "present", "previous"
"""The two versions: the commit that is to be released, and the one that production runs."""
_PARTS = 4  # of an hour: its assets, and its files in the lake


@dataclass
class Rehearsal:
    """``production``: the folder of its sources. ``quick``: nothing is installed. Close ``held`` at the end."""

    folder: Path
    repository: Path
    production: Path
    revisions: Mapping[str, Revision]
    quick: bool
    platform: tuple[Account, NoteSandbox, Receiver]
    staging: Staging
    held: ExitStack
    database: str = "not started"
    checkouts: dict[str, Checkout] = field(default_factory=dict)
    sources: dict[str, list[Source]] = field(default_factory=dict)
    worlds: dict[str, World] = field(default_factory=dict)
    hours: dict[str, Hour] = field(default_factory=dict)
    """The hour that was recorded last, by source."""
    _running: tuple[ExitStack, Stack] | None = None

    def check_out(self, version: str) -> Checkout:
        """A version ready to run, in a folder of its own: installed, or in the environment at hand."""
        make = at_hand if self.quick else installed
        self.checkouts[version] = make(self.repository, self.revisions[version], self.folder / version)
        return self.checkouts[version]

    def stage(self, version: str, production: Path) -> list[Path]:
        """Both forms of a version's configuration, under ``copied-VERSION`` and ``staged-VERSION``; the copies."""
        _, sandbox, receiver = self.platform
        copies = self.staging.copied(production, self.folder / f"copied-{version}")
        staged = self.folder / f"staged-{version}"
        self.sources[version] = [self.staging.staged(copy, staged, sandbox.url, receiver.up) for copy in copies]
        return copies

    def new_world(self, name: str, version: str) -> World:
        """A new lake and a new instance that a version begins."""
        account, _, receiver = self.platform
        folder = self.folder / name
        folder.mkdir()
        receiver.messages.clear()
        address = environment().get(POSTGRES)
        database = self.held.enter_context(throw_away_database(address)) if address else ""
        self.worlds[name] = World(
            folder, self.sources[version], account, receiver, self._environment(folder, version, database)
        )
        return self.worlds[name]

    def take_over(self, world: World, version: str) -> None:
        """From here on a version runs on the world, with its own configuration."""
        world.environment = self._environment(world.folder, version, world.environment.get(POSTGRES, ""))
        world.sources = self.sources[version]

    def _environment(self, folder: Path, version: str, database: str) -> Mapping[str, str]:
        data = folder / "data"
        return {
            **self.staging.environment,
            "RATCHET_DEFS": str(self.folder / f"staged-{version}"),
            "RATCHET_DATA": str(data),
            "DAGSTER_HOME": str(data / "dagster"),
            **({POSTGRES: database} if database else {}),
        }

    # What runs ----------------------------------------------------------------------------------------

    @property
    def stack(self) -> Stack:
        assert self._running is not None, "nothing runs"
        return self._running[1]

    def start(self, world: World, version: str) -> str:
        """Start a version on a world and wait until it is well; what runs."""
        with ExitStack() as starting:
            stack = starting.enter_context(world.running(self.checkouts[version]))
            self.database = started(stack)
            self._running = (self.held.enter_context(starting.pop_all()), stack)
        wanted = "PostgreSQL" if POSTGRES in world.environment else "SQLite"
        if self.database != wanted:
            raise Failed(f"the instance lies in {self.database}, and {wanted} was asked for")
        processes = ", ".join(f"{name} {process.pid}" for name, process in stack.processes.items())
        return f"processes {processes}: every daemon healthy, definitions loaded, instance in {self.database}"

    def stop(self) -> None:
        if self._running is not None:
            self._running[0].close()
            self._running = None

    def materialise(self, world: World) -> str:
        """Every source's present hour, through GraphQL."""
        self.hours = materialised(self.stack, world.sources)
        return ", ".join(f"{name} {hour}" for name, hour in self.hours.items())

    def check(self, world: World, told: set[str]) -> str:
        """The integration check of every source; of those in ``told`` a message is due."""
        checks = [
            integrated(world, self.stack, source, self.hours[source.name], source.name in told)
            for source in world.sources
        ]
        count = len(checks)
        return (
            f"{_PARTS * count} assets materialised, {sum(checks)} checks passed, {_PARTS * count} kinds of files in the"
            f" lake, messages of {len(told)} sources arrived"
        )
