"""`keelwatch api` as a process: the API, its pages, the relay of decisions and the probes, until it is stopped."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from schemas.dead_letter import DeadLetter
from schemas.topics import DECISIONS, EXCHANGES
from services.api.app import Api, make
from services.api.app import install as extend_with
from services.api.deciding import Decisions
from services.api.door import Door
from services.api.gateway import Gateway, Send
from services.api.guard import LOOPBACK
from services.api.health import Health as Condition
from services.api.health import Operations, Probes
from services.api.live import Live
from services.api.relay import Relay
from services.monitor import RoutePolicy
from services.store.engine import Database
from services.store.repository import Repository
from services.stream import dead
from services.stream.attend import GRACE_SECONDS
from services.stream.checks import Cluster, Store
from services.stream.config import Broker
from services.stream.health import Check, Health, in_thread
from services.stream.lags import Lags
from services.stream.log import Log, install, open_log
from services.stream.metrics import Meters
from services.stream.runner import Companion, Publish
from services.stream.uplink import Uplink


@dataclass(frozen=True, slots=True)
class Service:
    """What is served.

    Attributes:
        database: the open database, and `url` where it is, for the probe's own connection.
        policy: what the monitor file says of a route.
        extend: adds further paths (the actions of Slack) to the application.
    """

    broker: Broker
    database: Database
    url: str
    host: str
    port: int
    policy: Callable[[str], RoutePolicy]
    extend: Callable[[FastAPI, Api], None] | None = None
    log: Log = field(default_factory=open_log)


def api_of(database: Database, policy: Callable[[str], RoutePolicy], send: Send, health: Condition, host: str) -> Api:
    """The API on a database, listening at `host`, with `send` to publish what comes in and what people decide."""
    relay, repository = Relay(database, send), Repository(database)
    decisions, live = Decisions(database, relay.wake), Live(repository.marks)
    door = Door(database, LOOPBACK if host in LOOPBACK else ())
    return Api(repository, Gateway(send), decisions, relay, health, door, policy=policy, live=live)


def operations(broker: Broker, lags: Lags) -> Operations:
    """What the API asks of the broker."""

    async def replay(step: str) -> tuple[int, Mapping[str, int]]:
        done = await dead.replay(broker, dead.names(step))
        return done.sent, done.left

    async def letters(step: str | None, most: int) -> Sequence[DeadLetter]:
        return await dead.newest(broker, dead.names(step), most)

    return Operations(lags.read, replay, letters)


@dataclass(frozen=True, slots=True)
class Part:
    """The API as a part of a worker process: beside its steps, on the port of its probes."""

    companion: Companion
    extend: Callable[[FastAPI, Health], None]
    checks: Mapping[str, Check]


def api_part(
    database: Database,
    policy: Callable[[str], RoutePolicy],
    broker: Broker,
    host: str,
    registry: CollectorRegistry,
    extend: Callable[[FastAPI, Api], None] | None = None,
) -> Part:
    """The API on the database of a worker that listens at `host`, and counts in `registry`; `extend` adds paths."""
    uplink, lags = Uplink(broker), Lags(broker)
    condition = Condition(Repository(database), operations(broker, lags), registry)
    api = api_of(database, policy, uplink.send, condition, host)

    async def companion(_publish: Publish) -> None:
        async with uplink.connecting(), _closing(lags), _running(condition.survey.run, "survey"):
            try:
                await api.relay.run()
            finally:
                _close_live(api)

    def extended(app: FastAPI, health: Health) -> None:
        condition.probes = Probes(health.reasons, health.stuck)
        extend_with(app, api)
        if extend is not None:
            extend(app, api)

    return Part(companion, extended, {"decisions": api.relay.check})


@asynccontextmanager
async def serving(service: Service) -> AsyncIterator[int]:
    """Serve while the block runs; yields the port.

    Raises:
        InputError: if the port cannot be had.
    """
    uplink, cluster = Uplink(service.broker), Cluster(service.broker, {EXCHANGES.name, DECISIONS.name})
    store, lags, meters = Store(service.url), Lags(service.broker), Meters()
    condition = Condition(Repository(service.database), operations(service.broker, lags), meters.registry)
    api = api_of(service.database, service.policy, uplink.send, condition, service.host)
    checks: dict[str, Check] = {
        "broker": cluster.check,
        "topics": cluster.topics,
        "producer": uplink.sends.check,
        "decisions": api.relay.check,
        "database": in_thread(store.ask),
    }
    health = Health(checks, lambda: None, meters)
    condition.probes = Probes(health.reasons)
    app = make(api)
    app.include_router(health.router())
    if service.extend is not None:
        service.extend(app, api)
    async with AsyncExitStack() as stack:
        stack.callback(store.close)
        stack.push_async_callback(cluster.close)
        await stack.enter_async_context(uplink.connecting())
        await stack.enter_async_context(_closing(lags))
        await stack.enter_async_context(_running(api.relay.run, "relay"))
        await stack.enter_async_context(_running(condition.survey.run, "survey"))
        port = await stack.enter_async_context(health.serve(service.port, service.host, app, GRACE_SECONDS))
        stack.callback(_close_live, api)  # before the server ends: open pages would keep it
        service.log.info("api", at=f"http://{service.host}:{port}/")
        yield port


def run(service: Service) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    asyncio.run(_run(service))


async def _run(service: Service) -> None:
    stop = asyncio.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(one, stop.set)
    install(service.log)
    async with serving(service):
        await stop.wait()


def _close_live(api: Api) -> None:
    if api.live is not None:
        api.live.close()


@asynccontextmanager
async def _closing(lags: Lags) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await lags.close()


@asynccontextmanager
async def _running(work: Callable[[], Coroutine[None, None, None]], name: str) -> AsyncIterator[None]:
    task = asyncio.create_task(work(), name=name)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
