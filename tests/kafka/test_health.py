"""The watchdog and the probes on a real broker: a stuck consumer is found, an idle and a slow one are left alone."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaProducer
from faust.contrib.asgi import faust_app_running

from services.demo.support_bot import ROUTE, Script, traffic
from services.observability.log import open_log
from services.observability.metrics import StreamMeters
from services.observability.watchdog import FaustPositions, Watchdog
from services.stream.broker import Broker, options
from services.stream.faust_app import make_app
from services.stream.process_health import BrokerCheck as Asked
from services.stream.process_health import EndOffsets
from tests.support.brokers import Kafka, unused_ports
from tests.support.kafka import Cluster, cluster_of
from tests.support.streams import Worker, keyed, make_topics, publish, running, until

FASTER = 20.0
RAW: dict[str, Any] = {"key_type": bytes, "key_serializer": "raw", "value_type": bytes, "value_serializer": "raw"}
Take = Callable[[Any], Awaitable[None]]


@asynccontextmanager
async def consumed(cluster: Cluster, topic: str, folder: Path, take: Take) -> AsyncIterator[tuple[Any, list[float]]]:
    """A faust app that takes the topic, and a watchdog whose time runs twenty times as fast; when it killed."""
    app = make_app(cluster.broker, f"group.{topic}", folder)

    async def agent(stream: Any) -> None:
        async for events in stream.noack_take(100, within=0.05):
            for event in events:
                await take(event)
                event.ack()

    app.agent(app.topic(topic, **RAW), name=topic, concurrency=1)(agent)
    killed: list[float] = []
    ends = EndOffsets(cluster.broker)
    dog = Watchdog(
        FaustPositions(lambda: [app], ends=ends.of),
        StreamMeters(),
        open_log(StringIO()),
        die=lambda: killed.append(time.monotonic()),
        clock=lambda: time.monotonic() * FASTER,
        every=0.1,
        hung_after=600,
    )
    async with faust_app_running(app, stop_timeout=1):
        task = asyncio.create_task(dog.run())
        try:
            yield dog, killed
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await ends.close()


async def send(cluster: Cluster, topic: str, n: int, **more: Any) -> None:
    producer = AIOKafkaProducer(**{**options(cluster.broker).producer, **more})
    await producer.start()
    try:
        if "transactional_id" in more:
            async with producer.transaction():
                await asyncio.gather(*[await producer.send(topic, b"x", partition=0) for _ in range(n)])
        else:
            await asyncio.gather(*[await producer.send(topic, b"x", partition=0) for _ in range(n)])
    finally:
        await producer.stop()


async def soon(true: Callable[[], bool], seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.05)


def test_a_consumer_that_stands_still_is_found(apache: Cluster, tmp_path: Path) -> None:
    async def run() -> None:
        topic = await asyncio.to_thread(apache.topic)

        async def never(_: Any) -> None:
            await asyncio.Event().wait()

        async with consumed(apache, topic, tmp_path, never) as (dog, killed):
            await send(apache, topic, 10)
            await soon(lambda: dog.reason() is not None)
            assert f"{topic}[0] has lag and has stood at the start" in dog.reason()
            await soon(lambda: bool(killed))

    asyncio.run(run())


def test_an_idle_consumer_is_left_alone_also_behind_the_marker_of_a_transaction(
    apache: Cluster, tmp_path: Path
) -> None:
    """One past the last record there is a marker that no consumer is given: its place is committed all the same."""

    async def run() -> None:
        topic = await asyncio.to_thread(apache.topic)
        seen = []

        async def take(event: Any) -> None:
            seen.append(event)

        async with consumed(apache, topic, tmp_path, take) as (dog, killed):
            await send(apache, topic, 10, transactional_id=topic)
            await soon(lambda: len(seen) == 10)
            await asyncio.sleep(2 * 60 / FASTER)
            (partition,) = [one for one in (await dog._positions.read()).partitions.values() if one.end]
            assert (partition.committed, partition.end, partition.lag) == (11, 11, 0)
            assert dog.reason() is None
            assert not killed

    asyncio.run(run())


def test_a_slow_consumer_that_moves_is_left_alone(apache: Cluster, tmp_path: Path) -> None:
    """Each message takes it as long as 20 s would; there is lag all the time."""

    async def run() -> None:
        topic = await asyncio.to_thread(apache.topic)
        seen = []

        async def take(event: Any) -> None:
            await asyncio.sleep(20 / FASTER)
            seen.append(event)

        async with consumed(apache, topic, tmp_path, take) as (dog, killed):
            await send(apache, topic, 200)
            await soon(lambda: len(seen) == 7)
            assert dog.reason() is None
            assert not killed

    asyncio.run(run())


class Probes:
    """What a worker's probes say now; nothing while it does not listen."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, path: str) -> tuple[int, str]:
        try:
            answer = httpx.get(self.url + path, timeout=2)
        except httpx.TransportError:
            return 0, ""
        return answer.status_code, answer.text

    def ready(self) -> bool:
        return self.ask("/readyz")[0] == 200

    def meter(self, name: str) -> float:
        lines = [line for line in self.ask("/metrics")[1].splitlines() if line.startswith(name)]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


@pytest.fixture
def worker(own_kafka: Kafka, tmp_path: Path) -> Worker:
    broker = Broker(own_kafka.bootstrap)
    make_topics(cluster_of(own_kafka.bootstrap).broker)
    return Worker(tmp_path, broker, "score,record", f"sqlite:///{tmp_path / 'keelwatch.db'}")


def test_a_worker_tells_the_truth_while_its_broker_comes_and_goes(own_kafka: Kafka, worker: Worker) -> None:
    (port,) = unused_ports(1)
    probes = Probes(port)
    worker = replace(worker, options=("--port", str(port)))
    with running(worker):
        until(lambda: probes.ask("/readyz")[0] == 503, "the probes answer before it is ready")
        until(probes.ready, "ready")
        publish(worker.broker, "keelwatch.exchanges", keyed(traffic(Script(before=40, after=10), seed=1)))
        until(lambda: probes.meter("keelwatch_exchanges_total") == 50, "all exchanges are counted")
        until(lambda: probes.meter("keelwatch_lag") == 0, "no lag is left")
        assert ROUTE not in probes.ask("/metrics")[1]
        assert probes.meter("keelwatch_watchdog_age_seconds") < 60

        own_kafka.process.send_signal(signal.SIGSTOP)
        until(lambda: probes.ask("/readyz")[0] == 503, "not ready while its broker hangs", seconds=10)
        own_kafka.process.send_signal(signal.SIGCONT)
        until(probes.ready, "ready when it goes on", seconds=30)

        own_kafka.kill()
        until(lambda: probes.ask("/readyz")[0] == 503, "not ready without its broker", seconds=10)
        assert probes.ask("/livez")[0] == 200
        own_kafka.start()
        until(probes.ready, "ready again", seconds=30)
        assert worker.stop() == 0


def test_missing_topics_and_an_absent_broker_are_told_apart(apache: Cluster) -> None:
    async def run() -> None:
        topic = await asyncio.to_thread(apache.topic)
        there, missing = Asked(apache.broker, [topic]), Asked(apache.broker, [topic, "keelwatch.none"])
        away = Asked(Broker(f"127.0.0.1:{unused_ports(1)[0]}"), [topic])
        assert await missing.topics() == "the broker was not asked yet"
        assert [await one.check() for one in (there, missing)] == [None, None]
        assert await there.topics() is None
        assert await missing.topics() == "keelwatch.none missing; run `keelwatch topics create`"
        assert "does not answer: KafkaConnectionError" in str(await away.check())
        for one in (there, missing, away):
            await one.close()

    asyncio.run(run())
