"""A broker for tests: librdkafka's mock cluster, which other processes reach too, or a real one.

Where ``RATCHET_KAFKA=host:port`` is set the same tests run against that broker; what only the mock can be told (to go
away, to answer with errors) is then skipped. The mock makes any topic that is asked for, keeps nothing on disk and
knows no commits; what it cannot do (more partitions, a restart) is tested against a real broker only. To restart it
the tests run the command in ``RATCHET_KAFKA_RESTART``, such as ``systemctl restart kafka``.
"""

from __future__ import annotations

import ctypes
import os
import shlex
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PRODUCE = 0
_PRODUCER = 0
_CANNOT_LEAD = 6  # NOT_LEADER_FOR_PARTITION, which is tried again


class Broker:
    """A broker with one topic of its own."""

    def __init__(self, address: str, mock: _Mock | None) -> None:
        self.address, self._mock = address, mock
        self.topic = f"points-{uuid.uuid4().hex[:12]}"

    def _told(self) -> _Mock:
        if self._mock is None:
            pytest.skip("a real broker is not told to misbehave")
        return self._mock

    def make_topic(self, partitions: int = 3) -> None:
        if self._mock is not None:
            self._mock.make_topic(self.topic, partitions)
            return
        from confluent_kafka.admin import AdminClient
        from confluent_kafka.cimpl import NewTopic

        admin = AdminClient({"bootstrap.servers": self.address})
        for made in admin.create_topics([NewTopic(self.topic, partitions)]).values():
            made.result(30)

    def add_partitions(self, number: int) -> None:
        """Let the topic have so many. Skips the test on the mock."""
        from confluent_kafka.admin import AdminClient
        from confluent_kafka.cimpl import NewPartitions

        if self._mock is not None:
            pytest.skip("needs a real broker in RATCHET_KAFKA: the mock cannot add partitions")
        admin = AdminClient({"bootstrap.servers": self.address})
        for made in admin.create_partitions([NewPartitions(self.topic, number)]).values():
            made.result(30)

    def restart(self) -> None:
        """End once the broker answers again. Skips the test where nobody says how it is restarted."""
        from confluent_kafka.admin import AdminClient

        command = os.environ.get("RATCHET_KAFKA_RESTART")
        if self._mock is not None or command is None:
            pytest.skip("needs a real broker in RATCHET_KAFKA, and RATCHET_KAFKA_RESTART to restart it")
        subprocess.run(shlex.split(command), check=True, timeout=120)
        AdminClient({"bootstrap.servers": self.address}).list_topics(timeout=120)

    def go_away(self) -> None:
        self._told().call("rd_kafka_mock_broker_set_down", 1)

    def come_back(self) -> None:
        self._told().call("rd_kafka_mock_broker_set_up", 1)

    def fail_next_produces(self, times: int, error: int = _CANNOT_LEAD) -> None:
        """Answer so many requests to produce with an error, without taking their messages."""
        errors = (ctypes.c_int * times)(*[error] * times)
        self._told().call(
            "rd_kafka_mock_push_request_errors_array", ctypes.c_int16(PRODUCE), ctypes.c_size_t(times), errors
        )

    def values(self) -> list[bytes]:
        """The values of all messages of the topic, partition by partition."""
        from confluent_kafka import Consumer, KafkaError, TopicPartition

        consumer = Consumer(
            {
                "bootstrap.servers": self.address,
                "group.id": "tests",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "log_level": 0,
            }
        )
        try:
            left = set(consumer.list_topics(self.topic, timeout=30).topics[self.topic].partitions)
            consumer.assign([TopicPartition(self.topic, number, 0) for number in left])
            found: list[bytes] = []
            while left:
                message = consumer.poll(30)
                assert message is not None, "the broker is silent"
                error, value = message.error(), message.value()
                if error is None:
                    assert value is not None, "the SDK sends no message without a value"
                    found.append(value)
                else:
                    assert error.code() == KafkaError._PARTITION_EOF, error
                    left.discard(message.partition())
            return found
        finally:
            consumer.close()


class _Mock:
    """librdkafka's mock cluster of one broker, by its C interface: the Python one cannot tell it anything."""

    def __init__(self) -> None:
        import confluent_kafka

        folder = Path(confluent_kafka.__file__).parent.parent / "confluent_kafka.libs"
        self._library = ctypes.CDLL(str(next(folder.glob("librdkafka*"))))
        for name in ("rd_kafka_new", "rd_kafka_conf_new", "rd_kafka_mock_cluster_new"):
            getattr(self._library, name).restype = ctypes.c_void_p
        self._library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
        words = ctypes.create_string_buffer(512)
        configuration = ctypes.c_void_p(self._library.rd_kafka_conf_new())
        self._library.rd_kafka_conf_set(configuration, b"log_level", b"0", words, ctypes.c_size_t(512))
        self._handle = ctypes.c_void_p(
            self._library.rd_kafka_new(_PRODUCER, configuration, words, ctypes.c_size_t(512))
        )
        self._cluster = ctypes.c_void_p(self._library.rd_kafka_mock_cluster_new(self._handle, 1))
        self.address = self._library.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()

    def call(self, name: str, *arguments: Any) -> None:
        getattr(self._library, name)(self._cluster, *arguments)

    def make_topic(self, topic: str, partitions: int) -> None:
        self.call("rd_kafka_mock_topic_create", topic.encode(), partitions, 1)

    def end(self) -> None:
        self._library.rd_kafka_mock_cluster_destroy(self._cluster)
        self._library.rd_kafka_destroy(self._handle)


@contextmanager
def broker(partitions: int = 3) -> Iterator[Broker]:
    """A broker with a new topic, for the length of a test."""
    pytest.importorskip("confluent_kafka")
    real = os.environ.get("RATCHET_KAFKA")
    mock = None if real else _Mock()
    try:
        made = Broker(real or mock.address, mock)  # type: ignore[union-attr]
        made.make_topic(partitions)
        yield made
    finally:
        if mock is not None:
            mock.end()
