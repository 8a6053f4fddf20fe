"""The stage of one fault: a throw-away project with one observed hour, its platform and its channel on loopback."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from pipeline.core import history
from pipeline.core.hours import Hour
from pipeline.core.lake import SourceLake
from pipeline.core.model import Origin, Source
from pipeline.core.observe import RecordedClock, observe
from pipeline.core.project import ROOT, Project, environment
from pipeline.core.sources import COMPONENT, find_source, read_source
from pipeline.core.yaml_lines import read_document
from pipeline.drill.listings import PAGE_SIZE, articles, grown
from pipeline.drill.receiver import Receiver
from pipeline.running import POSTGRES, dagster_instance
from pipeline.sandbox.article import Article
from pipeline.sandbox.server import NoteSandbox

SESSION = "RATCHET_DRILL_SESSION"
TIMEOUT_SECONDS = 0.4
"""What the drill's platform may be silent for. A page may take three times that."""
PATIENCE_SECONDS = 240
"""What a command under test may take before the drill ends it."""

_LOOK_EVERY_SECONDS = 0.1
_OWN_NAME = "drilled"
_NOT_TAKEN = {"source", "platform", "notify", "heartbeat_url", "start", "end", "enabled", "simulated"}
_OF_ITS_KIND = {"counters", "rules"}
_KIND = "note"


@dataclass(frozen=True)
class Subject:
    """Whose configuration is drilled: what of its YAML is kept, its channels, and what has to be said of it."""

    name: str = _OWN_NAME
    attributes: Mapping[str, Any] = field(default_factory=dict)
    channels: Sequence[str] = ()
    remark: str = ""

    @classmethod
    def of(cls, project: Project, name: str, *, with_channels: bool) -> Subject:
        """A source of the owner. Raises ConfigError where it is unknown or cannot be used."""
        source = find_source(project, name)
        written = read_document(project.defs / name / "defs.yaml").values["attributes"]
        return cls.written(source, written, tuple(written.get("notify", ())) if with_channels else ())

    @classmethod
    def written(cls, source: Source, attributes: Mapping[str, Any], channels: Sequence[str] = ()) -> Subject:
        """A source whose YAML has been read, and its attributes as they stand there."""
        name = source.name
        kept = {key: value for key, value in attributes.items() if key not in _NOT_TAKEN}
        if source.platform.kind == _KIND:
            return cls(name, kept, channels)
        remark = (
            f"{name} is of the kind {source.platform.kind}, and the sandbox speaks {_KIND}: taken are its bounds and"
            f" its words, with the counters of {_KIND} in place of its counters and rules."
        )
        return cls(name, {key: value for key, value in kept.items() if key not in _OF_ITS_KIND}, channels, remark)

    def write(self, file: Path, url: str, session: str, *, timeout: float | None = None, **attributes: Any) -> None:
        """Its YAML with the sandbox at ``url`` for a platform; ``session`` names the variable that holds the cookie.

        ``attributes`` go over those of the subject, key by key.
        """
        platform = {
            "kind": _KIND,
            "base_url": url,
            "session_cookie": f"{{{{ env.{session} }}}}",
            "requests_per_second": 10_000,
            **({} if timeout is None else {"timeout": timeout}),
        }
        content = {
            **self.attributes,
            "source": self.name,
            "platform": platform,
            "start": f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}",
            **attributes,
        }
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(yaml.safe_dump({"type": COMPONENT, "attributes": content}), encoding="utf-8")


@dataclass(frozen=True)
class Ended:
    """What a command under test left to whoever called it."""

    exit_code: int
    stdout: str
    stderr: str


@dataclass
class Processes:
    """What the drill has started and not seen end."""

    running: set[subprocess.Popen[Any]] = field(default_factory=set)
    abandoned: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def start(self, command: Sequence[str], **arguments: Any) -> Iterator[subprocess.Popen[Any]]:
        """A process that is killed at the end of the block if it still runs."""
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, **arguments) as process:  # noqa: S603  our own programs
            self.running.add(process)
            try:
                if self.abandoned.is_set():
                    process.kill()
                yield process
            finally:
                process.kill()
                self.running.discard(process)

    def abandon(self) -> None:
        """Somebody wants the drill to end: nothing is waited for any longer."""
        self.abandoned.set()
        for process in list(self.running):
            process.kill()

    def until(self, seen: Callable[[], bool], seconds: float) -> None:
        """Until it is so, or for as long as is reasonable: other processes give no event that could be awaited."""
        end = time.monotonic() + seconds
        while not seen() and time.monotonic() < end and not self.abandoned.wait(_LOOK_EVERY_SECONDS):
            pass


@dataclass
class Stage:
    """``account`` is what the platform shows; a fault changes it, or spoils the answers of ``sandbox``."""

    folder: Path
    subject: Subject
    sandbox: NoteSandbox
    receiver: Receiver
    account: list[Article]
    accepted: Sequence[Article] = ()
    """What the account showed when its last hour was accepted."""
    processes: Processes = field(default_factory=Processes)

    @property
    def project(self) -> Project:
        """The throw-away project, all of it under ``folder``."""
        return Project(self.folder / "defs", self.folder / "data")

    @property
    def lake(self) -> SourceLake:
        """The lake of the one source."""
        return self.project.lake.source(self.subject.name)

    @property
    def environment(self) -> dict[str, str]:
        """That of this process, but for where the project and Dagster's database lie."""
        places = {"RATCHET_DEFS": self.project.defs, "RATCHET_DATA": self.project.data}
        places |= {"DAGSTER_HOME": self.project.dagster_home}
        others = {name: value for name, value in os.environ.items() if name != "RATCHET_ARCHIVES"}
        return {
            **others,
            **{name: str(place) for name, place in places.items()},
            POSTGRES: "",
            SESSION: self.sandbox.cookie,
        }

    @property
    def source(self) -> Source:
        """As its YAML stands now, with the session of the sandbox. Raises ConfigError."""
        return read_source(self._yaml, {**environment(), SESSION: self.sandbox.cookie})

    @property
    def _yaml(self) -> Path:
        return self.project.defs / self.subject.name / "defs.yaml"

    def configure(
        self,
        *,
        url: str | None = None,
        timeout: float = TIMEOUT_SECONDS,
        channels: Sequence[str] = (),
        **attributes: Any,
    ) -> None:
        """Write the YAML anew; ``attributes`` go over those of the subject, key by key."""
        if "bounds" in attributes:
            attributes["bounds"] = {**self.subject.attributes.get("bounds", {}), **attributes["bounds"]}
        notify = [self.receiver.up, *channels, *self.subject.channels]
        place = url or self.sandbox.url
        self.subject.write(self._yaml, place, SESSION, timeout=timeout, **{"notify": notify, **attributes})

    def seed(self, moment: datetime) -> None:
        """Accept what the account shows as the live capture of ``moment``, of any hour."""
        hour, source = Hour.of(moment), self.source
        with self.lake.writing():
            seen = observe(self.lake, source, hour, RecordedClock(moment, Origin.LIVE))
            history.publish_snapshot(self.lake, history.verdict(self.lake, source, seen.capture))
            history.publish_delta(self.lake, hour)
            history.publish_report(self.lake, source, hour)

    def ratchet(self, *arguments: str) -> Ended:
        """Run a command to its end, as its owner does."""
        return self.run([program("ratchet"), *arguments])

    def collect(self) -> Ended:
        """``ratchet collect`` of the source, to its end."""
        return self.ratchet("collect", self.subject.name)

    def run(self, command: Sequence[str], **variables: str) -> Ended:
        """A program in the stage's environment and ``variables``, to its end; beyond PATIENCE_SECONDS it is killed."""
        with self.started(command, **variables) as process:
            return ended(process)

    @contextmanager
    def started(self, command: Sequence[str], **variables: str) -> Iterator[subprocess.Popen[str]]:
        """A command that runs, and is killed at the end of the block if it still does."""
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        with self.processes.start(command, cwd=ROOT, env={**self.environment, **variables}, **pipes) as process:
            yield process


def ended(process: subprocess.Popen[str]) -> Ended:
    """Wait for the end; a command that takes too long is killed, which its exit code then says."""
    try:
        stdout, stderr = process.communicate(timeout=PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        stdout, stderr = process.communicate()
    return Ended(process.returncode, stdout, stderr)


def program(name: str) -> str:
    """A program of the environment that this Python runs in."""
    return str(Path(sys.executable).parent / name)


@dataclass(frozen=True)
class Prepared:
    """A project that is copied for each fault: one hour observed, a Dagster that knows nothing yet."""

    folder: Path
    subject: Subject
    session: str
    account: Sequence[Article]
    processes: Processes = field(default_factory=Processes)

    @contextmanager
    def stage(self, folder: Path) -> Iterator[Stage]:
        """A copy in ``folder`` whose account has grown since. Ends with its servers and its files."""
        shutil.copytree(self.folder, folder)
        try:
            with _served(folder, self.subject, self.session, grown(self.account)) as stage:
                stage.accepted, stage.processes = self.account, self.processes
                stage.configure()
                yield stage
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def prepare(folder: Path, subject: Subject) -> Prepared:
    """Seed the hour before the present one. Raises ConfigError where the subject's YAML cannot be used."""
    session = secrets.token_urlsafe(24)
    with _served(folder, subject, session, []) as stage:
        stage.configure()
        stage.account += articles(stage.source.bounds)
        stage.seed(datetime.now(UTC) - timedelta(hours=1))
        with dagster_instance(stage.project):
            pass  # made once, since Dagster takes a second for it
        return Prepared(folder, subject, session, tuple(stage.account))


@contextmanager
def _served(folder: Path, subject: Subject, session: str, account: list[Article]) -> Iterator[Stage]:
    with NoteSandbox(lambda: account, cookie=session, page_size=PAGE_SIZE) as sandbox, Receiver() as receiver:
        yield Stage(folder, subject, sandbox, receiver, account)
