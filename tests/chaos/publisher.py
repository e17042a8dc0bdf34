"""Sends exchanges at a steady pace, in a thread, and writes down what became of each."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from functools import partial

from aiokafka import AIOKafkaProducer

from schemas.topics import EXCHANGES
from services.stream.broker import Broker, options
from tests.chaos.ledger import ROUTES, Ledger, Payload

CODECS = (None, "gzip", "snappy", "lz4", "zstd")
LATE = 0.8
"""From this share on it goes slower, so that no fault waits in vain for an exchange, until `hurry` is set."""
SLOWER = 5


class Publisher(threading.Thread):
    """`sent` of `payloads` were given to the broker; `failure` is what ended it too early."""

    def __init__(self, broker: Broker, ledger: Ledger, payloads: Sequence[Payload], rate: float) -> None:
        super().__init__(name="publisher", daemon=True)
        self._broker, self._ledger, self._payloads, self._rate = broker, ledger, payloads, rate
        self.hurry = threading.Event()
        self.sent = 0
        self.failure: BaseException | None = None

    @property
    def share(self) -> float:
        """How much of the payloads was sent, 0 to 1."""
        return self.sent / len(self._payloads)

    def run(self) -> None:
        """Send everything."""
        try:
            asyncio.run(self._send())
        except BaseException as failure:
            self.failure = failure

    async def _send(self) -> None:
        producers = [AIOKafkaProducer(**options(self._broker).producer | {"compression_type": one}) for one in CODECS]
        for producer in producers:
            await producer.start()
        try:
            due = asyncio.get_running_loop().time()
            for id, key, value in self._payloads:
                self._ledger.issue(id)
                producer = producers[ROUTES.index(key.decode()) % len(CODECS)]  # a route's exchanges keep their order
                delivery = await producer.send(EXCHANGES.name, key=key, value=value)
                delivery.add_done_callback(partial(self._heard, id))
                self.sent += 1
                slow = self.share > LATE and not self.hurry.is_set()
                due += (SLOWER if slow else 1) / self._rate
                await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
        finally:
            for producer in producers:
                await producer.stop()

    def _heard(self, id: str, delivery: asyncio.Future[object]) -> None:
        if delivery.cancelled() or delivery.exception() is not None:
            self._ledger.unknown(id)
        else:
            self._ledger.accept(id)
