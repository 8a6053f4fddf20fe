"""Values into JSON text: attributes of any type, bounded in size and depth, with secrets taken out."""

from __future__ import annotations

import datetime
import enum
import itertools
import reprlib
from collections.abc import Iterable, Mapping

from ratchet_points.event import quoted, sound
from ratchet_points.redaction import REDACTED, cleaned, is_card, names_secret, suspicious

ATTRIBUTES = 128
TEXT_LIMIT = 4096
MESSAGE_LIMIT = 8192
ITEMS, DEPTH = 200, 6
_CACHED, _CACHED_LENGTH = 2048, 64
# Modules whose values are what str() says of them. Named, not imported: most programs never need them.
_TEXT_SAYS_ALL = frozenset(("decimal", "fractions", "ipaddress", "pathlib", "uuid"))
_SMALL = 10**12
_QUOTED_REDACTED = f'"{REDACTED}"'

_short = reprlib.Repr()
_short.maxstring = _short.maxother = 200
_int_text = int.__repr__
_float_text = float.__repr__


class Encoder:
    """Turns values into JSON text. Remembers keys and short texts, which come again and again."""

    def __init__(self, redact: bool | Iterable[str] = True) -> None:
        """``redact``: True for the usual secrets, further keys beside them, or False for none at all."""
        self.redacts = redact is not False
        self._more = frozenset() if isinstance(redact, bool) else frozenset(key.lower() for key in redact)
        self._keys: dict[object, str] = {}  # harmless ones, as ``"name":``
        self._texts: dict[str, str] = {}

    def attributes(self, attributes: Mapping[str, object]) -> str:
        """The inside of a JSON object."""
        keys, texts = self._keys, self._texts
        parts = []
        for key, value in attributes.items():
            prefix = keys.get(key)
            if prefix is None:
                parts.append(self._unknown(key, value))
                continue
            kind = type(value)
            if kind is int and -_SMALL < value < _SMALL:  # type: ignore[operator]
                parts.append(f"{prefix}{value}")
            elif kind is str:
                parts.append(prefix + (texts.get(value) or self.text(value)))  # type: ignore[arg-type, call-overload]
            else:
                parts.append(prefix + self._any(value, 0))
        if len(parts) > ATTRIBUTES:
            parts[ATTRIBUTES:] = [f'"points.attributes_omitted":{len(parts) - ATTRIBUTES}']
        return ",".join(parts)

    def _unknown(self, key: object, value: object, depth: int = 0) -> str:
        """A member of an object whose key is new, and from then on remembered, or names a secret."""
        name = sound(shown(key))[:TEXT_LIMIT]
        prefix = f"{quoted(name)}:"
        if self.redacts and names_secret(name, self._more):
            # Whether there is one is no secret.
            return prefix + (self._any(value, depth) if value is None or isinstance(value, bool) else _QUOTED_REDACTED)
        if len(self._keys) >= _CACHED:
            self._keys.clear()
        self._keys[key] = prefix
        return prefix + self._any(value, depth)

    def label(self, value: object) -> str:
        """A value as quoted JSON text, whatever its type."""
        return (self._texts.get(value) if type(value) is str else None) or self.text(shown(value))

    def text(self, value: str, limit: int = TEXT_LIMIT) -> str:
        """A text as quoted JSON, cut at ``limit`` characters and cleaned of secrets."""
        if len(value) > limit:
            # A secret that the cut goes through would no longer be recognised: clean first what is kept and a bit more.
            value = self._cleaned(value[: 2 * limit])[:limit] + "…"
        clean = self._cleaned(value)
        encoded = quoted(clean)
        if len(value) <= _CACHED_LENGTH and clean is value:
            if len(self._texts) >= _CACHED:
                self._texts.clear()
            self._texts[value] = encoded
        return encoded

    def _cleaned(self, value: str) -> str:
        return cleaned(value) if self.redacts and suspicious(value) else value

    def _any(self, value: object, depth: int) -> str:
        if value is None:
            return "null"
        if value is True or value is False:
            return "true" if value else "false"
        if isinstance(value, enum.Enum):
            return self._any(value.value, depth + 1) if depth < DEPTH else "null"
        if isinstance(value, str):
            return self.text(str.__str__(value))
        if isinstance(value, int):
            return self._integer(int(value))
        if isinstance(value, float):
            # JSON knows no infinity and no NaN; a text says what it was, where null would say that nothing was.
            number = float(value)
            return _float_text(number) if number - number == 0 else f'"{number}"'
        if isinstance(value, (bytes, bytearray, memoryview)):
            return f'"{len(value)} bytes"'
        try:
            return self._compound(value, depth)
        except Exception:
            return quoted(_unshown(value))

    def _integer(self, value: int) -> str:
        if not -(2**63) <= value < 2**64:
            return quoted(hex(value)[:TEXT_LIMIT])
        text = _int_text(value)
        if self.redacts and value >= _SMALL and is_card([int(digit) for digit in text]):
            return _QUOTED_REDACTED
        return text

    def _compound(self, value: object, depth: int) -> str:
        if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
            return quoted(value.isoformat())
        if type(value).__module__.split(".")[0] in _TEXT_SAYS_ALL:
            return self.text(str(value))
        if depth >= DEPTH:
            return self.text(_short.repr(value))
        if isinstance(value, Mapping):
            return f"{{{','.join([self._member(key, value[key], depth) for key in _first(value)])}}}"
        if isinstance(value, (list, tuple, set, frozenset)):
            if self._is_secret_pair(value):
                return f"[{self.text(value[0])},{_QUOTED_REDACTED}]"  # type: ignore[index]
            return f"[{','.join([self._any(item, depth + 1) for item in _first(value)])}]"
        return self.text(_short.repr(value))

    def _is_secret_pair(self, value: object) -> bool:
        """Whether it is a name and its value, as lists of headers have them, and the name says that it is secret."""
        return (
            self.redacts
            and isinstance(value, (list, tuple))
            and len(value) == 2
            and isinstance(value[0], str)
            and names_secret(value[0], self._more)
        )

    def _member(self, key: object, value: object, depth: int) -> str:
        name = shown(key)
        prefix = self._keys.get(name)
        return self._unknown(name, value, depth + 1) if prefix is None else prefix + self._any(value, depth + 1)


def _first(items: Iterable[object]) -> Iterable[object]:
    return itertools.islice(items, ITEMS)


def shown(value: object) -> str:
    """What ``str()`` says of a value, or that it says nothing: an object of the host may raise when it is asked."""
    try:
        return str(value)
    except Exception:
        return _unshown(value)


def _unshown(value: object) -> str:
    return f"({type(value).__name__}: it cannot be shown)"
