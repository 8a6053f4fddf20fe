"""Parts that the tests with real Dagster share: a new Dagster home, a made project, the source ``blog`` in it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.core import withheld
from pipeline.core.project import Project
from pipeline.platforms import pacing
from pipeline.running import POSTGRES, dagster_instance
from pipeline_tests.dagster_parts import Blog, made_blog, made_project
from pipeline_tests.skips import pytest_make_collect_report as pytest_make_collect_report
from pipeline_tests.skips import pytest_runtest_makereport as pytest_runtest_makereport


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what only a real broker can show, where none is given."""
    if os.environ.get("RATCHET_KAFKA"):
        return
    left_out = [item for item in items if item.get_closest_marker("real_broker")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """A shell that starts the tests in the background lets them, and all that they start, ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def fresh_limits() -> None:
    """A port that the system gives twice is another platform, whose limit is not used up."""
    pacing._buckets.clear()


@pytest.fixture(autouse=True)
def no_secrets_of_others() -> None:
    """One test's made-up secret is another's plain word."""
    withheld._known.clear()
    withheld._filled.clear()


@pytest.fixture(scope="session", autouse=True)
def in_sqlite() -> Iterator[None]:
    """Instances of the tests lie beside their lakes, wherever that of whoever runs the tests lies."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(POSTGRES, "")
        yield


@pytest.fixture(scope="session")
def new_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An instance that knows nothing yet, made once: Dagster takes a second for it."""
    folder = tmp_path_factory.mktemp("new_home")
    project = Project(defs=folder / "defs", data=folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(project.dagster_home))
        with dagster_instance(project):
            pass
    return project.dagster_home


@pytest.fixture
def project(tmp_path: Path, new_home: Path) -> Iterator[Project]:
    with made_project(tmp_path, new_home) as made:
        yield made


@pytest.fixture
def blog(project: Project) -> Iterator[Blog]:
    with made_blog(project, rules=[{"counter": "views", "crosses": [100, 200]}]) as made:
        yield made
