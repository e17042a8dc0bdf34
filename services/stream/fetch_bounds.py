"""How much of a topic is in memory at one time, in bytes: what a batch unpacks to, a poll returns, a step waits with.

A few KB of a compressed batch can stand for gigabytes, and aiokafka and faust count records alone. Here a batch that
unpacks to more than 16 MiB is refused before it is unpacked, a poll ends after 4 MiB, and what waits for a step or is
in its hands is at most 8 MiB: each but for the one record that is over the edge, and that fits into a batch.
"""

from __future__ import annotations

import gzip
import importlib
import io
import struct
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any, Final

from aiokafka.consumer import consumer, fetcher
from aiokafka.record import default_records, legacy_records
from mode.utils.queues import ThrowableQueue

try:
    import cramjam
except ImportError:  # a system without it says so: see `unpacking.check_codecs`
    cramjam = None  # type: ignore[assignment]

MIB: Final = 1024 * 1024
BATCH_BYTES: Final = 16 * MIB
"""Most that one batch may unpack to: four times the largest record that topics take."""
POLL_BYTES: Final = 4 * MIB
WAITING_BYTES: Final = 8 * MIB
PIECE_BYTES: Final = MIB
"""Most that `score` is given at once, but for a single larger exchange: text is what takes its time."""
_polled: ContextVar[int] = ContextVar("bytes that this poll has found so far", default=0)
_XERIAL: Final = b"\x82SNAPPY\x00"
_XERIAL_HEAD: Final = 16


class BatchTooLarge(ValueError):  # noqa: N818
    """A batch that unpacks to more than `BATCH_BYTES`; the text is for people."""

    def __init__(self) -> None:
        super().__init__(f"more than {BATCH_BYTES // MIB} MiB; send smaller batches")


def install() -> None:
    """Bound every consumer of this process."""
    fetcher.FetchResult = BoundedFetch
    consumer.Fetcher = BoundedFetcher
    decoders = {"gzip_decode": gunzip, "snappy_decode": unsnap, "lz4_decode": unlz4, "zstd_decode": unzstd}
    for module in (*_readers(default_records), *_readers(legacy_records)):
        for name in decoders.keys() & vars(module).keys():
            setattr(module, name, decoders[name])


def _readers(module: Any) -> Iterator[Any]:
    """The module in Python, and the compiled one that it prefers where there is one."""
    yield module
    compiled = getattr(module, "_DefaultRecordBatchCython", getattr(module, "_LegacyRecordBatchCython", None))
    if compiled is not None:
        yield importlib.import_module(compiled.__module__)


def gunzip(payload: Any) -> bytes:
    """What gzip has packed.

    Raises:
        BatchTooLarge: if it is more than a batch may hold.
    """
    with gzip.GzipFile(fileobj=io.BytesIO(payload)) as packed:
        return _bounded(packed.read(BATCH_BYTES + 1))


def unsnap(payload: Any) -> bytes:
    """What snappy has packed, in one piece or in the blocks of its Java library; as `gunzip`."""
    raw = bytes(payload)
    parts = list(_xerial_blocks(raw)) if raw.startswith(_XERIAL) and len(raw) > _XERIAL_HEAD else [raw]
    if sum(map(cramjam.snappy.decompress_raw_len, parts)) > BATCH_BYTES:
        raise BatchTooLarge
    return b"".join(bytes(cramjam.snappy.decompress_raw(part)) for part in parts)


def unlz4(payload: Any) -> bytes:
    """What lz4 has packed; as `gunzip`."""
    return _unpacked(cramjam.lz4, payload)


def unzstd(payload: Any) -> bytes:
    """What zstd has packed; as `gunzip`."""
    return _unpacked(cramjam.zstd, payload)


def _xerial_blocks(raw: bytes) -> Iterator[bytes]:
    at = _XERIAL_HEAD
    while at < len(raw):
        (size,) = struct.unpack_from("!i", raw, at)
        if size < 0:
            raise ValueError("a block of less than no bytes")
        yield raw[at + 4 : at + 4 + size]
        at += 4 + size


def _unpacked(codec: Any, payload: Any) -> bytes:
    room = bytearray(BATCH_BYTES)
    try:
        size = codec.decompress_into(payload, room)
    except cramjam.DecompressionError as error:
        if "whole buffer" in str(error):
            raise BatchTooLarge from None
        raise
    return bytes(memoryview(room)[:size])


def _bounded(unpacked: bytes) -> bytes:
    if len(unpacked) > BATCH_BYTES:
        raise BatchTooLarge
    return unpacked


class BoundedFetch(fetcher.FetchResult):  # type: ignore[misc]
    """What was fetched of a partition, unpacked a few MiB at a time; the rest stays packed until the next poll.

    A poll goes through its partitions without a pause: what one has taken of the poll's bytes the others lack.
    """

    def getall(self, max_records: int | None = None) -> list[Any]:
        """The next records; none when the poll has enough."""
        found: list[Any] = []
        while self.has_more() and _polled.get() < POLL_BYTES and (max_records is None or len(found) < max_records):
            record = self.getone()
            if record is None:
                break
            found.append(record)
            _polled.set(_polled.get() + len(record.value or b""))
        return found


class BoundedFetcher(fetcher.Fetcher):  # type: ignore[misc]
    """Each poll has bytes of its own: one that began with none left would find nothing, as if all had been read."""

    async def fetched_records(self, *args: Any, **named: Any) -> Any:
        """The records that are there, of some MiB; waited for where there are none."""
        _polled.set(0)
        return await super().fetched_records(*args, **named)


class BoundedQueue(ThrowableQueue[Any]):
    """The events that wait for a step: full by their bytes as well as by their number.

    What was taken counts until it is done with, see `pieces`, or until the group is dealt anew: faust drops some of
    what it has then, and tells nobody.
    """

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._waiting = self._taken = 0

    def full(self) -> bool:
        """Whether whoever adds an event has to wait."""
        return super().full() or self._waiting + self._taken >= WAITING_BYTES

    def clear(self) -> None:
        """Drop what waits."""
        super().clear()
        self._waiting = self._taken = 0

    def done(self, size: int) -> None:
        """So many bytes of what was taken are done with."""
        self._taken = max(self._taken - size, 0)
        self._wakeup_next(self._putters)  # type: ignore[attr-defined]

    def _put(self, item: Any) -> None:
        self._waiting += size_of(item)
        super()._put(item)

    def _get(self) -> Any:
        item = super()._get()
        self._waiting -= size_of(item)
        self._taken += size_of(item)
        return item


def size_of(event: Any) -> int:
    """Bytes of an event's record."""
    return len(event.message.value or b"")


async def pieces(
    batches: AsyncIterator[Sequence[Any]], most: int, done: Callable[[int], None]
) -> AsyncIterator[Sequence[Any]]:
    """Batches cut where they would hold more than `most` bytes; `done` is told of each piece once it is handled."""
    async for batch in batches:
        for piece in cut(batch, most):
            yield piece
            done(sum(map(size_of, piece)))


def cut(batch: Sequence[Any], most: int) -> Iterator[Sequence[Any]]:
    """The events of a batch in order, in pieces of at most `most` bytes, each of at least one event."""
    piece: list[Any] = []
    held = 0
    for event in batch:
        if piece and held + size_of(event) > most:
            yield piece
            piece, held = [], 0
        piece.append(event)
        held += size_of(event)
    if piece:
        yield piece
