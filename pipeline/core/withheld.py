"""Secrets that this process has read, and words without them.

A secret leaves the environment for the headers of a request and the address of a channel, and nothing else. A crash
is the one text that nobody wrote: a library may quote whatever it was given, in its own quoting. Which source a
crash belongs to is often unknown (a job over all of them, a command that ends early), so a process knows all the
secrets it has read, from the moment their source was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pipeline.core.text import legible

if TYPE_CHECKING:
    from pydantic import BaseModel

WITHHELD = "(withheld)"
_SHORTEST, _SHORTEST_PART = 4, 8
_BETWEEN_PARTS = re.compile(r"[\s/?&=@:;,]+")
_HOST = re.compile(r"((?<=://)|(?<=@))(localhost|[\w-]+(\.[\w-]+)+)(?=[:/?]|$)", re.ASCII)

_known: set[str] = set()
_filled: set[str] = set()


def withhold(*models: BaseModel) -> None:
    """Remember the secrets in ``models``, at whatever depth, for `without_secrets`.

    Of one that is put together (a channel's address, ``Bearer`` and a token, a line of cookies) each part of eight
    characters or more is a secret too: what it is given to takes it apart. The host of an address is none, and nothing
    shorter than four characters is: it stands in every other word.
    """
    for model in models:
        for secret in _secrets(model):
            parts = _BETWEEN_PARTS.split(_HOST.sub("", secret))
            _known.update(part for part in parts if len(part) >= _SHORTEST_PART)
            if len(secret) >= _SHORTEST:
                _known.add(secret)


def withhold_filled(value: str) -> None:
    """Remember that a source's YAML was filled with ``value`` of the environment, for `without_filled`."""
    _filled.add(value)


def without_filled(written: str) -> str:
    """What was written in a source's YAML as an error repeats it: one line, not too long.

    Any value of the environment is taken out, be it a secret or a common word.
    """
    for value in sorted(_filled, key=len, reverse=True):
        written = written.replace(value, WITHHELD)
    return legible(without_secrets(written))


def without_secrets(text: str) -> str:
    """``text`` with each secret that `withhold` was told replaced, in whatever quoting and however often quoted."""
    if not _known:
        return text
    longest_first = sorted(_known, key=len, reverse=True)
    return re.sub("|".join(map(_in_any_quoting, longest_first)), WITHHELD, text)


def _secrets(value: object) -> Iterator[str]:
    from pydantic import BaseModel, SecretStr  # only now: every error needs this module, `ratchet --help` no models

    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _secrets(getattr(value, name))
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _secrets(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _secrets(each)


def _in_any_quoting(secret: str) -> str:
    return "".join(map(_character, secret))


def _character(char: str) -> str:
    r"""A pattern of one character as it is, and as Python, JSON and an address quote it.

    These are ``\n``, ``\'``, ``\xe9``, ``\u00e9`` and ``%C3%A9``; quoting what is quoted already only adds backslashes.
    """
    import json

    if char.isascii() and char.isalnum():
        return char
    coded = char.encode("utf-8", "surrogatepass")
    in_address = "".join(f"%{byte:02X}" for byte in coded)
    if char == "\\":
        return rf"(?:\\+|(?i:{in_address}))"
    quoted = {char, repr(char)[1:-1], ascii(char)[1:-1], repr(coded)[2:-1], json.dumps(char)[1:-1]}
    ways = {r"\\+".join(map(re.escape, each.lstrip("\\").split("\\"))) for each in quoted}
    ways |= {f"(?i:{in_address})", r"\+"} if char == " " else {f"(?i:{in_address})"}
    return rf"\\*(?:{'|'.join(sorted(ways, key=len, reverse=True))})"
