"""The documents lead to each other and keep up with the code: no dead link, no key or exit code left out."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import reduce
from pathlib import Path

import pytest
from apprise import Apprise
from pydantic import BaseModel

from pipeline.cli import cli
from pipeline.core.counter_spec import CounterSpec
from pipeline.core.errors import RatchetError
from pipeline.core.project import ROOT
from pipeline.core.source_spec import BoundsSpec, RuleSpec, SourceSpec
from pipeline.core.sources import read_source

DOCUMENTS = [ROOT / "README.md", ROOT / "data" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_LINK = re.compile(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]+))?\)")
_NOT_IN_ANCHORS = re.compile(r"[^\w\- ]")


def anchors(document: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {_NOT_IN_ANCHORS.sub("", title.lower()).replace(" ", "-") for title in titles}


def test_the_readme_leads_to_every_document() -> None:
    linked = {found[1] for found in _LINK.finditer((ROOT / "README.md").read_text(encoding="utf-8"))}
    assert [str(path.relative_to(ROOT)) for path in DOCUMENTS[1:] if str(path.relative_to(ROOT)) not in linked] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_link_leads_nowhere(document: Path) -> None:
    for found in _LINK.finditer(document.read_text(encoding="utf-8")):
        target = (document.parent / found[1]).resolve() if found[1] else document
        assert target.exists(), found[0]
        assert not found[2] or found[2] in anchors(target), found[0]


_ROW = re.compile(r"^\| `(\w+)` \|", re.MULTILINE)
STAND_INS = {
    "/ID/TOKEN": "/123456789012345678/" + 68 * "a",
    "/A/B/C": "/T1JJ3T3L2/A1BRTD4JD/" + 24 * "a",
    "BOT_TOKEN/CHAT_ID": f"123456789:{35 * 'a'}/12345",
    "PORT": "8901",
}
"""For the words of an address whose form apprise looks at."""


def section(text: str, title: str) -> str:
    return text.split(f"## {title}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize(
    ("title", "described"),
    [("Under `attributes`", SourceSpec), ("A counter", CounterSpec), ("A rule", RuleSpec), ("Bounds", BoundsSpec)],
)
def test_every_key_of_a_source_is_explained_and_no_other(title: str, described: type[BaseModel]) -> None:
    explained = _ROW.findall(section((ROOT / "docs" / "sources.md").read_text(encoding="utf-8"), title))
    assert sorted(explained) == sorted(described.model_fields)


def test_the_example_of_a_source_can_be_read(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "sources.md").read_text(encoding="utf-8")
    file = tmp_path / "my_blog" / "defs.yaml"
    file.parent.mkdir()
    file.write_text(page.split("```yaml\n")[1].split("```")[0], encoding="utf-8")
    source = read_source(file, {"MY_BLOG_API_KEY": "key", "DISCORD_URL": "json://127.0.0.1/hook"})
    assert len(source.rules) == 3


def test_apprise_knows_the_address_of_every_channel() -> None:
    channels = section((ROOT / "docs" / "sources.md").read_text(encoding="utf-8"), "Channels")
    addresses = re.findall(r"`(\w+://[^`]+\w)`", channels)
    assert len(addresses) >= 8
    for address in addresses:
        filled = reduce(lambda text, word: text.replace(*word), STAND_INS.items(), address)
        assert Apprise.instantiate(filled) is not None, address


def faults(of: type[RatchetError]) -> Iterator[type[RatchetError]]:
    for fault in of.__subclasses__():
        yield fault
        yield from faults(fault)


def test_every_exit_code_stands_in_the_readme_and_in_the_help() -> None:
    codes = {1, 2, *(error.exit_code for error in faults(RatchetError))}
    table = section((ROOT / "README.md").read_text(encoding="utf-8"), "How it fails, and what to do then")
    assert {int(code) for code in re.findall(r"\| (\d+) \|", table)} == codes
    told = (cli.help or "").split("Exit codes: ")[1]
    assert {int(code) for code in re.findall(r"\b\d+\b", told)} == {0, *codes}


def test_every_test_that_stands_for_a_defence_exists() -> None:
    table = section((ROOT / "docs" / "reliability.md").read_text(encoding="utf-8"), "As an attacker")
    named, text = re.findall(r"`([\w/]+\.py)?(?:::(test_\w+))?`", table), ""
    for file, name in named:
        text = (ROOT / "pipeline_tests" / file).read_text(encoding="utf-8") if file else text
        assert not name or f"\ndef {name}(" in text, name
    assert len(named) > 40


def test_every_dependency_has_its_reason() -> None:
    named = re.findall(r"^\| ([a-z][^|]+)\|", (ROOT / "docs" / "decisions.md").read_text(), re.MULTILINE)
    libraries = {word.partition(" ")[0] for row in named for word in re.split(r", ", row)}
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert {re.split(r"[\[=>]", each)[0] for each in declared} - libraries == set()
