"""Where in a program a call stands: file, line and function, as cheaply as Python tells it.

The text of a place is made once for each call site. A site is known by its code object's address and the offset of the
instruction; the cache holds the code object too, so that no other one can have that address meanwhile.
"""

from __future__ import annotations

import os
import zlib
from types import CodeType, FrameType, TracebackType
from typing import NamedTuple

from ratchet_points import event

SITES = 4096
_working_folder = os.getcwd() if os.path.isdir(os.curdir) else os.sep


class Site(NamedTuple):
    """A call site with the part of its events that stays the same, and that part's checksum."""

    code: CodeType
    opening: bytes
    checksum: int


class Places:
    """The places of a process. Bounded: a program that makes code without end forgets and learns again."""

    def __init__(self) -> None:
        self.sites: dict[tuple[int, int, object, object], Site] = {}
        self._frames: dict[tuple[int, int], tuple[CodeType, str]] = {}

    def learn(self, frame: FrameType, name: object, kind: object, head: str, resource: str) -> Site:
        """The site where ``frame`` calls, remembered. Raises event.Refused for a bad name or kind."""
        code = frame.f_code
        opening = event.opening(head, event.point(name, kind), resource, event.place(*place_in(frame, frame.f_lineno)))
        site = Site(code, opening, zlib.crc32(opening))
        if len(self.sites) >= SITES:
            self.sites.clear()
        self.sites[id(code), frame.f_lasti, name, kind] = site
        return site

    def frame(self, step: TracebackType) -> str:
        """One frame of a traceback as a JSON object."""
        code = step.tb_frame.f_code
        known = self._frames.get((id(code), step.tb_lasti))
        if known is None:
            known = (code, event.frame(*place_in(step.tb_frame, step.tb_lineno)))
            if len(self._frames) >= SITES:
                self._frames.clear()
            self._frames[id(code), step.tb_lasti] = known
        return known[1]


def place_in(frame: FrameType, line: int | None) -> tuple[str, int, str]:
    """The file of a frame, this line of it, and the function with its module, as OpenTelemetry wants it.

    Before Python 3.11 without its class.
    """
    code = frame.f_code
    module = frame.f_globals.get("__name__", "?")
    return _path_of(code), line or 0, f"{module}.{getattr(code, 'co_qualname', code.co_name)}"


def _path_of(code: CodeType) -> str:
    """The file of a code object; absolute, as the working folder stood when the program started."""
    path = code.co_filename
    return path if path.startswith("<") else os.path.join(_working_folder, path)


def place_of(function: object) -> tuple[str, int, str] | None:
    """The file, first line and name of a function; None of something that has no code of its own."""
    import inspect

    code = getattr(inspect.unwrap(function) if callable(function) else function, "__code__", None)
    if not isinstance(code, CodeType):
        return None
    module, name = getattr(function, "__module__", "?"), getattr(function, "__qualname__", code.co_name)
    return _path_of(code), code.co_firstlineno, f"{module}.{name}"
