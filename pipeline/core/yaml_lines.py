"""YAML with line numbers: the values of a file, and on which line each of them stands."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipeline.core.errors import ConfigError

_REPEATED = re.compile(r"(alias|tag|handle) '.*", re.DOTALL)
"""Where YAML's words repeat what was written: a secret that begins with ``*`` or ``!`` and stands in no quotes."""

Place = tuple[str | int, ...]
"""Of a value in a file: the keys and positions that lead to it."""


@dataclass(frozen=True)
class Document:
    """A parsed file. ``line`` finds the line of a key or value by its path."""

    path: Path
    values: Any
    _root: yaml.Node

    def line(self, location: Sequence[str | int]) -> int:
        """The line of the deepest part of ``location`` that is in the file, counted from 1."""
        node, line = self._root, self._root.start_mark.line
        for step in location:
            found = _child(node, step)
            if found is None:
                break
            node, line = found
        return line + 1


def error_at(document: Document, location: Sequence[str | int], what: str, next_step: str) -> ConfigError:
    """The error about what stands there, with file and line."""
    return ConfigError(what, next_step, file=document.path, line=document.line(location))


def read_document(path: Path) -> Document:
    """Raises ConfigError, with the line, for a file that is missing, no YAML, or names a key twice."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        raise ConfigError("the file cannot be read", f"Check it: {type(fault).__name__}.", file=path) from None
    try:
        root = yaml.compose(text, Loader=_Loader)
        _refuse_double_keys(path, root)
        values = yaml.load(text, Loader=_Loader)  # noqa: S506  a safe loader
    except yaml.MarkedYAMLError as fault:
        line = fault.problem_mark.line + 1 if fault.problem_mark else None
        raise _not_yaml(path, _REPEATED.sub(r"\1", str(fault.problem)), line) from None
    except yaml.reader.ReaderError as fault:
        line = text.count("\n", 0, fault.position) + 1
        raise _not_yaml(path, "a character that cannot be seen", line) from None
    except RecursionError:
        raise _not_yaml(path, "it holds itself, or nests too deeply", None) from None
    if root is None:
        raise ConfigError("the file is empty", "Start from an example in docs/.", file=path)
    return Document(path, values, root)


class _Loader(yaml.SafeLoader):
    """YAML's safe loader, which would let what Python says of an impossible date or number pass."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError) as fault:
            what = f"a value that is not what its tag says ({type(fault).__name__})"
            raise yaml.constructor.ConstructorError(None, None, what, node.start_mark) from None

    def construct_yaml_timestamp(self, node: yaml.ScalarNode) -> Any:
        try:
            return super().construct_yaml_timestamp(node)
        except ValueError as fault:
            raise yaml.constructor.ConstructorError(None, None, str(fault), node.start_mark) from None


_Loader.add_constructor("tag:yaml.org,2002:timestamp", _Loader.construct_yaml_timestamp)


def _not_yaml(path: Path, what: str, line: int | None) -> ConfigError:
    return ConfigError(
        f"this is not YAML: {what}",
        "Mend the line; indent with spaces, and put into quotes what begins with * & ! or %.",
        file=path,
        line=line,
    )


def _refuse_double_keys(path: Path, node: yaml.Node | None) -> None:
    if isinstance(node, yaml.SequenceNode):
        for child in node.value:
            _refuse_double_keys(path, child)
    if not isinstance(node, yaml.MappingNode):
        return
    seen = set()
    for key, value in node.value:
        name = str(key.value)
        if name in seen:
            raise ConfigError(
                f"the key '{name}' stands here twice",
                "Remove one of the two.",
                file=path,
                line=key.start_mark.line + 1,
            )
        seen.add(name)
        _refuse_double_keys(path, value)


def _child(node: yaml.Node, step: str | int) -> tuple[yaml.Node, int] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(step):
                return value, key.start_mark.line
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step], node.value[step].start_mark.line
    return None
