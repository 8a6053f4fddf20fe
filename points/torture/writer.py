"""A program that reports points, as fast as it can or at a pace, and says how far it came, until it is killed.

What it acknowledges lies in a file mapped into memory, which the kernel keeps when the process dies. Each thread has a
slot of 16 bytes there: the number of its last event whose ``track()`` returned an id, and that event's time in
nanoseconds.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
import threading
import time

import ratchet_points as points

THREADS = 2
SLOT = struct.Struct("<qq")


def main(spool: str, slots: str, mode: str, pause: float, ready: int) -> None:
    points.init(app="torture", spool=spool, mode=mode, segment_bytes=256 * 1024)
    with open(slots, "r+b") as file:
        memory = mmap.mmap(file.fileno(), THREADS * SLOT.size)
    others = [
        threading.Thread(target=report, args=(memory, slot, pause, ready), daemon=True) for slot in range(1, THREADS)
    ]
    for thread in others:
        thread.start()
    report(memory, 0, pause, ready)


def report(memory: mmap.mmap, slot: int, pause: float, ready: int) -> None:
    """Report numbered events for ever, ``pause`` seconds after one another."""
    number = 0
    while True:
        number += 1
        if points.track("torture.step", slot=slot, number=number) is None:
            number -= 1  # not taken, so not acknowledged: try this number again
            continue
        SLOT.pack_into(memory, slot * SLOT.size, number, time.time_ns())
        if number == 1:
            os.write(ready, b".")
        if pause:
            time.sleep(pause)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4]), int(sys.argv[5]))
