"""The brokers that the tests run on are what they are taken for."""

from __future__ import annotations

import asyncio

import pytest

from services.errors import UnknownOutcome
from services.stream.broker import Broker, recognised
from services.stream.producer import Producer
from tests.support.brokers import Kafka
from tests.support.kafka import Cluster


def test_the_embedded_broker_is_recognised_by_its_cluster(embedded_broker: Cluster) -> None:
    assert embedded_broker.broker.kind == "embedded"
    assert asyncio.run(_sent(embedded_broker.broker, embedded_broker.topic())) == list(range(20))


def test_apache_kafka_is_recognised_by_its_cluster(apache: Cluster) -> None:
    assert apache.broker.kind == "kafka"
    assert len(apache.broker.cluster) == 22
    assert asyncio.run(_sent(apache.broker, apache.topic())) == list(range(20))


def test_what_a_killed_broker_had_is_there_after_its_restart(own_kafka: Kafka) -> None:
    broker = asyncio.run(recognised(Broker(own_kafka.bootstrap)))
    cluster = Cluster(broker, own_kafka)
    topic = cluster.topic(partitions=1)

    async def scenario() -> None:
        producer = Producer(broker, deadline=2.0)
        await producer.start()
        try:
            first = await producer.send(topic, b"k", b"1")
            await asyncio.to_thread(own_kafka.kill)
            with pytest.raises(UnknownOutcome):
                await producer.send(topic, b"k", b"2")
            await asyncio.to_thread(own_kafka.start)
            again = await _until_sent(producer, topic)
            assert (first.offset, again > first.offset) == (0, True)
        finally:
            await producer.stop()

    asyncio.run(scenario())


async def _sent(broker: Broker, topic: str) -> list[int]:
    """Offsets of small and large records of one key that were sent together, in the order of the calls."""
    producer = Producer(broker)
    await producer.start()
    try:
        sizes = [1 if i % 3 else 300_000 for i in range(20)]
        places = await asyncio.gather(*[producer.send(topic, b"k", b"x" * size) for size in sizes])
    finally:
        await producer.stop()
    assert {place.cluster for place in places} == {broker.cluster}
    return [place.offset for place in places]


async def _until_sent(producer: Producer, topic: str) -> int:
    """Offset of a record that is sent until its outcome is known."""
    for _ in range(10):
        try:
            return (await producer.send(topic, b"k", b"2")).offset
        except UnknownOutcome:
            continue
    raise AssertionError("the producer did not recover")
