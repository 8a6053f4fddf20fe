"""What ``init()`` can be told, and whether it can be used."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, Callable, NamedTuple, Optional, Union

from ratchet_points.posting import is_address

SPOOL_BYTES, SEGMENT_BYTES = 1 << 30, 1 << 24
BeforeSend = Callable[[dict[str, Any]], Optional[dict[str, Any]]]
Sample = Union[float, Mapping[str, float]]


class Options(NamedTuple):
    """What ``init()`` was told, made sound.

    ``foreign``: the events are another program's, so this process and its threads say nothing about themselves.
    ``shared``: this process lives for one event and appends to a segment that it shares with others of its kind.
    """

    app: str
    spool: str
    version: str = ""
    environment: str = ""
    mode: str = "embedded"
    before_send: BeforeSend | None = None
    sample: Sample = 1.0
    redact: bool | Iterable[str] = True
    region: str | None = None
    operator: str | None = None
    with_locals: bool = False
    with_source: bool = False
    spool_bytes: int = SPOOL_BYTES
    segment_bytes: int = SEGMENT_BYTES
    shared: bool = False
    foreign: bool = False


def default_spool() -> str:
    """The folder for events where none is named: $POINTS_SPOOL, else ``points-spool`` in the working folder."""
    return os.environ.get("POINTS_SPOOL") or "points-spool"


def usable(spool: str | os.PathLike[str] | None, redact: bool | Iterable[str], **given: Any) -> Options:
    """The options that ``init()`` was given, if they can be used. Raises ValueError with a sentence, or TypeError."""
    options = Options(
        spool=default_spool() if spool is None else os.fsdecode(spool),
        redact=redact if isinstance(redact, (bool, str)) else tuple(redact),
        **given,
    )
    if not isinstance(options.app, str) or not options.app.strip():
        raise ValueError("app is the program's name and cannot be empty.")
    if options.mode not in ("embedded", "memory"):
        raise ValueError("mode is neither 'embedded' nor 'memory'.")
    if "://" in options.spool and not (options.mode == "memory" and is_address(options.spool)):
        raise ValueError("an address as spool has to begin with http:// or https:// and needs mode='memory'.")
    rates = list(options.sample.values()) if isinstance(options.sample, Mapping) else [options.sample]
    if not all(isinstance(rate, (int, float)) and 0.0 <= rate <= 1.0 for rate in rates):
        raise ValueError("sample is a share from 0 to 1, or a dict of such shares by point.")
    if options.before_send is not None and not callable(options.before_send):
        raise ValueError("before_send is not callable.")
    if isinstance(options.redact, str):
        raise ValueError("redact is True, False or a list of keys.")
    if not all(isinstance(size, int) and size > 0 for size in (options.spool_bytes, options.segment_bytes)):
        raise ValueError("spool_bytes and segment_bytes are numbers of bytes above 0.")
    return options._replace(version=str(options.version), environment=str(options.environment))
