"""Where a version runs: staged sources, a lake, an instance, and the platform and the channel on loopback."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pipeline.core.hours import Hour, format_time
from pipeline.core.lake import DELTA, RAW, REPORT, VALIDATED
from pipeline.core.model import Bounds, Source
from pipeline.core.project import Project
from pipeline.drill.listings import PAGE_SIZE, articles, grown
from pipeline.drill.receiver import Receiver
from pipeline.graph import ASSETS
from pipeline.sandbox.article import Article
from pipeline.sandbox.server import NoteSandbox
from pipeline_tests.graphql import shown
from pipeline_tests.live_stack import Stack, running_stack, until
from pipeline_tests.rehearsal.checkout import Checkout, Ended
from pipeline_tests.rehearsal.steps import Failed

HOURS_OF_PAST = 3
_MINUTE = timedelta(minutes=17)
_VISIBLE = str.maketrans("", "", "\N{WORD JOINER}")
_INCIDENT = "\nNext: "
"""What messages of incidents have, and those of crossings have not."""
_IN_POSTGRES = "run_storage: PostgresRunStorage"
"""What Dagster says of an instance that lies in PostgreSQL."""
_HEALTH = """
query Health {
  instance { info daemonHealth { allDaemonStatuses { daemonType required healthy } } }
  repositoriesOrError { ... on RepositoryConnection { nodes { name } } ... on PythonError { message } }
}
"""


@dataclass
class Account:
    """One account for all sources: it grew from hour to hour, and has grown once more since."""

    history: list[list[Article]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.history.append(articles(Bounds()))
        for _ in range(HOURS_OF_PAST + 1):
            self.history.append(grown(self.history[-1]))

    def __call__(self) -> Sequence[Article]:
        return self.history[-1]

    def write(self, file: Path, hours: Mapping[Hour, int], counters: Sequence[str]) -> None:
        """A history as `ratchet import` takes it: for each hour how often the account had grown by then."""
        with file.open("w", newline="", encoding="utf-8") as output:
            rows = csv.writer(output)
            rows.writerow(["captured_at", "item_id", "title", "published_at", *counters])
            for hour, times in hours.items():
                for each in self.history[times]:
                    known = [each.key, each.title, format_time(each.published_at)]
                    rows.writerow([format_time(hour.start + _MINUTE), *known, *(getattr(each, c) for c in counters)])


@dataclass
class World:
    """One lake and one instance, which several versions may run on after each other.

    ``present`` is the hour before which its past lies.
    """

    folder: Path
    sources: Sequence[Source]
    account: Account
    receiver: Receiver
    environment: Mapping[str, str]
    present: Hour = field(default_factory=lambda: Hour.of(datetime.now(UTC)))

    @property
    def project(self) -> Project:
        return Project(Path(self.environment["RATCHET_DEFS"]), self.folder / "data")

    @contextmanager
    def running(self, checkout: Checkout) -> Iterator[Stack]:
        """The deployment of a version: code server, daemon and webserver, each a process of its own."""
        logs = self.folder / f"logs-{checkout.root.name}"
        logs.mkdir(exist_ok=True)
        environment = {**self.environment, **checkout.variables}
        with running_stack(self.project, logs, root=checkout.root, bin=checkout.bin, environment=environment) as stack:
            yield stack

    def remember(self, checkout: Checkout, hours: Mapping[Hour, int]) -> None:
        """Let a version import hours of every source's past; the first source alone, since it makes the instance."""

        def remembered(source: Source) -> None:
            ended = self.imported(checkout, source, hours)
            if ended.returncode:
                raise Failed(f"{checkout.revision.name} did not import a past of {source.name}: {ended.stderr}")

        first, *others = self.sources
        remembered(first)
        with ThreadPoolExecutor() as pool:
            list(pool.map(remembered, others))

    def imported(self, checkout: Checkout, source: Source, hours: Mapping[Hour, int]) -> Ended:
        file = self.folder / f"{source.name}.csv"
        self.account.write(file, hours, source.counter_names)
        return checkout.run("ratchet", "import", source.name, str(file), environment=self.environment)

    @property
    def past(self) -> dict[Hour, int]:
        """Some hours, and after them one that is left out: it can come late."""
        return {self.present + -(HOURS_OF_PAST + 1 - times): times for times in range(HOURS_OF_PAST)}

    @property
    def late(self) -> dict[Hour, int]:
        return {self.present + -1: HOURS_OF_PAST}

    def messages(self, source: Source) -> list[str]:
        """The crossings of the source that were told. Raises Failed where an incident was: none is due."""
        texts = [f"{title}\n{text}".translate(_VISIBLE) for title, text in self.receiver.messages]
        for text in texts:
            if _INCIDENT in text:
                raise Failed(f"an incident was told: {text.splitlines()[0]}")
        return [text for text in texts if source.name in text]


def export(source: Source) -> list[str]:
    return ["ratchet", "export", source.name, "-o", "-", "--format", "jsonl"]


def parsed_rows(lines: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines.splitlines() if line.strip()]


@contextmanager
def platform(session: str) -> Iterator[tuple[Account, NoteSandbox, Receiver]]:
    account = Account()
    with NoteSandbox(account, cookie=session, page_size=PAGE_SIZE) as sandbox, Receiver() as receiver:
        yield account, sandbox, receiver


def started(stack: Stack) -> str:
    """Wait until every daemon that is needed is well and the location is loaded; which database the instance has."""

    def well() -> Mapping[str, Any] | None:
        answered = stack.ask(_HEALTH)
        found = answered["repositoriesOrError"]
        if "nodes" not in found:
            raise Failed(f"the definitions did not load: {found['message']}")
        daemons = answered["instance"]["daemonHealth"]["allDaemonStatuses"]
        return answered if found["nodes"] and all(d["healthy"] for d in daemons if d["required"]) else None

    info = until(well)["instance"]["info"]
    return "PostgreSQL" if _IN_POSTGRES in info else "SQLite"


def materialised(stack: Stack, sources: Sequence[Source]) -> dict[str, Hour]:
    """Launch the four assets of every source for the present hour, as a click does; the hour of each source."""
    hours: dict[str, Hour] = {}
    pending = list(sources)
    while pending:
        present = Hour.of(datetime.now(UTC))
        runs = {source.name: stack.launch(source.name, ASSETS, present) for source in pending}
        ended = {name: stack.finished(run) for name, run in runs.items()}
        hours |= {name: present for name, run in ended.items() if run["status"] == "SUCCESS"}
        failed = {name: run for name, run in ended.items() if name not in hours}
        if failed and Hour.of(datetime.now(UTC)) == present:
            name, run = next(iter(failed.items()))
            said = [event for event in run["eventConnection"]["events"] if event]
            raise Failed(f"the run of {name} for {present} ended as {run['status']}: {said[:2]}")
        pending = [source for source in pending if source.name in failed]  # the hour ended meanwhile
    return hours


def integrated(world: World, stack: Stack, source: Source, hour: Hour, told: bool) -> int:
    """What has to be there after a run: in Dagster, in the lake and, where ``told``, at the receiver.

    How many checks passed. Raises Failed with the first that is not there.
    """
    states = shown(stack.ask, source.name)
    for asset in ASSETS:
        if not _covers(states[asset], hour, "MATERIALIZED"):
            raise Failed(f"Dagster does not show {asset} of {source.name} as materialised in {hour}")
    checks = {name: state for name, state in states.items() if name.split(": ")[0] in ASSETS and ": " in name}
    for name, state in checks.items():
        if not _covers(state.get("ranges", ()), hour, "SUCCEEDED"):
            raise Failed(f"Dagster does not show the check {name} of {source.name} as passed in {hour}")
    lake = world.project.lake.source(source.name).root
    for part in (RAW, VALIDATED, DELTA, REPORT):
        if not list(lake.glob(f"{part}/month=*/{hour.key}*")):
            raise Failed(f"{lake} holds no file of {hour} under {part}/")
    try:
        until(lambda: world.messages(source) or not told)
    except AssertionError:
        raise Failed(f"no message about {source.name} arrived at the receiver") from None
    return len(checks)


def shows(stack: Stack, source: Source, hour: Hour) -> bool:
    """Whether Dagster shows every asset of the hour as materialised."""
    states = shown(stack.ask, source.name)
    return all(_covers(states[asset], hour, "MATERIALIZED") for asset in ASSETS)


def _covers(ranges: Sequence[Mapping[str, str]], hour: Hour, status: str) -> bool:
    key = hour.partition_key
    return any(r["startKey"] <= key <= r["endKey"] and r["status"] == status for r in ranges)
