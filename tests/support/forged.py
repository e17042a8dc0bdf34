"""Batches of records as no honest client builds them, and a way to get them past the broker."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from services.stream.broker import Broker, options

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
"""In the order of their numbers in a batch."""


@dataclass(frozen=True)
class Forged:
    """One record: `timestamp` is any 64 bits, keys of headers are any bytes."""

    value: bytes | None
    key: bytes | None = None
    timestamp: int | None = None
    headers: Sequence[tuple[bytes, bytes | None]] = ()


class _RawKey(str):
    """The key of a header that is written as other bytes than a text's."""

    raw = b""

    def encode(self, *_: Any) -> bytes:
        return self.raw


def batch_of(records: Iterable[Forged], codec: int = 0) -> bytes:
    """The bytes of one batch, as they lie on a topic."""
    builder = _builder(codec)
    for offset, one in enumerate(records):
        builder.append(offset, one.timestamp, one.key, one.value, _headers(one))
    return bytes(builder.build())


async def send_forged(broker: Broker, topic: str, partition: int, records: Iterable[Forged], codec: int = 0) -> int:
    """Send the records as one batch, acknowledged; the offset of the first."""
    producer = AIOKafkaProducer(**options(broker).producer)
    await producer.start()
    try:
        batch = producer.create_batch()
        batch._builder = _builder(codec)
        for one in records:
            assert batch.append(key=one.key, value=one.value, timestamp=one.timestamp, headers=_headers(one))
        sent = await (await producer.send_batch(batch, topic, partition=partition))
        return int(sent.offset)
    finally:
        await producer.stop()


def _builder(codec: int) -> _DefaultRecordBatchBuilderPy:
    return _DefaultRecordBatchBuilderPy(
        magic=2,
        compression_type=codec,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=0,
        batch_size=1 << 20,
    )


def _headers(one: Forged) -> list[tuple[str, bytes | None]]:
    found = []
    for raw, value in one.headers:
        key = _RawKey()
        key.raw = raw
        found.append((key, value))
    return found
