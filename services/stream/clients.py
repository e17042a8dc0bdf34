"""Connections of commands to a cluster: opened, checked, closed; what fails is one clear line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError, KafkaError
from aiokafka.structs import TopicPartition

from services.errors import InputError
from services.stream.config import Broker, options, recognised

REMEDY: Final = "`keelwatch doctor` says why"


class Unreachable(Exception):  # noqa: N818
    """The cluster did not answer or refused us; the text is for people."""


class NoTopicError(InputError):
    """A topic that does not exist."""


async def reached(broker: Broker) -> Broker:
    """The broker as it presents itself.

    Raises:
        Unreachable: if it does not answer.
    """
    try:
        return await recognised(broker)
    except (KafkaError, OSError) as error:
        raise Unreachable(f"{broker.bootstrap}: {said(error)}; {REMEDY}") from None


@asynccontextmanager
async def admin(broker: Broker) -> AsyncIterator[AIOKafkaAdminClient]:
    """A client for topics.

    Raises:
        Unreachable: if the cluster does not answer, now or within the block.
    """
    client = AIOKafkaAdminClient(**options(broker).admin)
    try:
        await client.start()
        yield client
    except (KafkaError, OSError) as error:
        raise Unreachable(f"{broker.bootstrap}: {said(error)}; {REMEDY}") from None
    finally:
        await client.close()


@asynccontextmanager
async def consumer(broker: Broker, group: str | None = None) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer that is told its partitions; it commits where it is told to, under `group`.

    Raises:
        Unreachable: if the cluster does not answer, now or within the block.
    """
    client = AIOKafkaConsumer(group_id=group, **options(broker).consumer)
    try:
        await client.start()
        yield client
    except (KafkaError, OSError) as error:
        raise Unreachable(f"{broker.bootstrap}: {said(error)}; {REMEDY}") from None
    finally:
        # A client that is stopped before its tasks had a turn raises a cancellation that nobody asked for.
        await asyncio.sleep(0)
        await client.stop()


async def partitions(broker: Broker, names: Collection[str]) -> dict[str, list[TopicPartition]]:
    """Topic -> its partitions, of those of `names` that exist.

    What exists is asked first: some brokers make a topic that they are asked about.
    """
    async with admin(broker) as client:
        there = set(await client.list_topics())
        known = [name for name in names if name in there]
        described: list[dict[str, Any]] = await client.describe_topics(known) if known else []
    return {
        one["topic"]: sorted(TopicPartition(one["topic"], part["partition"]) for part in one["partitions"])
        for one in described
    }


async def partitions_of(broker: Broker, topic: str) -> list[TopicPartition]:
    """The partitions of one topic.

    Raises:
        NoTopicError: if it does not exist.
    """
    found = await partitions(broker, [topic])
    if topic not in found:
        raise NoTopicError(f"topic {topic}: does not exist on {broker.bootstrap}; `keelwatch topics create` makes them")
    return found[topic]


def said(error: Exception) -> str:
    """What a client said, on one line."""
    if isinstance(error, KafkaConnectionError):
        return "no broker could be reached, or none let us in"
    text = " ".join(str(error).split())
    return text or type(error).__name__
