"""Consumer groups on the cluster: who is a member, and how far each step is behind.

`up` and `worker` read the same topics as different consumer groups: both at once would do everything twice.

How far each step is behind, and how many processes read for it: what the broker itself says of the groups.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError
from aiokafka.structs import TopicPartition

from schemas.topics import dead_topics
from services.errors import InputError
from services.flow import STEPS
from services.ports import StepLag
from services.stream.broker import Broker, options, recognised
from services.stream.clients import admin

UP_GROUP: Final = "keelwatch.up"
WORKER_GROUPS: Final = tuple(f"keelwatch.{step.name}" for step in STEPS)
_DESCRIBE_ATTEMPTS: Final = 60
_PAUSE_SECONDS: Final = 0.5
_STILL: Final = "the broker forgets within a minute a process that has ended"


async def check_alone(broker: Broker, *, together: bool) -> None:
    """Check that no process of the other kind works on this cluster; `together`: this one is of `keelwatch up`.

    Raises:
        InputError: if one does.
        Unreachable: if the cluster does not answer.
    """
    others = await group_sizes(broker, WORKER_GROUPS if together else (UP_GROUP,))
    busy = sorted(group for group, count in others.items() if count)
    if not busy:
        return
    if together:
        raise InputError(
            f"`keelwatch worker` runs on {broker.bootstrap} ({', '.join(busy)}): stop it, or run no `keelwatch up` "
            f"there; {_STILL}"
        )
    raise InputError(f"`keelwatch up` runs on {broker.bootstrap}: stop it, or run no `keelwatch worker`; {_STILL}")


async def group_sizes(broker: Broker, groups: tuple[str, ...]) -> dict[str, int]:
    """Group -> how many members it has; 0 for one that does not exist.

    Raises:
        Unreachable: if the cluster does not answer.
    """
    async with admin(broker) as client:
        # One after the other: the embedded broker answers for several in a form that cannot be read.
        responses = [await _described(client, group) for group in groups]
    return {group[1]: len(group[5]) for response in responses for group in response.groups}


async def _described(client: AIOKafkaAdminClient, group: str) -> Any:
    """A new cluster makes the topic of its groups when it is first asked about one, and needs a moment for that."""
    for _ in range(_DESCRIBE_ATTEMPTS):
        with suppress(GroupCoordinatorNotAvailableError):
            return (await client.describe_consumer_groups([group]))[0]
        await asyncio.sleep(_PAUSE_SECONDS)
    return (await client.describe_consumer_groups([group]))[0]


_CLOSE_SECONDS: Final = 1.0


class GroupLags:
    """Asks over connections that are kept, and made again after a failure. Processes need not run for an answer."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._known: Broker | None = None
        self._admin: AIOKafkaAdminClient | None = None
        self._consumer: AIOKafkaConsumer | None = None

    async def read(self) -> tuple[StepLag, ...]:
        """Every step and topic, in the order of the flow. The embedded broker does not tell how many records wait.

        Raises:
            aiokafka.errors.KafkaError: if the broker does not answer.
        """
        try:
            admin = await self._connected()
            members = {group: await _members(admin, group) for group in (UP_GROUP, *WORKER_GROUPS)}
            there = set(await admin.list_topics())
            topics = {step.name: [name for name in _topics(step.name) if name in there] for step in STEPS}
            waiting = await self._waiting(admin, topics, together=bool(members[UP_GROUP]))
        except BaseException:
            await self.close()
            raise
        return tuple(
            StepLag(step, topic, waiting.get((step, topic)), members[f"keelwatch.{step}"] + members[UP_GROUP])
            for step, names in topics.items()
            for topic in names
        )

    async def close(self) -> None:
        """Close the connections."""
        admin, self._admin = self._admin, None
        consumer, self._consumer = self._consumer, None
        with suppress(Exception):
            async with asyncio.timeout(_CLOSE_SECONDS):
                if consumer is not None:
                    await consumer.stop()
        with suppress(Exception):
            async with asyncio.timeout(_CLOSE_SECONDS):
                if admin is not None:
                    await admin.close()

    async def _connected(self) -> AIOKafkaAdminClient:
        if self._known is None:
            self._known = await recognised(self._broker)
        if self._admin is None:
            self._admin = AIOKafkaAdminClient(**options(self._known).admin)
            await self._admin.start()
        return self._admin

    async def _waiting(
        self, admin: AIOKafkaAdminClient, topics: Mapping[str, Sequence[str]], *, together: bool
    ) -> dict[tuple[str, str], int]:
        """(step, topic) -> records that its group has not acknowledged; nothing where the broker does not tell."""
        assert self._known is not None
        if self._known.kind == "embedded":
            return {}
        names = sorted({name for some in topics.values() for name in some})
        places = await _places(admin, names)
        if self._consumer is None:
            self._consumer = AIOKafkaConsumer(**options(self._known).consumer)
            await self._consumer.start()
        ends = await self._consumer.end_offsets(places)
        begins = await self._consumer.beginning_offsets(places)
        found = {}
        for step, some in topics.items():
            told = await _committed(admin, UP_GROUP if together else f"keelwatch.{step}")
            for name in some:
                mine = [place for place in places if place.topic == name]
                found[step, name] = sum(max(ends[one] - max(told.get(one, 0), begins[one]), 0) for one in mine)
        return found


def _topics(step: str) -> list[str]:
    (known,) = (one for one in STEPS if one.name == step)
    return [topic.name for topic in known.consumes] + [one.name for one in dead_topics() if step in one.consumers]


async def _places(admin: AIOKafkaAdminClient, names: Sequence[str]) -> list[TopicPartition]:
    described = await admin.describe_topics(list(names)) if names else []
    return [TopicPartition(one["topic"], part["partition"]) for one in described for part in one["partitions"]]


async def _members(admin: AIOKafkaAdminClient, group: str) -> int:
    """How many processes read for the group. A new cluster has no coordinator yet: then nobody does."""
    with suppress(GroupCoordinatorNotAvailableError):
        (response,) = await admin.describe_consumer_groups([group])
        return sum(len(one[5]) for one in response.groups)
    return 0


async def _committed(admin: AIOKafkaAdminClient, group: str) -> dict[TopicPartition, int]:
    with suppress(GroupCoordinatorNotAvailableError):
        return {place: max(one.offset, 0) for place, one in (await admin.list_consumer_group_offsets(group)).items()}
    return {}
