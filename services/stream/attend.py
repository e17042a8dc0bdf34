"""Who looks after a running process of the stream: the watchdog always, probes when a port is given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from aiokafka import AIOKafkaConsumer
from fastapi import FastAPI

from services.stream.app import topics_of
from services.stream.checks import Cluster, Sends, Store, joined
from services.stream.config import HOST, Broker, Kind, options, recognised
from services.stream.health import Check, Health, in_thread
from services.stream.log import Log, open_log
from services.stream.metrics import Meters
from services.stream.watching import FaustPositions, Watchdog

GRACE_SECONDS: Final = 12
"""Longer than the gateway's deadline: who waits for the broker at the end still hears what became of it."""


class Watched(Protocol):
    """A process of the stream, as far as it is looked at: empty until it runs."""

    @property
    def apps(self) -> Sequence[Any]:
        """The faust apps."""

    @property
    def steps(self) -> Sequence[Any]:
        """The steps: `handler.name` and `waiting_since` of each."""


@dataclass(frozen=True, slots=True)
class Attendance:
    """What is looked after, and how.

    Attributes:
        names: the steps that are to run. port: for probes; None serves none, 0 has one chosen.
        database: URL of the database that the steps use, if any.
        extend: adds more paths to those of the probes, and may tell what they see. checks: more that must be well.
    """

    broker: Broker
    names: Sequence[str]
    port: int | None = None
    host: str = HOST
    database: str | None = None
    extend: Callable[[FastAPI, Health], None] | None = None
    checks: Mapping[str, Check] = field(default_factory=dict)
    meters: Meters = field(default_factory=Meters)
    sends: Sends = field(default_factory=Sends)
    log: Log = field(default_factory=open_log)


@asynccontextmanager
async def attended(given: Attendance, watched: Watched) -> AsyncIterator[int | None]:
    """Look after `watched` while the block runs; enter before it starts. Yields the port of the probes.

    Raises:
        InputError: if the port cannot be had.
    """
    wanted = sorted({name for step in given.names for name in topics_of(step)})
    cluster, ends = Cluster(given.broker, wanted), Ends(given.broker)
    checks: dict[str, Check] = {
        "broker": cluster.check,
        "topics": cluster.topics,
        "joined": joined(lambda: watched.apps),
        "producer": given.sends.check,
        **given.checks,
    }
    store = None if given.database is None else Store(given.database)
    if store is not None:
        checks["database"] = in_thread(store.ask)
    health: Health
    positions = FaustPositions(
        lambda: watched.apps,
        lambda: _waiting(watched),
        ends.of,
        reachable=lambda: health.well("broker"),
    )
    watchdog = Watchdog(positions, given.meters, given.log)
    health = Health(checks, watchdog.reason, given.meters)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(cluster.close)
        stack.push_async_callback(ends.close)
        if store is not None:
            stack.callback(store.close)
        if given.port is None:
            port = None
            await stack.enter_async_context(health.watching())
        else:
            grace = 0 if given.extend is None else GRACE_SECONDS
            port = await stack.enter_async_context(health.serve(given.port, given.host, _app(given, health), grace))
            given.log.info("probes", at=f"http://{given.host}:{port}/readyz")
        await stack.enter_async_context(_running(watchdog.run))
        yield port


class Ends:
    """The broker's own word on the ends of partitions; only Apache Kafka's can be trusted."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._kind: Kind | None = None
        self._consumer: AIOKafkaConsumer | None = None

    async def of(self, partitions: Collection[Any]) -> Mapping[Any, int]:
        """One past the last record of each; nothing for the embedded broker.

        Raises:
            aiokafka.errors.KafkaError: if the broker does not tell.
        """
        if self._kind is None:
            self._kind = (await recognised(self._broker)).kind
        if self._kind != "kafka":
            return {}
        try:
            if self._consumer is None:
                self._consumer = AIOKafkaConsumer(**options(self._broker).consumer)
                await self._consumer.start()
            told: Mapping[Any, int] = await self._consumer.end_offsets(list(partitions))
        except BaseException:
            await self.close()
            raise
        return told

    async def close(self) -> None:
        """Close the connection."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            with suppress(Exception):
                await consumer.stop()


@asynccontextmanager
async def _running(work: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    task = asyncio.ensure_future(work())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _app(given: Attendance, health: Health) -> FastAPI:
    app = health.app()
    if given.extend is not None:
        given.extend(app, health)
    return app


def _waiting(watched: Watched) -> set[str]:
    """Topics whose step waits for a dependency; that has a limit of its own."""
    return {topic for step in watched.steps if step.waiting_since is not None for topic in topics_of(step.handler.name)}
