"""The two small languages inside the YAML: JMESPath expressions, and ${placeholders} for values.

Both are checked when a source is loaded. No error repeats a value, and none of the YAML an expression, which
may have come from the environment. What an expression cannot read in a reply is told with the expression, but
for what of it did.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Annotated, Any
from urllib.parse import quote

import jmespath
import jmespath.exceptions
import jmespath.functions
from pydantic import AfterValidator, Field

from pipeline.core.withheld import without_filled
from pipeline.platforms.protocol import Unreadable

_Node = dict[str, Any]
_PLACEHOLDER = re.compile(r"\$\{([a-z][a-z0-9_]*)\}")
_IN_BRACES = re.compile(r"\{([^{}]*)\}")
_ADDRESS = re.compile(r"https?://", re.IGNORECASE)
_UNQUOTED = "/:@!$&'()*+,;=?#%-._~"


# JMESPath -----------------------------------------------------------------------------------


def _sound(expression: str) -> str:
    """Raises ValueError for what is no JMESPath, or calls a function that JMESPath does not have."""
    try:
        tree = _parsed(expression)
    except jmespath.exceptions.ParseError as fault:
        raise ValueError(f"this is no JMESPath; it cannot be read from character {fault.lex_position + 1} on") from None
    except (jmespath.exceptions.JMESPathError, RecursionError):
        raise ValueError("this is no JMESPath") from None
    for node in _nodes(tree):
        if node["type"] == "function_expression":
            _require_function(node["value"], len(node["children"]))
    return expression


Expression = Annotated[str, Field(min_length=1, max_length=2_000), AfterValidator(_sound)]


def _require_function(name: str, given: int) -> None:
    known = jmespath.functions.Functions.FUNCTION_TABLE
    if name not in known:
        raise ValueError(f"JMESPath has no such function; it has {', '.join(sorted(known))}")
    signature = known[name]["signature"]
    enough = given >= len(signature) if signature[-1].get("variadic") else given == len(signature)
    if not enough:
        raise ValueError(f"JMESPath's function {name}() does not take {given} arguments")


def find(expression: str, value: Any, where: str) -> Any:
    """What the expression finds in decoded JSON, None where there is nothing.

    Raises Unreadable, which begins with ``where`` and the expression, where it cannot be applied at all.
    """
    try:
        return _compiled(expression).search(value)
    except jmespath.exceptions.JMESPathTypeError as fault:
        raise Unreadable(
            f"{where} ({without_filled(expression)}) cannot be read: {fault.function_name}() takes no"
            f" {fault.actual_type}, only {' or '.join(fault.expected_types)}"
        ) from None
    except (ValueError, TypeError, ArithmeticError, RecursionError) as fault:
        # JMESPath's functions are Python underneath and fail as Python does: 5 in 'abc', ceil of infinity.
        raise Unreadable(f"{where} ({without_filled(expression)}) cannot be read: {type(fault).__name__}") from None


def find_flag(expression: str, value: Any, where: str) -> bool:
    """Raises Unreadable where the expression says neither true nor false: what is not told is not guessed."""
    found = find(expression, value, where)
    if not isinstance(found, bool):
        raise Unreadable(f"{where} ({without_filled(expression)}) is neither true nor false")
    return found


def is_told(expression: str, value: Any) -> bool:
    """Whether the reply holds the key that a plain path such as ``meta.next`` names, be it null.

    JMESPath itself gives null for both. True for expressions that are more than a plain path.
    """
    tree = _parsed(expression)
    steps = tree["children"] if tree["type"] == "subexpression" else [tree]
    if any(step["type"] != "field" for step in steps):
        return True
    for step in steps:
        if not isinstance(value, dict) or step["value"] not in value:
            return False
        value = value[step["value"]]
    return True


def fields_of(expression: str) -> set[str]:
    """Every name of a field that occurs in the expression."""
    return {node["value"] for node in _nodes(_parsed(expression)) if node["type"] == "field"}


@cache
def _compiled(expression: str) -> Any:
    return jmespath.compile(expression)


def _parsed(expression: str) -> _Node:
    tree: _Node = _compiled(expression).parsed
    return tree


def _nodes(tree: _Node) -> Iterator[_Node]:
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += [child for child in node["children"] if isinstance(child, dict)]  # a slice has numbers


# Addresses of items -------------------------------------------------------------------------


def _sound_address(address: str) -> str:
    if not _ADDRESS.match(address):
        return _sound(address)
    if re.search(r"[{}]", _IN_BRACES.sub("", address)):
        raise ValueError("a brace stands alone; an expression stands in a pair of them")
    for inner in _IN_BRACES.findall(address):
        _sound(inner)
    return address


Address = Annotated[str, Field(min_length=1, max_length=2_000), AfterValidator(_sound_address)]
"""An expression, or an address that begins with http:// or https:// and holds expressions in braces."""


def find_address(address: str, value: Any, where: str) -> Any:
    """The address of an item; None where one of its parts is missing."""
    if not _ADDRESS.match(address):
        return find(address, value, where)
    parts = [find(inner, value, where) for inner in _IN_BRACES.findall(address)]
    if any(isinstance(part, bool) or not isinstance(part, str | int) for part in parts):
        return None
    texts = iter(quote(str(part), safe=_UNQUOTED) for part in parts)
    return _IN_BRACES.sub(lambda _: next(texts), address)


def fields_of_address(address: str) -> set[str]:
    """The fields that an address is made of: those in its braces, or those of an expression that finds all of it."""
    expressions = _IN_BRACES.findall(address) if _ADDRESS.match(address) else [address]
    return {name for expression in expressions for name in fields_of(expression)}


# Placeholders -------------------------------------------------------------------------------


def placeholders(text: str) -> set[str]:
    """The names in ${} of a text."""
    return set(_PLACEHOLDER.findall(text))


def fill(text: str, values: Mapping[str, str]) -> str:
    """``text`` with every ${name} replaced. Raises KeyError for a name without a value."""
    return _PLACEHOLDER.sub(lambda found: values[found[1]], text)


def fill_path(path: str, values: Mapping[str, str]) -> str:
    """A path with every ${name} replaced by one segment. Raises KeyError, and Unreadable for no segment."""
    if any(values[name] in ("", ".", "..") for name in placeholders(path)):
        raise Unreadable("a value that stands in the path would lead to another address")
    return _PLACEHOLDER.sub(lambda found: quote(values[found[1]], safe=""), path)


def is_filled(path: str, template: str) -> bool:
    """Whether ``path`` is what `fill_path` makes of ``template`` with some values."""
    literal = [re.escape(part) for part in _PLACEHOLDER.split(template)[::2]]
    return re.fullmatch("[^/]+".join(literal), path) is not None
