"""The topics of `schemas.topics` on a cluster: made when missing, never changed, every deviation named."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import for_code

from schemas.topics import TOPICS, Topic, dead_topics
from services.stream.broker import Broker
from services.stream.clients import Unreachable, admin, describe_partitions

_MOST_REPLICAS: Final = 3
_EXISTS: Final = 36
_LOOKS: Final = 50
_BETWEEN_LOOKS: Final = 0.2


@dataclass(frozen=True, slots=True)
class TopicStatus:
    """A topic as it is on the cluster: `partitions` is 0 when it does not exist."""

    topic: Topic
    partitions: int = 0
    configs: tuple[tuple[str, str], ...] = ()

    @property
    def deviations(self) -> tuple[str, ...]:
        """Where it is not what `topic` says, each with both values."""
        return deviations(self)

    @property
    def keeps_producers_time(self) -> bool:
        """Whether its records bear the time of whoever published them; False where the cluster does not tell."""
        return dict(self.configs).get(TIMESTAMP_TYPE, APPEND_TIME) != APPEND_TIME


def all_topics(partitions: int | None = None) -> tuple[Topic, ...]:
    """Every topic, those of dead letters too; `partitions` takes the place of the number that data topics have."""
    data = TOPICS if partitions is None else tuple(replace(topic, partitions=partitions) for topic in TOPICS)
    return (*data, *dead_topics())


def wanted(topic: Topic) -> dict[str, str]:
    """The settings that a topic must have on the cluster."""
    return {
        "retention.ms": str(topic.retention_hours * 3_600_000),
        "max.message.bytes": str(topic.max_message_bytes),
        "cleanup.policy": "delete",
    }


TIMESTAMP_TYPE: Final = "message.timestamp.type"
APPEND_TIME: Final = "LogAppendTime"


def settings_of_new(topic: Topic) -> dict[str, str]:
    """The settings that a topic is made with.

    Records count from when they came to the broker, not from what the clock of whoever published them said. A topic
    that exists may keep another type: its exchanges then count by our own clock where that contradicts theirs.
    """
    return {**wanted(topic), TIMESTAMP_TYPE: APPEND_TIME}


def deviations(found: TopicStatus) -> tuple[str, ...]:
    """Every difference between a topic as it is and as it must be. Pure."""
    topic = found.topic
    if not found.partitions:
        return ("does not exist",)
    differ = []
    if found.partitions != topic.partitions:
        differ.append(f"partitions: {found.partitions} instead of {topic.partitions}")
    configs = dict(found.configs)
    for name, value in wanted(topic).items():
        if configs.get(name) != value:
            differ.append(f"{name}: {configs.get(name) or 'not set'} instead of {value}")
    return tuple(differ)


async def describe(broker: Broker, topics: Sequence[Topic]) -> tuple[TopicStatus, ...]:
    """The topics as they are.

    Raises:
        Unreachable: if the cluster does not answer.
    """
    async with admin(broker) as client:
        return await _describe(client, topics)


async def create(broker: Broker, topics: Sequence[Topic]) -> tuple[tuple[str, ...], tuple[TopicStatus, ...]]:
    """Make the topics that are missing; the names of those that were made, and all as they are then.

    One that exists is left as it is, whatever it is like: its deviations are in the second part.

    Raises:
        Unreachable: if the cluster does not answer, or does not let us make a topic.
    """
    async with admin(broker) as client:
        missing = [found.topic for found in await _describe(client, topics) if not found.partitions]
        replicas = min(_MOST_REPLICAS, len((await client.describe_cluster())["brokers"]))
        made: list[str] = []
        if missing:
            response = await client.create_topics(
                [
                    NewTopic(topic.name, topic.partitions, replicas, topic_configs=settings_of_new(topic))
                    for topic in missing
                ]
            )
            made = _made(response.topic_errors)
        return tuple(made), await _settled(client, topics)


def _made(errors: Sequence[tuple[str, int, str | None]]) -> list[str]:
    """The topics that were made by us; one that another made in between is none of ours, and no fault."""
    for name, code, message in errors:
        if code not in (0, _EXISTS):
            raise Unreachable(f"topic {name}: cannot be made: {message or for_code(code).__name__}")
    return [name for name, code, _ in errors if code == 0]


async def _settled(client: AIOKafkaAdminClient, topics: Sequence[Topic]) -> tuple[TopicStatus, ...]:
    """The topics once every broker that is asked knows them."""
    for _ in range(_LOOKS):
        found = await _describe(client, topics)
        if all(one.partitions for one in found):
            break
        await asyncio.sleep(_BETWEEN_LOOKS)
    return found


async def _describe(client: AIOKafkaAdminClient, topics: Sequence[Topic]) -> tuple[TopicStatus, ...]:
    partitions = await describe_partitions(client, [topic.name for topic in topics])
    configs = await _configs(client, list(partitions)) if partitions else {}
    return tuple(
        TopicStatus(topic, len(partitions.get(topic.name, ())), configs.get(topic.name, ())) for topic in topics
    )


async def _configs(client: AIOKafkaAdminClient, names: Sequence[str]) -> dict[str, tuple[tuple[str, str], ...]]:
    """Topic -> its settings; what a broker does not tell is left to its defaults, and then shows as a deviation."""
    responses = await client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in names])
    found: dict[str, tuple[tuple[str, str], ...]] = {}
    for response in responses:
        for code, message, _, name, entries in response.resources:
            if code:
                raise Unreachable(f"topic {name}: its settings cannot be read: {message or for_code(code).__name__}")
            found[name] = tuple((entry[0], entry[1]) for entry in entries)
    return found
