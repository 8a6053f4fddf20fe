"""Where the shipper can carry events: a topic of Kafka, or an HTTP endpoint."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ratchet_points.posting import is_address, post
from ratchet_points.ship import Rejected, Unavailable, Unusable
from ratchet_points.spool import Event

if TYPE_CHECKING:
    from confluent_kafka import Producer

_ENVIRONMENT = "POINTS_KAFKA_"
_ANSWER_SECONDS = 10.0
_DELIVERY_SECONDS = 30.0
_REFUSING_STATUSES = frozenset((400, 413, 415, 422))


def kafka_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """librdkafka's settings out of variables: ``POINTS_KAFKA_SASL_PASSWORD`` is ``sasl.password``."""
    return {
        name[len(_ENVIRONMENT) :].lower().replace("_", "."): value
        for name, value in environment.items()
        if name.startswith(_ENVIRONMENT)
    }


class KafkaTarget:
    """A topic. A message is one event, a CloudEvent in structured mode; all of a segment go into one partition."""

    def __init__(self, bootstrap: str, topic: str, settings: Mapping[str, Any] = {}) -> None:
        """``settings``: of librdkafka, for TLS and SASL. Raises Unusable without the library."""
        self._topic, self._where = topic, f"{bootstrap}, topic {topic}"
        self._settings = {
            "compression.type": "zstd",
            "linger.ms": 5,
            **settings,
            "bootstrap.servers": bootstrap,
            "acks": "all",
            "enable.idempotence": True,
            # Past it the batch is given up, so that an outage is said, and the same batch begun again.
            "message.timeout.ms": int(_DELIVERY_SECONDS * 1000),
            "allow.auto.create.topics": False,
            "log_level": 0,
        }
        self._producer: Producer | None = None
        self._connected()

    def _connected(self) -> Producer:
        if self._producer is None:
            try:
                from confluent_kafka import KafkaException, Producer
            except ModuleNotFoundError:
                raise Unusable("confluent-kafka is not installed; run: pip install 'ratchet-points[kafka]'") from None
            try:
                # Errors of the connection show in the reports; left to itself the library writes them to stderr.
                self._producer = Producer(self._settings, error_cb=lambda error: None)
            except KafkaException as fault:
                # Its words can hold the value of a setting.
                raise Unusable(f"librdkafka does not take these settings: {fault.args[0].name()}") from None
        return self._producer

    def check(self) -> None:
        """A topic that is missing takes events without a word, and nobody ever sees them."""
        from confluent_kafka import KafkaException

        try:
            # All topics: asked for by name, some brokers would make it.
            topics = self._connected().list_topics(timeout=_ANSWER_SECONDS).topics
        except KafkaException as fault:
            raise self._unavailable(fault.args[0].name()) from None
        if self._topic not in topics:
            raise Unusable(f"there is no topic {self._topic} at {self._settings['bootstrap.servers']}; make it first")

    def deliver(self, batch: list[Event]) -> list[Rejected]:
        """Produce the events and wait for the broker's reports. Those that it can never take. Raises Unavailable."""
        from confluent_kafka import KafkaException

        producer = self._connected()
        outcomes: dict[int, Any] = {}  # by place in the batch: None, or the error of its report
        try:
            for number, event in enumerate(batch):
                self._produce(producer, event, lambda error, _, number=number: outcomes.__setitem__(number, error))
            producer.flush(_DELIVERY_SECONDS + _ANSWER_SECONDS)
        except KafkaException as fault:  # the library gave the producer up
            raise self._unavailable(fault.args[0].name()) from None
        if len(outcomes) < len(batch):
            raise self._unavailable("a report of a delivery did not arrive")
        failed = {number: error for number, error in outcomes.items() if error is not None}
        for error in failed.values():
            if not _is_about_the_event(error):
                raise self._unavailable(error.name())
        if len(batch) == 1:
            return [Rejected(batch[0], f"the broker refused it: {error.name()}") for error in failed.values()]
        # Brokers judge the messages of a request together: which of them is too large shows by itself alone.
        again = [batch[number] for number in sorted(failed)]
        middle = len(again) // 2 if len(again) == len(batch) else len(again)
        return [rejected for part in (again[:middle], again[middle:]) if part for rejected in self.deliver(part)]

    def _produce(self, producer: Producer, event: Event, on_delivery: Any) -> None:
        from confluent_kafka import KafkaException

        while True:
            try:
                producer.produce(
                    self._topic,
                    key=event.segment.encode(),
                    value=event.text,
                    headers=[("content-type", b"application/cloudevents+json")],
                    on_delivery=on_delivery,
                )
                return
            except BufferError:
                producer.poll(0.1)
            except KafkaException as fault:
                if not _is_about_the_event(fault.args[0]):
                    raise
                on_delivery(fault.args[0], None)  # larger than message.max.bytes, and never sent
                return

    def _unavailable(self, why: str) -> Unavailable:
        """Begin anew next time: what a producer still holds would be sent beside the same batch's next try."""
        if self._producer is not None:
            self._producer.purge()
            self._producer = None
        return Unavailable(f"{self._where}: {why}")

    def close(self) -> None:
        """Let the producer go; it holds nothing that was not confirmed or given up."""
        self._producer = None


def _is_about_the_event(error: Any) -> bool:
    from confluent_kafka import KafkaError

    return error.code() in (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_MSG, KafkaError.INVALID_RECORD)


class HttpTarget:
    """An endpoint that takes batches of CloudEvents as JSON. ``$POINTS_HTTP_AUTHORIZATION`` is sent if it is set."""

    def __init__(self, url: str) -> None:
        """Raises Unusable."""
        if not is_address(url):
            raise Unusable("the address of an endpoint begins with http:// or https://")
        self._url = url
        self._headers = {}
        if authorization := os.environ.get("POINTS_HTTP_AUTHORIZATION"):
            self._headers["Authorization"] = authorization

    def check(self) -> None:
        """There is nothing to ask an endpoint but to take events."""

    def deliver(self, batch: list[Event]) -> list[Rejected]:
        """Post the events. Those that the endpoint can never take. Raises Unavailable."""
        status = self._post(batch)
        if status is None:
            return []
        if status not in _REFUSING_STATUSES:
            raise Unavailable(f"the endpoint answered {status}")
        if len(batch) == 1:
            return [Rejected(batch[0], f"the endpoint refused it with {status}")]
        # One of them is why: halves find it, and let the others pass.
        half = len(batch) // 2
        return self.deliver(batch[:half]) + self.deliver(batch[half:])

    def _post(self, batch: list[Event]) -> int | None:
        """None if they were taken, else the status. Raises Unavailable."""
        try:
            status = post(self._url, [event.text for event in batch], timeout=_ANSWER_SECONDS, headers=self._headers)
        except Exception as error:
            raise Unavailable(f"the endpoint cannot be reached ({type(error).__name__})") from None
        return None if 200 <= status < 300 else status

    def close(self) -> None:
        """There is nothing to close: each batch is a connection of its own."""
