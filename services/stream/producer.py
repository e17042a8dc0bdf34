"""The one producer of a process: acknowledged by all replicas, in the order of the calls, with its own deadline.

It may be there before there is a broker: then it connects in the background.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError, UnknownTopicOrPartitionError
from aiokafka.structs import RecordMetadata

from schemas.position import Position
from services.errors import NotSent, UnknownOutcome
from services.offload import running
from services.stream.broker import Broker, options, recognised
from services.stream.clients import fault_text, is_dependency

LOG: Final = logging.getLogger("keelwatch.stream")
FORGIVEN_AFTER: Final = 30.0
DEADLINE_SECONDS: Final = 10.0
_PAUSE_SECONDS: Final = 0.2
_RETRY_SECONDS: Final = 1.0

Header = tuple[str, bytes]


class SendCheck:
    """Whether the producer's last sends were acknowledged.

    A failure without any later attempt is forgiven after 30 s: whoever waits for readiness before sending would
    otherwise wait for ever.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._failed: float | None = None

    def acknowledged(self) -> None:
        """The broker has a record."""
        self._failures, self._failed = 0, None

    def failed(self) -> None:
        """A record was not acknowledged in time, or refused for no fault of its own."""
        self._failures, self._failed = self._failures + 1, self._clock()

    async def check(self) -> str | None:
        """Not well while the last send failed."""
        if self._failed is None or self._clock() - self._failed > FORGIVEN_AFTER:
            return None
        return f"the last {self._failures} sends were not acknowledged"


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
                delivery.add_done_callback(_retrieve_exception)
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


def _retrieve_exception(delivery: asyncio.Future[RecordMetadata]) -> None:
    """A record that failed after its deadline was already reported as unknown."""
    if not delivery.cancelled():
        delivery.exception()


class ConnectingProducer:
    """Sends records as `Producer` does. While it has no connection a record is refused at once, and surely not sent."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._producer: Producer | None = None
        self.sends = SendCheck()

    @asynccontextmanager
    async def connecting(self) -> AsyncIterator[None]:
        """Connect, as soon as the broker answers, while the block runs."""
        try:
            async with running(self._connect, "uplink"):
                yield
        finally:
            producer, self._producer = self._producer, None
            if producer is not None:
                await producer.stop()

    async def send(self, topic: str, key: bytes | None, value: bytes) -> Position:
        """Send one record; returns when the broker has it.

        Raises:
            NotSent: without a connection.
            UnknownOutcome: if it was not acknowledged in time.
            aiokafka.errors.KafkaError: if the record was refused.
        """
        if self._producer is None:
            raise NotSent(f"{self._broker.bootstrap} does not answer yet")
        try:
            place = await self._producer.send(topic, key, value)
        except UnknownOutcome:
            self.sends.failed()
            raise
        self.sends.acknowledged()
        return place

    async def _connect(self) -> None:
        while self._producer is None:
            try:
                producer = Producer(await recognised(self._broker))
                await producer.start()
                self._producer = producer
            except Exception as error:
                if not is_dependency(error):
                    raise
                LOG.warning("waits for the broker: %s", fault_text(error))
                await asyncio.sleep(_RETRY_SECONDS)
