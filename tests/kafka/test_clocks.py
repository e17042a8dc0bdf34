"""Whose clock counts: the broker's on topics that we make, else our own where the producer's cannot be believed."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import NewTopic

from schemas.position import Position
from schemas.topics import Topic
from services.offload import Offload
from services.ports import Received
from services.score.core import ScoredBatch
from services.stream.broker import options
from services.stream.clients import ReadUntil, admin, consumer, from_start, partitions, read_records
from services.stream.handlers import ScoreHandler
from services.stream.messages import ARRIVED_HEADER, ORIGIN_HEADER, TopicMessage
from services.stream.topics import create, describe
from tests.support.case import exchange, line
from tests.support.kafka import Cluster

BARE = line({"route": "a", "prompt": "b", "response": "c", "model": {"requested": "m"}})
FAR = datetime(2090, 1, 1, tzinfo=UTC)


def received(cluster: Cluster, topic: str, sent: Sequence[tuple[bytes, datetime, list[tuple[str, bytes]]]]) -> list:
    """What the score step takes in of records that were sent with these times and headers."""
    return asyncio.run(_received(cluster, topic, sent))


async def _received(cluster, topic, sent):
    producer = AIOKafkaProducer(**options(cluster.broker).producer)
    await producer.start()
    for raw, ts, headers in sent:
        await producer.send_and_wait(topic, raw, timestamp_ms=int(ts.timestamp() * 1000), headers=headers, partition=0)
    await producer.stop()
    messages = []
    async with consumer(cluster.broker) as client:
        places = sorted(place for some in (await partitions(cluster.broker, [topic])).values() for place in some)
        await from_start(client, places)
        async for batch in read_records(client, ReadUntil(ends=await client.end_offsets(places))):
            messages += [
                TopicMessage(
                    record.topic,
                    record.partition,
                    record.offset,
                    record.value,
                    datetime.fromtimestamp(record.timestamp / 1000, UTC),
                    tuple(record.headers),
                    appended=record.timestamp_type == 1,
                )
                for record in batch
            ]
    found: list[Received] = []

    def score(batch):
        found.extend(batch)
        return ScoredBatch()

    async def named():
        return cluster.broker.cluster

    cpu = Offload("cpu")
    try:
        handled = await ScoreHandler(score, cpu, named).handle(messages)
    finally:
        cpu.close()
    assert not handled.outgoing
    return found


def of_ours(cluster: Cluster) -> str:
    topic = Topic(f"exchanges.{uuid.uuid4().hex[:12]}", ("exchange",), "publishers", ("score",), partitions=1)
    asyncio.run(create(cluster.broker, [topic]))
    [found] = asyncio.run(describe(cluster.broker, [topic]))
    assert (found.deviations, found.keeps_producers_time) == ((), False)
    return topic.name


def of_others(cluster: Cluster) -> str:
    """A topic that somebody made, who lets producers say any time."""
    name = f"exchanges.{uuid.uuid4().hex[:12]}"
    configs = {"message.timestamp.type": "CreateTime", "message.timestamp.after.max.ms": str(2**62)}
    configs |= {"retention.ms": "604800000", "max.message.bytes": "4194304", "cleanup.policy": "delete"}

    async def make() -> None:
        async with admin(cluster.broker) as client:
            [(_, code, message)] = (
                await client.create_topics([NewTopic(name, 1, 1, topic_configs=configs)])
            ).topic_errors
            assert code == 0, message

    asyncio.run(make())
    topic = Topic(name, ("exchange",), "publishers", ("score",), partitions=1)
    [found] = asyncio.run(describe(cluster.broker, [topic]))
    assert (found.deviations, found.keeps_producers_time) == ((), True), "it is left alone, and can be told"
    return name


@pytest.mark.parametrize("made", [of_ours, of_others])
def test_an_exchange_without_a_time_counts_from_its_arrival(cluster: Cluster, made) -> None:
    begin = datetime.now(UTC)
    header = [(ORIGIN_HEADER, Position(cluster="c", topic="t", partition=0, offset=1).model_dump_json().encode())]
    arrived = begin - timedelta(days=2)
    own = line(exchange("own") | {"ts": FAR.isoformat()})
    sent = [
        (BARE, FAR, []),
        (BARE, FAR, [*header, (ARRIVED_HEADER, FAR.isoformat().encode())]),
        (BARE, begin, [*header, (ARRIVED_HEADER, arrived.isoformat().encode())]),
        (own, FAR, []),
    ]
    found = received(cluster, made(cluster), sent)
    times = [one.exchange.ts for one in found]
    assert all(abs(times[place] - begin) < timedelta(minutes=10) for place in (0, 1, 3))
    assert times[2] == arrived, "what is sent again keeps its first arrival"
    skewed = ["skew" in one.flags for one in found]
    by_broker = made is of_ours and cluster.broker.kind != "embedded"  # which knows no LogAppendTime
    assert skewed == ([False, True, False, True] if by_broker else [True, True, False, True])
