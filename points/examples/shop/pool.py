"""A pool of connections, as a library would bring it. It knows nothing of points: it raises, and says what it knows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class PoolExhausted(Exception):
    """No connection is left. ``limit`` is how many there are."""

    def __init__(self, pool: str, limit: int) -> None:
        super().__init__(f"all {limit} connections of the pool {pool} are in use")
        self.pool, self.limit = pool, limit


class Pool:
    """At most ``limit`` connections at a time."""

    def __init__(self, name: str, limit: int) -> None:
        self.name, self.limit = name, limit
        self._used = 0

    @contextmanager
    def connection(self) -> Iterator[str]:
        """A connection until the block ends. Raises PoolExhausted."""
        if self._used >= self.limit:
            raise PoolExhausted(self.name, self.limit)
        self._used += 1
        try:
            yield f"{self.name}-{self._used}"
        finally:
            self._used -= 1
