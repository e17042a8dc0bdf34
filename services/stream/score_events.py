"""Sends scores out as events, beside the steps: a consumer group of its own reads the score blocks.

At least once: a block's place is committed after all of its events were taken. What does not answer is tried again,
later and later, while the blocks wait on their topic, for as long as that keeps them; no step waits for it. What is
refused for what it is, is counted and left.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, Protocol

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from aiokafka.structs import ConsumerRecord, TopicPartition

from schemas.score import ScoreBlock
from schemas.topics import SCORES
from services.errors import UnknownOutcome, fault_trace
from services.observability.metrics import ScoreEventMeters
from services.outbound import HttpReply, Outbound, Unanswered, UrlRefused
from services.ports import Publish
from services.score.score_events import score_events
from services.stream.broker import Broker
from services.stream.clients import connected_broker, consumer, error_text, fault_text, is_dependency
from services.stream.consumer_groups import SCORE_EVENTS
from services.stream.messages import decode_record
from services.stream.producer import Producer

LOG: Final = logging.getLogger("keelwatch.score_events")
SECONDS: Final = 10.0
"""How long an endpoint may take for one request."""
LONGEST_PAUSE: Final = 60.0
_FIRST_PAUSE: Final = 1.0
_RECONNECT_SECONDS: Final = 5.0
_POLL_MS: Final = 500
_BLOCKS: Final = 4
_LATER: Final = frozenset({401, 403, 404, 408, 425, 429, 502, 503, 504})
"""Statuses after which the same request may be taken: those of OTLP, and those of a wrong key or path, which people
mend. By OTLP any other must not be sent again: one request that breaks an endpoint would keep all others waiting."""


class NotTaken(Exception):  # noqa: N818 -- an outcome
    """The events were not taken, and may be later; after `seconds`, where that is said. The message says why."""

    def __init__(self, words: str, seconds: float | None = None) -> None:
        super().__init__(words)
        self.seconds = seconds


class EventSink(Protocol):
    """Where events go."""

    def connected(self, broker: Broker) -> AbstractAsyncContextManager[None]:
        """Be ready to send while the block runs."""

    async def send(self, route: str, body: bytes, n: int) -> int:
        """Hand over `n` events as one `LogsData` in JSON; how many of them were refused for what they are.

        Raises:
            NotTaken: if they are to be sent again.
        """


class TopicSink:
    """A topic of the same broker; the key of a record is the route."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._producer: Producer | None = None

    @asynccontextmanager
    async def connected(self, broker: Broker) -> AsyncIterator[None]:
        """Be ready to send while the block runs."""
        producer = Producer(broker)
        await producer.start()
        self._producer = producer
        try:
            yield
        finally:
            self._producer = None
            await producer.stop()

    async def send(self, route: str, body: bytes, n: int) -> int:
        """Send one record; acknowledged by all replicas."""
        assert self._producer is not None
        try:
            await self._producer.send(self._topic, route.encode(), body)
        except MessageSizeTooLargeError:
            return n
        except (UnknownOutcome, KafkaError) as error:
            raise NotTaken(f"topic {self._topic}: {error_text(error)}") from None
        return 0


class OtlpSink:
    """An endpoint of OTLP over HTTP, in JSON. Its name is looked up again after each failure: collectors move."""

    def __init__(self, outbound: Callable[[], Outbound], headers: Mapping[str, str]) -> None:
        """`outbound` makes a client; `headers` are sent beside those of every request."""
        self._make, self._headers = outbound, headers
        self._client: Outbound | None = None

    @asynccontextmanager
    async def connected(self, _broker: Broker) -> AsyncIterator[None]:
        """Connections are made when they are needed, and closed at the end of the block."""
        try:
            yield
        finally:
            await self._close()

    async def send(self, _route: str, body: bytes, n: int) -> int:
        """Post one request."""
        self._client = self._client or self._make()
        try:
            reply = await self._client.post("", body, self._headers, seconds=SECONDS)
        except (Unanswered, UrlRefused) as error:
            await self._close()
            raise NotTaken(str(error)) from None
        if reply.status in _LATER:
            raise NotTaken(f"the endpoint answers {reply.told}", _retry_after(reply))
        return min(_rejected(reply.body), n) if 200 <= reply.status < 300 else n

    async def _close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()


def _retry_after(reply: HttpReply) -> float | None:
    said = reply.headers.get("retry-after", "")
    return min(float(said), LONGEST_PAUSE) if said.isascii() and said.isdigit() and len(said) < 10 else None


def _rejected(body: bytes) -> int:
    """`partialSuccess.rejectedLogRecords` of an answer; 0 where it says none."""
    try:
        told = json.loads(body)["partialSuccess"]["rejectedLogRecords"]
        return max(int(told), 0)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return 0


class _Forgetting(ConsumerRebalanceListener):  # type: ignore[misc]
    """Forgets how far partitions were read: whoever has them next commits. Knows whether the group took us in."""

    def __init__(self, *known: dict[TopicPartition, Any]) -> None:
        self._known = known
        self.joined = False

    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """They may go to another process."""
        for one in self._known:
            one.clear()

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Where each begins, the group knows; it may have none for us."""
        self.joined = True


class ScoreEventExporter:
    """Reads score blocks and hands their events to a sink until it is cancelled."""

    def __init__(
        self,
        broker: Broker,
        sink: EventSink,
        chosen: Callable[[str], Collection[str]],
        meters: ScoreEventMeters,
        first_pause: float = _FIRST_PAUSE,
    ) -> None:
        """`chosen` are the signals of a route whose scores are sent; `first_pause` doubles up to a minute."""
        self._broker, self._sink, self._chosen, self._meters = broker, sink, chosen, meters
        self._first_pause = self._pause = first_pause
        self._expected: dict[TopicPartition, int] = {}
        self._times: dict[TopicPartition, float] = {}

    async def run(self, _publish: Publish) -> None:
        """Go on for ever; a broker that is away is waited for."""
        while True:
            try:
                await self._follow()
            except Exception as error:  # an export never ends the worker
                self._meters.failed()
                self._meters.waiting(None)
                if is_dependency(error):
                    LOG.warning("waits for the broker: %s", fault_text(error))
                else:
                    LOG.error("scores are not sent, begins again: %s", fault_trace(error))
                await asyncio.sleep(_RECONNECT_SECONDS)

    async def _follow(self) -> None:
        known = await connected_broker(self._broker)
        async with consumer(known, SCORE_EVENTS.group) as client, self._sink.connected(known):
            listener = _Forgetting(self._expected, self._times)
            client.subscribe([SCORES.name], listener=listener)
            while True:
                found = await client.getmany(timeout_ms=_POLL_MS, max_records=_BLOCKS)
                wait = 0.0
                for place, records in sorted(found.items()):
                    if wait:  # the one sink of all partitions does not take anything now
                        self._note_time(place, records[0])
                        client.seek(place, records[0].offset)
                    else:
                        wait = await self._take(client, place, records)
                await self._tell_waiting(client, joined=listener.joined)
                if not found and listener.joined and self._pause == self._first_pause and _read(client):
                    self._meters.well()
                await asyncio.sleep(wait)

    async def _take(self, client: AIOKafkaConsumer, place: TopicPartition, records: Sequence[ConsumerRecord]) -> float:
        """Hand over one block after the other; how long to wait before the rest is read again, 0 when all was taken."""
        if place not in self._expected:
            self._expected[place] = await client.committed(place) or records[0].offset
        self._meters.lost(max(records[0].offset - self._expected[place], 0))
        for record in records:
            self._expected[place] = record.offset
            self._note_time(place, record)
            try:
                await self.hand_over(record)
            except NotTaken as refused:
                self._meters.failed()
                wait = max(refused.seconds or 0.0, self._pause)
                LOG.warning("scores are not taken: %s; tried again in %g s", refused, wait)
                client.seek(place, record.offset)
                self._pause = min(2 * self._pause, LONGEST_PAUSE)
                return wait
            self._pause = self._first_pause
            self._expected[place] = record.offset + 1
            await client.commit({place: record.offset + 1})
            self._meters.well()
        return 0.0

    def _note_time(self, place: TopicPartition, record: ConsumerRecord) -> None:
        """What was read last of a partition: whatever waits on it is no older."""
        if record.timestamp > 0:
            self._times[place] = record.timestamp / 1000.0

    async def _tell_waiting(self, client: AIOKafkaConsumer, *, joined: bool) -> None:
        """How many blocks of our partitions wait, and the time of the oldest, as far as the broker told it."""
        places = client.assignment()
        if not joined or not _read(client):
            self._meters.waiting(None)
            return
        behind = {place: client.highwater(place) - await client.position(place) for place in places}
        some = [place for place, n in behind.items() if n > 0]
        for place in {*self._times}.difference(some):  # what comes on it next is younger
            del self._times[place]
        self._meters.waiting(sum(behind[place] for place in some), min(self._times.values(), default=None))

    async def hand_over(self, record: ConsumerRecord) -> None:
        """Send the events of one block. One that fails by itself, whatever fails in it, is counted and left.

        Raises:
            NotTaken: if some of them are to be sent again; those before come twice then.
        """
        try:
            await self._hand_over(record)
        except Exception as error:
            if isinstance(error, NotTaken) or is_dependency(error):
                raise
            self._meters.lost(1)
            LOG.error("a block of scores is left out: %s", fault_trace(error))

    async def _hand_over(self, record: ConsumerRecord) -> None:
        block = await asyncio.to_thread(decode_record, record.topic, record.value)
        if not isinstance(block, ScoreBlock):
            self._meters.lost(1)
            return
        wanted = self._chosen(block.route)
        for body, n in await asyncio.to_thread(_bodies, block, wanted):
            self._meters.sent(n, await self._sink.send(block.route, body, n))


def _read(client: AIOKafkaConsumer) -> bool:
    """Whether the broker has told how much lies on each of our partitions."""
    return all(client.highwater(place) is not None for place in client.assignment())


def _bodies(block: ScoreBlock, wanted: Collection[str]) -> list[tuple[bytes, int]]:
    return [(json.dumps(logs, separators=(",", ":")).encode(), n) for logs, n in score_events(block, wanted)]
