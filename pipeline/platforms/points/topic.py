"""Reading on in a topic of Kafka: messages from explicit offsets, those that stand beside the counts.

No consumer group and no commit: where reading goes on is the lake's to say, so that neither a lost group nor a
rebalance can count anything twice or leave it out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from pipeline.core.errors import ConfigError, DeadSession, TransportFault
from pipeline.platforms.feed.pages import MESSAGES, Reach, Room, Stretch, end_page, message_line, records_page
from pipeline.platforms.points.settings import TopicSpec
from pipeline.platforms.protocol import Page

if TYPE_CHECKING:
    from confluent_kafka import Consumer

ANSWER_SECONDS = 15.0
"""How long the broker may be silent."""
_BATCH, _BATCH_SECONDS = 500, 0.05
_PAGE_BYTES = 1024 * 1024


def read_on(
    spec: TopicSpec, positions: Mapping[str, int], *, max_pages: int, max_bytes: int, now: Callable[[], datetime]
) -> Iterator[Page]:
    """Pages of messages that no accepted capture holds, up to what the topic held at the start; then the end's page.

    Raises TransportFault where the broker does not answer or lacks the topic, DeadSession where it turns the
    credential away, ConfigError without confluent-kafka or with settings that it does not know.
    """
    with _consumer(spec) as consumer:
        places = {
            f"{spec.topic}/{number}": _reach(consumer, spec, number, positions) for number in _numbers(consumer, spec)
        }
        room = Room(max_pages, max_bytes)
        for place, reach in places.items():
            for stretch, body in _stretches(consumer, spec, place, reach):
                if not room.take(body):
                    break
                reach.next = stretch.next
                yield records_page(MESSAGES, stretch, body, now())
            if room.is_full:
                break
        yield end_page(places, now())


@contextmanager
def _consumer(spec: TopicSpec) -> Iterator[Consumer]:
    try:
        from confluent_kafka import Consumer, KafkaException
    except ModuleNotFoundError:
        raise ConfigError(
            "Points are to be read from Kafka, and the library for it is not installed.",
            "Run: .venv/bin/pip install confluent-kafka",
        ) from None
    settings: dict[str, Any] = {
        **{name: _given(value) for name, value in spec.settings.items()},
        "bootstrap.servers": spec.bootstrap,
        "group.id": "ratchet",  # librdkafka wants one; it is never joined
        "enable.auto.commit": False,
        "auto.offset.reset": "error",
        "allow.auto.create.topics": False,
        "enable.partition.eof": True,
        "log_level": 0,
    }
    try:
        consumer = Consumer(settings)
    except KafkaException as fault:
        raise ConfigError(
            f"librdkafka does not take the settings under 'kafka': {_words(fault, spec)}",
            "Compare them with its list of settings.",
        ) from None
    try:
        yield consumer
    except KafkaException as fault:
        raise _fault(fault, spec) from None
    finally:
        consumer.close()


def _numbers(consumer: Consumer, spec: TopicSpec) -> list[int]:
    """The partitions of the topic."""
    found = consumer.list_topics(spec.topic, timeout=ANSWER_SECONDS).topics.get(spec.topic)
    if found is None or found.error is not None or not found.partitions:
        raise TransportFault(f"the broker {spec.bootstrap} has no topic {spec.topic}")
    return sorted(found.partitions)


def _reach(consumer: Consumer, spec: TopicSpec, number: int, positions: Mapping[str, int]) -> Reach:
    from confluent_kafka import TopicPartition

    low, high = consumer.get_watermark_offsets(TopicPartition(spec.topic, number), timeout=ANSWER_SECONDS, cached=False)
    known = positions.get(f"{spec.topic}/{number}")
    first = low if known is None else max(known, low)
    return Reach(first, first, high, 0 if known is None else first - known)


def _stretches(consumer: Consumer, spec: TopicSpec, place: str, reach: Reach) -> Iterator[tuple[Stretch, bytes]]:
    """The messages of one partition before ``reach.end``, in stretches of about _PAGE_BYTES."""
    from confluent_kafka import TopicPartition

    if reach.end <= reach.first:
        return
    number = int(place.rpartition("/")[2])
    consumer.assign([TopicPartition(spec.topic, number, reach.first)])
    first = at = reach.first
    body = bytearray()
    for offset, value in _messages(consumer, spec, reach.end):
        if offset < reach.end:
            body += message_line(offset, value)
        at = min(offset + 1, reach.end)
        if len(body) >= _PAGE_BYTES:
            yield Stretch(place, first, at), bytes(body)
            first, body = at, bytearray()
    if at > first:
        yield Stretch(place, first, at), bytes(body)


def _messages(consumer: Consumer, spec: TopicSpec, end: int) -> Iterator[tuple[int, bytes]]:
    """Offset and value of each message of the assigned partition up to ``end``, or to where it has nothing more.

    The very end is told as a message without value before it where the last offsets hold none (a transaction's mark).
    """
    from confluent_kafka import KafkaError, KafkaException

    heard = time.monotonic()
    while True:
        found = consumer.consume(_BATCH, _BATCH_SECONDS)
        if not found and time.monotonic() - heard > ANSWER_SECONDS:
            raise TransportFault(f"the broker {spec.bootstrap} did not send messages within {ANSWER_SECONDS:g} s")
        for message in found:
            heard = time.monotonic()
            if (error := message.error()) is None:
                offset = message.offset() or 0  # None only where there is an error
                yield offset, message.value() or b""
                if offset + 1 >= end:
                    return
            elif error.code() == KafkaError._PARTITION_EOF:
                return
            else:
                raise KafkaException(error)


def _given(value: int | bool | SecretStr) -> int | bool | str:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def _fault(fault: Exception, spec: TopicSpec) -> Exception:
    from confluent_kafka import KafkaError

    error = fault.args[0]
    if error.code() in (
        KafkaError._AUTHENTICATION,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    ):
        return DeadSession(
            f"the broker {spec.bootstrap} turned the credential away: {error.name()}",
            "Look at the settings of the broker under 'kafka' in the source's YAML.",
        )
    return TransportFault(f"the broker {spec.bootstrap} could not be read: {error.name()}")


def _words(fault: Exception, spec: TopicSpec) -> str:
    """The library quotes values in its words, and one of them can be a secret."""
    error = fault.args[0]
    named = [name for name in spec.settings if f'"{name}"' in error.str()]
    return f"{error.name()}{f' ({named[0]})' if named else ''}"
