"""The example of docs/adding-a-platform.md is the adapter that the contract suite runs, and it is short."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.core.errors import TransportFault
from pipeline.core.project import ROOT
from pipeline.platforms import KINDS
from pipeline.sandbox.faults import Reply
from pipeline_tests.platforms.accounts import plume
from pipeline_tests.platforms.test_contract import fetch

DOCUMENT = ROOT / "docs" / "adding-a-platform.md"
ADAPTER = Path(__file__).with_name("example.py")


def test_the_document_shows_the_adapter_that_is_tested() -> None:
    [shown] = re.findall(r"^```python\n(.*?)^```$", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE)
    assert shown == ADAPTER.read_text()
    assert len(shown.splitlines()) < 100


def test_what_its_platform_means_by_403_is_no_dead_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "plume", "pipeline_tests.platforms.example:Plume")
    account = plume.account()
    with account.serve() as serving, pytest.raises(TransportFault, match="rests for the night"):
        serving.fail_next(Reply(403, {}, b'{"reason":"asleep"}'))
        fetch(account.platform(serving.url))
