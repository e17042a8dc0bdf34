"""The one producer of a process: acknowledged by all replicas, in the order of the calls, with its own deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError, UnknownTopicOrPartitionError
from aiokafka.structs import RecordMetadata

from schemas.position import Position
from services.errors import UnknownOutcome
from services.stream.config import Broker, options

Header = tuple[str, bytes]

DEADLINE_SECONDS: Final = 10.0
_PAUSE_SECONDS: Final = 0.2


class Producer:
    """Sends records and tells when the broker has them.

    It is not idempotent in Kafka's sense: a record that was sent again after an unknown outcome may be there twice,
    which is what consumers are made for, and one of aiokafka's never recovers from an outage of half a minute.
    Order is kept without: one batch of a partition is on its way at a time.
    """

    def __init__(self, broker: Broker, deadline: float = DEADLINE_SECONDS) -> None:
        """`deadline`: seconds within which a record must have been acknowledged."""
        self._cluster = broker.cluster
        self._options = options(broker).producer
        self._deadline = deadline
        self._client: AIOKafkaProducer | None = None
        self._turn = asyncio.Lock()

    async def start(self) -> None:
        """Connect.

        Raises:
            aiokafka.errors.KafkaError: if the broker cannot be reached.
        """
        client = AIOKafkaProducer(**self._options)
        _pausing(client.client)
        try:
            await client.start()
        except BaseException:
            await client.stop()
            raise
        self._client = client

    async def stop(self) -> None:
        """Close; what was not acknowledged by then was not promised to anybody."""
        client, self._client = self._client, None
        if client is not None:
            try:
                async with asyncio.timeout(self._deadline):
                    await client.stop()
            except TimeoutError:
                pass

    async def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes,
        headers: Sequence[Header] = (),
        timestamp: datetime | None = None,
    ) -> Position:
        """Send one record; returns, with its place, when the broker has it. Without a `timestamp` it is of now.

        Records reach a partition in the order in which `send` was called, also from tasks that run together.

        Raises:
            UnknownOutcome: if it was not acknowledged in time.
            aiokafka.errors.KafkaError: if the broker or the client refused the record, for example for its size.
            RuntimeError: before `start` and after `stop`.
        """
        client = self._client
        if client is None:
            raise RuntimeError("the producer is not started")
        moment = None if timestamp is None else int(timestamp.timestamp() * 1000)
        try:
            async with asyncio.timeout(self._deadline):
                # One after the other: a small record must not overtake a large one that waits for a new batch.
                async with self._turn:
                    delivery = await client.send(
                        topic, value=value, key=key, headers=list(headers) or None, timestamp_ms=moment
                    )
                delivery.add_done_callback(_heard)
                place: RecordMetadata = await asyncio.shield(delivery)
        except (TimeoutError, KafkaError) as error:
            if not _may_pass(error):
                raise
            raise UnknownOutcome(f"{topic}: not acknowledged within {self._deadline:g} s") from error
        return Position(cluster=self._cluster, topic=topic, partition=place.partition, offset=place.offset)


def _may_pass(error: TimeoutError | KafkaError) -> bool:
    """Whether the broker, or the way to it, was at fault: the record may be on the topic, or can be sent again."""
    if isinstance(error, UnknownTopicOrPartitionError):
        return False
    return isinstance(error, TimeoutError | KafkaTimeoutError) or bool(error.retriable)


def _pausing(client: Any) -> None:
    """Have a client that got no metadata pause before it asks again.

    aiokafka's sender asks again at once while it knows no leader: thousands of times a second for as long as the
    brokers are away, which takes a core, and on one machine so many ports that a connection meets itself.
    """
    ask = client._metadata_update

    async def asked(*args: Any) -> Any:
        found = await ask(*args)
        if not found:
            await asyncio.sleep(_PAUSE_SECONDS)
        return found

    client._metadata_update = asked


def _heard(delivery: asyncio.Future[RecordMetadata]) -> None:
    """A record that failed after its deadline was already reported as unknown."""
    if not delivery.cancelled():
        delivery.exception()
