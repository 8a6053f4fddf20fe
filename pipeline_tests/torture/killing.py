"""One round: a scenario in a process that dies at a chosen operation, what it left, and the run after it."""

from __future__ import annotations

import multiprocessing
import shutil
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random

from pipeline.core.verify.checking import verify
from pipeline.replaying import PAGE_SIZE, RECORDING
from pipeline.sandbox.recording import RecordedAccount, Recording
from pipeline.sandbox.server import NoteSandbox
from pipeline_tests.torture.contents import Contents, faults_after_kill, faults_after_rerun
from pipeline_tests.torture.scenarios import COOKIE, Place, Scenario, capture, made_deletion, scenarios
from pipeline_tests.torture.trace import Trace, trace_into

_PATIENCE_SECONDS = 120
# Imported once by a process without threads, from which every tortured process is forked.
_PRELOADED = [
    "apprise",
    "pandera.backends.pandas.builtin_checks",
    "pandera.pandas",
    "pipeline.platforms.client",
    "pipeline.running",
    "pipeline_tests.torture.killing",
]


class _Ended(RuntimeError):
    """A process ended in another way than it should."""


@dataclass(frozen=True)
class Kill:
    """One kill: before which operation, whether that lay between first byte and last rename, and what was lost."""

    scenario: str
    operation: str
    at: int
    within: bool
    faults: Sequence[str]


@dataclass
class Undisturbed:
    """A scenario that nobody killed: the lake before and after it, and its operations."""

    scenario: Scenario
    prepared: Path
    before: Contents
    after: Contents
    trace: Trace


@dataclass
class Torture:
    """The account, the channel, and the folder in which lakes are tortured."""

    folder: Path
    account: RecordedAccount
    sandbox: NoteSandbox
    channel: _Channel
    undisturbed: dict[str, Undisturbed] = field(default_factory=dict)
    _prepared: dict[tuple[datetime, ...], Path] = field(default_factory=dict)
    _rounds: int = 0

    def learn(self, scenario: Scenario) -> Undisturbed:
        """Prepare the scenario's history once, and run it undisturbed to see what it does."""
        if scenario.name not in self.undisturbed:
            prepared = self._prepare(tuple(scenario.history))
            before = Contents.of(self._place(prepared).lake)
            copy = self._copy(prepared)
            trace = self._run(scenario, copy, None)
            after = Contents.of(self._place(copy).lake)
            shutil.rmtree(copy)
            self.undisturbed[scenario.name] = Undisturbed(scenario, prepared, before, after, trace)
        return self.undisturbed[scenario.name]

    def _prepare(self, history: tuple[datetime, ...]) -> Path:
        """The data of a project with these captures: that of all but the last one, and the last one."""
        if history not in self._prepared:
            data = self.folder / f"{len(history)} captures of {hash(history):x}"
            if history:
                shutil.copytree(self._prepare(history[:-1]), data, dirs_exist_ok=True)
                self.account.show(history[-1])
                capture(self._place(data), history[-1:])
            else:
                data.mkdir()
            self._prepared[history] = data
        return self._prepared[history]

    def kill(self, scenario: Scenario, draw: Random) -> Kill:
        """Kill the scenario at an operation drawn uniformly, look, run it again, and look again."""
        known = self.learn(scenario)
        data = self._copy(known.prepared)
        lake = self._place(data).lake
        at = draw.randint(1, len(known.trace))
        self.channel.taken = 0
        killed = self._run(scenario, data, at)
        if len(killed) != at:
            raise RuntimeError(f"'{scenario.name}' did {len(killed)} operations and should have died at {at}")
        left = Contents.of(lake)
        faults = faults_after_kill(known.before, left, known.after)
        faults += [f"verifying calls {fault.file} damaged: {fault.what}" for fault in verify(lake).faults]
        receipts = [name for name in left.files if name.startswith("receipts/")]
        taken = self.channel.taken
        try:
            self._run(scenario, data, None)
        except _Ended as ended:
            faults.append(f"the next run failed: {ended}")
        faults += faults_after_rerun(known.before, Contents.of(lake), known.after)
        if self.channel.taken != taken and receipts:
            faults.append("a message that had its receipt was sent again")
        if known.scenario.tells and not self.channel.taken:
            faults.append("the message was never sent")
        shutil.rmtree(data)
        within = killed.first_byte < at <= known.trace.last_publishing
        return Kill(scenario.name, killed.operations[-1], at, within, faults)

    def _place(self, data: Path) -> Place:
        return Place(data, self.sandbox.url, self.channel.address)

    def _copy(self, prepared: Path) -> Path:
        self._rounds += 1
        return Path(shutil.copytree(prepared, self.folder / f"round {self._rounds}"))

    def _run(self, scenario: Scenario, data: Path, kill_at: int | None) -> Trace:
        self.account.show(scenario.moments[0])
        traced = data / "trace"
        traced.unlink(missing_ok=True)
        processes = multiprocessing.get_context("forkserver")
        process = processes.Process(target=_tortured, args=(scenario, self._place(data), traced, kill_at))
        process.start()
        process.join(_PATIENCE_SECONDS)
        if process.exitcode != (0 if kill_at is None else -signal.SIGKILL):
            raise _Ended(f"'{scenario.name}' ended with {process.exitcode}, killed at {kill_at}")
        return Trace.read(traced)


def _tortured(scenario: Scenario, place: Place, traced: Path, kill_at: int | None) -> None:
    trace_into(traced, place.lake.root, kill_at)
    scenario.act(place, scenario.moments)


@contextmanager
def torture(folder: Path) -> Iterator[tuple[Torture, list[Scenario]]]:
    """The recorded account behind a sandbox, with one capture more in which a third of it is gone."""
    recording = Recording.read(RECORDING)
    deleted, articles = made_deletion(recording)
    account = RecordedAccount(Recording({**recording.by_capture, deleted: articles}))
    multiprocessing.get_context("forkserver").set_forkserver_preload(_PRELOADED)
    frozen: datetime = recording.captures[0]
    with (
        NoteSandbox(account, cookie=COOKIE, page_size=PAGE_SIZE, clock=lambda: frozen) as sandbox,
        _Channel.open() as channel,
    ):
        yield Torture(folder, account, sandbox, channel), scenarios(recording.captures, deleted)


class _Channel(ThreadingHTTPServer):
    """A webhook on loopback that takes every message and counts them."""

    taken = 0

    @property
    def address(self) -> str:
        return f"json://127.0.0.1:{self.server_address[1]}/"

    @classmethod
    @contextmanager
    def open(cls) -> Iterator[_Channel]:
        with cls(("127.0.0.1", 0), _Taking) as channel:
            thread = threading.Thread(target=channel.serve_forever, args=(0.02,))
            thread.start()
            try:
                yield channel
            finally:
                channel.shutdown()
                thread.join()


class _Taking(BaseHTTPRequestHandler):
    server: _Channel

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken += 1
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Silence: the count is the log."""
