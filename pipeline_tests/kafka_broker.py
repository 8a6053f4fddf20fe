"""The broker of the SDK's tests (points/tests/broker.py), which is no part of this package."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from typing import Any

from pipeline.core.project import ROOT


def _module() -> Any:
    spec = spec_from_file_location("points_broker", ROOT / "points" / "tests" / "broker.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


broker = _module().broker
