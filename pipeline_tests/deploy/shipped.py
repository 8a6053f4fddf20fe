"""What deploy/ ships, read as its users' programs read it: the image, the services of compose, the units."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from pipeline.core.project import ROOT

DEPLOY = ROOT / "deploy"
UNITS = DEPLOY / "systemd"
INSTALLED_AT = "/opt/ratchet"
"""Where the image and the units have the checkout."""
_VARIABLE = re.compile(r"\$\{(\w+)(?::?([-?])([^}]*))?\}")


@dataclass(frozen=True)
class Process:
    """One process as it is started: its words, and the variables that it is given."""

    words: tuple[str, ...]
    environment: Mapping[str, str]


@cache
def instructions() -> tuple[tuple[str, str], ...]:
    """The instructions of the Dockerfile in their order, each with its words on one line."""
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    joined = "\n".join(line for line in lines if line and not line.startswith("#")).replace("\\\n", " ")
    return tuple((line.split(" ", 1)[0], " ".join(line.split(" ", 1)[1].split())) for line in joined.splitlines())


def image_environment() -> dict[str, str]:
    found: dict[str, str] = {}
    for name, words in instructions():
        if name == "ENV":
            found |= dict(word.split("=", 1) for word in shlex.split(words))
    return found


def image_health() -> tuple[str, ...]:
    """The command of HEALTHCHECK."""
    (health,) = (words for name, words in instructions() if name == "HEALTHCHECK")
    return tuple(json.loads(health.partition(" CMD ")[2]))


def interpolated(variables: Mapping[str, str]) -> dict[str, Any]:
    """The compose file with its variables replaced, as compose does it. Raises KeyError with a required one's words."""

    def value(found: re.Match[str]) -> str:
        name, kind, rest = found.groups()
        if variables.get(name) or kind is None:
            return variables.get(name, "")
        if kind == "?":
            raise KeyError(rest)
        return str(rest)

    def replaced(part: Any) -> Any:
        if isinstance(part, dict):
            return {key: replaced(inner) for key, inner in part.items()}
        if isinstance(part, list):
            return [replaced(inner) for inner in part]
        return _VARIABLE.sub(value, part) if isinstance(part, str) else part

    found: dict[str, Any] = replaced(yaml.safe_load((DEPLOY / "compose.yaml").read_text()))
    return found


def compose_process(service: Mapping[str, Any]) -> Process:
    """What a container of this service starts, in the words of the container."""
    return Process(tuple(service["command"]), image_environment() | service["environment"])


def unit(name: str) -> dict[str, list[str]]:
    """Every setting of a unit with its values in order, those of the drop-in that all services share included."""
    settings: dict[str, list[str]] = {}
    shared = [UNITS / "ratchet-.service.d" / "common.conf"] if name.endswith(".service") else []
    for file in [*shared, UNITS / name]:
        for line in file.read_text().splitlines():
            key, equals, value = line.partition("=")
            if equals and not line.startswith(("#", "[")):
                settings.setdefault(key, []).append(value)
    return settings


def unit_processes(name: str, key: str = "ExecStart") -> list[Process]:
    """What a unit starts, its variables replaced as systemd does it."""
    settings = unit(name)
    environment = dict(value.split("=", 1) for value in settings["Environment"])
    return [
        Process(
            tuple(_VARIABLE.sub(lambda found: environment[found[1]], word) for word in shlex.split(command)),
            environment,
        )
        for command in settings.get(key, [])
    ]


def every_unit() -> list[Path]:
    return sorted(path for path in UNITS.iterdir() if path.is_file())


def ratchet_commands() -> list[tuple[str, ...]]:
    """The words after ``ratchet`` of the command lines in deploy/: image, compose, units, scripts."""
    services = interpolated({"RATCHET_PGPASSWORD": "made-up", "RATCHET_SCRAPED": "shop"})["services"].values()
    started = [image_health(), *(tuple(json.loads(words)) for name, words in instructions() if name == "CMD")]
    started += [tuple(service["command"]) for service in services if "command" in service]
    started += [
        process.words
        for path in every_unit()
        if path.suffix == ".service"
        for key in ("ExecStartPre", "ExecStart", "ExecStartPost")
        for process in unit_processes(path.name, key)
    ]
    started += [
        tuple(shlex.split(found[1].replace("$", "")))
        for script in sorted(DEPLOY.rglob("*.sh"))
        for found in re.finditer(r'^\s*((?:"\$ratchet"|\S*bin/ratchet) [^|&;\n]*)', script.read_text(), re.MULTILINE)
    ]
    return [words[1:] for words in started if Path(words[0]).name == "ratchet"]
