"""What belongs to the request at hand: trace, user, place. It follows threads' and tasks' own contexts."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar, Token
from types import MappingProxyType, TracebackType
from typing import NamedTuple

_NOTHING: Mapping[str, object] = MappingProxyType({})


class Bound(NamedTuple):
    """Values that every event of this context carries."""

    trace_id: str | None = None
    who: str | None = None
    where: str | None = None
    attributes: Mapping[str, object] = _NOTHING


UNBOUND = Bound()
current: ContextVar[Bound] = ContextVar("ratchet_points_bound", default=UNBOUND)


class Binding:
    """A binding that holds from now on; as a context manager, until its block ends."""

    def __init__(self, bound: Bound) -> None:
        self._before = current.get()
        self._token: Token[Bound] | None = current.set(bound)

    def undo(self) -> None:
        """Go back to what was bound before. Does nothing the second time."""
        token, self._token = self._token, None
        if token is None:
            return
        try:
            current.reset(token)
        except (ValueError, RuntimeError):
            # Undone in another context than it was bound in, as some frameworks do at the end of a request.
            current.set(self._before)

    def __enter__(self) -> Binding:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.undo()


def narrowed(trace_id: str | None, who: str | None, where: str | None, attributes: Mapping[str, object]) -> Bound:
    """What is bound already, with the given values on top of it."""
    outer = current.get()
    return Bound(
        outer.trace_id if trace_id is None else trace_id,
        outer.who if who is None else who,
        outer.where if where is None else where,
        MappingProxyType({**outer.attributes, **attributes}) if attributes else outer.attributes,
    )
