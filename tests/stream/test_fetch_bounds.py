"""However little a bomb weighs on the topic, what it unpacks to is bounded, and nothing beside it is lost."""

from __future__ import annotations

import asyncio
import tracemalloc
from types import SimpleNamespace

import pytest
from aiokafka import codec
from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.structs import TopicPartition
from mode.utils.queues import FlowControlEvent

from services.stream import unpacking
from services.stream.fetch_bounds import (
    BATCH_BYTES,
    MIB,
    POLL_BYTES,
    WAITING_BYTES,
    BatchTooLarge,
    BoundedFetch,
    BoundedFetcher,
    BoundedQueue,
    cut,
    gunzip,
    pieces,
    unlz4,
    unsnap,
    unzstd,
)
from services.stream.unpacking import RecordBatches, UnreadableBytes
from tests.support.forged import CODECS, Forged, batch_of

PLACE = TopicPartition("keelwatch.exchanges", 0)
OTHER = TopicPartition("keelwatch.exchanges", 1)
PACKED = {
    "gzip": (codec.gzip_encode, gunzip),
    "snappy": (codec.snappy_encode, unsnap),
    "snappy raw": (lambda raw: codec.snappy_encode(raw, xerial_compatible=False), unsnap),
    "lz4": (codec.lz4_encode, unlz4),
    "zstd": (codec.zstd_encode, unzstd),
}


def event(size: int) -> SimpleNamespace:
    return SimpleNamespace(message=SimpleNamespace(value=b"x" * size))


@pytest.mark.parametrize("name", PACKED)
def test_what_a_codec_packs_is_unpacked_up_to_the_bound(name: str) -> None:
    pack, unpack = PACKED[name]
    for raw in (b"keelwatch", bytes(range(256)) * 1000, bytes(BATCH_BYTES)):
        assert bytes(unpack(pack(raw))) == raw
    with pytest.raises(BatchTooLarge, match="more than 16 MiB"):
        unpack(pack(bytes(BATCH_BYTES + 1)))


@pytest.mark.parametrize("name", PACKED)
def test_a_bomb_is_refused_without_room_for_it(name: str) -> None:
    pack, unpack = PACKED[name]
    bomb = pack(bytes(5 * BATCH_BYTES))
    tracemalloc.start()
    try:
        with pytest.raises(BatchTooLarge):
            unpack(bomb)
        assert tracemalloc.get_traced_memory()[1] < 4 * BATCH_BYTES
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", PACKED)
def test_damaged_bytes_are_refused_as_before(name: str) -> None:
    pack, unpack = PACKED[name]
    with pytest.raises(Exception) as caught:  # noqa: PT011 -- each codec has its own
        unpack(pack(bytes(range(256)) * 40)[:-7])
    assert not isinstance(caught.value, BatchTooLarge | MemoryError)


@pytest.mark.parametrize("packed", range(1, len(CODECS)))
def test_a_bomb_on_the_topic_is_one_dead_letter_and_its_neighbours_come(packed: int) -> None:
    unpacking.install()
    good = batch_of([Forged(b"before")], packed)
    bomb = batch_of([Forged(bytes(BATCH_BYTES + 1))], packed)
    raw = good + _moved(bomb, 1) + _moved(good, 2)
    found = [one.value for one in PartitionRecords(PLACE, RecordBatches(raw), None, 0, None, None, True, 0)]
    assert [found[0], found[2]] == [b"before", b"before"]
    assert isinstance(found[1], UnreadableBytes)
    assert found[1].reason == "record: the record would unpack to more than 16 MiB; send smaller batches"
    assert len(found[1]) < MIB


def _moved(batch: bytes, offset: int) -> bytes:
    """The batch at another offset, which its checksum does not cover."""
    return offset.to_bytes(8, "big") + batch[8:]


def test_a_poll_ends_after_some_bytes_and_the_next_goes_on() -> None:
    sizes = [3 * MIB, 2 * MIB, 10, 5 * MIB, 10]
    raw = b"".join(_moved(batch_of([Forged(bytes(size))], 1), at) for at, size in enumerate(sizes))

    def fetched() -> BoundedFetch:
        state = SimpleNamespace(paused=False, position=0)
        state.consumed_to = lambda offset: setattr(state, "position", offset)
        assignment = SimpleNamespace(active=True, state_value=lambda _: state)
        records = PartitionRecords(PLACE, RecordBatches(raw), None, 0, None, None, True, 0)
        return BoundedFetch(PLACE, assignment=assignment, partition_records=records, backoff=0)

    async def polls() -> list[list[int]]:
        polled = BoundedFetcher.__new__(BoundedFetcher)
        polled._subscriptions = SimpleNamespace(reassignment_in_progress=False)
        polled._wait_consume_future = None
        polled._records = {PLACE: fetched(), OTHER: fetched()}
        found = []
        while polled._records:  # one poll at once after the other: none comes back empty while there are records
            poll = await polled.fetched_records([], timeout=0)
            found.append([len(one.value) for records in poll.values() for one in records])
        return found

    unpacking.install()
    each = [[3 * MIB, 2 * MIB], [10, 5 * MIB]]
    assert asyncio.run(polls()) == [*each, [10, 3 * MIB, 2 * MIB], each[1], [10]]
    assert POLL_BYTES < 5 * MIB


def test_a_queue_is_full_by_its_bytes_until_what_was_taken_is_done_with() -> None:
    async def story() -> None:
        flow = FlowControlEvent(initially_suspended=False)
        queue = BoundedQueue(maxsize=512, flow_control=flow, clear_on_resume=True)
        for _ in range(4):
            await queue.put(event(WAITING_BYTES // 4))
        assert queue.full()
        fifth = asyncio.create_task(queue.put(event(5)))
        taken = [queue.get_nowait() for _ in range(4)]
        await asyncio.sleep(0)
        assert queue.empty()
        assert not fifth.done()  # what is in a step's hands is in memory too
        queue.done(len(taken[0].message.value))
        await asyncio.wait_for(fifth, 1)
        for _ in range(3):
            queue.get_nowait()
            await queue.put(event(WAITING_BYTES))
            flow.resume()  # the group was dealt anew: what waited is dropped
            assert queue.empty()
            assert not queue.full()
            await queue.put(event(1))

    asyncio.run(story())


def test_a_batch_is_cut_by_bytes_in_order_and_each_piece_is_told_of() -> None:
    batch = [event(size) for size in (10, 20, 70, 1, 500, 3)]
    assert [[len(one.message.value) for one in piece] for piece in cut(batch, 100)] == [[10, 20, 70], [1], [500], [3]]
    done: list[int] = []

    async def batches():
        yield batch
        yield []

    async def story() -> list[object]:
        return [one async for piece in pieces(batches(), 100, done.append) for one in piece]

    assert asyncio.run(story()) == batch
    assert done == [100, 1, 500, 3]
