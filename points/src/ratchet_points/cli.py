"""The command ``points``: events from any language, and a look into a spool."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import signal
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from ratchet_points import event, foreign, spool
from ratchet_points.context import Bound
from ratchet_points.recorder import Options, Recorder
from ratchet_points.redaction import cleaned

if TYPE_CHECKING:
    from ratchet_points.ship import Target

DONE, FAILED_READER, BAD_INPUT, LINES_REFUSED, BUSY, CANNOT_WRITE = 0, 1, 2, 12, 15, 16

_EMIT = """examples:
  points emit backup.done --app nightly seconds=42 host=db1
  points emit backup.failed --app nightly --error --file backup.sh --line 17 code=3
  my_program | points emit --stream --app shop

Of a stream, each line is one JSON object: {"name": "checkout.paid", "attributes": {"amount": 3}}
Its members are: MEMBERS.
An exception is an object with type, message and frames; a frame has file, line and function.

exit codes: 0 recorded, 2 the command line cannot be used, 12 lines of the stream were refused and are kept in the
spool with their reasons, 16 the spool cannot be written""".replace("MEMBERS", foreign.MEMBERS)


_SHIP = """examples:
  points ship /var/spool/points/shop --kafka broker:9092 --topic points
  points ship /var/spool/points/shop --http https://collector.example/events

Events are delivered at least once; source and id together name one. The broker away: it is tried again without end, and
what waits stays in the spool. Settings of librdkafka stand in variables: POINTS_KAFKA_SASL_PASSWORD is sasl.password.
An endpoint is sent $POINTS_HTTP_AUTHORIZATION. Read by Ratchet directly, a spool needs no shipper.

exit codes: 0 told to stop, or all delivered with --once; 2 the command line, the topic or the settings cannot be used;
12 events were refused for good and are kept in the spool; 15 another process ships this spool; 16 the disk failed"""


class _Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"{self.prog}: {message}. See {self.prog} --help.\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line. Returns the exit code."""
    given = _parsed(arguments)
    try:
        return int(given.run(given))
    except BrokenPipeError:
        # Whoever read us has gone; Python would complain once more when it flushes standard output at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED_READER
    except KeyboardInterrupt:
        return 130


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line, in which options may stand between the attributes."""
    given, rest = _parser().parse_known_args(arguments)
    if given.run is not _emit or any(word.startswith("-") for word in rest):
        if rest:
            given.parser.error(f"unknown argument {rest[0]}")
    else:
        given.attributes += rest
    return given


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="points", description="Events out of any program.", allow_abbrev=False)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    raw = argparse.RawDescriptionHelpFormatter
    emit = commands.add_parser(
        "emit", help="record one event, or a stream of them", epilog=_EMIT, formatter_class=raw, allow_abbrev=False
    )
    emit.set_defaults(run=_emit, parser=emit)
    emit.add_argument("name", nargs="?", metavar="NAME", help="the point, such as checkout.paid")
    emit.add_argument(
        "attributes", nargs="*", metavar="KEY=VALUE", help="attributes; numbers, true, false, null as such"
    )
    emit.add_argument("--stream", action="store_true", help="read events from standard input, one JSON object a line")
    emit.add_argument("--app", default=os.environ.get("POINTS_APP", "unknown_service"), help="default: $POINTS_APP")
    emit.add_argument("--version", default=os.environ.get("POINTS_VERSION", ""), help="default: $POINTS_VERSION")
    emit.add_argument("--environment", default=os.environ.get("POINTS_ENVIRONMENT", ""), help="$POINTS_ENVIRONMENT")
    emit.add_argument("--spool", default=os.environ.get("POINTS_SPOOL", "points-spool"), help="default: $POINTS_SPOOL")
    emit.add_argument("--kind", choices=sorted(event.KINDS), help="default: behaviour; quality for an error")
    emit.add_argument("--error", action="store_true", help="the event is an error")
    for member in ("who", "where", "trace-id", "file", "function", "time"):
        emit.add_argument(f"--{member}", metavar="TEXT")
    emit.add_argument("--line", type=int, metavar="NUMBER")
    _add_ship(commands)
    read = commands.add_parser("read", help="print the verified events of a spool, one JSON object a line")
    read.set_defaults(run=_read, parser=read)
    read.add_argument("spool", metavar="SPOOL")
    return parser


def _add_ship(commands: Any) -> None:
    raw = argparse.RawDescriptionHelpFormatter
    ship = commands.add_parser(
        "ship", help="carry a spool's events to Kafka or to an HTTP endpoint", epilog=_SHIP, formatter_class=raw
    )
    ship.set_defaults(run=_ship, parser=ship)
    ship.add_argument("spool", metavar="SPOOL")
    ship.add_argument("--kafka", metavar="HOST:PORT", help="brokers to begin with, separated by commas")
    ship.add_argument("--topic", help="the topic, which must exist")
    ship.add_argument("--http", metavar="URL", help="an endpoint that takes batches of CloudEvents as JSON")
    ship.add_argument("--once", action="store_true", help="end when what is there was delivered")
    ship.add_argument("--keep", action="store_true", help="leave delivered segments where they are")
    ship.add_argument("--limit", type=int, default=0, metavar="BYTES", help="say so when the spool is larger")
    ship.add_argument("--drop-oldest", action="store_true", help="beyond --limit, take the oldest segments away")


def _emit(given: argparse.Namespace) -> int:
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
    recorded = _record(recorder, one)
    recorder.close()
    return DONE if recorded else _say_cannot_write(given.spool)


def _stream(given: argparse.Namespace) -> int:
    recorder = _recorder(given, shared=False)
    refused = _Refused(given.spool)
    read = lost = 0
    for line, whole in foreign.lines(sys.stdin.buffer):
        read += 1
        try:
            if not whole:
                raise ValueError(f"it is longer than {foreign.LINE_LIMIT} bytes")
            one = foreign.parsed(line)
        except ValueError as reason:
            refused.keep(read, line, str(reason))
            continue
        lost += not _record(recorder, one)
    recorder.close()
    if refused.count:
        _say(f"{refused.count} of {read} lines were refused, the first because {refused.first}; {refused.kept_where()}")
    if lost or refused.lost:
        _say(f"{lost + refused.lost} of {read} lines could not be written")
        return _say_cannot_write(given.spool)
    return LINES_REFUSED if refused.count else DONE


def _recorder(given: argparse.Namespace, *, shared: bool) -> Recorder:
    if not given.app.strip():
        given.parser.error("--app is the program's name and cannot be empty")
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
    details = ""
    if one.exception is not None:
        details = recorder.describe_foreign(*one.exception)
    elif one.severity is not None:
        details = event.severity(one.severity)
    return (
        recorder.record_at(
            one.place, one.name, one.kind, one.attributes, bound=one.bound, details=details, time_text=one.time
        )
        is not None
    )


def _ship(given: argparse.Namespace) -> int:
    from ratchet_points.ship import Busy, Policy, Shipper, Unusable

    if not os.path.isdir(given.spool):
        given.parser.error(f"there is no spool {given.spool}")
    if (given.kafka is None) == (given.http is None) or (given.kafka is None) != (given.topic is None):
        given.parser.error("it needs --kafka with --topic, or --http")
    if given.drop_oldest and given.limit <= 0:
        given.parser.error("--drop-oldest needs a --limit")
    kept = _Refused(given.spool)
    try:
        shipper = Shipper(
            given.spool,
            _target(given),
            policy=Policy(given.keep, given.limit, given.drop_oldest),
            say=_say,
            refuse=lambda text, reason: kept.keep(kept.count + 1, text, reason),
            report_drops=lambda count, reason: _report_drops(given.spool, count, reason),
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: shipper.stop())
        shipper.run(once=given.once)
    except Unusable as reason:
        given.parser.error(str(reason))
    except Busy as reason:
        _say(str(reason))
        return BUSY
    except OSError as fault:
        _say(f"{given.spool}: {fault.strerror}")
        return CANNOT_WRITE
    if kept.count:
        _say(f"{kept.count} events could not be delivered, the first because {kept.first}; {kept.kept_where()}")
        return LINES_REFUSED
    return DONE


def _target(given: argparse.Namespace) -> Target:
    from ratchet_points.targets import HttpTarget, KafkaTarget, kafka_settings

    if given.http is not None:
        return HttpTarget(given.http)
    return KafkaTarget(given.kafka, given.topic, kafka_settings(os.environ))


def _report_drops(folder: str, count: int, reason: str) -> None:
    """In the spool itself, as the SDK reports its own."""
    recorder = Recorder(Options(app="points ship", spool=folder, foreign=True))
    recorder.record_at(
        None, event.DROPPED, event.OPERATION, {"count": count, "reasons": {reason: count}}, bound=Bound(), details=""
    )
    recorder.close()


class _Refused:
    """The file of the spool that keeps refused lines, each with its number and the reason."""

    def __init__(self, folder: str) -> None:
        self.count = self.lost = 0
        self.first = ""
        began = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        self._path = os.path.join(folder, f"{spool.REFUSED_PREFIX}{began}-{os.getpid()}-{secrets.token_hex(4)}.jsonl")

    def keep(self, number: int, line: bytes, reason: str) -> None:
        """Keep one line, cleaned of secrets, and go on."""
        self.count += 1
        self.first = self.first or f"{reason} (line {number})"
        text = cleaned(line.decode("utf-8", "backslashreplace"))
        entry = json.dumps({"line_number": number, "reason": reason, "line": text})
        try:
            os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
            with open(self._path, "ab", buffering=0, opener=_privately) as file:
                self.lost += file.write(entry.encode("ascii") + b"\n") != len(entry) + 1
        except OSError:
            self.lost += 1

    def kept_where(self) -> str:
        return f"they are kept in {self._path}" if not self.lost else f"not all of them could be kept in {self._path}"


def _privately(path: str, flags: int) -> int:
    return os.open(path, flags, 0o640)


def _read(given: argparse.Namespace) -> int:
    if not os.path.isdir(given.spool):
        given.parser.error(f"there is no spool {given.spool}")
    events = damaged = 0
    for line in spool.read(given.spool):
        if isinstance(line, spool.Event):
            events += 1
            sys.stdout.buffer.write(line.text + b"\n")
        else:
            damaged += 1
    sys.stdout.flush()
    if damaged:
        _say(f"{events} events; {damaged} damaged lines were left out")
    return DONE


def _say(text: str) -> None:
    sys.stderr.write(f"points: {text}\n")


def _say_cannot_write(folder: str) -> int:
    _say(f"the spool {folder} cannot be written, or is full. Make room, or name another one with --spool.")
    return CANNOT_WRITE
