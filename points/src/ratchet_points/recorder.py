"""The one recorder of a process: from a call to a line in the spool."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Mapping, Sequence
from time import time_ns
from types import FrameType
from zlib import crc32

from ratchet_points import event
from ratchet_points.caller import Places
from ratchet_points.context import UNBOUND, Bound, current
from ratchet_points.drops import Drops, tell
from ratchet_points.failure import Describer
from ratchet_points.memory import MemoryQueue
from ratchet_points.options import Options
from ratchet_points.sink import sink_of
from ratchet_points.spool import EVENT_LIMIT, framed, unframed
from ratchet_points.values import MESSAGE_LIMIT, Encoder

_SEVERITY = ',"severity_text":'  # no value of a host can hold this: its quotes would be escaped
_NANOSECONDS = 1_000_000_000
_TOO_LARGE = "an event is larger than 256 KiB"
_HOOK_FAILED = "before_send failed, or did not return an event"
_INSIDE_HOOK = "an event was reported inside before_send"
_INTERNAL = "an unexpected error inside ratchet-points"


class _Thread(threading.local):
    """The fragment of a thread, made when it reports its first event; and whether it is inside ``before_send``."""

    def __init__(self, foreign: bool) -> None:
        self.text = "" if foreign else event.thread(threading.get_ident(), threading.current_thread().name)
        self.in_hook = False


class Recorder:
    """Builds events and appends them. No public method raises, except what a signal handler of the host raises."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self.drops = Drops(quiet=options.foreign)
        self.sink, self._writer = sink_of(options, self.drops)
        self._places = Places()
        self._sites = self._places.sites
        self._encoder = Encoder(options.redact)
        self._describer = Describer(
            self._places, self._encoder, with_locals=options.with_locals, with_source=options.with_source
        )
        self._sampled = options.sample != 1.0
        self._before_send = options.before_send
        self._append = self.sink.append
        self._second = (0, 0, "")
        self._become(event.Identity.of(options.app, options.version, options.environment))
        if not options.foreign:
            self._own(event.STARTED, event.ENVIRONMENT, event.environment_attributes(options.region, options.operator))

    def _become(self, identity: event.Identity) -> None:
        self._identity = identity
        self._head, self._resource = event.head(identity), event.resource(identity)
        self._prefix = identity.run + "-"
        self._numbers = iter(range(1, 1 << 62))
        self._thread = _Thread(self._options.foreign)
        self._sites.clear()

    def after_fork(self) -> None:
        """Be another process: a run, ids and a segment of its own."""
        self.drops.forget()
        self.sink.abandon()
        if self._writer is not None:
            self._writer.abandon()
        self._become(self._identity.renewed())

    def record(
        self,
        frame: FrameType,
        name: str,
        kind: str,
        attributes: Mapping[str, object],
        who: object | None = None,
        where: object | None = None,
        details: str = "",
    ) -> str | None:
        """Record an event that ``frame`` reports. Its id, or None if it was not recorded."""
        try:
            site = self._sites.get((id(frame.f_code), frame.f_lasti, name, kind))
            if site is None:
                site = self._places.learn(frame, name, kind, self._head, self._resource)
            return self._write(name, site.opening, site.checksum, attributes, who, where, details)
        except Exception as failure:
            self._failed(failure)
            return None

    def record_at(
        self,
        place: tuple[str, int, str] | None,
        name: str,
        kind: str,
        attributes: Mapping[str, object],
        *,
        bound: Bound | None = None,
        details: str = "",
        time_text: str | None = None,
    ) -> str | None:
        """Record an event whose place, a file, line and function, is known otherwise, or not at all.

        ``bound`` is its own context; ``time_text`` its own time, as RFC 3339 writes it.
        """
        try:
            if bound is not None:
                details = self._context(bound, None, None) + details
            here = event.place(*place) if place is not None else ""
            opening = event.opening(self._head, event.point(name, kind), self._resource, here)
            return self._write(name, opening, crc32(opening), attributes, None, None, details, time_text)
        except Exception as failure:
            self._failed(failure)
            return None

    def describe(self, error: object | None, severity: str = "ERROR") -> str:
        """The fragments of an error, with the exception if there is one. Raises nothing."""
        text = event.severity(severity)
        try:
            return text if error is None else text + self._describer.describe(error)
        except Exception as failure:
            self._failed(failure)
            return text

    def describe_foreign(self, type_name: str, message: str, frames: Sequence[tuple[str, int, str]]) -> str:
        """The fragments of an error that another program describes."""
        inside = ",".join(event.frame(*frame) for frame in frames)
        encoded = self._encoder.text(message, MESSAGE_LIMIT)
        return event.severity("ERROR") + event.exception(type_name, encoded, inside, 0, "")

    def _sample(self, name: str, details: str) -> str:
        """The fragment of an event that is kept: for how many it stands. Empty for one that is left out.

        Errors are kept unless their point is named.
        """
        import random  # only here: few programs sample, and it costs milliseconds

        rate = self._options.sample
        if isinstance(rate, Mapping):
            rate = float(rate.get(name, 1.0))
        elif _SEVERITY in details:
            rate = 1.0
        return event.sampled(rate) if random.random() < rate else ""  # noqa: S311 - a sample, no secret

    def _write(
        self,
        name: str,
        opening: bytes,
        checksum: int,
        attributes: Mapping[str, object],
        who: object | None,
        where: object | None,
        details: str,
        time_text: str | None = None,
    ) -> str | None:
        """Finish an event and append it. Its id, or None if it was dropped or left out."""
        sampled = ""
        if self._sampled and not (sampled := self._sample(name, details)):
            return None
        now = time_ns()
        began, ends, text = self._second
        if not began <= now < ends:
            text = self._next_second(now)
        bound = current.get()
        if bound is not UNBOUND and bound.attributes:
            attributes = {**bound.attributes, **attributes}
        if bound is not UNBOUND or who is not None or where is not None:
            details = self._context(bound, who, where) + details
        event_id = self._prefix + str(next(self._numbers))
        closing = event.closing(
            self._thread.text,
            details,
            self._encoder.attributes(attributes) if attributes else "",
            event_id,
            time_text or f"{text}{str(now)[-9:-3]}Z",
            sampled,
        )
        line = b"\n%08x %b%b" % (crc32(closing, checksum), opening, closing)
        if self._before_send is not None:
            revised = self._revised(line)
            if revised is None:
                return None
            line = revised
        if len(line) > EVENT_LIMIT:
            self.drops.count(_TOO_LARGE)
            return None
        reason = self._append(line)
        if reason is not None:
            self.drops.count(reason)
            return None
        if self.drops.waiting:
            self._report_drops()
        return event_id

    def _context(self, bound: Bound, who: object | None, where: object | None) -> str:
        """The fragment of the context: what this call says, else what is bound."""
        label = self._encoder.label
        who = bound.who if who is None else who
        where = bound.where if where is None else where
        return event.context(
            None if bound.trace_id is None else label(bound.trace_id),
            None if who is None else label(who),
            None if where is None else label(where),
        )

    def _next_second(self, now: int) -> str:
        """Once a second: the time's text, and whether process and segment are still those that they were."""
        if os.getpid() != self._identity.pid:
            self.after_fork()  # forked by code that told Python nothing
        self.sink.check()
        began = now - now % _NANOSECONDS
        text = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(now // _NANOSECONDS))
        self._second = (began, began + _NANOSECONDS, text)
        return text

    def _revised(self, line: bytes) -> bytes | None:
        """The framed event as ``before_send`` wants it, cleaned of secrets again; None if it is not to be sent."""
        local = self._thread
        if local.in_hook:
            self.drops.count(_INSIDE_HOOK)
            return None
        local.in_hook = True
        try:
            decoded = self._before_send(json.loads(unframed(line)))  # type: ignore[misc]
            if decoded is None:
                return None
            if not all(
                isinstance(decoded[key], str) and decoded[key] for key in ("specversion", "id", "source", "type")
            ):
                raise TypeError("no CloudEvents envelope")
            return framed(f"{{{self._encoder.attributes(decoded)}}}".encode("ascii"))
        except Exception:
            self.drops.count(_HOOK_FAILED)
            return None
        finally:
            local.in_hook = False

    def _report_drops(self) -> None:
        """Report drops as an event, now that one could be written."""
        taken = self.drops.take()
        if taken and not self._own(event.DROPPED, event.OPERATION, {"count": sum(taken.values()), "reasons": taken}):
            self.drops.put_back(taken)

    def _own(self, name: str, kind: str, attributes: Mapping[str, object]) -> bool:
        """Write an event of the SDK itself, past sampling and ``before_send``. One that fails is not counted."""
        now = time_ns()
        text = self._next_second(now)
        opening = event.opening(self._head, event.point(name, kind), self._resource, "")
        closing = event.closing(
            self._thread.text,
            "",
            self._encoder.attributes(attributes),
            self._prefix + str(next(self._numbers)),
            f"{text}{str(now)[-9:-3]}Z",
            "",
        )
        return self.sink.append(framed(opening + closing)) is None

    def _failed(self, error: Exception) -> None:
        """Count an event that an error has cost, under the error's own words if the event was refused."""
        self.drops.count(str(error) if isinstance(error, event.Refused) else f"{_INTERNAL} ({type(error).__name__})")

    def flush(self, timeout: float) -> bool:
        """Hand on what waits in memory; report drops. False if that could not be finished in time."""
        if self.drops.waiting:
            self._report_drops()
        return self.sink.flush(timeout) if isinstance(self.sink, MemoryQueue) else not self.drops.waiting

    def close(self) -> None:
        """Report what was dropped, hand on what waits, end the segment. A later event is still recorded."""
        try:
            if self.drops.waiting:
                self._report_drops()
            self.sink.close()
            if self._writer is not None:
                self._writer.close()
        except Exception as error:
            self._failed(error)
        left = sum(self.drops.take().values())
        if left and not self._options.foreign:
            tell(f"{left} events were dropped and could not be reported.")
