"""A figure beside its peer or floor, and how both are taken: repetitions in turn, medians of them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import msgspec


class Figure(msgspec.Struct, frozen=True):
    """One measured value. ``ratio`` is it over its peer's; ``aim`` bounds the ratio, or the value where no peer is."""

    name: str
    value: float
    unit: str
    peer: str | None = None
    peer_value: float | None = None
    aim: float | None = None

    @property
    def ratio(self) -> float | None:
        return self.value / self.peer_value if self.peer_value else None

    @property
    def met(self) -> bool | None:
        """Whether the aim is met; None without one."""
        if self.aim is None:
            return None
        return (self.value if self.ratio is None else self.ratio) <= self.aim

    def record(self) -> dict[str, object]:
        return {**msgspec.structs.asdict(self), "ratio": self.ratio, "met": self.met}


@dataclass(frozen=True)
class Effort:
    """How much is measured: the full bench, or the quick one, which skips the million."""

    quick: bool

    def times(self, full: int, quick: int) -> int:
        return quick if self.quick else full


def in_turn(times: int, *actions: Callable[[], object]) -> list[float]:
    """The median seconds of each action. They take turns, so that a slow minute hits all, and once to get warm."""
    taken: list[list[float]] = [[] for _ in actions]
    for repetition in range(times + 1):
        for action, seconds in zip(actions, taken, strict=True):
            started = time.perf_counter()
            action()
            if repetition:
                seconds.append(time.perf_counter() - started)
    return [median(seconds) for seconds in taken]


def python(*arguments: str, environment: Mapping[str, str] | None = None) -> Callable[[], str]:
    """An action: this Python in a process of its own. Raises RuntimeError with its errors where it fails."""
    return command([sys.executable, *arguments], environment)


def command(words: Sequence[str], environment: Mapping[str, str] | None = None) -> Callable[[], str]:
    def run() -> str:
        ended = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
        if ended.returncode:
            raise RuntimeError(f"{' '.join(words)} ended with {ended.returncode}: {ended.stderr[-2000:]}")
        return ended.stdout

    return run


def peak_megabytes() -> float:
    """Of this program alone: what getrusage says begins with the peak of the process that started it."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024
