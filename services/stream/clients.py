"""Clients of a cluster: connections, topics read to an end, and which faults are waited for.

What fails is one clear line for whoever runs a command. A topic is read partition by partition, without joining a
group. A dependency's fault is waited for, a record's own is a dead letter, anything else ends the process.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError, KafkaError, MessageSizeTooLargeError
from aiokafka.structs import ConsumerRecord, TopicPartition

from services.errors import InputError, UnknownOutcome
from services.stream import unpacking
from services.stream.broker import Broker, options, recognised

REMEDY: Final = "`keelwatch doctor` says why"
_POLL_MS: Final = 200
_PATIENCE_SECONDS: Final = 30.0
_BATCH: Final = 500
_CLOSE_SECONDS: Final = 1.0


class Unreachable(Exception):  # noqa: N818
    """The cluster did not answer or refused us; the text is for people."""


class NoTopicError(InputError):
    """A topic that does not exist."""


async def connected_broker(broker: Broker) -> Broker:
    """The broker as it presents itself.

    Raises:
        Unreachable: if it does not answer.
        InputError: if records of some codec could not be read.
    """
    unpacking.check_codecs()
    try:
        return await recognised(broker)
    except (KafkaError, OSError) as error:
        raise Unreachable(f"{broker.bootstrap}: {error_text(error)}; {REMEDY}") from None


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
        raise Unreachable(f"{broker.bootstrap}: {error_text(error)}; {REMEDY}") from None
    finally:
        await client.close()


@asynccontextmanager
async def consumer(broker: Broker, group: str | None = None) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer that is told its partitions; it commits where it is told to, under `group`.

    Raises:
        Unreachable: if the cluster does not answer, now or within the block.
    """
    unpacking.install()
    client = AIOKafkaConsumer(group_id=group, **options(broker).consumer)
    try:
        await client.start()
        yield client
    except (KafkaError, OSError) as error:
        raise Unreachable(f"{broker.bootstrap}: {error_text(error)}; {REMEDY}") from None
    finally:
        # A client that is stopped before its tasks had a turn raises a cancellation that nobody asked for.
        await asyncio.sleep(0)
        await client.stop()


class KeptClients:
    """Connections for whoever asks a cluster again and again: made when first needed, and anew after a failure."""

    def __init__(self, broker: Broker) -> None:
        """Nothing is connected yet."""
        self._broker = broker
        self._known: Broker | None = None
        self._admin: AIOKafkaAdminClient | None = None
        self._consumer: AIOKafkaConsumer | None = None

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[None]:
        """A question over them: whatever fails within the block, also by being cancelled, closes them."""
        try:
            yield
        except BaseException:
            await self.close()
            raise

    async def broker(self) -> Broker:
        """The broker as it presented itself when it was first asked."""
        if self._known is None:
            self._known = await recognised(self._broker)
        return self._known

    async def admin(self) -> AIOKafkaAdminClient:
        """For topics and groups."""
        if self._admin is None:
            self._admin = AIOKafkaAdminClient(**options(self._broker).admin)
            await self._admin.start()
        return self._admin

    async def consumer(self) -> AIOKafkaConsumer:
        """For offsets; it reads nothing."""
        if self._consumer is None:
            self._consumer = AIOKafkaConsumer(**options(await self.broker()).consumer)
            await self._consumer.start()
        return self._consumer

    async def close(self) -> None:
        """Close what is open; what does not answer is not waited for."""
        admin, self._admin = self._admin, None
        consumer, self._consumer = self._consumer, None
        closing = (None if consumer is None else consumer.stop, None if admin is None else admin.close)
        for close in closing:
            with suppress(Exception):
                async with asyncio.timeout(_CLOSE_SECONDS):
                    if close is not None:
                        await close()


async def partitions(broker: Broker, names: Collection[str]) -> dict[str, list[TopicPartition]]:
    """Topic -> its partitions, of those of `names` that exist.

    Raises:
        Unreachable: if the cluster does not answer.
    """
    async with admin(broker) as client:
        return await describe_partitions(client, names)


async def describe_partitions(client: AIOKafkaAdminClient, names: Collection[str]) -> dict[str, list[TopicPartition]]:
    """The same over a connection that is there.

    What exists is asked first: some brokers make a topic that they are asked about.
    """
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


def error_text(error: Exception) -> str:
    """What a client said, on one line."""
    if isinstance(error, KafkaConnectionError):
        return "no broker could be reached, or none let us in"
    text = " ".join(str(error).split())
    return text or type(error).__name__


def fault_text(error: Exception) -> str:
    """Why a dependency is waited for, on one line: the words of its client or driver, which quote no record."""
    words = error_text(getattr(error, "orig", None) or error)
    name = type(error).__name__
    return name if words == name else f"{name}: {words}"


@dataclass(frozen=True, slots=True)
class ReadUntil:
    """When reading ends: at the `ends` of its partitions, or after `idle` seconds without a record.

    With both, after so many seconds once the ends are reached, or half a minute later: a broker that is slow to answer
    is not at its end.
    """

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


async def read_records(client: AIOKafkaConsumer, until: ReadUntil) -> AsyncIterator[list[ConsumerRecord]]:
    """Batches of records; those of a partition are in order."""
    loop = asyncio.get_running_loop()
    last = loop.time()
    while until.idle is not None or not await _at_end(client, until.ends):
        found = await client.getmany(timeout_ms=_POLL_MS, max_records=_BATCH)
        batch = [record for place in sorted(found) for record in found[place]]
        if batch:
            yield batch
            last = loop.time()
        elif until.idle is not None and await _is_over(client, until.ends, until.idle, loop.time() - last):
            return


async def _is_over(
    client: AIOKafkaConsumer, ends: Mapping[TopicPartition, int] | None, idle: float, silent: float
) -> bool:
    """Whether nothing came for long enough: before the ends, where they are known, that takes a broker's patience."""
    if silent < idle:
        return False
    return ends is None or silent >= idle + _PATIENCE_SECONDS or await _at_end(client, ends)


async def _at_end(client: AIOKafkaConsumer, ends: Mapping[TopicPartition, int] | None) -> bool:
    if ends is None:
        return False
    for place, end in ends.items():
        if await client.position(place) < end:
            return False
    return True


def is_dependency(error: BaseException) -> bool:
    """Whether the database, the broker or a disk is to blame: the same work may succeed later."""
    if isinstance(error, MessageSizeTooLargeError):
        return False
    from services.store.engine import is_unavailable  # noqa: PLC0415 -- `up` has a broker, and no database

    return isinstance(error, UnknownOutcome | Unreachable | KafkaError | OSError) or is_unavailable(error)
