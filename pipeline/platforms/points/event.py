"""One event: a CloudEvents 1.0 envelope with OpenTelemetry's names inside, as docs/points.md describes it.

Whatever does not fit is refused with a reason in plain words that never quotes a value.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from pipeline.core.policy import LARGEST
from pipeline.platforms.replies import NOT_JSON

_KEY_MEMBERS = frozenset(("who", "where", "trace_id", "host", "version", "environment"))
_ERRORS = frozenset(("ERROR", "FATAL"))
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)

_Name = Annotated[str, Meta(min_length=1, max_length=200)]
_Text = Annotated[str, Meta(min_length=1, max_length=2000)]
_Time = Annotated[datetime, Meta(tz=True)]


class Refused(Exception):
    """An event that cannot be counted. The text says why and quotes nothing of it."""


class Data(msgspec.Struct, gc=False):
    """What the program said. Only what counts is named; the rest stays in the raw capture."""

    app: str = msgspec.field(name="service.name", default="")
    version: str = msgspec.field(name="service.version", default="")
    environment: str = msgspec.field(name="deployment.environment.name", default="")
    host: str = msgspec.field(name="host.name", default="")
    file: str = msgspec.field(name="code.file.path", default="")
    line: int = msgspec.field(name="code.line.number", default=0)
    function: str = msgspec.field(name="code.function.name", default="")
    trace_id: str | None = None
    who: str | None = msgspec.field(name="user.id", default=None)
    where: str | None = None
    severity: str = msgspec.field(name="severity_text", default="")
    exception: str = msgspec.field(name="exception.type", default="")
    attributes: dict[str, Any] = {}


class Event(msgspec.Struct, gc=False):
    """``source`` and ``id`` together name it; ``name`` is its point."""

    specversion: str
    source: _Text
    id: _Text
    name: _Name = msgspec.field(name="type")
    time: _Time
    data: Data = msgspec.field(default_factory=Data)

    @property
    def is_error(self) -> bool:
        """Whether its severity says so: ERROR or FATAL."""
        return self.data.severity in _ERRORS

    def key(self, name: str) -> str | None:
        """The value by which somebody or something is told from others; None where the event has none."""
        value = getattr(self.data, name) if name in _KEY_MEMBERS else self.data.attributes.get(name)
        if value is None or value == "":
            return None
        return value if isinstance(value, str) else msgspec.json.encode(value).decode()


_decoder = msgspec.json.Decoder(Event)


def decoded(text: bytes, latest: datetime) -> Event:
    """The event in ``text``. Raises Refused, also where its time is after ``latest`` or before 1970."""
    try:
        event = _decoder.decode(text)
    except msgspec.ValidationError as fault:
        raise Refused(f"it is not shaped as an event: {fault}") from None
    except NOT_JSON:
        raise Refused("it is not JSON") from None
    if not event.specversion.startswith("1."):
        raise Refused("its specversion is not that of CloudEvents 1")
    if not event.name.isprintable() or not event.name.strip():
        raise Refused("its type is no printable text")
    if event.time > latest:
        raise Refused("its time lies in the future")
    if event.time < _EARLIEST:
        raise Refused("its time lies before 1970")
    return event


def amounts(attributes: Mapping[str, Any], sums: Mapping[str, int]) -> dict[str, int]:
    """What an event adds to each sum, in units of the last decimal that is kept. Raises Refused."""
    return {
        name: _amount(name, attributes[name], kept) for name, kept in sums.items() if attributes.get(name) is not None
    }


def _amount(name: str, value: Any, decimals: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused(f"its {name} is not a number")
    if value < 0:
        raise Refused(f"its {name} is negative, and a sum that falls is no counter")
    if isinstance(value, int) and value <= LARGEST // 10**decimals:
        return value * int(10**decimals)
    # By the digits that were sent: 0.1 as a binary fraction is a little more than a tenth.
    scaled = Decimal(repr(value)).scaleb(decimals)
    if scaled > LARGEST:
        raise Refused(f"its {name} is larger than a counter can hold")
    if scaled != scaled.to_integral_value():
        raise Refused(f"its {name} has more than {decimals} decimals")
    return int(scaled)
