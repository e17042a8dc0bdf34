"""The producer while its broker is away: patient, and well again soon after."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest

from schemas.topics import EXCHANGES
from services.errors import UnknownOutcome
from services.stream.broker import REQUEST_SECONDS, Broker, recognised
from services.stream.producer import Producer
from services.stream.topics import create

AWAY_SECONDS = 2.0 + REQUEST_SECONDS
"""Long enough for batches to expire."""


def counted(client: Any) -> list[float]:
    """When the client asks for metadata from now on."""
    times: list[float] = []
    ask = client._metadata_update

    async def asked(*args: Any) -> Any:
        times.append(time.monotonic())
        return await ask(*args)

    client._metadata_update = asked
    return times


def test_without_a_leader_it_asks_now_and_then_and_goes_on_once_there_is_one(own_kafka: Any) -> None:
    """aiokafka alone asks some 10,000 times a second; and an idempotent one of it never sends anything again."""
    topic = replace(EXCHANGES, name="away", partitions=1)

    async def story() -> list[int]:
        broker = await recognised(Broker(own_kafka.bootstrap))
        await create(broker, [topic])
        producer = Producer(broker, deadline=1.0)
        await producer.start()
        try:
            first = await producer.send(topic.name, None, b"first")
            await asyncio.to_thread(own_kafka.kill)
            cluster = producer._client.client.cluster
            for partition in cluster._partitions[topic.name].values():
                cluster._partitions[topic.name][partition.partition] = partition._replace(leader=-1)
            asked = counted(producer._client.client)
            end = time.monotonic() + AWAY_SECONDS
            while time.monotonic() < end:
                with pytest.raises(UnknownOutcome):
                    await producer.send(topic.name, None, b"second")
            assert 0 < len(asked) < 10 * AWAY_SECONDS + 10
            await asyncio.to_thread(own_kafka.start)
            async with asyncio.timeout(30):
                while True:
                    try:
                        third = await producer.send(topic.name, None, b"third")
                    except UnknownOutcome:
                        continue
                    return [first.offset, third.offset]
        finally:
            await producer.stop()

    first, third = asyncio.run(story())
    assert first == 0
    assert third >= 1
