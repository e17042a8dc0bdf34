"""A producer that a process may have before there is a broker: it connects in the background."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from schemas.position import Position
from services.errors import NotSent, UnknownOutcome
from services.stream.checks import Sends
from services.stream.config import Broker, recognised
from services.stream.faults import is_dependency
from services.stream.producer import Producer

LOG: Final = logging.getLogger("keelwatch.stream")
_RETRY_SECONDS: Final = 1.0


class Uplink:
    """Sends records as `Producer` does. While it has no connection a record is refused at once, and surely not sent."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._producer: Producer | None = None
        self.sends = Sends()

    @asynccontextmanager
    async def connecting(self) -> AsyncIterator[None]:
        """Connect, as soon as the broker answers, while the block runs."""
        task = asyncio.create_task(self._connect(), name="uplink")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
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
                LOG.warning("waits for the broker: %s", type(error).__name__)
                await asyncio.sleep(_RETRY_SECONDS)
