"""Faults of the machine Ratchet runs on: its disk, its clock, its processes, its channels."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from pipeline.core.hours import Hour
from pipeline.core.lake import RAW, VALIDATED
from pipeline.drill.faults import Fault, NotHere, Outcome, collected
from pipeline.drill.listings import page
from pipeline.drill.stage import Stage, ended, program
from pipeline.drill.verdict import Expected, Left, files, look, problems
from pipeline.sandbox.faults import Hang

CONTROL = "none (control)"
_HOURS_AHEAD = 3
_SECONDS_TO_START = 60
_UNUSABLE = "the lake cannot be used"
_NO_LAKE = Expected(16, "cannot be used at", _UNUSABLE, run=None, of_all=True)
_NO_DATABASE = Expected(16, "Dagster's database cannot be used", _UNUSABLE, run=None)


def control() -> Fault:
    """Nothing is wrong. Without it, a stage on which everything fails would look loud."""
    return collected(CONTROL, Expected(0, "", None, Left.ACCEPTED, "SUCCESS"), lambda stage: None)


def machine_faults() -> Iterator[Fault]:
    """Each on a stage of its own, in the order in which the drill's table shows them."""
    yield collected(
        "clock set back", Expected(14, "clock went back", "the clock of this machine went back"), _accept_a_later_hour
    )
    yield _on_a_full_disk("disk full", lambda stage: stage.project.data, _NO_LAKE)
    yield _on_a_full_disk("lake full", lambda stage: stage.project.lake.root, _NO_LAKE)
    yield _on_a_full_disk("Dagster's database full", lambda stage: stage.project.dagster_home, _NO_DATABASE)
    yield _no_larger_files()
    yield _read_only_lake()
    damaged = Expected(16, ".parquet", _UNUSABLE)
    yield collected("corrupt previous snapshot", damaged, lambda stage: _halve(_previous_snapshot(stage)))
    flipped = Expected(16, "those that were recorded", _UNUSABLE)
    yield collected("flipped bit in previous snapshot", flipped, lambda stage: _flip_a_bit(_previous_snapshot(stage)))
    yield _corrupt_raw_file()
    yield _two_runs_at_once()
    yield _kill_9()
    yield _channel_down()


# The clock, and files ------------------------------------------------------------------------------


def _accept_a_later_hour(stage: Stage) -> None:
    """A present that lies before what was accepted is what a clock that was set back looks like."""
    stage.seed(datetime.now(UTC) + timedelta(hours=_HOURS_AHEAD))


def _previous_snapshot(stage: Stage) -> Path:
    return _only(stage.lake.root / VALIDATED, "*.parquet")


def _corrupt_raw_file() -> Fault:
    """The past is read again only when something is rebuilt, so what has to be loud is `ratchet verify`."""
    expected = Expected(16, "Damaged", None, run=None)

    def play(stage: Stage, hour: Hour) -> Outcome:
        raw = _only(stage.lake.root / RAW, "*.zst")
        _halve(raw)
        before = files(stage.lake.root)
        seen = look(stage, stage.ratchet("verify", stage.subject.name), before, hour)
        found = problems(expected, seen, stage)
        if raw.name not in seen.ended.stdout + seen.ended.stderr:
            found.append("the damaged file is not named")
        return Outcome(f"ratchet verify: {seen.words}", tuple(found))

    return Fault("corrupt raw file", f"ratchet verify: {expected.words}, the file named", play)


def _only(folder: Path, pattern: str) -> Path:
    (path,) = folder.rglob(pattern)
    return path


def _halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _flip_a_bit(path: Path) -> None:
    """In the middle, where a Parquet file still opens and holds something else."""
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)


# Disks ----------------------------------------------------------------------------------------------

_FULL = """
mount -t tmpfs -o size=8m ratchet-drill "$RATCHET_DRILL_PLACE" || exit 125  # or the disk itself would be filled
cp -a "$RATCHET_DRILL_COPY/." "$RATCHET_DRILL_PLACE"
cat /dev/zero > "$RATCHET_DRILL_PLACE/ballast" 2> /dev/null
"$@"
code=$?
rm -r "$RATCHET_DRILL_COPY" "$RATCHET_DRILL_PLACE/ballast"
cp -a "$RATCHET_DRILL_PLACE" "$RATCHET_DRILL_COPY"
exit $code
"""
_READ_ONLY = """
mount --bind "$RATCHET_DRILL_PLACE" "$RATCHET_DRILL_PLACE" &&
mount -o remount,ro,bind "$RATCHET_DRILL_PLACE" || exit 125
exec "$@"
"""
_QUOTA = 'ulimit -f 64; exec "$@"'
_PROBE = 'mount -t tmpfs ratchet-drill "$1" && exec "$2" --version'
_OWN_MOUNTS = ("unshare", "--mount", "--map-root-user")


@cache
def _may_mount() -> bool:
    """Whether Ratchet runs here with mounts of its own, which end with its process and which nobody else sees."""
    if shutil.which(_OWN_MOUNTS[0]) is None:
        return False
    with tempfile.TemporaryDirectory(prefix="ratchet-") as folder:
        probe = [*_OWN_MOUNTS, "/bin/sh", "-c", _PROBE, "sh", folder, program("ratchet")]
        return subprocess.run(probe, capture_output=True, check=False).returncode == 0  # noqa: S603


def _on_a_full_disk(name: str, place: Callable[[Stage], Path], expected: Expected) -> Fault:
    """``place`` lies on a file system that is full to its last byte."""

    def play(stage: Stage, hour: Hour) -> Outcome:
        if not _may_mount():
            raise NotHere("nothing can be mounted")
        before, copy = files(stage.lake.root), stage.folder / "full"
        shutil.copytree(place(stage), copy)
        variables = {"RATCHET_DRILL_PLACE": str(place(stage)), "RATCHET_DRILL_COPY": str(copy)}
        done = stage.run([*_OWN_MOUNTS, "/bin/sh", "-c", _FULL, "sh", *_collecting(stage)], **variables)
        in_lake = stage.lake.root.is_relative_to(place(stage))
        lake = copy / stage.lake.root.relative_to(place(stage)) if in_lake else None
        seen = look(stage, done, before, hour, lake)
        return Outcome(seen.words, tuple(problems(expected, seen, stage)))

    return Fault(name, expected.words, play)


def _no_larger_files() -> Fault:
    """A quota on files: the stand-in for a full disk where nothing can be mounted. The database meets it first."""
    expected = _NO_DATABASE

    def play(stage: Stage, hour: Hour) -> Outcome:
        before = files(stage.lake.root)
        seen = look(stage, stage.run(["/bin/sh", "-c", _QUOTA, "sh", *_collecting(stage)]), before, hour)
        return Outcome(seen.words, tuple(problems(expected, seen, stage)))

    return Fault("quota reached", expected.words, play)


def _read_only_lake() -> Fault:
    expected = _NO_LAKE

    def play(stage: Stage, hour: Hour) -> Outcome:
        before, place = files(stage.lake.root), stage.project.lake.root
        if _may_mount():
            command = [*_OWN_MOUNTS, "/bin/sh", "-c", _READ_ONLY, "sh", *_collecting(stage)]
            done = stage.run(command, RATCHET_DRILL_PLACE=str(place))
        elif os.geteuid() == 0:
            raise NotHere("nothing can be mounted, and permissions do not hold root back")
        else:
            folders = [place, *(path for path in place.rglob("*") if path.is_dir())]
            for folder in folders:
                folder.chmod(0o555)
            try:
                done = stage.collect()
            finally:
                for folder in folders:
                    folder.chmod(0o755)
        seen = look(stage, done, before, hour)
        return Outcome(seen.words, tuple(problems(expected, seen, stage)))

    return Fault("read-only lake", expected.words, play)


def _collecting(stage: Stage) -> list[str]:
    return [program("ratchet"), "collect", stage.subject.name]


# Processes ------------------------------------------------------------------------------------------


def _two_runs_at_once() -> Fault:
    expected = Expected(15, "Another process", None, Left.ACCEPTED, "SUCCESS")

    def play(stage: Stage, hour: Hour) -> Outcome:
        before = files(stage.lake.root)
        stage.sandbox.fail_next(Hang())
        stage.configure(timeout=_SECONDS_TO_START)
        with stage.started(_collecting(stage)) as first:
            _await_request(stage, 1)
            second = stage.collect()
            stage.sandbox.release()
            went_on = ended(first)
        seen = look(stage, second, before, hour)
        found = problems(expected, seen, stage)
        if went_on.exit_code != 0:
            found.append(f"the first run ended with {went_on.exit_code}")
        return Outcome(f"first run exit {went_on.exit_code}, second run {seen.words}", tuple(found))

    return Fault("two runs at once", f"first run exit 0, second run {expected.words}", play)


def _kill_9() -> Fault:
    """A dead process tells nothing: what can be seen is its exit code, an old hour, and a run that never ended."""
    killed = Expected(-9, "", None, run="STARTED")
    after = Expected(0, "", None, Left.ACCEPTED, "SUCCESS")

    def play(stage: Stage, hour: Hour) -> Outcome:
        before = files(stage.lake.root)
        stage.sandbox.fail_next(page(stage.sandbox), Hang())
        stage.configure(timeout=_SECONDS_TO_START)
        with stage.started(_collecting(stage)) as process:
            _await_request(stage, 2)
            process.kill()
            dead = look(stage, ended(process), before, hour)
        status = stage.ratchet("status", stage.subject.name, "--max-age", "30m")
        stage.sandbox.release()
        again = look(stage, stage.collect(), before, hour)
        found = [each for each in problems(killed, dead, stage) if "next step" not in each]
        found += [f"afterwards {each}" for each in problems(after, again, stage)]
        if status.exit_code != 1:
            found.append(f"ratchet status --max-age ended with {status.exit_code}")
        if orphans := [name for name in again.after if name.startswith(".incoming/")]:
            found.append(f"{orphans[0]} was left over")
        runs = " and ".join(sorted(again.runs))
        words = f"{dead.words}, status --max-age exit {status.exit_code}, next collect {again.words}, runs {runs}"
        return Outcome(words, tuple(found))

    words = "killed within the pages: nothing recorded, status --max-age exit 1; the next collect accepts the hour"
    return Fault("kill -9", words, play)


def _channel_down() -> Fault:
    """One of two channels answers 500 to a message about a crossing."""
    expected = Expected(18, "HTTP status 500", "Article", Left.ACCEPTED, "SUCCESS")

    def spoil(stage: Stage) -> None:
        counter = stage.source.counters[0].name
        mark = getattr(stage.account[-1], counter)
        stage.configure(channels=[stage.receiver.down], rules=[{"counter": counter, "crosses": [mark]}])

    return collected("channel down", expected, spoil)


def _await_request(stage: Stage, number: int) -> None:
    """Until the platform was asked so often."""
    stage.processes.until(lambda: len(stage.sandbox.requests) >= number, _SECONDS_TO_START)
