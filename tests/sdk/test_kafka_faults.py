"""What a broker's library raises, for one exchange or when it is set up, has its own consequence."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    NotLeaderForPartitionError,
    ProducerClosed,
    TopicAuthorizationFailedError,
)

from keelwatch_client import KafkaTransport
from keelwatch_client.buffer import PendingExchange

FATES = {
    KafkaTimeoutError: "again",
    ProducerClosed: "again",
    NotLeaderForPartitionError: "again",
    ConnectionError: "again",
    TopicAuthorizationFailedError: "refused",
    MessageSizeTooLargeError: "too_large",
    AssertionError: "fault",
}


def test_each_exchange_has_the_fate_of_its_own_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    async def start(self: AIOKafkaProducer) -> None:
        started.append(self)

    async def send(self: AIOKafkaProducer, topic: str, body: bytes, key: bytes) -> Any:
        if fault := {kind.__name__: kind for kind in FATES}.get(body.decode()):
            if fault is ProducerClosed:
                await self.stop()
            raise fault

    monkeypatch.setattr(AIOKafkaProducer, "start", start)
    monkeypatch.setattr(AIOKafkaProducer, "send_and_wait", send)
    transport = KafkaTransport("127.0.0.1:9")
    batch = [PendingExchange("a/b", name.encode()) for name in [*(kind.__name__ for kind in FATES), "good"]]
    try:
        assert transport.send(batch).fates == [*FATES.values(), "sent"]
        assert transport.send(batch[-1:]).fates == ["sent"]
        assert len(started) == 2, "a producer that was closed is not asked again"
    finally:
        transport.close()


@pytest.mark.parametrize("options", [{"securty_protocol": "SSL"}, {"acks": "most"}, {"security_protocol": "TLS"}])
def test_wrong_options_are_told_where_it_is_set_up(options: dict[str, str]) -> None:
    async def within_a_loop() -> None:
        KafkaTransport("127.0.0.1:9", **options)

    with pytest.raises(ValueError, match="options: must be"):
        asyncio.run(within_a_loop())


def test_without_aiokafka_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiokafka", None)
    with pytest.raises(ImportError, match=r"keelwatch-client\[kafka\]"):
        KafkaTransport("127.0.0.1:9")
