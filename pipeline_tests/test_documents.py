"""The documents lead to each other: README names each of them, and no link leads nowhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.core.project import ROOT

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
