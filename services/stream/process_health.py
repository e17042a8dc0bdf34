"""The health of a running process: its readiness checks, its watchdog and, when a port is given, its probes."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from aiokafka.errors import KafkaError
from fastapi import FastAPI
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from services.flow import topics_of
from services.observability.health import Check, HealthProbes, in_thread
from services.observability.log import Log, open_log
from services.observability.metrics import StreamMeters
from services.observability.watchdog import FaustPositions, StepWork, Watchdog, joining
from services.offload import ProcessProgress, running
from services.store import dialect, write_probes
from services.store.engine import is_locked, parse_url
from services.stream.broker import HOST, Broker
from services.stream.clients import KeptClients
from services.stream.consumer_groups import UP_GROUP, PartitionOwners, groups_of
from services.stream.faust_app import rejoin
from services.stream.producer import SendCheck

GRACE_SECONDS: Final = 12
"""Longer than the gateway's deadline: who waits for the broker at the end still hears what became of it."""
_CONNECT_SECONDS: Final = 4
_LOCKED: Final = 8.0
_TOLD: Final = 120
_WAITS_FOR: Final = 5.0


class BrokerCheck:
    """Asks the broker for its topics over one connection that is kept; made again after a failure."""

    def __init__(self, broker: Broker, wanted: Collection[str]) -> None:
        self._broker, self._wanted = broker, frozenset(wanted)
        self._clients = KeptClients(broker)
        self.close = self._clients.close
        self._missing: Collection[str] | None = None

    async def check(self) -> str | None:
        """Not well while the broker does not answer."""
        try:
            async with self._clients.asking():
                names = set(await (await self._clients.admin()).list_topics())
        except KafkaError as error:
            return f"{self._broker.bootstrap} does not answer: {type(error).__name__}; run `keelwatch doctor`"
        self._missing = self._wanted - names
        return None

    async def topics(self) -> str | None:
        """Not well while a topic is missing, as of the last answer."""
        if self._missing is None:
            return "the broker was not asked yet"
        if not self._missing:
            return None
        first, more = min(self._missing), len(self._missing) - 1
        return f"{first}{f' and {more} more' if more else ''} missing; run `keelwatch topics create`"


def membership_check(apps: Callable[[], Collection[Any]]) -> Check:
    """Well when every faust app is a settled member of its group."""

    async def check() -> str | None:
        found = apps()
        waiting = [str(app.conf.id) for app in found if joining(app)]
        if not found:
            return "not started"
        return f"not yet a member of {', '.join(waiting)}" if waiting else None

    return check


class DatabaseCheck:
    """Writes a row of its own over a connection of its own; blocks, so it is for `in_thread`.

    A disk that is full can still be read: only a write says that what is accepted becomes durable.
    """

    def __init__(
        self, url: str, name: str = "process", *, clock: Callable[[], float] = time.monotonic, patience: float = _LOCKED
    ) -> None:
        """`name` is the process's own; a lock that another transaction holds is waited for `patience` seconds."""
        parsed = parse_url(url)
        waits = {"timeout": 1} if parsed.drivername == "sqlite" else dialect.server_options(parsed, _CONNECT_SECONDS)
        self._engine = create_engine(parsed, pool_size=1, pool_pre_ping=True, connect_args=waits)
        self._name, self._clock, self._patience = f"{name}/{os.getpid()}", clock, patience
        self._wrote = clock()

    def ask(self) -> str | None:
        """Not well while the database does not answer, or cannot be written."""
        try:
            with self._engine.connect() as connection:
                connection.execute(text("select version_num from alembic_version"))
        except SQLAlchemyError as error:
            return f"the database does not answer: {_fault(error)}; run `keelwatch doctor`"
        try:
            with self._engine.begin() as connection:
                write_probes.write(connection, self._name, datetime.now(UTC))
        except SQLAlchemyError as error:
            for_long = self._clock() - self._wrote
            if is_locked(error) and for_long < self._patience:
                return None
            return f"the database has not been written for {for_long:.0f} s: {_fault(error)}; run `keelwatch doctor`"
        self._wrote = self._clock()
        return None

    def close(self) -> None:
        """Close the connection, and leave no row behind where that can be."""
        with suppress(SQLAlchemyError), self._engine.begin() as connection:
            write_probes.drop(connection, self._name)
        self._engine.dispose()


def _fault(error: SQLAlchemyError) -> str:
    """What the driver said, without what was written."""
    told = getattr(error, "orig", None) or error
    return f"{type(told).__name__} ({' '.join(str(told).split())[:_TOLD]})"


class StreamProcess(Protocol):
    """A process of the stream, as far as it is looked at: empty until it runs."""

    @property
    def apps(self) -> Sequence[Any]:
        """The faust apps."""

    @property
    def steps(self) -> Sequence[Any]:
        """The steps: `handler.name`, `waiting_since` and `work` of each."""


@dataclass(frozen=True, slots=True)
class HealthConfig:
    """What is looked after, and how.

    Attributes:
        names: the steps that are to run. port: for probes; None serves none, 0 has one chosen.
        database: URL of the database that the steps use, if any.
        together: the steps are one consumer group. progress: counts what the steps get done within batches.
        extend: adds more paths to those of the probes, and may tell what they see. checks: more that must be well.
    """

    broker: Broker
    names: Sequence[str]
    port: int | None = None
    host: str = HOST
    database: str | None = None
    together: bool = False
    extend: Callable[[FastAPI, HealthProbes], None] | None = None
    checks: Mapping[str, Check] = field(default_factory=dict)
    meters: StreamMeters = field(default_factory=StreamMeters)
    sends: SendCheck = field(default_factory=SendCheck)
    progress: ProcessProgress = field(default_factory=ProcessProgress)
    log: Log = field(default_factory=open_log)


@asynccontextmanager
async def health_running(config: HealthConfig, process: StreamProcess) -> AsyncIterator[int | None]:
    """Look after `process` while the block runs; enter before it starts. Yields the port of the probes.

    Raises:
        InputError: if the port cannot be had.
    """
    wanted = sorted({name for step in config.names for name in topics_of(step)})
    cluster, ends = BrokerCheck(config.broker, wanted), EndOffsets(config.broker)
    checks: dict[str, Check] = {
        "broker": cluster.check,
        "topics": cluster.topics,
        "joined": membership_check(lambda: process.apps),
        "producer": config.sends.check,
        "steps": lambda: waiting_check(process),
        **config.checks,
    }
    owners = PartitionOwners(
        config.broker, groups_of(config.names, together=config.together), lambda group: _deal_anew(process, group)
    )
    checks["owners"] = owners.check
    store = None if config.database is None else DatabaseCheck(config.database, config.broker.instance or "worker")
    if store is not None:
        checks["database"] = in_thread(store.ask)
    health: HealthProbes
    positions = FaustPositions(
        lambda: process.apps,
        lambda group: _work(process, group),
        ends.of,
        reachable=lambda: health.well("broker"),
    )
    watchdog = Watchdog(positions, config.meters, config.log, moves=config.progress.done)
    checks["consumed"] = watchdog.consumes
    health = HealthProbes(checks, watchdog.reason, config.meters)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(cluster.close)
        stack.push_async_callback(ends.close)
        stack.push_async_callback(owners.close)
        if store is not None:
            stack.callback(store.close)
        if config.port is None:
            port = None
            await stack.enter_async_context(health.watching())
        else:
            grace = 0 if config.extend is None else GRACE_SECONDS
            port = await stack.enter_async_context(health.serve(config.port, config.host, _app(config, health), grace))
            config.log.info("probes", at=f"http://{config.host}:{port}/readyz")
        await stack.enter_async_context(running(watchdog.run, "watchdog"))
        yield port


class EndOffsets:
    """The broker's own word on the ends of partitions; only Apache Kafka's can be trusted."""

    def __init__(self, broker: Broker) -> None:
        self._clients = KeptClients(broker)
        self.close = self._clients.close

    async def of(self, partitions: Collection[Any]) -> Mapping[Any, int]:
        """One past the last record of each; nothing for the embedded broker.

        Raises:
            aiokafka.errors.KafkaError: if the broker does not tell.
        """
        async with self._clients.asking():
            if (await self._clients.broker()).kind != "kafka":
                return {}
            ends: Mapping[Any, int] = await (await self._clients.consumer()).end_offsets(list(partitions))
        return ends


async def waiting_check(process: StreamProcess, clock: Callable[[], float] = time.monotonic) -> str | None:
    """Not well while a step waits for broker, database or disk: what it was given is not done."""
    for step in process.steps:
        waited = 0.0 if step.waiting_since is None else clock() - step.waiting_since
        if waited >= _WAITS_FOR:
            return f"{step.handler.name} waits for a dependency for {waited:.0f} s; the log says for which"
    return None


def _app(config: HealthConfig, health: HealthProbes) -> FastAPI:
    app = health.app()
    if config.extend is not None:
        config.extend(app, health)
    return app


def _work(process: StreamProcess, group: str) -> dict[str, dict[str, StepWork]]:
    """Topic -> step -> what it is at, of the steps that this consumer group feeds."""
    found: dict[str, dict[str, StepWork]] = {}
    for step in process.steps:
        name = step.handler.name
        if group in (UP_GROUP, f"keelwatch.{name}"):
            for topic in topics_of(name):
                found.setdefault(topic, {})[name] = step.work
    return found


def _deal_anew(process: StreamProcess, group: str) -> bool:
    mine = [app for app in process.apps if app.conf.id == group and not joining(app)]
    for app in mine:
        rejoin(app)
    return bool(mine)
