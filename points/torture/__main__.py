"""Kill writers with kill -9 at random moments and look for every event that ``track()`` had returned from.

    cd points && python -m torture                  # 50 rounds of 4 writers, embedded
    cd points && python -m torture --mode memory    # how much the memory mode loses; --pause 0.002 for a calm program

Ends with 1 if the embedded mode lost an acknowledged event.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

from ratchet_points import spool
from torture.writer import SLOT, THREADS


@dataclasses.dataclass
class Tally:
    """What came of the rounds, in events; ``window`` is the longest time in seconds whose events were all lost."""

    kills: int = 0
    acknowledged: int = 0
    lost: int = 0
    unacknowledged: int = 0
    torn: int = 0
    segments: int = 0
    window: float = 0.0


class Writer:
    """One writer's process, its slots and the pipe on which it says that it has begun."""

    def __init__(self, folder: Path, number: int, mode: str, pause: float) -> None:
        self._slots = folder / f"slots-{number}"
        self._slots.write_bytes(bytes(THREADS * SLOT.size))
        self._read, write = os.pipe()
        arguments = [str(folder / "spool"), str(self._slots), mode, str(pause), str(write)]
        command = [sys.executable, "-m", "torture.writer", *arguments]
        self.process = subprocess.Popen(
            command,
            pass_fds=[write],
            cwd=Path(__file__).parent.parent,
            # In memory mode a writer at full speed fills the queue, and says so.
            stderr=subprocess.DEVNULL if mode == "memory" else None,
        )
        os.close(write)

    def await_begun(self) -> None:
        for _ in range(THREADS):
            if not os.read(self._read, 1):
                raise RuntimeError("a writer ended before it was killed")

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self._read)

    def acknowledged(self) -> list[tuple[int, int]]:
        """The last acknowledged number of each thread and its time in nanoseconds."""
        return list(SLOT.iter_unpack(self._slots.read_bytes()))


def one_round(folder: Path, writers: int, mode: str, pause: float, tally: Tally) -> None:
    """Start writers on one spool, kill them one after the other, and read what they left."""
    started = [Writer(folder, number, mode, pause) for number in range(writers)]
    for writer in started:
        writer.await_begun()
    random.shuffle(started)
    for writer in started:
        time.sleep(random.uniform(0.0, 0.15))  # when the kill falls is what is being varied
        writer.kill()
    found: dict[tuple[int, int], dict[int, float]] = {}
    for line in spool.read(folder / "spool"):
        if isinstance(line, spool.Damaged):
            tally.torn += 1
            continue
        event = json.loads(line.text)
        if event["type"] == "torture.step":
            of = event["data"]["attributes"]
            known = found.setdefault((event["data"]["process.pid"], of["slot"]), {})
            known[of["number"]] = (
                datetime.strptime(event["time"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc).timestamp()
            )
    tally.segments += len(spool.segments(folder / "spool"))
    for writer in started:
        tally.kills += 1
        for slot, (last, at) in enumerate(writer.acknowledged()):
            compare(last, at / 1e9, found.get((writer.process.pid, slot), {}), tally)


def compare(last: int, at: float, found: dict[int, float], tally: Tally) -> None:
    """Hold what one thread acknowledged against what is there."""
    missing = [number for number in range(1, last + 1) if number not in found]
    tally.acknowledged += last
    tally.lost += len(missing)
    tally.unacknowledged += sum(number > last for number in found)
    if missing:
        tally.window = max(tally.window, at - found.get(missing[0] - 1, at))


def torture(rounds: int, writers: int, mode: str, pause: float = 0.0) -> Tally:
    """All rounds, each with a spool of its own."""
    tally = Tally()
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            one_round(Path(folder), writers, mode, pause, tally)
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m torture")
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--writers", type=int, default=4)
    parser.add_argument("--mode", choices=("embedded", "memory"), default="embedded")
    parser.add_argument("--pause", type=float, default=0.0, help="seconds between two events of a thread")
    given = parser.parse_args()
    tally = torture(given.rounds, given.writers, given.mode, given.pause)
    print(
        f"{given.mode}: {tally.kills} kills of {given.writers} writers with {THREADS} threads each, "
        f"{tally.acknowledged:,} events acknowledged, {tally.lost:,} lost, "
        f"{tally.unacknowledged:,} written and not yet acknowledged, {tally.torn:,} torn lines, "
        f"{tally.segments:,} segments" + (f"; longest stretch lost: {tally.window * 1000:.0f} ms" if tally.lost else "")
    )
    return 1 if tally.lost and given.mode == "embedded" else 0


if __name__ == "__main__":
    sys.exit(main())
