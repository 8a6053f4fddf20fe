"""What an event says. Whoever wants other content in every event edits this module and no other.

An event is a CloudEvents 1.0 envelope in JSON; inside, names are OpenTelemetry's wherever it has one. It is put
together from fragments of JSON text, because most of them stay the same: those of the process, of the place in the
program, of the thread. Every function here returns such a fragment, in ASCII; those that can follow another one begin
with a comma. The two parts that ``opening`` and ``closing`` make are an event.
"""

from __future__ import annotations

import os
import sys
import urllib.parse
from json.encoder import encode_basestring_ascii
from typing import NamedTuple

BEHAVIOUR, QUALITY, ENVIRONMENT, OPERATION = "behaviour", "quality", "environment", "operation"
KINDS = frozenset((BEHAVIOUR, QUALITY, ENVIRONMENT, OPERATION))
STARTED, DROPPED = "points.started", "points.dropped"
SDK_VERSION = "0.1.0"
NAME_LIMIT = 200


class Refused(Exception):
    """An event that cannot be recorded. The text is the reason under which it is counted as dropped."""


class Identity(NamedTuple):
    """Who speaks. ``run`` is random and new in every process, so that ids are unique without a shared counter."""

    app: str
    version: str
    environment: str
    host: str
    pid: int
    run: str

    @classmethod
    def of(cls, app: str, version: str, environment: str) -> Identity:
        """The identity of this process, as it starts."""
        return cls(app, version, environment, _host(), 0, "").renewed()

    def renewed(self) -> Identity:
        """The identity of this process after a fork: another run, whose ids are its own."""
        return self._replace(pid=os.getpid(), run="r" + os.urandom(8).hex())


def _host() -> str:
    if hasattr(os, "uname"):
        return os.uname().nodename
    import socket

    return socket.gethostname()


def sound(text: str) -> str:
    """The text without lone surrogates, which are no Unicode and which many readers of JSON refuse.

    Python puts them where a file's name or an argument holds bytes that are no UTF-8.
    """
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def quoted(text: str) -> str:
    """The text as JSON, in ASCII."""
    return encode_basestring_ascii(sound(text))


def head(identity: Identity) -> str:
    """The envelope's members that stay the same for a whole process."""
    host, app = (urllib.parse.quote(sound(text), safe="") for text in (identity.host, identity.app))
    source = f"//{host}/{app}"
    return f'{{"specversion":"1.0","source":{quoted(source)},"datacontenttype":"application/json"'


def resource(identity: Identity) -> str:
    """The members of ``data`` that stay the same for a whole process."""
    return (
        f'"service.name":{quoted(identity.app)},"service.version":{quoted(identity.version)},'
        f'"deployment.environment.name":{quoted(identity.environment)},'
        f'"host.name":{quoted(identity.host)},"process.pid":{identity.pid}'
    )


def point(name: object, kind: object) -> str:
    """The envelope's members that name the point. Raises Refused for a name or kind that is none."""
    if not isinstance(name, str) or not name.strip() or len(name) > NAME_LIMIT or not name.isprintable():
        raise Refused("the name of a point is no printable text of 1 to 200 characters")
    if kind not in KINDS:
        raise Refused("the kind of an event is none of behaviour, quality, environment, operation")
    return f',"type":{quoted(name)},"kind":"{kind}"'


def place(path: str, line: int, function: str) -> str:
    """Where in the program the event was reported. A line 0 and an empty function are not known, and left out."""
    return (
        f',"code.file.path":{quoted(path)}'
        + (f',"code.line.number":{line:d}' if line else "")
        + (f',"code.function.name":{quoted(function)}' if function else "")
    )


def frame(path: str, line: int, function: str) -> str:
    """One frame of an exception, as a whole JSON object."""
    return f"{{{place(path, line, function)[1:]}}}"


def full_frame(frame: str, source: str | None, local_variables: str | None) -> str:
    """A frame with its source line, a quoted JSON text, and its variables, the inside of an object, where given."""
    return (
        frame[:-1]
        + (f',"code.line":{source}' if source is not None else "")
        + (f',"code.locals":{{{local_variables}}}' if local_variables is not None else "")
        + "}"
    )


def thread(ident: int, name: str) -> str:
    """Which thread reported the event."""
    return f',"thread.id":{ident:d},"thread.name":{quoted(name)}'


def context(trace_id: str | None, who: str | None, where: str | None) -> str:
    """The request, the user and the screen, page or region, as already quoted JSON texts, where they are given."""
    return (
        (f',"trace_id":{trace_id}' if trace_id is not None else "")
        + (f',"user.id":{who}' if who is not None else "")
        + (f',"where":{where}' if where is not None else "")
    )


def severity(text: str) -> str:
    """An event with a severity of ERROR or FATAL is an error to whoever counts errors."""
    return f',"severity_text":{quoted(text)}'


def exception(type_name: str, message: str, frames: str, omitted: int, causes: str) -> str:
    """An exception. ``message`` is quoted already; ``frames`` and ``causes`` are the insides of JSON arrays."""
    return (
        f',"exception.type":{quoted(type_name)},"exception.message":{message},"exception.frames":[{frames}]'
        + (f',"exception.frames_omitted":{omitted:d}' if omitted else "")
        + (f',"exception.causes":[{causes}]' if causes else "")
    )


def cause(type_name: str, message: str) -> str:
    """An exception that led to another one, as a whole JSON object. ``message`` is quoted already."""
    return f'{{"exception.type":{quoted(type_name)},"exception.message":{message}}}'


def sampled(rate: float) -> str:
    """CloudEvents' extension for sampling: for how many events this one stands."""
    return f',"sampledrate":{max(1, round(1 / rate)):d}'


def opening(head: str, point: str, resource: str, place: str) -> bytes:
    """The first part of an event: all that stays the same each time a place in the program reports a point."""
    return f'{head}{point},"data":{{{resource}{place}'.encode("ascii")


def closing(thread: str, details: str, attributes: str, event_id: str, time: str, sampled: str) -> bytes:
    """The second part: what is new each time. ``details`` are the fragments of context, severity and exception."""
    return (f'{thread}{details},"attributes":{{{attributes}}}}},"id":"{event_id}","time":"{time}"{sampled}}}').encode(
        "ascii"
    )


def environment_attributes(region: str | None, operator: str | None) -> dict[str, object]:
    """What a process says once, when it starts, about what it runs on."""
    import platform  # only here: it costs milliseconds

    attributes: dict[str, object] = {
        "process.runtime.name": sys.implementation.name,
        "process.runtime.version": platform.python_version(),
        "os.type": sys.platform,
        "os.version": platform.release(),
        "host.arch": platform.machine(),
        "telemetry.sdk.name": "ratchet-points",
        "telemetry.sdk.language": "python",
        "telemetry.sdk.version": SDK_VERSION,
    }
    if region is not None:
        attributes["cloud.region"] = region
    if operator is not None:
        attributes["network.carrier.name"] = operator
    return attributes
