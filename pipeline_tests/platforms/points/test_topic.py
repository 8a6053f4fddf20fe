"""The same events out of a topic of Kafka, from the offsets that stand beside the counts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.errors import ConfigError, TransportFault
from pipeline.core.model import Bounds
from pipeline.core.project import ROOT
from pipeline.platforms.points.adapter import Points
from pipeline_tests.kafka_broker import broker
from pipeline_tests.platforms.feeding import MOMENT
from pipeline_tests.platforms.points.parts import Program, Told, event

PAID = "point:checkout.paid"


@pytest.fixture
def kafka() -> Iterator[Any]:
    with broker(partitions=3) as made:
        yield made


def reading(kafka: Any, folder: Path, bounds: Bounds | None = None, **more: Any) -> Told:
    return Told.under(
        folder, bounds=bounds, spool=None, kafka={"bootstrap": kafka.address, "topic": kafka.topic}, **more
    )


def send(kafka: Any, *values: bytes | dict[str, Any], partition: int = 0) -> None:
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": kafka.address, "log_level": 0})
    for value in values:
        text = value if isinstance(value, bytes) else json.dumps(value).encode()
        producer.produce(kafka.topic, text, partition=partition)
    assert producer.flush(30) == 0


def test_messages_are_counted_on_from_hour_to_hour(tmp_path: Path, kafka: Any) -> None:
    told = reading(kafka, tmp_path)
    assert told.hour(0)
    send(kafka, event(number=1), event(number=2))
    send(kafka, event(number=3), partition=1)
    assert told.hour(1)
    send(kafka, event(number=4), event(number=2), b"\xff", b"not JSON", partition=2)
    assert told.hour(2)
    assert told.hour(3)
    assert told.counts(1)[PAID]["events"] == 3
    assert told.counts(3)[PAID]["events"] == 4
    assert told.reading(3) == {"read": 7, "malformed": 2, "duplicates": 1, "dropped": 0, "lost": 0, "behind": 0}
    [record] = told.refused_records()
    assert [(row["place"], row["position"], row["reason"]) for row in record.rows] == [
        (f"{kafka.topic}/2", 2, "it is not JSON"),
        (f"{kafka.topic}/2", 3, "it is not JSON"),
    ]


def test_what_exceeds_the_bounds_is_left_for_the_next_capture(tmp_path: Path, kafka: Any) -> None:
    told = reading(kafka, tmp_path, Bounds(max_pages=3))
    send(kafka, *[event(number=number, filling="x" * 1000) for number in range(2200)])
    send(kafka, event(number=9000), partition=2)
    assert told.hour(0)
    first = told.reading(0)
    assert first["read"] + first["behind"] == 2201
    assert first["behind"] > 0
    assert told.hour(1)
    assert told.counts(1)[PAID]["events"] == 2201


def test_a_shipped_spool_counts_as_if_it_were_read_itself(tmp_path: Path, kafka: Any) -> None:
    told = reading(kafka, tmp_path)
    Program(tmp_path / "spool").reports(*[event(number=number) for number in range(700)])
    command = [sys.executable, "-m", "ratchet_points", "ship", tmp_path / "spool", "--kafka", kafka.address]
    again = tmp_path / "spool" / "shipped.json"
    for _ in range(2):  # the second time without knowing of the first, as after a lost disk
        again.unlink(missing_ok=True)
        subprocess.run(
            [*command, "--topic", kafka.topic, "--once", "--keep"],
            env=os.environ | {"PYTHONPATH": str(ROOT / "points" / "src")},
            check=True,
            timeout=60,
        )
    assert told.hour(0)
    assert told.counts(0)[PAID]["events"] == 700
    assert told.reading(0)["duplicates"] == 700


@pytest.mark.real_broker
def test_an_added_partition_is_read_from_its_beginning(tmp_path: Path, kafka: Any) -> None:
    told = reading(kafka, tmp_path)
    send(kafka, event(number=1))
    assert told.hour(0)
    kafka.add_partitions(4)
    send(kafka, event(number=2), partition=3)
    assert told.hour(1)
    assert told.counts(1)[PAID]["events"] == 2
    assert told.reading(1)["lost"] == 0


@pytest.mark.real_broker
def test_a_restarted_broker_is_read_on_from_where_it_was(tmp_path: Path, kafka: Any) -> None:
    told = reading(kafka, tmp_path)
    send(kafka, event(number=1), event(number=2))
    assert told.hour(0)
    kafka.restart()
    send(kafka, event(number=3))
    assert told.hour(1)
    assert told.counts(1)[PAID]["events"] == 3
    assert (told.reading(1)["duplicates"], told.reading(1)["lost"]) == (0, 0)


def test_a_broker_that_is_away_is_a_fault_of_transport(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.platforms.points.topic.ANSWER_SECONDS", 0.5)
    away = Points.model_validate({"kafka": {"bootstrap": "127.0.0.1:9", "topic": "points"}})
    with pytest.raises(TransportFault, match="could not be read"):
        list(away.read_on({}, max_pages=10, max_bytes=1000, now=lambda: MOMENT))


def test_a_missing_topic_is_a_fault_of_transport(kafka: Any) -> None:
    missing = Points.model_validate({"kafka": {"bootstrap": kafka.address, "topic": "missing"}})
    with pytest.raises(TransportFault, match="has no topic missing"):
        list(missing.read_on({}, max_pages=10, max_bytes=1000, now=lambda: MOMENT))


def test_settings_that_the_library_lacks_are_refused_without_their_values(kafka: Any) -> None:
    topic = {"bootstrap": kafka.address, "topic": kafka.topic, "settings": {"sasl.passwordd": "planted-secret"}}
    platform = Points.model_validate({"kafka": topic})
    with pytest.raises(ConfigError) as refused:
        list(platform.read_on({}, max_pages=10, max_bytes=1000, now=lambda: MOMENT))
    assert "sasl.passwordd" in str(refused.value)
    assert "planted-secret" not in f"{refused.value} {platform!r}"
