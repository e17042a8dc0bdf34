"""The one loop that every step runs: take, handle, send, save, and only then acknowledge.

Nothing that a step raises is acknowledged: a dependency's fault is waited for, any other ends the process, and what
was not acknowledged is delivered again. Each batch is one piece of work under one lock, also for the idle timer.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol, TypeVar

from schemas.topics import SCORES
from services.failpoints import reach, stay
from services.observability.metrics import StreamMeters
from services.observability.watchdog import EXIT_FAILED, StepWork
from services.offload import Progress
from services.store.engine import Conflict
from services.stream.clients import fault_text, is_dependency
from services.stream.messages import Handled, Handler, OutgoingRecord, TopicMessage, kafka_time

LOG: Final = logging.getLogger("keelwatch.stream")
_CONFLICTS: Final = 5
_APPEND_TIME: Final = 1  # Kafka's number for LogAppendTime

T = TypeVar("T")


class GaveUp(Exception):  # noqa: N818
    """A dependency did not come back in time."""


class Event(Protocol):
    """What faust gives of a message, and how it is acknowledged."""

    @property
    def message(self) -> Any:
        """Topic, partition, offset, bytes, and the generation in which it was fetched."""

    def ack(self) -> bool:
        """Let its offset be committed once all before it are acknowledged."""


@dataclass(frozen=True, slots=True)
class StepLimits:
    """How long and how much a step may hold.

    Attributes:
        patience: seconds that a dependency is waited for before the process gives up.
        pause, longest_pause: seconds between two attempts, at first and at most.
        pending, pending_bytes: unacknowledged messages that are due for a snapshot, whatever the time.
    """

    patience: float = 120.0
    pause: float = 0.2
    longest_pause: float = 5.0
    pending: int = 4096
    pending_bytes: int = 64 * 1024 * 1024


class _Stale(Exception):  # noqa: N818
    """The group has another generation by now, or this process ends: these messages are no longer ours."""


class StepLoop:
    """Runs one handler over the batches of a stream.

    Attributes:
        handler: what it runs. taken, sent: messages so far. saved_at: monotonic time of the last acknowledgement.
        waiting_since: monotonic time since which a dependency is waited for, or None.
    """

    def __init__(
        self,
        handler: Handler,
        send: Callable[[OutgoingRecord], Awaitable[object]],
        generation: Callable[[], int | None],
        *,
        limits: StepLimits | None = None,
        meters: StreamMeters | None = None,
        progress: Progress | None = None,
        die: Callable[[int], None] = os._exit,
    ) -> None:
        """`generation` is that of the consumer group; `die` ends the process with an exit code."""
        self._progress = progress or Progress()
        self._meters = meters or StreamMeters()
        self.handler = handler
        self.taken = 0
        self.sent = 0
        self.saved_at = time.monotonic()
        self.waiting_since: float | None = None
        self._send = send
        self._generation = generation
        self._limits = limits or StepLimits()
        self._die = die
        self._lock = asyncio.Lock()
        self._mine: int | None = None
        self._pending: list[Event] = []
        self._bytes = 0
        self._ending = asyncio.Event()
        self._stopped = False
        self._in_hand = False

    @property
    def busy(self) -> bool:
        """Whether it has work in hand. To look whether anything is to be taken up again is none yet."""
        return self._in_hand

    @property
    def work(self) -> StepWork:
        """What it is at. An attempt that hangs beyond the patience with a dependency waits for nothing any more."""
        since = self.waiting_since
        waits = since is not None and time.monotonic() - since < self._limits.patience
        return StepWork(self._progress.count, self.busy, waits, self._progress.waits_turn)

    @property
    def pending(self) -> int:
        """Messages handled and not yet acknowledged."""
        return len(self._pending)

    async def run(self, batches: AsyncIterator[Sequence[Event]]) -> None:
        """Take batches until the stream ends. Never raises: faust would acknowledge what it was given."""
        async for events in batches:
            left, before = list(events), 0
            while len(left) != before:  # nothing is taken any more once it has stopped
                before = len(left)
                await self._guarded(partial(self._take_some, left))

    def _fitting(self, events: Sequence[Event]) -> int:
        """How many of them, from the first on, the handler can take at once."""
        return self.handler.fits([message_of(event) for event in events])

    async def idle(self) -> None:
        """Save and acknowledge what a stream that went quiet has left, and take up what waits; for a timer."""
        await self._guarded(self._settle_when_due)
        await self._guarded(self._resume)

    async def finish(self) -> None:
        """Save and acknowledge what is left, and take no more. A dependency that is away is not waited for."""
        self._ending.set()
        await self._guarded(self._settle)
        self._stopped = True

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do one piece of work, under the lock. A fault that is nobody's ends the process, unacknowledged."""
        try:
            async with self._lock:
                if not self._stopped:
                    self._renew()
                    try:
                        await work()
                    finally:
                        self._in_hand = False
        except _Stale:
            return
        except Exception as error:
            LOG.critical("%s: ends, nothing of the batch is acknowledged: %r", self.handler.name, error, exc_info=True)
            self._stopped = True
            self._die(EXIT_FAILED)
            await asyncio.Event().wait()  # a `die` that returns must not let faust go on

    def _renew(self) -> None:
        """With a new generation others may have had our routes: memory and what is pending are worth nothing."""
        if self._generation() != self._mine:
            self._mine = self._generation()
            self.handler.forget()
            self._meters.forget()
            self._clear()

    def _clear(self) -> None:
        self._pending.clear()
        self._bytes = 0

    async def _take_some(self, left: list[Event]) -> None:
        """Take what fits, and leave the rest."""
        if left:
            n = self._fitting(left)
            taken = left[:n]
            del left[:n]
            await self._take(taken)

    async def _take(self, events: Sequence[Event]) -> None:
        mine = [event for event in events if event.message.generation_id == self._mine]
        if not mine:
            return
        self._in_hand = True
        begin = time.monotonic()
        await self._handle(mine)
        self.taken += len(mine)
        self._meters.batch(self.handler.name, time.monotonic() - begin)
        for topic, n in Counter(event.message.topic for event in mine).items():
            self._meters.taken(self.handler.name, topic, n)
        self._pending += mine
        self._bytes += sum(len(event.message.value or b"") for event in mine)
        await self._settle_when_due()

    async def _handle(self, events: Sequence[Event]) -> None:
        """Have the messages handled, and keep what came of it once the broker has all that is sent."""
        messages = [message_of(event) for event in events]
        with self._meters.stage(self.handler.name, "handle"):
            handled = await self._patiently(lambda: self.handler.handle(messages))
        self._progress.tick()
        await self._deliver(handled)

    async def _resume(self) -> None:
        """Take up some of what waits of a route that failed, when it is to be tried again."""
        handled = await self._patiently(self.handler.resume)
        if handled is not None:
            self._in_hand = True
            await self._deliver(handled)
            await self._settle()

    async def _deliver(self, handled: Handled) -> None:
        """Send what a batch became; once the broker has it the handler keeps the rest."""
        await stay("before-produce", self.handler.name)
        with self._meters.stage(self.handler.name, "send"):
            await self._patiently(lambda: self._send_all(handled.outgoing))
        reach("after-produce-before-snapshot", self.handler.name)
        self.sent += len(handled.outgoing)
        handled.keep()
        self._meters.duplicates(self.handler.name, handled.repeated)
        self._meters.sent(self.handler.name, [one.record for one in handled.outgoing if one.record is not None])

    async def _send_all(self, records: Sequence[OutgoingRecord]) -> None:
        """Send all at once, and wait for all; what must not overtake is sent one after the other."""
        results = await asyncio.gather(*map(self._send_lane, _lanes(records)), return_exceptions=True)
        faults = [result for result in results if isinstance(result, BaseException)]
        for fault in sorted(faults, key=is_dependency):
            raise fault

    async def _send_lane(self, lane: Sequence[OutgoingRecord]) -> None:
        for record in lane:
            await self._send(record)
            self._progress.tick()

    async def _settle_when_due(self) -> None:
        limits = self._limits
        full = len(self._pending) >= limits.pending or self._bytes >= limits.pending_bytes or self.handler.is_crowded
        if self._pending and (full or time.monotonic() - self.saved_at >= self.handler.every):
            await self._settle()

    async def _settle(self) -> None:
        """Save, then acknowledge in order, unless the group was dealt anew in between."""
        self._in_hand = True
        for _ in range(_CONFLICTS):
            try:
                with self._meters.stage(self.handler.name, "snapshot"):
                    await self._patiently(self.handler.snapshot)
                break
            except Conflict as conflict:
                LOG.warning("%s: %s", self.handler.name, conflict)
                await self._again()
        else:
            raise GaveUp(f"{self.handler.name}: another process saves the same routes again and again")
        reach("after-snapshot-before-ack", self.handler.name)
        if self._generation() == self._mine:
            for event in self._pending:
                event.ack()
            reach("after-ack", self.handler.name)
        self._clear()
        self.saved_at = time.monotonic()
        self._progress.tick()
        self._meters.snapshot(self.handler.name)

    async def _again(self) -> None:
        """Somebody else saved in between: what is pending is handled once more, on what the database says now."""
        self.handler.forget()
        left = self._pending
        while left:
            n = self._fitting(left[: self.handler.batch])
            await self._handle(left[:n])
            left = left[n:]

    async def _patiently(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do the work, again and again while a dependency is to blame, but not for ever."""
        pause = self._limits.pause
        while True:
            if self._generation() != self._mine:
                raise _Stale
            try:
                result = await work()
            except Exception as error:
                if not is_dependency(error):
                    raise
                if self._ending.is_set():
                    raise _Stale from error
                self._count_patience(error)
            else:
                self.waiting_since = None
                return result
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._ending.wait()
            pause = min(2 * pause, self._limits.longest_pause)

    def _count_patience(self, error: Exception) -> None:
        now = time.monotonic()
        if self.waiting_since is None:
            self.waiting_since = now
        waited = now - self.waiting_since
        LOG.warning("%s: waits for a dependency, %.1f s so far: %s", self.handler.name, waited, fault_text(error))
        if waited >= self._limits.patience:
            raise GaveUp(f"{self.handler.name}: waited {waited:.0f} s for a dependency") from error


def _lanes(records: Sequence[OutgoingRecord]) -> list[list[OutgoingRecord]]:
    """Blocks of one route are a lane: one that overtakes another moves the route's fence past what that one holds."""
    lanes: dict[object, list[OutgoingRecord]] = {}
    for place, record in enumerate(records):
        lanes.setdefault(record.key if record.topic == SCORES.name else place, []).append(record)
    return list(lanes.values())


def message_of(event: Event) -> TopicMessage:
    """The message of an event. Never raises: all of it but the place is whatever somebody sent."""
    message = event.message
    key = getattr(message, "key", None)
    headers = message.headers.items() if isinstance(message.headers, dict) else message.headers or ()
    return TopicMessage(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        value=message.value or b"",
        ts=kafka_time(message.timestamp),
        headers=tuple((str(name), bytes(value or b"")) for name, value in headers),
        appended=getattr(message, "timestamp_type", None) == _APPEND_TIME,
        key=key if isinstance(key, bytes) else b"",
    )
