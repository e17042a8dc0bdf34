"""The follower of scores by itself: what it hands over and commits, what it says that waits; and the topic's sink."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError, MessageSizeTooLargeError
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from prometheus_client import CollectorRegistry

from schemas.topics import SCORES
from services.errors import UnknownOutcome
from services.observability.metrics import ScoreEventMeters
from services.ports import StepLag
from services.stream.broker import Broker
from services.stream.consumer_groups import SCORE_EVENTS, UP_GROUP, GroupLags
from services.stream.score_events import NotTaken, ScoreEventExporter, TopicSink
from tests.support.blocks import Row, block

BROKER = Broker("127.0.0.1:1")
ONE, TWO = (TopicPartition(SCORES.name, i) for i in range(2))
BEGIN = 1_700_000_000.0
"""When the first block of each partition was written; each further one is a minute younger."""
NOW = BEGIN + 3_600.0


def blocks(place: TopicPartition, n: int, first: int = 0) -> list[Any]:
    """So many blocks of a partition; each bears its partition and offset as the id of its exchange."""
    made = (block([Row(f"{place.partition}-{i}", 0, 0.0, signals={"refusal": True})]) for i in range(first, first + n))
    return [
        SimpleNamespace(topic=SCORES.name, offset=i, value=one.encode(), timestamp=int((BEGIN + 60 * i) * 1000))
        for i, one in enumerate(made, first)
    ]


class LogConsumer:
    """A consumer of one group over partitions that lie in memory: what the follower asks of the client."""

    def __init__(
        self, log: Mapping[TopicPartition, Sequence[Any]], committed: Mapping[TopicPartition, int] | None = None
    ) -> None:
        self.log, self.commits, self.told = log, dict(committed or {}), True
        self.places = {
            place: max(self.commits.get(place, 0), some[0].offset if some else 0) for place, some in log.items()
        }
        self.turns: list[Callable[[], object]] = []
        self.idle = asyncio.Event()
        self.listener: Any = None

    def subscribe(self, topics: list[str], listener: Any) -> None:
        assert topics == [SCORES.name]
        self.listener = listener
        listener.on_partitions_assigned(self.log)

    async def getmany(self, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Any]]:
        await asyncio.sleep(0)
        if self.turns:
            self.turns.pop(0)()
        found: dict[TopicPartition, list[Any]] = {}
        for place, some in self.log.items():
            ready = [one for one in some if one.offset >= self.places[place]][
                : max_records - sum(map(len, found.values()))
            ]
            if ready:
                found[place] = ready
                self.places[place] = ready[-1].offset + 1
        if not found and not self.turns:
            self.idle.set()
        return found

    def seek(self, place: TopicPartition, offset: int) -> None:
        self.places[place] = offset

    async def committed(self, place: TopicPartition) -> int | None:
        return self.commits.get(place)

    async def commit(self, places: Mapping[TopicPartition, int]) -> None:
        self.commits |= places

    def assignment(self) -> set[TopicPartition]:
        return set(self.log)

    def highwater(self, place: TopicPartition) -> int | None:
        return (self.log[place][-1].offset + 1 if self.log[place] else 0) if self.told else None

    async def position(self, place: TopicPartition) -> int:
        return self.places[place]


class ListSink:
    """Keeps what it is given, and does not take the sends of these numbers, from 0 on."""

    def __init__(self, *not_taken: int) -> None:
        self.not_taken, self.sends, self.bodies = set(not_taken), 0, []

    @asynccontextmanager
    async def connected(self, _broker: Broker) -> AsyncIterator[None]:
        yield

    async def send(self, _route: str, body: bytes, _n: int) -> int:
        self.sends += 1
        if self.sends - 1 in self.not_taken:
            raise NotTaken("full")
        self.bodies.append(body.decode())
        return 0

    @property
    def ids(self) -> list[str]:
        """The exchange of each body: one a block."""
        return [text.split('"keelwatch.exchange.id","value":{"stringValue":"')[1].split('"')[0] for text in self.bodies]


def shown(registry: CollectorRegistry) -> tuple[float | None, float | None]:
    """How many blocks wait, and the age of the oldest; None for what is not known."""
    names = ("keelwatch_score_blocks_waiting", "keelwatch_score_events_oldest_seconds")
    found = [registry.get_sample_value(name) for name in names]
    return tuple(None if one is None or math.isnan(one) else one for one in found)  # type: ignore[return-value]


def followed(
    monkeypatch: pytest.MonkeyPatch,
    client: LogConsumer,
    sink: ListSink,
    turn: Callable[[CollectorRegistry], object] | None = None,
    turns: int = 0,
) -> CollectorRegistry:
    """Follow until nothing is left; `turn` is called at the beginning of each of so many reads but the first."""
    registry = CollectorRegistry()
    meters = ScoreEventMeters(registry, now=lambda: NOW)
    made = ScoreEventExporter(BROKER, sink, lambda _: {"refusal"}, meters, first_pause=0.001)

    async def connected(broker: Broker) -> Broker:
        return broker

    @asynccontextmanager
    async def consumer(_broker: Broker, group: str) -> AsyncIterator[LogConsumer]:
        assert group == SCORE_EVENTS.group
        yield client

    async def work() -> None:
        task = asyncio.create_task(made._follow())
        idle = asyncio.create_task(client.idle.wait())
        await asyncio.wait({task, idle}, return_when=asyncio.FIRST_COMPLETED)
        assert not task.done(), task.exception()
        # What follows the read that found nothing is done when the next one begins.
        client.idle.clear()
        await client.idle.wait()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    monkeypatch.setattr("services.stream.score_events.connected_broker", connected)
    monkeypatch.setattr("services.stream.score_events.consumer", consumer)
    if turn is not None:
        client.turns = [lambda: None, *[lambda: turn(registry)] * turns]
    asyncio.run(work())
    return registry


def lost(registry: CollectorRegistry) -> float | None:
    return registry.get_sample_value("keelwatch_score_blocks_lost_total")


def test_each_block_is_handed_over_once_in_order_and_committed(monkeypatch: pytest.MonkeyPatch) -> None:
    client, sink = LogConsumer({ONE: blocks(ONE, 6), TWO: blocks(TWO, 3)}), ListSink()
    registry = followed(monkeypatch, client, sink)
    assert [id for id in sink.ids if id.startswith("0")] == [f"0-{i}" for i in range(6)]
    assert [id for id in sink.ids if id.startswith("1")] == [f"1-{i}" for i in range(3)]
    assert client.commits == {ONE: 6, TWO: 3}
    assert (shown(registry), lost(registry)) == ((0, 0), 0)


def test_while_nothing_is_taken_all_wait_and_the_oldest_is_as_old_as_its_record(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = LogConsumer({ONE: blocks(ONE, 3), TWO: blocks(TWO, 2)})
    sink, seen = ListSink(1, 2), []
    registry = followed(monkeypatch, client, sink, lambda now: seen.append((*shown(now), dict(client.commits))), 3)
    # One block was taken; the second one was not, twice, and nothing of the other partition was sent meanwhile.
    assert seen[:2] == [(4, 3600.0, {ONE: 1}), (4, 3600.0, {ONE: 1})]
    assert sink.ids[:3] == ["0-0", "0-1", "0-2"]
    assert sorted(sink.ids) == ["0-0", "0-1", "0-2", "1-0", "1-1"]
    assert client.commits == {ONE: 3, TWO: 2}
    assert (shown(registry), lost(registry)) == ((0, 0), 0)


def test_it_begins_where_its_group_was_and_counts_what_fell_off_before(monkeypatch: pytest.MonkeyPatch) -> None:
    client, sink = LogConsumer({ONE: blocks(ONE, 2, first=5), TWO: blocks(TWO, 4)}, {ONE: 2, TWO: 3}), ListSink()
    registry = followed(monkeypatch, client, sink)
    assert sorted(sink.ids) == ["0-5", "0-6", "1-3"]
    assert (client.commits, lost(registry)) == ({ONE: 7, TWO: 4}, 3)


def test_a_block_of_which_no_time_is_known_waits_for_nobody_knows_how_long(monkeypatch: pytest.MonkeyPatch) -> None:
    some = blocks(ONE, 2)
    for one in some:
        one.timestamp = -1
    sink, seen = ListSink(0), []
    registry = followed(monkeypatch, LogConsumer({ONE: some}), sink, lambda now: seen.append(shown(now)), 1)
    assert seen == [(2, None)]
    assert shown(registry) == (0, 0)


def test_what_the_broker_has_not_told_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    client = LogConsumer({ONE: blocks(ONE, 1)})
    client.told = False
    assert shown(followed(monkeypatch, client, ListSink())) == (None, None)


def test_partitions_that_went_to_another_process_and_came_back_are_read_from_what_it_committed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = {ONE: blocks(ONE, 2)}
    client, sink = LogConsumer(log), ListSink()

    def rebalanced(_registry: CollectorRegistry) -> None:
        client.listener.on_partitions_revoked([ONE])
        log[ONE] = blocks(ONE, 8)  # another one took those up to the fifth
        client.commits[ONE] = client.places[ONE] = 6
        client.listener.on_partitions_assigned([ONE])

    registry = followed(monkeypatch, client, sink, rebalanced, 1)
    assert sink.ids == ["0-0", "0-1", "0-6", "0-7"]
    assert (client.commits, lost(registry)) == ({ONE: 8}, 0)


class RecordedProducer:
    """A producer that keeps what it is given, or fails as it is told."""

    fault: Exception | None = None
    sent: list[tuple[Any, ...]]
    made: list[RecordedProducer]

    def __init__(self, broker: Broker) -> None:
        self.broker, self.running = broker, False
        type(self).made.append(self)

    async def start(self) -> None:
        self.running = True

    async def stop(self) -> None:
        self.running = False

    async def send(self, topic: str, key: bytes, value: bytes) -> None:
        assert self.running
        if self.fault is not None:
            raise self.fault
        type(self).sent.append((topic, key, value))


@pytest.fixture
def producer(monkeypatch: pytest.MonkeyPatch) -> type[RecordedProducer]:
    made = type("OwnProducer", (RecordedProducer,), {"sent": [], "made": []})
    monkeypatch.setattr("services.stream.score_events.Producer", made)
    return made


def sent_to_topic(n: int = 3) -> int:
    async def work() -> int:
        sink = TopicSink("events")
        async with sink.connected(BROKER):
            return await sink.send("a/b", b"{}", n)

    return asyncio.run(work())


def test_a_topic_gets_one_record_a_request_by_the_route(producer: type[RecordedProducer]) -> None:
    assert sent_to_topic() == 0
    assert producer.sent == [("events", b"a/b", b"{}")]
    assert [(one.broker, one.running) for one in producer.made] == [(BROKER, False)]


def test_what_is_too_large_for_the_topic_is_refused_for_what_it_is(producer: type[RecordedProducer]) -> None:
    producer.fault = MessageSizeTooLargeError()
    assert sent_to_topic(7) == 7


@pytest.mark.parametrize("fault", [UnknownOutcome("sent, and not known whether it arrived"), KafkaTimeoutError("x")])
def test_what_the_topic_may_take_later_is_sent_again(producer: type[RecordedProducer], fault: Exception) -> None:
    producer.fault = fault
    with pytest.raises(NotTaken, match="topic events: "):
        sent_to_topic()
    assert [one.running for one in producer.made] == [False]


class GroupCluster:
    """A cluster as `GroupLags` asks it: two partitions of scores, one member, and what the group committed."""

    def __init__(self, kind: str = "kafka", topics: Sequence[str] = (SCORES.name,)) -> None:
        self.kind, self.topics = kind, topics
        self.close = None

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[None]:
        yield

    async def broker(self) -> Any:
        return SimpleNamespace(kind=self.kind)

    async def admin(self) -> GroupCluster:
        return self

    async def consumer(self) -> GroupCluster:
        return self

    async def list_topics(self) -> Sequence[str]:
        return self.topics

    async def describe_topics(self, names: Sequence[str]) -> list[dict[str, Any]]:
        return [{"topic": name, "partitions": [{"partition": 0}, {"partition": 1}]} for name in names]

    async def describe_consumer_groups(self, groups: Sequence[str]) -> list[Any]:
        members = ("m",) if groups == [SCORE_EVENTS.group] else ()
        return [SimpleNamespace(groups=[(0, groups[0], "Stable", "consumer", "", members)])]

    async def list_consumer_group_offsets(self, group: str) -> dict[TopicPartition, OffsetAndMetadata]:
        return {ONE: OffsetAndMetadata(40, "")} if group == SCORE_EVENTS.group else {}

    async def beginning_offsets(self, places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(places, 10)

    async def end_offsets(self, places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(places, 50)


def lags(cluster: GroupCluster, *followers: Any) -> tuple[StepLag, ...]:
    made = GroupLags(BROKER, followers)
    made._clients = cluster  # type: ignore[assignment]
    return asyncio.run(made.read())


def test_what_waits_for_score_events_stands_behind_the_steps() -> None:
    without = lags(GroupCluster())
    *steps, last = lags(GroupCluster(), SCORE_EVENTS)
    assert tuple(steps) == without
    # 10 of the partition that it committed, and all 40 that lie on the other one.
    assert last == StepLag("score_events", SCORES.name, 50, 1)
    assert {one.workers for one in without} == {0}
    assert UP_GROUP not in {one.step for one in without}


@pytest.mark.parametrize("cluster", [GroupCluster("embedded"), GroupCluster(topics=())])
def test_where_the_broker_does_not_tell_nothing_is_said_of_them(cluster: GroupCluster) -> None:
    assert "score_events" not in {one.step for one in lags(cluster, SCORE_EVENTS)}
