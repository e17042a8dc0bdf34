"""The lines of a file on a topic, keyed by route."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

import msgspec
from aiokafka.errors import KafkaError

from schemas.position import Position
from services.errors import UnknownOutcome
from services.ingest.decode import RecordArrival, decode_all
from services.ingest.jsonl import FileLine
from services.ingest.routing import NOTHING, Carriage, RouteRule
from services.ports import Received
from services.stream.broker import Broker
from services.stream.clients import Unreachable, connected_broker, error_text, partitions_of
from services.stream.producer import Producer

_MOST_IN_FLIGHT: Final = 2_000
_BYTES_IN_FLIGHT: Final = 32 * 1024 * 1024
_SHORTEST_WAIT: Final = 0.005


class _Routed(msgspec.Struct):
    route: str


@dataclass(slots=True)
class Published:
    """How many records were sent, acknowledged and not; `reasons` says of those why, with how many.

    `open` has the numbers of the lines that were sent and not acknowledged, `last` that of the last line sent: whoever
    is interrupted knows from them what to send again.
    """

    sent: int = 0
    acknowledged: int = 0
    failed: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    open: set[int] = field(default_factory=set)
    last: int = 0

    def left(self, number: int) -> bool:
        """Whether the broker did not say that it has this line."""
        return number > self.last or number in self.open


_route = msgspec.json.Decoder(_Routed).decode


def route_key(raw: bytes, position: Position, carriage: Carriage = NOTHING) -> bytes | None:
    """The route of a line's first exchange, also by the rules, as the key of its record; None where it holds none."""
    try:
        return _route(raw).route.encode() or None
    except (msgspec.DecodeError, UnicodeError):
        found = (one for one in decode_all(raw, RecordArrival(position), carriage) if isinstance(one, Received))
        return next((one.exchange.route.encode() for one in found), None)


async def publish(
    broker: Broker,
    topic: str,
    lines: Iterable[FileLine],
    rate: float | None,
    progress: Callable[[Published], object],
    rules: tuple[RouteRule, ...] = (),
    done: Published | None = None,
) -> Published:
    """Send every line as it stands, at most `rate` a second; `progress` is told after each piece of them.

    `rules` give a route to what names none, as the score step does: it keys the record. What is given as `done` is kept
    up to date also when this is interrupted.

    Raises:
        Unreachable: if the cluster does not answer at the start.
        NoTopicError: if there is no such topic.
    """
    known = await connected_broker(broker)
    await partitions_of(known, topic)
    producer = Producer(known)
    try:
        await producer.start()
    except KafkaError as error:
        raise Unreachable(f"{broker.bootstrap}: {error_text(error)}") from None
    done = Published() if done is None else done
    sender = _Sender(producer, topic, done, Carriage({}, rules))
    started = time.monotonic()
    try:
        for line in lines:
            await _paced(started, done.sent, rate)
            await sender.send(line)
            progress(done)
        await sender.drained()
        progress(done)
    finally:
        await producer.stop()
    return done


async def _paced(started: float, sent: int, rate: float | None) -> None:
    """Wait until it is the turn of the next record."""
    if rate is not None:
        ahead = started + sent / rate - time.monotonic()
        if ahead > _SHORTEST_WAIT:
            await asyncio.sleep(ahead)


class _Sender:
    """Keeps a bounded number of records, and of their bytes, on the way."""

    def __init__(self, producer: Producer, topic: str, done: Published, carriage: Carriage) -> None:
        self._producer = producer
        self._carriage = carriage
        self._topic = topic
        self._done = done
        self._flying: set[asyncio.Task[None]] = set()
        self._bytes = 0
        self._landed = asyncio.Event()

    async def send(self, line: FileLine) -> None:
        while self._flying and (len(self._flying) >= _MOST_IN_FLIGHT or self._bytes >= _BYTES_IN_FLIGHT):
            self._landed.clear()
            await self._landed.wait()
        self._done.sent += 1
        self._done.last = line.position.offset
        self._done.open.add(line.position.offset)
        self._bytes += len(line.raw)
        task = asyncio.create_task(self._deliver(line))
        self._flying.add(task)
        task.add_done_callback(self._gone)

    def _gone(self, task: asyncio.Task[None]) -> None:
        self._flying.discard(task)
        self._landed.set()

    async def drained(self) -> None:
        await asyncio.gather(*self._flying)

    async def _deliver(self, line: FileLine) -> None:
        try:
            await self._producer.send(self._topic, route_key(line.raw, line.position, self._carriage), line.raw)
        except (UnknownOutcome, KafkaError) as error:
            reason = type(error).__name__ if isinstance(error, KafkaError) else error_text(error)
            self._done.failed += 1
            self._done.reasons[reason] = self._done.reasons.get(reason, 0) + 1
        else:
            self._done.acknowledged += 1
            self._done.open.discard(line.position.offset)
        finally:
            self._bytes -= len(line.raw)
