"""The command ``points``: events from any language, and a look into a spool."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from ratchet_points import emitting, event, spool
from ratchet_points.context import Bound
from ratchet_points.exits import BAD_INPUT, BUSY, CANNOT_WRITE, DONE, FAILED_READER, LINES_REFUSED, say
from ratchet_points.options import Options
from ratchet_points.recorder import Recorder
from ratchet_points.redaction import cleaned
from ratchet_points.refused import RefusedLines

if TYPE_CHECKING:
    from ratchet_points.ship import Target

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
    if given.run is emitting.run and not any(word.startswith("-") for word in rest):
        given.attributes += rest
    elif rest:
        given.parser.error(f"unknown argument {rest[0]}")
    elif given.run is not emitting.run and not os.path.isdir(given.spool):
        given.parser.error(f"there is no spool {given.spool}")
    return given


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="points", description="Events out of any program.", allow_abbrev=False)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    emitting.add_to(commands)
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


def _ship(given: argparse.Namespace) -> int:
    from ratchet_points.ship import Busy, Policy, Shipper, Unusable

    if (given.kafka is None) == (given.http is None) or (given.kafka is None) != (given.topic is None):
        given.parser.error("it needs --kafka with --topic, or --http")
    if given.drop_oldest and given.limit <= 0:
        given.parser.error("--drop-oldest needs a --limit")
    kept = RefusedLines(given.spool)
    try:
        shipper = Shipper(
            given.spool,
            _target(given),
            policy=Policy(given.keep, given.limit, given.drop_oldest),
            say=say,
            refuse=lambda text, reason: kept.keep(kept.count + 1, cleaned(text), reason),
            report_drops=lambda count, reason: _report_drops(given.spool, count, reason),
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: shipper.stop())
        shipper.run(once=given.once)
    except Unusable as reason:
        given.parser.error(str(reason))
    except Busy as reason:
        say(str(reason))
        return BUSY
    except OSError as fault:
        say(f"{given.spool}: {fault.strerror}")
        return CANNOT_WRITE
    if kept.count:
        say(f"{kept.count} events could not be delivered, the first because {kept.first}; {kept.kept_where()}")
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


def _read(given: argparse.Namespace) -> int:
    if sys.stdout is None:
        given.parser.error("standard output is closed, so there is nowhere to print events")
    events = damaged = 0
    for line in spool.read(given.spool):
        if isinstance(line, spool.Event):
            events += 1
            sys.stdout.buffer.write(line.text + b"\n")
        else:
            damaged += 1
    sys.stdout.flush()
    if damaged:
        say(f"{events} events; {damaged} damaged lines were left out")
    return DONE
