"""What goes wrong in one's own programs: their events lie in a spool, and a source of the kind points counts them.

The programs report by ``points emit``, as those of any language do.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pipeline.core.history import read_report
from pipeline.core.hours import Hour, format_time
from pipeline.core.lake import REPORT
from pipeline.core.records import Report
from pipeline.drill.faults import Fault, NotHere, Outcome
from pipeline.drill.stage import Stage, Subject, program
from pipeline.drill.verdict import Expected, Left, files, look, problems

_KNOWN = {"type": "Timeout", "file": "/srv/shop/mail.py", "line": 9, "function": "mail.send"}
_NEW = {"type": "PoolExhausted", "file": "/srv/shop/pool.py", "line": 28, "function": "pool.take"}
_PER_MINUTE, _TIMES, _VERSION = 50, 60, "1.4.2"
_ACCEPTED = Expected(0, "", None, Left.ACCEPTED, "SUCCESS")


def program_faults() -> Iterator[Fault]:
    """Each with a spool of its own, into which a program writes."""
    words = "one message within the hour and the report name its file, line, function, first time and version"
    yield Fault("error that grows", f"{_ACCEPTED.words}; {words}", _grow)
    yield Fault("malformed events", f"{_ACCEPTED.words}; each kept with its reason, the others counted", _garble)
    unreachable = Expected(10, "the spool", "the platform cannot be reached")
    yield Fault("spool gone", unreachable.words, lambda stage, hour: _collected(_programs(stage), hour, unreachable))


def _grow(stage: Stage, hour: Hour) -> Outcome:
    """An error that was known stays as it was; a new one comes sixty times within a minute."""
    minute = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=1)
    programs = _programs(stage)
    _report(programs, [_error(_KNOWN, minute - timedelta(hours=2))], version="1.4.1")
    programs.seed(minute - timedelta(hours=1))
    failing = [_error(_NEW, minute + timedelta(seconds=number // 2)) for number in range(_TIMES)]
    _report(programs, [_error(_KNOWN, minute), *failing])
    programs.ratchet("watch", programs.subject.name, "--once")
    told = list(stage.receiver.messages)
    error = f"PoolExhausted at shop/pool.py:28 in pool.take, first seen {minute:%Y-%m-%d %H:%M} UTC in {_VERSION}"

    def judged(report: Report) -> Iterator[str]:
        if [error in text for _, text in told] != [True]:
            yield "the watcher did not tell which error grew"
        if len(stage.receiver.messages) != len(told):
            yield "collect told it again"
        if (error, _TIMES) not in _grown(report)[:1]:
            yield "the report does not say which error grew"

    return _collected(programs, hour, _ACCEPTED, judged, _grown_most)


def _grown(report: Report) -> list[tuple[str | None, float]]:
    """The errors that grew, most first, and by how much."""
    return [(mover.title, mover.delta) for mover in report.top_movers if mover.counter == "errors_here"]


def _grown_most(report: Report) -> str:
    return "".join(f", the report: '{title}' grew by {gained:g}" for title, gained in _grown(report)[:1])


def _garble(stage: Stage, hour: Hour) -> Outcome:
    """One event breaks the schema that the YAML declares, and half a line is all that a killed program left."""
    programs = _programs(stage)
    before = datetime.now(UTC) - timedelta(hours=1)
    _report(programs, [_paid(1, time=format_time(before - timedelta(minutes=1)))])
    programs.seed(before)
    _report(programs, [_paid(3), _paid("many"), _paid(4)])
    with max(_spool(programs).glob("*.points")).open("ab") as file:
        file.write(b'\n0badc0de {"specversion":"1.0","so')

    def judged(report: Report) -> Iterator[str]:
        kept = [json.loads(path.read_bytes()) for path in (programs.lake.root / "refused_records").glob("*.json")]
        reasons = sorted(row["reason"] for record in kept for row in record["rows"])
        if reasons != ["its amount is no integer", "its checksum is wrong: it was torn"]:
            yield f"kept with a reason are {len(reasons)}"
        if (report.movement["sum_amount"].total, report.movement["malformed"].total) != (8, 2):
            yield "the sound events were not counted"

    return _collected(
        programs, hour, _ACCEPTED, judged, lambda report: f", malformed {report.movement['malformed'].total}"
    )


# The stage of a program ---------------------------------------------------------------------------------------


def _programs(stage: Stage) -> Stage:
    """The same stage with a source of points, whose spool is not there before a program reports."""
    programs = replace(stage, subject=Subject("programs", channels=stage.subject.channels))
    declared = {"paid": {"sums": ["amount"], "fields": {"amount": {"type": "integer"}}}}
    programs.configure(
        platform={"kind": "points", "spool": str(_spool(programs)), "events": declared},
        rules=[{"counter": "errors_here", "rate_above": _PER_MINUTE, "per": "minute"}],
    )
    return programs


def _spool(stage: Stage) -> Path:
    return stage.folder / "spool"


def _paid(amount: object, **more: str) -> dict[str, Any]:
    return {"name": "paid", "attributes": {"amount": amount}, **more}


def _error(place: dict[str, Any], at: datetime) -> dict[str, Any]:
    where = {name: place[name] for name in ("file", "line", "function")}
    return {"name": "shop.failed", "time": format_time(at), "exception": {"type": place["type"]}, **where}


def _report(stage: Stage, events: list[dict[str, Any]], version: str = _VERSION) -> None:
    command = [program("points"), "emit", "--stream", "--app", "shop", "--version", version]
    if not Path(command[0]).exists():
        raise NotHere("ratchet-points is not installed")
    told = "".join(f"{json.dumps(event)}\n" for event in events).encode()
    subprocess.run([*command, "--spool", str(_spool(stage))], input=told, check=True)  # noqa: S603  our own program


def _collected(
    stage: Stage,
    hour: Hour,
    expected: Expected,
    judged: Callable[[Report], Iterator[str]] = lambda report: iter(()),
    words: Callable[[Report], str] = lambda report: "",
) -> Outcome:
    """Collect the hour once. Of its report, if any, ``judged`` says what is wrong, and ``words`` what it tells."""
    before = files(stage.lake.root)
    seen = look(stage, stage.collect(), before, hour)
    found, happened = problems(expected, seen, stage), seen.words
    if stage.lake.exists(REPORT, hour):
        report = read_report(stage.lake, hour)
        found += judged(report)
        happened += words(report)
    return Outcome(happened, tuple(found))
