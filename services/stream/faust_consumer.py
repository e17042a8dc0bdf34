"""faust's consumer as the steps need it: where a partition is read from, how far it is done, how its group is left.

Faust and aiokafka together lose records, stand still, and count for ever what is none:

- What is fetched while a group is dealt anew, faust drops, and seeks back to what is committed. aiokafka passes over
  a partition of which nothing is, or only the offset 0: all that was dropped of it would never be read.
- faust takes what it does not get between two records for done, but not before the second one of a partition. The
  records of a transaction that was aborted lie there, and nothing after them would ever be acknowledged.
- What ends a transaction has an offset too. A partition that ends with one is behind for ever, to whoever compares
  the end with what was committed of records alone: so the place that reading has come to is committed.

A member that leaves says so, and the group deals its partitions anew at once. aiokafka's own end has two faults here.
A member with a name of its own (`group.instance.id`) never says that it leaves, so that nobody reads its partitions
for the session timeout, 30 s. And one that is just joining waits for the answer, which comes when every member has
joined, or when those that were killed are forgotten: up to a minute.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final, cast

from aiokafka.errors import IllegalStateError, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Int16, Int32, Schema, String
from faust.transport.drivers import aiokafka as driver
from mode.threads import WorkerThread

from services.stream import unpacking
from services.stream.clients import admin
from services.stream.member_names import NameTaken, check_name

LOG: Final = logging.getLogger("keelwatch.stream")
_LEAVE_SECONDS: Final = 3.0
_THREAD_SECONDS: Final = 2.0
_PLACE_SECONDS: Final = 80.0  # faust goes on without a place after 90 s
_TEXT: Final = String("utf-8")


async def place_all(consumer: Any) -> dict[Any, int]:
    """Have every assigned partition of an aiokafka consumer read from where its group has committed.

    One of which nothing is committed is read from its first record. What was fetched before is forgotten.

    Raises:
        IllegalStateError: if the group is dealt anew meanwhile.
        KafkaError: if the broker refuses to tell.
    """
    subscription = consumer._subscription.subscription
    dealt = subscription.assignment
    partitions = list(consumer.assignment())
    if not partitions:
        return {}
    found = await asyncio.gather(*map(consumer.committed, partitions))
    starts = {partition: offset for partition, offset in zip(partitions, found, strict=True) if offset is not None}
    starts |= await consumer.beginning_offsets([one for one in partitions if one not in starts])
    if consumer._subscription.subscription is not subscription or subscription.assignment is not dealt:
        raise IllegalStateError("the group is dealt anew")
    for partition, offset in starts.items():
        consumer.seek(partition, offset)
    return starts


def _take_existing(consumer: Any) -> None:
    """Have an aiokafka consumer take of what it is dealt only partitions that there are.

    A member that comes back under its name is dealt what it had, also of a topic that was made anew with fewer
    partitions meanwhile: nobody can tell an offset of those, and placing them would wait for ever.
    """
    subscription = consumer._subscription
    assign = subscription.assign_from_subscribed

    def assign_existing(dealt: Iterable[Any]) -> None:
        known = {topic: consumer.partitions_for_topic(topic) for topic in {one.topic for one in dealt}}
        there = [one for one in dealt if known[one.topic] is None or one.partition in known[one.topic]]
        if len(there) < len(list(dealt)):
            LOG.warning("%s: was dealt partitions that are there no more, and leaves them", consumer._group_id)
        assign(there)

    subscription.assign_from_subscribed = assign_existing


async def leave_group(consumer: Any, *, was_member: bool = True) -> None:
    """End the membership of an aiokafka consumer that is about to be stopped; what fails is left to time-outs."""
    coordinator = consumer._coordinator
    instance = coordinator._group_instance_id
    task = coordinator._coordination_task
    task.cancel()
    await asyncio.wait([task], timeout=_LEAVE_SECONDS)
    lost = was_member and not coordinator.member_id
    if instance is None or coordinator.coordinator_id is None or lost:
        # aiokafka says it for members without a name; without a coordinator there is nobody to tell; and who is no
        # member any more would, by the name alone, end the membership of another process that has it now
        return
    request = _Leave(coordinator.group_id, coordinator.member_id, instance)
    try:
        async with asyncio.timeout(_LEAVE_SECONDS):
            # Not over the coordinator's own connection: the broker answers there in order, after a pending join.
            answer = await consumer._client.send(coordinator.coordinator_id, request)
            if code := next((code for _, _, code in answer.members), answer.error_code):
                raise for_code(code)
    except Exception as error:
        LOG.warning("%s: did not let %s leave: %r", coordinator.group_id, instance, error)


class _Left(Response):  # type: ignore[misc]
    API_KEY: ClassVar = 13
    API_VERSION: ClassVar = 3
    SCHEMA: ClassVar = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        ("members", Array(("member_id", _TEXT), ("group_instance_id", _TEXT), ("error_code", Int16))),
    )


class _LeaveStruct(RequestStruct):  # type: ignore[misc]
    API_KEY: ClassVar = 13
    API_VERSION: ClassVar = 3
    RESPONSE_TYPE: ClassVar = _Left
    SCHEMA: ClassVar = Schema(("group", _TEXT), ("members", Array(("member_id", _TEXT), ("group_instance_id", _TEXT))))


class _Leave(Request[_LeaveStruct]):  # type: ignore[misc]
    """LeaveGroup as brokers take it since 2.4: with the member's name, which aiokafka's version has no place for."""

    API_KEY: ClassVar = 13

    def __init__(self, group: str, member: str, instance: str) -> None:
        self._group, self._members = group, [(member, instance)]

    def build(self, request_struct_class: type[_LeaveStruct]) -> _LeaveStruct:
        return request_struct_class(self._group, self._members)


class _Worker(WorkerThread):
    """faust joins this thread from the event loop, which then serves nothing that the thread waits for: for ever."""

    def __init__(self, service: Any) -> None:
        super().__init__(service)
        self.daemon = True

    def stop(self) -> None:
        """`_Thread.stop` waits, beside the loop."""


class _Thread(driver.AIOKafkaConsumerThread):
    """faust waits 1.5 s for a fetch, whatever its settings: the embedded broker answers at half of that."""

    Worker = _Worker
    _joined = False

    async def stop(self) -> None:
        await super().stop()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.is_stopped.wait, _THREAD_SECONDS)

    async def on_thread_stop(self) -> None:
        if self._consumer is not None:
            await leave_group(self._consumer, was_member=self._joined)
        await super().on_thread_stop()

    async def on_partitions_assigned(self, assigned: set[Any], generation_id: int = 0) -> None:
        self._joined = True
        await super().on_partitions_assigned(assigned, generation_id)

    async def on_partitions_revoked(self, revoked: set[Any]) -> None:
        """Called before each join. Who was a member and is none any more may have lost its name to another process."""
        await super().on_partitions_revoked(revoked)
        coordinator = self._ensure_consumer()._coordinator
        if not self._joined or coordinator.member_id or coordinator._group_instance_id is None:
            return
        try:
            async with admin(cast(Any, self.app).known_broker) as client:
                await check_name(client, coordinator.group_id, coordinator._group_instance_id)
        except NameTaken as taken:
            asyncio.run_coroutine_threadsafe(self.app.crash(taken), self.app.loop)
            await asyncio.Event().wait()  # it does not join again
        except Exception as error:
            LOG.warning("%s: does not know who has its name: %r", coordinator.group_id, error)

    async def seek_to_committed(self) -> Mapping[Any, int]:
        placed: Mapping[Any, int] = await self.call_thread(place_all, self._ensure_consumer())
        return placed

    def highwater(self, tp: Any) -> int:
        """What may be read, which ends where a transaction is still open."""
        consumer = self._ensure_consumer()
        stable = consumer.last_stable_offset(tp)
        return cast(int, consumer.highwater(tp) if stable is None or stable < 0 else stable)

    async def _fetch_records(
        self, consumer: Any, active_partitions: set[Any], timeout: float | None = None, max_records: int | None = None
    ) -> Any:
        found = await super()._fetch_records(consumer, active_partitions, timeout, max_records)
        if not found and self.consumer.flow_active:
            cast(StreamConsumer, self.consumer).passed = _positions(consumer)
        return found

    def _create_worker_consumer(self, transport: Any) -> Any:
        unpacking.install()
        consumer = super()._create_worker_consumer(transport)
        commit, mark = consumer.commit, cast(Any, self.app).mark

        async def commit_marked(offsets: Mapping[Any, Any]) -> None:
            await commit({partition: (place.offset, mark) for partition, place in offsets.items()})

        consumer.commit = commit_marked
        _take_existing(consumer)
        given = cast(Any, self.app).consumer_options  # faust takes neither of these
        consumer._fetch_max_wait_ms = given["fetch_max_wait_ms"]
        consumer._isolation_level = given["isolation_level"]
        return consumer


def _positions(consumer: Any) -> dict[Any, int]:
    """Where each partition is read next, as far as that is known."""
    dealt = consumer._subscription.subscription.assignment
    states = {} if dealt is None else {partition: dealt.state_value(partition) for partition in dealt.tps}
    return {partition: state.position for partition, state in states.items() if state.has_valid_position}


class StreamConsumer(driver.Consumer):
    """A member of a group.

    Attributes:
        passed: partition -> up to where all was handed to the steps, or was nothing for them; as of the last look
            that brought no record.
        dropped: records that came while the group was dealt anew, and are read again.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.passed: Mapping[Any, int] = {}
        self.dropped = 0
        self._handed: dict[Any, deque[int]] = defaultdict(deque)
        self._newest: dict[Any, int] = {}
        self._on_message = self.callback
        self.callback = self._hand

    async def on_partitions_revoked(self, revoked: set[Any]) -> None:
        """The group is about to be dealt anew."""
        self._forget()
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[Any], generation_id: int = 0) -> None:
        """The group was dealt; nothing is fetched before all partitions are placed."""
        self.stop_flow()  # faust leaves it on for a member that had no partitions so far
        await super().on_partitions_assigned(assigned, generation_id)

    async def perform_seek(self) -> None:
        """Place all partitions; faust would go on without after a while, and with that lose records."""
        async with asyncio.timeout(_PLACE_SECONDS):
            await super().perform_seek()
        self._forget()

    def _new_consumer_thread(self) -> Any:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    def _forget(self) -> None:
        """What was handed out comes again."""
        self.passed = {}
        for known in (self._handed, self._newest, self._acked, self._acked_index, self._gap):
            known.clear()

    async def _wait_next_records(self, timeout: float) -> Any:
        records, active = await super()._wait_next_records(timeout)
        if records and not self.flow_active:
            count = sum(map(len, records.values()))
            self.dropped += count
            LOG.info("%s: %d records came while the group was dealt anew: read again", self.app.conf.id, count)
        return records, active

    async def _hand(self, message: Any) -> None:
        self._handed[message.tp].append(message.offset)
        self._newest[message.tp] = message.offset
        await self._on_message(message)

    async def _add_gap(self, tp: Any, offset_from: int, offset_to: int) -> None:
        """What was never handed out needs no acknowledgement."""

    def _new_offset(self, tp: Any) -> int | None:
        """One past the last record before which all that was handed out is acknowledged; None when none is new."""
        handed, acknowledged = self._handed[tp], self._acked_index[tp]
        done = None
        while handed and handed[0] in acknowledged:
            acknowledged.discard(done := handed.popleft())
        self._acked[tp].clear()
        return None if done is None else done + 1

    def _filter_committable_offsets(self, tps: Iterable[Any]) -> dict[Any, int]:
        offsets: dict[Any, int] = super()._filter_committable_offsets(tps)
        for tp, position in self.passed.items():
            done = offsets.get(tp, self._committed_offset[tp])
            if tp in self._newest and (done or 0) <= self._newest[tp]:
                continue  # something is with the steps, or on the way to them
            if done is None or done < position:
                offsets[tp] = position
        return offsets
