"""Consumer groups on the cluster: how many members each has, and how far each step is behind.

`up` and `worker` read the same topics as different consumer groups: both at once would do everything twice. Two
databases would each get a part of the routes: what a group commits carries the id of the database that it is for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import GroupCoordinatorNotAvailableError
from aiokafka.structs import OffsetAndMetadata, TopicPartition

from schemas.topics import SCORES, TOPICS
from services.errors import InputError
from services.ports import PartitionSight, StepLag
from services.stream.broker import Broker
from services.stream.clients import KeptClients, admin, describe_partitions

UP_GROUP: Final = "keelwatch.up"
WORKER_GROUPS: Final = tuple(
    f"keelwatch.{step}" for step in sorted({step for topic in TOPICS for step in topic.consumers})
)


@dataclass(frozen=True, slots=True)
class FollowerGroup:
    """A consumer group beside the steps, which reads one topic: `name` is how it is told of."""

    name: str
    group: str
    topic: str


SCORE_EVENTS: Final = FollowerGroup("score_events", "keelwatch.score-events", SCORES.name)
"""What sends scores out, where the monitor file says to where."""
_DEPLOYMENT: Final = "keelwatch-deployment:"
_DESCRIBE_ATTEMPTS: Final = 60
_PAUSE_SECONDS: Final = 0.5
_DEAL_SECONDS: Final = 15.0
_STILL: Final = "the broker forgets within a minute a process that has ended"


async def check_alone(broker: Broker, *, together: bool) -> None:
    """Check that no process of the other kind works on this cluster; `together`: this one is of `keelwatch up`.

    Raises:
        InputError: if one does.
        Unreachable: if the cluster does not answer.
    """
    async with admin(broker) as client:
        others = await group_sizes(client, WORKER_GROUPS if together else (UP_GROUP,), _DESCRIBE_ATTEMPTS)
    busy = sorted(group for group, count in others.items() if count)
    if not busy:
        return
    if together:
        raise InputError(
            f"`keelwatch worker` runs on {broker.bootstrap} ({', '.join(busy)}): stop it, or run no `keelwatch up` "
            f"there; {_STILL}"
        )
    raise InputError(f"`keelwatch up` runs on {broker.bootstrap}: stop it, or run no `keelwatch worker`; {_STILL}")


def deployment_mark(broker: Broker) -> str:
    """What is committed beside each offset; empty for a process without a database."""
    return f"{_DEPLOYMENT}{broker.deployment}" if broker.deployment else ""


async def check_deployment(broker: Broker) -> None:
    """Check that no other database has worked on this cluster. The embedded broker is as old as its `keelwatch up`.

    Raises:
        InputError: if one has.
        Unreachable: if the cluster does not answer.
    """
    if broker.kind == "embedded" or not broker.deployment:
        return
    async with admin(broker) as client:
        for group in (UP_GROUP, *WORKER_GROUPS):
            known = {_mark(one) for one in (await _places(client, group)).values()} - {""}
            if known - {deployment_mark(broker)}:
                raise InputError(
                    f"{broker.bootstrap} belongs to another deployment: {group} works there for another database than "
                    "KEELWATCH_DATABASE_URL names; name that one, or another cluster; if that database is gone for "
                    f"good, delete Keelwatch's consumer groups there: {', '.join((UP_GROUP, *WORKER_GROUPS))}"
                )


def _mark(place: OffsetAndMetadata) -> str:
    return place.metadata if place.metadata.startswith(_DEPLOYMENT) else ""


async def group_sizes(client: AIOKafkaAdminClient, groups: Sequence[str], attempts: int = 1) -> dict[str, int]:
    """Group -> how many members it has; 0 for one that does not exist.

    A new cluster makes the topic of its groups when it is first asked about one, and needs a moment for that: it is
    asked up to `attempts` times, and then nobody is in the group.
    """
    # One after the other: the embedded broker answers for several in a form that cannot be read.
    return {group: await _group_size(client, group, attempts) for group in groups}


async def _group_size(client: AIOKafkaAdminClient, group: str, attempts: int) -> int:
    for attempt in range(attempts):
        if attempt:
            await asyncio.sleep(_PAUSE_SECONDS)
        with suppress(GroupCoordinatorNotAvailableError):
            [response] = await client.describe_consumer_groups([group])
            return sum(len(one[5]) for one in response.groups)
    return 0


def groups_of(steps: Sequence[str], *, together: bool) -> dict[str, tuple[str, ...]]:
    """Consumer group -> the topics that it reads, of a process with these steps."""
    from services.flow import topics_of  # noqa: PLC0415 -- brings every core, and `up` asks here for members alone

    if together:
        return {UP_GROUP: tuple(sorted({name for step in steps for name in topics_of(step)}))}
    return {f"keelwatch.{step}": tuple(topics_of(step)) for step in steps}


class PartitionOwners:
    """Whether every partition is somebody's in its group: what lies on another one is accepted, and never read.

    Asks over a connection that is kept. The embedded broker does not tell, and has no partition added.
    """

    def __init__(
        self,
        broker: Broker,
        groups: Mapping[str, Sequence[str]],
        deal: Callable[[str], bool] = lambda _: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`groups` are the consumer groups, each with the topics that it reads.

        `deal` asks for a group to be dealt anew, and says whether it could: a settled group that leaves a partition to
        nobody stays so.
        """
        self._deal, self._clock = deal, clock
        self._asked: dict[str, float] = {}
        self._clients, self._groups = KeptClients(broker), {group: names for group, names in groups.items() if names}
        self.close = self._clients.close

    async def check(self) -> str | None:
        """Not well while a partition has no owner."""
        async with self._clients.asking():
            if (await self._clients.broker()).kind == "embedded":
                return None
            admin = await self._clients.admin()
            names = sorted({name for some in self._groups.values() for name in some})
            partitions = await describe_partitions(admin, names)
            for group, topics in self._groups.items():
                settled, owned = await _owned(admin, group)
                unread = sorted({one for name in topics for one in partitions.get(name, ())} - owned)
                if unread:
                    due = self._clock() - self._asked.get(group, -_DEAL_SECONDS) >= _DEAL_SECONDS
                    if settled and due and self._deal(group):
                        self._asked[group] = self._clock()
                    more = f" and {len(unread) - 1} more" if len(unread) > 1 else ""
                    return f"nobody in {group} reads {unread[0].topic}[{unread[0].partition}]{more}"
        return None


async def _owned(admin: AIOKafkaAdminClient, group: str) -> tuple[bool, set[TopicPartition]]:
    """Whether a group is settled, and the partitions that its members have."""
    [response] = await admin.describe_consumer_groups([group])
    states = {one[2] for one in response.groups}
    assignments = [member[-1] for one in response.groups for member in one[5] if member[-1]]
    decoded = map(ConsumerProtocolMemberAssignment.decode, assignments)
    return states == {"Stable"}, {place for one in decoded for place in one.partitions()}


class GroupLags:
    """Asks over connections that are kept, and made again after a failure. Processes need not run for an answer."""

    def __init__(self, broker: Broker, followers: Sequence[FollowerGroup] = ()) -> None:
        """`followers` are told of after the steps."""
        self._clients, self._followers = KeptClients(broker), tuple(followers)
        self.close = self._clients.close

    async def read(self) -> tuple[StepLag, ...]:
        """Every step and topic, in the order of the flow. The embedded broker does not tell how many records wait.

        Raises:
            aiokafka.errors.KafkaError: if the broker does not answer.
        """
        from services.flow import STEPS  # noqa: PLC0415 -- brings every core, and `up` asks here for members alone

        async with self._clients.asking():
            admin = await self._clients.admin()
            members = await group_sizes(admin, (UP_GROUP, *WORKER_GROUPS))
            partitions = await describe_partitions(admin, {name for step in STEPS for name in step.reads})
            topics = {step.name: [name for name in step.reads if name in partitions] for step in STEPS}
            waiting = await self._waiting(admin, topics, partitions, together=bool(members[UP_GROUP]))
            beside = [await self._of_follower(admin, one) for one in self._followers]
        steps = (
            StepLag(step, topic, waiting.get((step, topic)), members[f"keelwatch.{step}"] + members[UP_GROUP])
            for step, names in topics.items()
            for topic in names
        )
        return (*steps, *(one for one in beside if one is not None))

    async def sights(self) -> tuple[str, tuple[PartitionSight, ...]]:
        """The cluster's id, and how far each step has read each partition; none of the embedded broker, which lies.

        Raises:
            aiokafka.errors.KafkaError: if the broker does not answer.
        """
        from services.flow import STEPS  # noqa: PLC0415 -- as in `read`

        async with self._clients.asking():
            known, admin = await self._clients.broker(), await self._clients.admin()
            if known.kind == "embedded":
                return known.cluster, ()
            together = bool((await group_sizes(admin, (UP_GROUP,)))[UP_GROUP])
            partitions = await describe_partitions(admin, {name for step in STEPS for name in step.reads})
            places = [place for some in partitions.values() for place in some]
            begins, ends = await self._offsets(places)
            found = []
            for step in STEPS:
                committed = await _committed(admin, UP_GROUP if together else f"keelwatch.{step.name}")
                for one in (place for name in step.reads for place in partitions.get(name, ())):
                    read = max(committed.get(one, 0), begins[one])
                    found.append(PartitionSight(step.name, one.topic, one.partition, read, ends[one]))
        return known.cluster, tuple(found)

    async def _of_follower(self, admin: AIOKafkaAdminClient, one: FollowerGroup) -> StepLag | None:
        """How far it is behind; None where its topic is not there, and of the embedded broker, which does not tell."""
        places = (await describe_partitions(admin, {one.topic})).get(one.topic)
        if not places or (await self._clients.broker()).kind == "embedded":
            return None
        members = await group_sizes(admin, (one.group,))
        begins, ends = await self._offsets(places)
        records = _unread(places, await _committed(admin, one.group), begins, ends)
        return StepLag(one.name, one.topic, records, members[one.group])

    async def _waiting(
        self,
        admin: AIOKafkaAdminClient,
        topics: Mapping[str, Sequence[str]],
        partitions: Mapping[str, Sequence[TopicPartition]],
        *,
        together: bool,
    ) -> dict[tuple[str, str], int]:
        """(step, topic) -> records that its group has not acknowledged; nothing where the broker does not tell."""
        if (await self._clients.broker()).kind == "embedded":
            return {}
        begins, ends = await self._offsets([place for some in partitions.values() for place in some])
        found = {}
        for step, some in topics.items():
            committed = await _committed(admin, UP_GROUP if together else f"keelwatch.{step}")
            for name in some:
                found[step, name] = _unread(partitions[name], committed, begins, ends)
        return found

    async def _offsets(
        self, places: Sequence[TopicPartition]
    ) -> tuple[Mapping[TopicPartition, int], Mapping[TopicPartition, int]]:
        """Where each partition begins, and one past its last record."""
        consumer = await self._clients.consumer()
        return await consumer.beginning_offsets(places), await consumer.end_offsets(places)


def _unread(
    places: Sequence[TopicPartition],
    committed: Mapping[TopicPartition, int],
    begins: Mapping[TopicPartition, int],
    ends: Mapping[TopicPartition, int],
) -> int:
    """Records of these partitions that a group has not acknowledged."""
    return sum(max(ends[one] - max(committed.get(one, 0), begins[one]), 0) for one in places)


async def _committed(admin: AIOKafkaAdminClient, group: str) -> dict[TopicPartition, int]:
    return {place: max(one.offset, 0) for place, one in (await _places(admin, group)).items()}


async def _places(admin: AIOKafkaAdminClient, group: str) -> dict[TopicPartition, OffsetAndMetadata]:
    found: dict[TopicPartition, OffsetAndMetadata] = {}
    with suppress(GroupCoordinatorNotAvailableError):
        found = await admin.list_consumer_group_offsets(group)
    return found
