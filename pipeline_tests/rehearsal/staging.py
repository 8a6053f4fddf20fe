"""The configuration of production with nothing of production in it.

`copied` is the YAML as it stands, each variable of it with a value of staging: it can be checked, word for word, and
reaches nobody. `staged` is what runs: the same sources with the sandbox for a platform and the receiver for a channel.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.core.model import Source
from pipeline.core.sources import read_source
from pipeline.core.yaml_lines import read_document
from pipeline.drill.stage import Subject
from pipeline_tests.rehearsal.steps import Failed

SESSION = "RATCHET_STAGING_SESSION"
OVERRIDE = "STAGING_"
"""A variable that needs a certain form gets its value of staging from one called so before its own name."""

_VARIABLE = re.compile(r"\{\{\s*env\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
_OF_PRODUCTION = ("RATCHET_", "DAGSTER_", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
"""How variables begin that say where production lies, or which Python's libraries are used."""
_NOWHERE = "https://staging.invalid"
"""The end .invalid is kept free for ever (RFC 2606): nothing that is sent there arrives."""
_NOBODY = "json://staging.invalid"


@dataclass
class Staging:
    """``values``: of every variable that production names. ``remarks``: what staging cannot be like production in."""

    session: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    values: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """That of this process without what is production's, and with what is staging's in its place."""
        others = {name: value for name, value in os.environ.items() if not name.startswith(_OF_PRODUCTION)}
        return {**others, **self.values, SESSION: self.session}

    def copied(self, production: Path, folder: Path) -> list[Path]:
        """Every source's YAML as it stands, under ``folder``. Raises Failed where there is none."""
        found = sorted(production.glob("*/defs.yaml"))
        if not found:
            raise Failed(f"{production} holds no source: there is nothing to rehearse. RATCHET_DEFS names the folder.")
        copies = []
        for file in found:
            copy = folder / file.parent.name / file.name
            copy.parent.mkdir(parents=True)
            shutil.copyfile(file, copy)
            copies.append(copy)
            for name, value in _values_of(read_document(copy).values):
                self.values.setdefault(name, os.environ.get(OVERRIDE + name, value))
        return copies

    def staged(self, copy: Path, folder: Path, url: str, channel: str) -> Source:
        """One source as it runs, under ``folder``. Raises ConfigError where it cannot be used."""
        source = read_source(copy, self.environment)
        attributes = read_document(copy).values["attributes"]
        subject = Subject.written(source, attributes)
        if subject.remark and subject.remark not in self.remarks:
            self.remarks.append(subject.remark)
        rules = list(subject.attributes.get("rules", ()))
        file = folder / source.name / copy.name
        subject.write(file, url, SESSION, notify=[channel], rules=rules)
        staged = read_source(file, self.environment)
        always = {"counter": staged.counter_names[0], "gained": 1}
        if always not in rules:  # so that every hour of staging has something to tell
            subject.write(file, url, SESSION, notify=[channel], rules=[*rules, always])
        return read_source(file, self.environment)


def _values_of(written: Any, key: str = "", of_channels: bool = False) -> Iterator[tuple[str, str]]:
    """Each variable, and a value of the form that its place asks for."""
    if isinstance(written, Mapping):
        for name, child in written.items():
            yield from _values_of(child, str(name), of_channels or name == "notify")
    elif isinstance(written, Sequence) and not isinstance(written, str):
        for child in written:
            yield from _values_of(child, key, of_channels)
    elif isinstance(written, str):
        for found in _VARIABLE.finditer(written):
            begins = found.start() == 0
            channel = _NOBODY if begins and of_channels else None
            address = _NOWHERE if begins and key.endswith("url") else None
            yield found[1], channel or address or f"staging-{secrets.token_hex(8)}"
