"""Serving a checkout on one machine: the demo's sandbox, and Dagster's webserver, daemon and code server.

Everything listens on loopback and ends together: on a signal, or when a part of Dagster dies.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import click
import dagster as dg

from pipeline.collecting import capture_hour
from pipeline.core.errors import ConfigError, RatchetError
from pipeline.core.hours import Hour
from pipeline.core.model import Source
from pipeline.core.observe import RecordedClock
from pipeline.core.project import ROOT, Project
from pipeline.core.sources import find_source, sound_sources
from pipeline.core.text import printable
from pipeline.drawing import draw_pages
from pipeline.running import ALLOCATORS, SourceRuns, dagster_instance
from pipeline.sandbox.__main__ import opened
from pipeline.sandbox.server import NoteSandbox
from pipeline.sandbox.simulation import simulated_articles

DEMO = "demo"
_HOURS_BEFORE = 2
_HOST = "127.0.0.1"
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What ends it; each raises KeyboardInterrupt."""
_PATIENCE_SECONDS, _LAST_WORDS_SECONDS = 15, 2


def serve(project: Project, port: int) -> None:
    """Blocks until Ctrl-C, SIGTERM or SIGHUP, which a closed terminal sends.

    Raises ConfigError where a port is taken, RatchetError where a part ends by itself.
    """
    for ending in _ENDING:  # SIGINT too: a shell that starts this in the background has it ignored
        signal.signal(ending, signal.default_int_handler)
    require_free(port)
    # Opened before anything starts that would only say by a traceback that the database cannot be used.
    with dagster_instance(project) as instance:
        demo = find_source(project, DEMO)
        _give_demo_a_past(project, demo, instance)
    with _sandbox(project, demo):
        sound, broken = sound_sources(project)
        click.echo("\nThe Dagster UI is ready in half a minute; Ctrl-C ends it.")
        click.echo("".join(f"  {line}\n" for line in addresses(sound, port)))
        for error in broken:
            click.echo(printable(f"Not recorded: {error}\n"), err=True)
        environment = {**ALLOCATORS, **os.environ, "DAGSTER_HOME": str(project.dagster_home), "VIRTUAL_ENV": sys.prefix}
        dagster = [str(Path(sys.executable).parent / "dg"), "dev", "--host", _HOST, "--port", str(port)]
        # Dagster colours its log wherever it writes; `echo` leaves the colours out where no terminal is.
        piped = {} if sys.stdout.isatty() else {"stdout": subprocess.PIPE, "text": True, "errors": "replace"}
        with _child(dagster, env=environment, **piped) as process, _ending_on_signals():
            echo = threading.Thread(target=_echo, args=[process.stdout or ()], daemon=True)
            echo.start()
            process.wait()
            echo.join(_LAST_WORDS_SECONDS)
            raise RatchetError(
                "Dagster's webserver, daemon or code server ended by itself, and the others were ended with it.",
                f"What it said last is above. Start them again: ratchet dev --port {port}",
            )


def _echo(lines: Iterable[str]) -> None:
    """Read to the end also when nobody takes it any longer: Dagster would wait for ever where its pipe is full."""
    with suppress(OSError):
        for line in lines:
            click.echo(line, nl=False)
    for _ in lines:
        pass


def addresses(sources: Sequence[Source], port: int) -> list[str]:
    """Where the UI shows each source: a line each, with its name before it."""
    groups = f"http://{_HOST}:{port}/locations/__repository__@pipeline/asset-groups"
    longest = max((len(source.name) for source in sources), default=0)
    return [
        f"{source.name:{longest}}  {groups}/{source.name}/lineage{'  (simulated)' if source.simulated else ''}"
        for source in sources
    ]


def _give_demo_a_past(project: Project, demo: Source, instance: dg.DagsterInstance) -> None:
    """Replay the last hours of the simulation into an empty demo, so that the first click shows what changed."""
    lake = project.lake.source(demo.name)
    if lake.first_capture() is not None:
        return
    present = Hour.of(datetime.now(UTC))
    shown = present.start
    opened_at = opened(_memory(project))
    address = urlsplit(demo.platform.base_url)
    sandbox = NoteSandbox(
        lambda: simulated_articles(shown, opened_at=opened_at),
        cookie=demo.platform.credential,
        port=address.port or 0,
        clock=lambda: shown,
    )
    with lake.writing(), sandbox:
        first = present + -_HOURS_BEFORE
        runs = SourceRuns.of(replace(demo, start=first), instance)
        for hour in first.through(present + -1):
            shown = hour.start.replace(minute=demo.minute)
            capture_hour(runs, lake, hour, RecordedClock(shown))
    draw_pages(demo, datetime.now(UTC))


@contextmanager
def _sandbox(project: Project, demo: Source) -> Iterator[None]:
    port = str(urlsplit(demo.platform.base_url).port)
    command = [sys.executable, "-m", "pipeline.sandbox", "--port", port, "--opened", str(_memory(project))]
    with _child(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        if process.stdout is None or not process.stdout.readline():
            raise ConfigError("The sandbox of the source 'demo' did not start.", "Read its message above.")
        yield


def _memory(project: Project) -> Path:
    return project.data / "demo_opened"


@contextmanager
def _child(command: list[str], **arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A process that is asked to end when the block does, with all that it started, and then made to."""
    # In a group of its own, so that what it starts can be ended with it.
    process = subprocess.Popen(command, start_new_session=True, **arguments)  # type: ignore[call-overload]  # noqa: S603
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=_PATIENCE_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def _ending_on_signals() -> Iterator[None]:
    """End on the first signal, quietly."""
    try:
        yield
    except KeyboardInterrupt:
        for ending in _ENDING:  # a second one must not keep what was started from being ended
            signal.signal(ending, signal.SIG_IGN)


def require_free(port: int) -> None:
    """Raises ConfigError where the port is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError as fault:
            raise ConfigError(
                f"Port {port} of {_HOST} cannot be opened: {fault.strerror}",
                f"Choose one: make dev PORT={port + 1}",
            ) from fault
