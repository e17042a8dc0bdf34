"""Scores leave over a real broker: each at least once, the rest when what takes them is back, none again after that."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest
from prometheus_client import CollectorRegistry

from schemas.topics import SCORES, Topic
from services.observability.metrics import ScoreEventMeters
from services.outbound import Outbound
from services.stream import topics
from services.stream.score_events import EventSink, OtlpSink, ScoreEventExporter, TopicSink
from tests.support import otlp_collector
from tests.support.blocks import block, rows
from tests.support.kafka import Cluster
from tests.support.otlp_collector import TakenLog, decoded
from tests.support.streams import publish, read_all, remove_topics

SECONDS = 60.0


@pytest.fixture
def events(cluster: Cluster) -> Iterator[str]:
    """A topic for events, beside one of scores."""
    name = f"events-{uuid4().hex[:8]}"
    made = [SCORES, Topic(name, (), "notify", (), partitions=1)]
    asyncio.run(topics.create(cluster.broker, made))
    yield name
    if cluster.broker.kind != "embedded":  # which ends with the tests, and forgets everything
        remove_topics(cluster.broker, made)


def publish_blocks(cluster: Cluster, first: int, n: int) -> list[str]:
    """So many blocks of two exchanges, each of a route; their ids."""
    some = [block(rows(2, first + 2 * i, signals={"refusal": True}), f"r/{i}") for i in range(n)]
    publish(cluster.broker, SCORES.name, [(one.route.encode(), one.encode()) for one in some])
    return [id for one in some for id in one.id]


def sent(registry: CollectorRegistry) -> float:
    return registry.get_sample_value("keelwatch_score_events_total", {"outcome": "sent"}) or 0.0


async def exported(
    cluster: Cluster, sink: EventSink, done: Callable[[CollectorRegistry], bool], lasting: float = 0.0
) -> CollectorRegistry:
    """Run an exporter until `done`, and for so many seconds more."""
    registry = CollectorRegistry()
    made = ScoreEventExporter(cluster.broker, sink, lambda _: {"refusal"}, ScoreEventMeters(registry), 0.05)

    async def publish_nothing(_records: object) -> None: ...

    task = asyncio.create_task(made.run(publish_nothing))
    try:
        async with asyncio.timeout(SECONDS):
            while not done(registry) and not task.done():
                await asyncio.sleep(0.05)
        await asyncio.sleep(lasting)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return registry


def ids(taken: list[TakenLog]) -> list[str]:
    return [one.attributes["keelwatch.exchange.id"] for one in taken]


def test_what_was_not_taken_comes_again_and_what_was_taken_does_not(cluster: Cluster, events: str) -> None:
    with otlp_collector.running() as collector:
        collector.answers += [(503, {}, b"")] * 3
        sink = OtlpSink(lambda: Outbound(collector.url, ["127.0.0.1"]), {})
        first = publish_blocks(cluster, 0, 5)
        # A second longer: what it has handed over is committed by then.
        registry = asyncio.run(exported(cluster, sink, lambda found: sent(found) >= len(first), 1.0))
        assert sorted(ids(collector.taken)) == sorted(first)
        assert registry.get_sample_value("keelwatch_score_events_failing_seconds") == 0
        assert registry.get_sample_value("keelwatch_score_blocks_lost_total") == 0
        second = publish_blocks(cluster, 100, 3)
        asyncio.run(exported(cluster, TopicSink(events), lambda found: sent(found) >= len(second), 1.0))
        found = read_all(cluster.broker, events)
        assert sorted(ids([log for one in found for log in decoded(one.value)])) == sorted(second)
        assert {one.key for one in found} == {b"r/0", b"r/1", b"r/2"}
        assert sorted(ids(collector.taken)) == sorted(first)
