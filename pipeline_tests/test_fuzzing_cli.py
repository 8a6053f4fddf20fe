"""Bent replies of a live platform at the command line: a declared exit code, plain words, and never a traceback."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings

from pipeline import cli
from pipeline.cli import source as source_command
from pipeline.core.errors import RatchetError
from pipeline.core.project import Project
from pipeline.sandbox.faults import Reply
from pipeline_tests.dagster_parts import BLOG, Blog, made_blog
from pipeline_tests.fuzzing.bending import Bend, bends

KINDS: list[type[RatchetError]] = [RatchetError, *RatchetError.__subclasses__()]
DECLARED = {kind.exit_code for kind in KINDS} - {1}
WHOLE = json.dumps(
    {
        "data": {
            "note_stats": [
                {"key": f"n{n}", "name": f"Article {n}", "read_count": 100 * n, "like_count": n, "comment_count": 0}
                for n in range(3)
            ],
            "last_page": True,
        }
    }
).encode()


@pytest.fixture
def blog(project: Project) -> Iterator[Blog]:
    with made_blog(project) as made:
        yield made


@given(bends())
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), database=None)
def test_whatever_a_platform_sends_a_check_of_the_source_ends_in_plain_words(blog: Blog, bend: Bend) -> None:
    blog.sandbox.fail_next(Reply(headers={"Content-Type": "application/json"}, body=bend(WHOLE)))
    result = CliRunner().invoke(source_command.command, ["check", BLOG])
    if result.exception is None:
        assert result.exit_code == 0
        return
    assert isinstance(result.exception, RatchetError), result.exception
    assert result.exception.exit_code in DECLARED
    assert result.exception.next_step
    assert cli._explain(result.exception, None) in DECLARED


@pytest.mark.parametrize("size", [10_000_000, 400_000_000])
def test_a_small_reply_that_unpacks_into_a_huge_one_is_left_at_the_bound(
    project: Project, size: int, capsys: pytest.CaptureFixture[str]
) -> None:
    import resource

    bomb = gzip.compress(bytes(1_000_000) * (size // 1_000_000), compresslevel=9, mtime=0)
    with made_blog(project, bounds={"max_bytes": 1_000_000}) as blog:
        blog.sandbox.fail_next(Reply(headers={"Content-Encoding": "gzip"}, body=bomb))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        outcome = blog.capture()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert not outcome.success
    [refused] = blog.lake.refused()
    assert "larger than 1,000,000 bytes" in blog.lake.quarantine(refused).read_text()
    assert grown < 200, f"{grown:.0f} MiB"
