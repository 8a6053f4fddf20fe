"""What is installed: typed, without dependencies, cheap to import."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import ratchet_points


def test_it_is_typed_and_depends_on_nothing() -> None:
    assert (Path(ratchet_points.__file__).parent / "py.typed").exists()
    assert all("extra ==" in wanted for wanted in metadata.requires("ratchet-points") or ())
    assert metadata.version("ratchet-points") == ratchet_points.__version__


@pytest.mark.skipif(sys.version_info < (3, 10), reason="Python 3.9 does not tell which modules are its own")
def test_it_imports_the_standard_library_alone_and_nothing_heavy() -> None:
    program = (
        "import sys; before = set(sys.modules); import ratchet_points, ratchet_points.cli\n"
        "new = {name.split('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(new - sys.stdlib_module_names))\n"
        "print(sorted({'asyncio', 'urllib.request', 'ssl', 'inspect', 'platform'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-S", "-c", program], capture_output=True, text=True, check=True, env={
        "PYTHONPATH": str(Path(ratchet_points.__file__).parent.parent)})  # fmt: skip
    assert done.stdout.splitlines() == ["['ratchet_points']", "[]"]


def test_every_public_name_is_explained() -> None:
    for name in ratchet_points.__all__:
        assert name == "__version__" or getattr(ratchet_points, name).__doc__
