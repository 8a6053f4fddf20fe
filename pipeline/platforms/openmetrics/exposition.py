"""One answer of a program: OpenMetrics 1.0, or the older text format 0.0.4 of Prometheus, read exactly.

Sources: the OpenMetrics specification (prometheus/OpenMetrics), and Prometheus' documentation of its exposition
formats. Numbers stay the text that they came as, since a float would round them, and whatever makes an answer
doubtful as a whole raises Unreadable: a type told twice or too late, a series that stands twice, a counter that
is negative or no number. docs/decisions.md says why prometheus_client's parsers do not do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_FLOOR, Context, Decimal
from functools import lru_cache

from pipeline.core.policy import LARGEST
from pipeline.core.text import legible
from pipeline.platforms.protocol import Unreadable

OPENMETRICS = "application/openmetrics-text"

Labels = tuple[tuple[str, str], ...]
"""Names and values, in order of the names."""

_CUMULATIVE, _VALUE, _CREATED = "cumulative", "value", "created"
_ROLES: Mapping[str, Mapping[str, str]] = {
    "counter": {"_total": _CUMULATIVE, "_created": _CREATED},
    "histogram": {"_bucket": _CUMULATIVE, "_count": _CUMULATIVE, "_sum": _CUMULATIVE, "_created": _CREATED},
    "summary": {"": _VALUE, "_count": _CUMULATIVE, "_sum": _CUMULATIVE, "_created": _CREATED},
    "gaugehistogram": {"_bucket": _VALUE, "_gcount": _VALUE, "_gsum": _VALUE},
    "gauge": {"": _VALUE},
    "info": {"_info": _VALUE},
    "stateset": {"": _VALUE},
    "unknown": {"": _VALUE},
}
"""By type of a family the samples that it has, by what follows its name."""
_TEXT_ROLES: Mapping[str, Mapping[str, str]] = {
    "counter": {"": _CUMULATIVE, "_total": _CUMULATIVE},
    "histogram": {"_bucket": _CUMULATIVE, "_count": _CUMULATIVE, "_sum": _CUMULATIVE},
    "summary": {"": _VALUE, "_count": _CUMULATIVE, "_sum": _CUMULATIVE},
    "gauge": {"": _VALUE},
    "untyped": {"": _VALUE},
}
_PARTS = ("_total", "_bucket", "_count", "_sum", "_created")
_BY_PART = frozenset(("le", "quantile"))
"""Labels that tell the parts of one histogram or summary apart, which all have one epoch."""

_STRING = r'"(?:[^"\\\n]++|\\.)*+"'
_SAMPLE = re.compile(
    rf"([a-zA-Z_:][a-zA-Z0-9_:]*+)?(?:\{{((?:[^\"{{}}]++|{_STRING})*+)\}})?[ \t]+([^\s#]\S*)"
    r"(?:[ \t]+([^\s#]\S*))?(?:[ \t]+#[^\n]*)?[ \t]*"
)
_LABEL = re.compile(rf"[ \t]*(?:([a-zA-Z_][a-zA-Z0-9_]*|{_STRING})[ \t]*=[ \t]*)?({_STRING})[ \t]*(?:,|$)")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[+-]?(?:inf|infinity|nan)", re.IGNORECASE)
_LONGEST_NUMBER, _LONGEST_SERIES, _MOST_DIGITS = 64, 1_000, 30
_CONTEXT = Context(prec=120)
_REMEMBERED = 50_000


@dataclass(frozen=True, slots=True)
class Sample:
    """One series of an answer. ``value`` is a number's text; ``created``: when its epoch began, in µs since 1970."""

    item: str
    name: str
    labels: Labels
    value: str
    cumulative: bool
    created: int | None = None


@dataclass
class _Families:
    """What the lines so far said of the types of families."""

    openmetrics: bool
    types: dict[str, str] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)

    def declare(self, line: str) -> None:
        """A line that begins with ``# TYPE``."""
        _, _, name, kind, *rest = [*line.split(None, 3), "", ""][:5]
        name, kind = _unquoted(name), kind.strip()
        known = _ROLES if self.openmetrics else _TEXT_ROLES
        if rest[0] or kind not in known or not name:
            raise Unreadable("a type is declared that there is not")
        if name in self.types:
            raise Unreadable(f"the type of {legible(name, 100)} is declared twice")
        self.types[name] = kind
        for suffix, role in known[kind].items():
            if name + suffix in self.seen:
                raise Unreadable(f"the type of {legible(name, 100)} is declared after its samples")
            if self.roles.setdefault(name + suffix, role) != role:
                raise Unreadable(f"{legible(name + suffix, 100)} belongs to two families")

    def role(self, name: str) -> str:
        self.seen.add(name)
        role = self.roles.get(name)
        if role is None and name in self.types:
            raise Unreadable(f"{legible(name, 100)} is no name of a sample of the type {self.types[name]}")
        if not self.openmetrics and role == _VALUE and name.endswith("_created") and self._is_epoch(name):
            return _CREATED
        return role or _VALUE

    def _is_epoch(self, name: str) -> bool:
        """Whether it is what prometheus_client makes of ``_created`` in the older format: a gauge of that name."""
        base = name.removesuffix("_created")
        counted = ("counter", "histogram", "summary")
        return self.types.get(base) in counted or self.types.get(base + "_total") == "counter"


def read(body: bytes, *, openmetrics: bool) -> list[Sample]:
    """The series of an answer, each once. Raises Unreadable, which names the line where one is at fault."""
    families, found, created = _Families(openmetrics), {}, {}
    for number, line in _lines(body, openmetrics):
        try:
            if line.startswith("#"):
                if line.split(None, 2)[1:2] == ["TYPE"]:
                    families.declare(line)
                continue
            item, name, labels, value = _parted(line)
            role = families.role(name)
            if item in found:
                raise Unreadable(f"{legible(item, 200)} stands twice")
            _require_sound(item, value, role)
        except Unreadable as fault:
            raise Unreadable(f"line {number}: {fault}") from None
        found[item] = Sample(item, name, labels, value, role == _CUMULATIVE)
        if role == _CREATED:
            created[_epoch_key(name, labels)] = item
    if not found:
        raise Unreadable("it holds no sample")
    return list(_with_epochs(found, created))


def _with_epochs(found: Mapping[str, Sample], created: Mapping[tuple[str, Labels], str]) -> Iterator[Sample]:
    epochs, told = {key: found[item] for key, item in created.items()}, set(created.values())
    for item, sample in found.items():
        if item in told:
            continue
        epoch = epochs.get(_epoch_key(sample.name, sample.labels)) if sample.cumulative and epochs else None
        if epoch is None:
            yield sample
        else:
            began = scaled(epoch.value, 6)
            if began is None:
                raise Unreadable(f"{legible(epoch.item, 200)} is no time")
            yield Sample(item, sample.name, sample.labels, sample.value, True, began[0])


def _lines(body: bytes, openmetrics: bool) -> Iterator[tuple[int, str]]:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise Unreadable("it is not UTF-8") from None
    if not text.strip():
        raise Unreadable("it is empty")
    lines = text.removesuffix("\n").split("\n")
    if openmetrics:
        if lines[-1] != "# EOF":
            raise Unreadable("it does not end with # EOF, so nobody knows whether all of it arrived")
        if "# EOF" in lines[:-1]:
            raise Unreadable("it goes on after # EOF")
        lines.pop()
    elif not text.endswith("\n"):
        raise Unreadable("its last line is not ended, so nobody knows whether all of it arrived")
    return ((number, line.rstrip("\r")) for number, line in enumerate(lines, 1) if line.strip())


@lru_cache(maxsize=_REMEMBERED)
def _parted(line: str) -> tuple[str, str, Labels, str]:
    """Item, name, labels and value. From scrape to scrape most lines of a program stay as they are."""
    found = _SAMPLE.fullmatch(line)
    if found is None or (found[4] is not None and not _is_number(found[4])):
        raise Unreadable("it is no sample")
    name, labels = found[1] or "", _labels(found[2] or "")
    if not name and labels and labels[0][0] == "":
        name, labels = labels[0][1], labels[1:]
    if not name or any(label == "" for label, _ in labels):
        raise Unreadable("it is a sample without a name")
    item = item_of(name, labels)
    if len(item) > _LONGEST_SERIES:
        raise Unreadable(f"a series has a name and labels of more than {_LONGEST_SERIES:,} characters")
    return item, name, labels, found[3]


def _labels(written: str) -> Labels:
    """Label by label; a name in quotation marks that stands alone is the metric's, and has the name "" here."""
    labels: dict[str, str] = {}
    at = 0
    while at < len(written) and written[at:].strip():
        found = _LABEL.match(written, at)
        if found is None:
            raise Unreadable("its labels cannot be read")
        name = _unquoted(found[1] or "")
        if name in labels:
            raise Unreadable("one of its labels stands twice")
        labels[name], at = _unquoted(found[2]), found.end()
    return tuple(sorted(labels.items()))


def _unquoted(text: str) -> str:
    if not text.startswith('"'):
        return text
    return _ESCAPED.sub(lambda found: {"n": "\n", '"': '"', "\\": "\\"}.get(found[1], found[0]), text[1:-1])


def item_of(name: str, labels: Labels) -> str:
    """A series as an item's id: its name, and its labels in the order of their names."""
    if not labels:
        return name
    escaped = ((k, v.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")) for k, v in labels)
    return name + "{" + ",".join(f'{label}="{value}"' for label, value in escaped) + "}"


@lru_cache(maxsize=_REMEMBERED)
def _epoch_key(name: str, labels: Labels) -> tuple[str, Labels]:
    base = next((name.removesuffix(part) for part in _PARTS if name.endswith(part)), name)
    return base, tuple(pair for pair in labels if pair[0] not in _BY_PART) if labels else labels


def _is_number(text: str) -> bool:
    return len(text) <= _LONGEST_NUMBER and _NUMBER.fullmatch(text) is not None


def _require_sound(item: str, value: str, role: str) -> None:
    if not _is_number(value):
        if not _NOT_FINITE.fullmatch(value):
            raise Unreadable(f"the value of {legible(item, 200)} is not a number")
        if role != _VALUE:
            raise Unreadable(f"{legible(item, 200)} is NaN or infinite, and a counter cannot be")
    elif role != _VALUE and value.startswith("-") and Decimal(value) < 0:
        raise Unreadable(f"{legible(item, 200)} is negative, and a counter cannot be")


@lru_cache(maxsize=_REMEMBERED)
def scaled(value: str, decimals: int) -> tuple[int, bool] | None:
    """A number in units of its last decimal that is kept, rounded down, and whether that is all of it.

    None for what is no finite number, or larger than a counter can hold. By its digits, so exact.
    """
    if not decimals and value.isdecimal() and len(value) < 19:
        return int(value), True
    if not _is_number(value):
        return None
    number = Decimal(value)
    if number.adjusted() > _MOST_DIGITS:
        return None if number else (0, True)
    if number and number.adjusted() < -_MOST_DIGITS:
        return (0 if number > 0 else -1), False
    units = number.scaleb(decimals, _CONTEXT)
    whole = units.to_integral_value(ROUND_FLOOR, _CONTEXT)
    return (int(whole), whole == units) if abs(whole) <= LARGEST else None
