"""A project whose vital signs the tests read: a blog told hour by hour, and programs that write into a spool."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from pipeline.core.project import Project
from pipeline.metrics.collector import VitalSigns
from pipeline.metrics.serving import serving
from pipeline_tests.core.account import COOKIE, Account
from pipeline_tests.dagster_parts import COOKIE_VARIABLE, write_source
from pipeline_tests.platforms.openmetrics.parts import Scraped as Scrapes
from pipeline_tests.platforms.points.parts import Told

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
TEXT = "text/plain;version=0.0.4"
Labels = frozenset[tuple[str, str]]


@dataclass
class Vital:
    """A project, its vital signs at ``present``, and what they said of faults."""

    project: Project
    present: datetime
    said: list[str] = field(default_factory=list)
    most_items: int = 1_000

    def __post_init__(self) -> None:
        self.signs = VitalSigns(self.project, lambda: self.present, self.most_items, self.said.append)

    def scrape(self) -> Scraped:
        with serving(self.signs, 0) as address:
            return scraped(address)


@dataclass(frozen=True)
class Scraped:
    """The samples of one answer by their names, and the answer."""

    answer: httpx.Response

    def samples(self, name: str) -> dict[Labels, float]:
        families = text_string_to_metric_families(self.answer.text)
        return {
            frozenset(sample.labels.items()): sample.value
            for family in families
            for sample in family.samples
            if sample.name == f"ratchet_{name}"
        }

    def value(self, name: str, **labels: str) -> float | None:
        """The one sample with these labels among its own."""
        found = [value for of, value in self.samples(name).items() if frozenset(labels.items()) <= of]
        assert len(found) <= 1, found
        return found[0] if found else None


def scraped(address: str, accept: str = OPENMETRICS) -> Scraped:
    answer = httpx.get(address, headers={"Accept": accept})
    assert answer.status_code == 200, answer.text
    return Scraped(answer)


@contextmanager
def made(folder: Path) -> Iterator[Project]:
    """A project whose source ``blog`` has its YAML; its lake is told by the test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(COOKIE_VARIABLE, COOKIE)
        patch.setenv("RATCHET_DEFS", str(folder / "defs"))
        patch.setenv("RATCHET_DATA", str(folder / "data"))
        project = Project(defs=folder / "defs", data=folder / "data")
        write_source(
            project, "blog", "http://127.0.0.1:9", start="2026-11-01", rules=[{"counter": "views", "crosses": [100]}]
        )
        yield project


def blog_of(project: Project) -> Account:
    return Account.under(project.data / "lake")


def server_of(project: Project, url: str = "http://127.0.0.1:9") -> Scrapes:
    """A source of the kind openmetrics in the project, with the spool of its collector; its program is at ``url``."""
    project.data.mkdir(exist_ok=True)
    named: dict[str, Any] = {"counters": {"errors": "errors_total"}, "gauges": {"queue": "queue_size"}}
    found = Scrapes.under(project.data, url, spool=str(project.data / "scrapes"), **named)
    file = project.defs / "server" / "defs.yaml"
    file.parent.mkdir(parents=True)
    platform = {"kind": "openmetrics", "base_url": url, "spool": str(found.platform.spool), **named}
    attributes = {"source": "server", "platform": platform, "start": "2026-11-01"}
    file.write_text(yaml.safe_dump({"type": "pipeline.components.CounterSource", "attributes": attributes}))
    return found


def shop_of(project: Project) -> Told:
    """A source of points in the project, and the spool of its program."""
    project.data.mkdir(exist_ok=True)
    told = Told.under(project.data)
    told.program.reports()
    file = project.defs / "shop" / "defs.yaml"
    file.parent.mkdir(parents=True)
    platform = {"kind": "points", "spool": str(told.platform.spool)}
    attributes = {"source": "shop", "platform": platform, "start": "2026-11-01"}
    file.write_text(yaml.safe_dump({"type": "pipeline.components.CounterSource", "attributes": attributes}))
    return told
