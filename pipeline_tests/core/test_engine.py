"""The database of a process: shared by its queries, and made anew before it holds much of them."""

from __future__ import annotations

from contextlib import closing
from itertools import count

import pytest

from pipeline.core import engine
from pipeline.core.engine import cursor

NOTED = "SELECT count(*) FROM information_schema.tables WHERE table_name = 'noted'"


def has_note() -> bool:
    with closing(cursor()) as connection:
        return connection.execute(NOTED).fetchone() == (1,)


def test_a_database_ends_after_many_queries_and_not_before_whoever_uses_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine, "_given", count())
    with closing(cursor()) as user:
        user.execute("CREATE TABLE noted AS SELECT 1")
        assert [has_note() for _ in range(200)] == [True] * 199 + [False]
        assert user.execute(NOTED).fetchone() == (1,)
    assert not has_note()
