"""Straight to Kafka, without Keelwatch's API: `pip install keelwatch-client[kafka]`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from keelwatch_client.buffer import Fate, PendingExchange
from keelwatch_client.delivery import SendOutcome

TOPIC: Final = "keelwatch.exchanges"
ACKNOWLEDGED_SECONDS: Final = 10.0


class KafkaTransport:
    """Sends batches by aiokafka, keyed by route, in an event loop of the worker's thread.

    An exchange counts as sent once all in-sync replicas have it. One that was not acknowledged in time is sent again
    with its id, and counts once.
    """

    def __init__(self, bootstrap: str, topic: str = TOPIC, **options: Any) -> None:
        """`bootstrap`: HOST:PORT of brokers; `options` are aiokafka's, such as `security_protocol`.

        Raises:
            ImportError: if aiokafka is missing.
            ValueError: if aiokafka does not take the options.
        """
        self._options = {"acks": "all", "max_request_size": 4 * 1024 * 1024, **options, "bootstrap_servers": bootstrap}
        self._topic = topic
        self._loop: asyncio.AbstractEventLoop | None = None
        self._producer: Any = None
        with ThreadPoolExecutor(1) as thread:  # the application may have a loop in this one
            thread.submit(asyncio.run, self._checked()).result()

    async def _checked(self) -> None:
        """What is wrong is told where the transport is set up, and not with every batch."""
        try:
            from aiokafka import AIOKafkaProducer  # noqa: PLC0415 -- an extra
        except ImportError as error:
            raise ImportError("KafkaTransport needs aiokafka: pip install 'keelwatch-client[kafka]'") from error
        try:
            await AIOKafkaProducer(**self._options).stop()
        except (TypeError, ValueError) as error:
            raise ValueError(f"options: must be some that aiokafka's producer takes: {error}") from error

    def send(self, batch: Sequence[PendingExchange]) -> SendOutcome:
        """What the broker acknowledged."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
        return self._loop.run_until_complete(self._send(batch))

    async def _send(self, batch: Sequence[PendingExchange]) -> SendOutcome:
        from aiokafka.errors import KafkaError  # noqa: PLC0415 -- an extra

        try:
            producer = await self._started()
        except (KafkaError, OSError) as error:
            return SendOutcome(["again"] * len(batch), why=f"no connection to the broker ({type(error).__name__})")
        waits = [self._one(producer, one) for one in batch]
        fates: list[Fate] = list(await asyncio.gather(*waits))
        why = "the broker did not acknowledge in time" if "again" in fates else None
        return SendOutcome(fates, why=why)

    async def _one(self, producer: Any, one: PendingExchange) -> Fate:
        from aiokafka.errors import (  # noqa: PLC0415 -- an extra
            KafkaError,
            KafkaTimeoutError,
            MessageSizeTooLargeError,
            ProducerClosed,
        )

        try:
            sent = producer.send_and_wait(self._topic, one.body, key=one.route.encode())
            await asyncio.wait_for(sent, ACKNOWLEDGED_SECONDS)
        except MessageSizeTooLargeError:
            return "too_large"
        except KafkaError as error:
            if isinstance(error, ProducerClosed):
                self._producer = None  # the next batch starts another
            return "again" if error.retriable or isinstance(error, (KafkaTimeoutError, ProducerClosed)) else "refused"
        except (OSError, asyncio.TimeoutError):
            return "again"
        except Exception:  # a fault of this one must not cost its neighbours, which the broker may have
            return "fault"
        return "sent"

    async def _started(self) -> Any:
        from aiokafka import AIOKafkaProducer  # noqa: PLC0415 -- an extra

        if self._producer is None:
            producer = AIOKafkaProducer(**self._options)
            try:
                await producer.start()
            except BaseException:
                await producer.stop()
                raise
            self._producer = producer
        return self._producer

    def close(self) -> None:
        """Let the connections go."""
        if self._loop is None:
            return
        try:
            if self._producer is not None:
                self._loop.run_until_complete(self._producer.stop())
        finally:
            self._loop.close()
            self._loop = self._producer = None
