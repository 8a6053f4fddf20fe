"""Lines that could not be recorded or delivered: kept in the spool, each with the reason."""

from __future__ import annotations

import json
import os
import secrets
import time

from ratchet_points.descriptors import private
from ratchet_points.spool import REFUSED_PREFIX

LIMIT = 16 * 1024 * 1024


class RefusedLines:
    """The file of the spool that keeps refused lines, each with its number and the reason.

    It ends at ``LIMIT`` bytes: a program that sends rubbish without end would otherwise fill the spool for the others.
    """

    def __init__(self, folder: str) -> None:
        self.count = self.lost = 0
        self._size = 0
        self.first = ""
        began = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        self._path = os.path.join(folder, f"{REFUSED_PREFIX}{began}-{os.getpid()}-{secrets.token_hex(4)}.jsonl")

    def keep(self, number: int, text: str, reason: str) -> None:
        """Keep one line, from which secrets were taken, and go on."""
        self.count += 1
        self.first = self.first or f"{reason} (line {number})"
        entry = json.dumps({"line_number": number, "reason": reason, "line": text})
        self._size += len(entry) + 1
        if self._size > LIMIT:
            return
        try:
            os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
            with open(self._path, "ab", buffering=0, opener=private) as file:
                self.lost += file.write(entry.encode("ascii") + b"\n") != len(entry) + 1
        except OSError:
            self.lost += 1

    def kept_where(self) -> str:
        """Where the lines are, and whether it is all of them, as the end of a sentence."""
        if self.lost:
            return f"not all of them could be kept in {self._path}"
        first = f"the first {LIMIT >> 20} MiB of them" if self._size > LIMIT else "they"
        return f"{first} are kept in {self._path}"
