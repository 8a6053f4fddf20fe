"""Events that programs in other languages hand over: one JSON object a line, refused one by one with a reason."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any, BinaryIO, NamedTuple, Optional

from ratchet_points import event
from ratchet_points.context import Bound
from ratchet_points.redaction import cleaned
from ratchet_points.values import Encoder

LINE_LIMIT = 128 * 1024
DIGITS = 1000
FRAMES, PATH_LIMIT = 50, 500
MEMBERS = "name, kind, time, who, where, trace_id, file, line, function, severity, exception, attributes"
_KNOWN = frozenset(MEMBERS.split(", "))
_TEXTS = ("kind", "time", "who", "where", "trace_id", "file", "function", "severity")
_SEVERITIES = frozenset(("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"))
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")


class Foreign(NamedTuple):
    """An event as another program describes it."""

    name: str
    kind: str
    attributes: dict[str, object]
    bound: Bound = Bound()
    place: Optional[tuple[str, int, str]] = None  # noqa: UP045 - evaluated by readers of annotations in Python 3.9
    time: Optional[str] = None  # noqa: UP045
    severity: Optional[str] = None  # noqa: UP045
    exception: Optional[tuple[str, str, list[tuple[str, int, str]]]] = None  # noqa: UP045


def lines(stream: BinaryIO) -> Iterator[tuple[bytes, bool]]:
    """The lines of a stream, each at most ``LINE_LIMIT`` bytes, and whether it was whole. Blank ones are left out."""
    while line := stream.readline(LINE_LIMIT):
        whole = line.endswith(b"\n") or len(line) < LINE_LIMIT
        rest = line
        while not whole and rest and not rest.endswith(b"\n"):
            rest = stream.readline(LINE_LIMIT)
        if line.strip():
            yield line.rstrip(b"\r\n"), whole


def parsed(line: bytes) -> Foreign:
    """The event in one line of JSON. Raises ValueError with the reason, in plain words and without the value."""
    try:
        told = json.loads(line.decode("utf-8"), parse_constant=_no_constant, parse_int=_integer)
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON: {error.msg.lower()} at character {error.pos + 1}") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(told, dict):
        raise ValueError("it is not a JSON object")
    return checked(told)


def checked(told: dict[str, Any]) -> Foreign:
    """The event that ``told`` describes. Raises ValueError with the reason."""
    unknown = sorted(set(told) - _KNOWN)
    if unknown:
        raise ValueError(f"it has the unknown member {unknown[0][:50]!r}; known are {MEMBERS}")
    for member in _TEXTS:
        if told.get(member) is not None and not isinstance(told[member], str):
            raise ValueError(f"its {member} is not a text")
    if "name" not in told:
        raise ValueError("it has no name")
    attributes = told.get("attributes") or {}
    if not isinstance(attributes, dict):
        raise ValueError("its attributes are not an object")
    failure = _exception(told.get("exception"))
    severity = told.get("severity")
    if severity is not None and severity not in _SEVERITIES:
        raise ValueError(f"its severity is none of {', '.join(sorted(_SEVERITIES))}")
    kind = told.get("kind") or (event.QUALITY if failure or severity in ("ERROR", "FATAL") else event.BEHAVIOUR)
    try:
        event.point(told["name"], kind)
    except event.Refused as refusal:
        raise ValueError(str(refusal)) from None
    return Foreign(
        told["name"],
        kind,
        attributes,
        Bound(told.get("trace_id"), told.get("who"), told.get("where")),
        _place(told),
        _time(told.get("time")),
        severity,
        failure,
    )


def value(text: str) -> object:
    """A value of the command line: a number, true, false or null where it reads as one, else the text."""
    try:
        read = json.loads(text, parse_int=_integer)
    except (ValueError, RecursionError):
        return text
    if isinstance(read, (dict, list, str)) or (isinstance(read, float) and not math.isfinite(read)):
        return text
    return read


def without_secrets(line: bytes) -> str:
    """A line that was refused, for people to look at: of an object what its keys say is secret, else what looks so."""
    text = line.decode("utf-8", "backslashreplace")
    try:
        told = json.loads(text, parse_int=_integer)
    except (ValueError, RecursionError):
        return cleaned(text)
    return f"{{{Encoder().attributes(told)}}}" if isinstance(told, dict) else cleaned(text)


def _integer(digits: str) -> int:
    if len(digits) > DIGITS:
        raise ValueError(f"it holds a number of more than {DIGITS:,} digits")
    return int(digits)


def _no_constant(name: str) -> float:
    raise ValueError(f"it is not JSON: {name} is no number")


def _time(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        if not _TIME.fullmatch(text):
            raise ValueError
        # Only to see whether there is such a time, and such an offset.
        datetime.fromisoformat(text[:19] + (text[-6:] if text[-1] != "Z" else "+00:00")).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        raise ValueError("its time is not written as 2026-11-22T14:00:00Z") from None
    return text


def _place(told: dict[str, Any]) -> tuple[str, int, str] | None:
    if told.get("file") is None:
        if told.get("line") is not None or told.get("function") is not None:
            raise ValueError("it has a line or a function but no file")
        return None
    function = told.get("function") or ""
    return told["file"][:PATH_LIMIT], _line_number(told.get("line")), function[:PATH_LIMIT]


def _line_number(told: object) -> int:
    if told is None:
        return 0
    if isinstance(told, bool) or not isinstance(told, int) or not 0 <= told < 2**31:
        raise ValueError("its line is not a line number")
    return told


def _is_frame(told: object) -> bool:
    return isinstance(told, dict) and all(isinstance(told.get(member) or "", str) for member in ("file", "function"))


def _exception(told: object) -> tuple[str, str, list[tuple[str, int, str]]] | None:
    if told is None:
        return None
    if not isinstance(told, dict) or not isinstance(told.get("type"), str):
        raise ValueError("its exception is not an object with a type")
    message, frames = told.get("message") or "", told.get("frames") or []
    if not isinstance(message, str):
        raise ValueError("its exception's message is not a text")
    if not isinstance(frames, list) or not all(_is_frame(frame) for frame in frames):
        raise ValueError("its exception's frames are not a list of objects with file, line and function")
    places = [_place({"file": "?", **frame}) for frame in frames[-FRAMES:]]
    return told["type"][:PATH_LIMIT], message, [place for place in places if place is not None]
