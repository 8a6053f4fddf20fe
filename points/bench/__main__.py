"""What a call costs, beside the others, in one run: ``cd points && python -m bench``.

Each library runs in a process of its own and talks to a receiver on loopback that answers at once; its figures are the
best of several rounds, in which all libraries take turns, so that a busy machine disturbs all alike. Libraries that are
not installed (``pip install sentry-sdk posthog opentelemetry-sdk opentelemetry-exporter-otlp-proto-http``) are left out
and named. Ends with 1 if ratchet-points is slower than it promises and ``--check`` is given.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.subjects import SUBJECTS

PROMISED = {"track": 6.0, "error": 120.0}  # medians in microseconds


def one(name: str, port: int, calls: int) -> dict[str, list[float]] | None:
    """Median and 99th percentile of track and error in microseconds, or None if the library is not there."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "bench.subjects", name, str(port), folder, str(calls)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent.parent, timeout=600)
    if "ModuleNotFoundError" in done.stderr:
        return None
    if done.returncode:
        raise RuntimeError(f"{name} failed:\n{done.stderr[-2000:]}")
    measured: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])
    return measured


def compare(rounds: int, calls: int) -> dict[str, dict[str, list[float]]]:
    """The best of each figure over all rounds, by library."""
    best: dict[str, dict[str, list[float]]] = {}
    receiver = subprocess.Popen(
        [sys.executable, "-m", "bench.sink"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent.parent,
    )
    try:
        assert receiver.stdout is not None
        port = int(receiver.stdout.readline())
        for _ in range(rounds):
            for name in SUBJECTS:
                measured = one(name, port, calls)
                if measured is None:
                    continue
                known = best.setdefault(name, measured)
                for what, figures in measured.items():
                    known[what] = min(known[what], figures)
    finally:
        receiver.communicate("")
    return best


def table(best: dict[str, dict[str, list[float]]]) -> str:
    """The figures in Markdown, with the ratio of medians to those of ratchet-points."""
    lines = [
        "| µs a call | track p50 | p99 | × | error, 20 frames, p50 | p99 | × |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    floor = best["ratchet-points"]
    for name, figures in best.items():
        cells = [name]
        for what in ("track", "error"):
            middle, high = figures[what]
            cells += [f"{middle:,.1f}", f"{high:,.1f}", f"{middle / floor[what][0]:,.1f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--check", action="store_true", help="end with 1 if the promised medians are not held")
    given = parser.parse_args()
    best = compare(given.rounds, given.calls)
    print(table(best))
    missing = [name for name in SUBJECTS if name not in best]
    if missing:
        print(f"\nNot installed and not measured: {', '.join(missing)}.")
    slow = [what for what, limit in PROMISED.items() if best["ratchet-points"][what][0] > limit]
    if slow:
        print(f"\nSlower than promised: {', '.join(slow)}.")
    return 1 if slow and given.check else 0


if __name__ == "__main__":
    sys.exit(main())
