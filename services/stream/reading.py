"""Reading a topic from a place to an end, partition by partition, without joining a group."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import ConsumerRecord, TopicPartition

_POLL_MS: Final = 200
_BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class Until:
    """When reading ends: after `idle` seconds without a record (None: never), or at the `ends` of its partitions."""

    idle: float | None = None
    ends: Mapping[TopicPartition, int] | None = None


async def from_start(client: AIOKafkaConsumer, places: Sequence[TopicPartition]) -> None:
    """Read these partitions from their beginning."""
    client.assign(places)
    await client.seek_to_beginning(*places)


async def from_now(client: AIOKafkaConsumer, places: Sequence[TopicPartition]) -> None:
    """Read what comes from now on; not on the embedded broker, which does not know the end of a topic."""
    client.assign(places)
    for place, end in (await client.end_offsets(places)).items():
        client.seek(place, end)


async def records(client: AIOKafkaConsumer, until: Until) -> AsyncIterator[list[ConsumerRecord]]:
    """Batches of records; those of a partition are in order."""
    loop = asyncio.get_running_loop()
    heard = loop.time()
    while not await _at_end(client, until.ends):
        found = await client.getmany(timeout_ms=_POLL_MS, max_records=_BATCH)
        batch = [record for place in sorted(found) for record in found[place]]
        if batch:
            yield batch
            heard = loop.time()
        elif until.idle is not None and loop.time() - heard >= until.idle:
            return


async def _at_end(client: AIOKafkaConsumer, ends: Mapping[TopicPartition, int] | None) -> bool:
    if ends is None:
        return False
    for place, end in ends.items():
        if await client.position(place) < end:
            return False
    return True
