"""The command ``points emit``: events that any program hands over, one by command line or many as a stream."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from ratchet_points import event, foreign
from ratchet_points.exits import CANNOT_WRITE, DONE, LINES_REFUSED, say
from ratchet_points.options import Options, default_spool
from ratchet_points.recorder import Recorder
from ratchet_points.refused import RefusedLines
from ratchet_points.segment import UNWRITTEN

_EXAMPLES = """examples:
  points emit backup.done --app nightly seconds=42 host=db1
  points emit backup.failed --app nightly --error --file backup.sh --line 17 code=3
  my_program | points emit --stream --app shop

Of a stream, each line is one JSON object: {"name": "checkout.paid", "attributes": {"amount": 3}}
Its members are: MEMBERS.
An exception is an object with type, message and frames; a frame has file, line and function.

exit codes: 0 recorded, 2 the command line cannot be used, 12 lines of the stream were refused and are kept in the
spool with their reasons, 16 the spool cannot be written""".replace("MEMBERS", foreign.MEMBERS)


def add_to(commands: Any) -> None:
    """Add the command to a parser's commands."""
    raw = argparse.RawDescriptionHelpFormatter
    emit = commands.add_parser(
        "emit", help="record one event, or a stream of them", epilog=_EXAMPLES, formatter_class=raw, allow_abbrev=False
    )
    emit.set_defaults(run=run, parser=emit)
    emit.add_argument("name", nargs="?", metavar="NAME", help="the point, such as checkout.paid")
    emit.add_argument(
        "attributes", nargs="*", metavar="KEY=VALUE", help="attributes; numbers, true, false, null as such"
    )
    emit.add_argument("--stream", action="store_true", help="read events from standard input, one JSON object a line")
    emit.add_argument("--app", default=os.environ.get("POINTS_APP", "unknown_service"), help="default: $POINTS_APP")
    emit.add_argument("--version", default=os.environ.get("POINTS_VERSION", ""), help="default: $POINTS_VERSION")
    emit.add_argument("--environment", default=os.environ.get("POINTS_ENVIRONMENT", ""), help="$POINTS_ENVIRONMENT")
    emit.add_argument("--spool", default=default_spool(), help="default: $POINTS_SPOOL")
    emit.add_argument("--kind", choices=sorted(event.KINDS), help="default: behaviour; quality for an error")
    emit.add_argument("--error", action="store_true", help="the event is an error")
    for member in ("who", "where", "trace-id", "file", "function", "time"):
        emit.add_argument(f"--{member}", metavar="TEXT")
    emit.add_argument("--line", type=int, metavar="NUMBER")


def run(given: argparse.Namespace) -> int:
    """Record what the command line or the stream says. Returns the exit code; exits with 2 if it cannot be used."""
    if given.stream:
        if given.name is not None:
            given.parser.error("--stream takes its events from standard input, not from the command line")
        return _stream(given)
    if given.name is None:
        given.parser.error("it needs the NAME of a point, or --stream")
    told = {
        member: getattr(given, member)
        for member in ("name", "kind", "who", "where", "trace_id", "file", "line", "function", "time")
        if getattr(given, member) is not None
    }
    attributes = {}
    for pair in given.attributes:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            given.parser.error("an attribute is written KEY=VALUE")
        attributes[key] = foreign.value(text)
    try:
        one = foreign.checked({**told, "attributes": attributes, "severity": "ERROR" if given.error else None})
    except ValueError as reason:
        given.parser.error(str(reason).replace("its ", "the event's ", 1))
    recorder = _recorder(given, shared=True)
    try:
        recorded = _record(recorder, one)
    except ValueError as reason:
        given.parser.error(str(reason))
    finally:
        recorder.close()
    return DONE if recorded else _say_cannot_write(given.spool)


def _stream(given: argparse.Namespace) -> int:
    if sys.stdin is None:
        given.parser.error("standard input is closed, so there is no stream to read")
    recorder = _recorder(given, shared=False)
    refused = RefusedLines(given.spool)
    read = lost = 0
    for line, whole in foreign.lines(sys.stdin.buffer):
        read += 1
        try:
            if not whole:
                raise ValueError(f"it is longer than {foreign.LINE_LIMIT} bytes")
            lost += not _record(recorder, foreign.parsed(line))
        except ValueError as reason:
            refused.keep(read, foreign.without_secrets(line), str(reason))
    recorder.close()
    if refused.count:
        say(f"{refused.count} of {read} lines were refused, the first because {refused.first}; {refused.kept_where()}")
    if lost or refused.lost:
        say(f"{lost + refused.lost} of {read} lines could not be written")
        return _say_cannot_write(given.spool)
    return LINES_REFUSED if refused.count else DONE


def _recorder(given: argparse.Namespace, *, shared: bool) -> Recorder:
    if not given.app.strip():
        given.parser.error("--app is the program's name and cannot be empty")
    if "://" in given.spool:
        given.parser.error("the spool is a folder and cannot be an address; points ship --http posts what lies in one")
    return Recorder(
        Options(
            app=given.app,
            version=given.version,
            environment=given.environment,
            spool=given.spool,
            shared=shared,
            foreign=True,
        )
    )


def _record(recorder: Recorder, one: foreign.Foreign) -> bool:
    """False if the spool cannot take it. Raises ValueError with the reason where it can never be recorded."""
    details = ""
    if one.exception is not None:
        details = recorder.describe_foreign(*one.exception)
    elif one.severity is not None:
        details = event.severity(one.severity)
    recorded = recorder.record_at(
        one.place, one.name, one.kind, one.attributes, bound=one.bound, details=details, time_text=one.time
    )
    if recorded is not None:
        return True
    # Whoever hears of it in another way need not hear of it as dropped, too.
    reasons = recorder.drops.take()
    recorder.drops.put_back({reason: number for reason, number in reasons.items() if reason in UNWRITTEN})
    for reason in reasons.keys() - UNWRITTEN:
        raise ValueError(reason)
    return False


def _say_cannot_write(folder: str) -> int:
    say(f"the spool {folder} cannot be written, or is full. Make room, or name another one with --spool.")
    return CANNOT_WRITE
