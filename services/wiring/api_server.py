"""`keelwatch api` as a process, and the API as a part of a worker: API, pages, relay of decisions and probes."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    ExitStack,
    asynccontextmanager,
    contextmanager,
    nullcontext,
    suppress,
)
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Final

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from schemas.dead_letter import DeadLetter
from schemas.topics import DECISIONS, EXCHANGES
from services.api.app import Api, Front, make
from services.api.app import install as extend_with
from services.api.auth.authentication import Authenticator
from services.api.auth.authorization import LOOPBACK, check_host
from services.api.decision_outbox import DecisionPublisher, DecisionWriter
from services.api.exchange_publisher import ExchangePublisher, Send
from services.api.ingest_counter import IngestCounter
from services.api.ingest_limits import IngestLimiter
from services.api.sse import LiveUpdates
from services.api.system import BrokerOperations, ProcessProbes, SystemHealth
from services.monitor import Monitor
from services.observability.health import Check, HealthProbes, in_thread
from services.observability.log import Log, install, open_log
from services.observability.metrics import StreamMeters
from services.offload import running
from services.ports import Publish
from services.settings import Settings, load_settings, secret
from services.store import change_marks, deployment, secret_keys
from services.store.engine import Database
from services.stream import dead_letters
from services.stream.broker import Broker
from services.stream.clients import Unreachable, connected_broker
from services.stream.consumer_groups import SCORE_EVENTS, GroupLags, check_deployment
from services.stream.process_health import GRACE_SECONDS, BrokerCheck, DatabaseCheck
from services.stream.producer import ConnectingProducer
from services.stream.runner import Companion
from services.wiring.database import open_available_database, seed_first_key
from services.wiring.scorers import scorer_versions
from services.wiring.slack_presses import slack_actions
from services.wording.sources import SourceAddresses

_CHECK_SECONDS: Final = 5.0


@contextmanager
def api_service(settings: Settings, watched: Monitor, broker: Broker, host: str, port: int) -> Iterator[ApiService]:
    """What `keelwatch api` serves; the database is made when it does not exist, and closed at the end.

    On SQLite it works beside the one worker process: what it writes are single decisions, which wait their turn.

    Raises:
        InputError: if `host` is not of this machine while there is no key by which to tell people apart.
        StoreError: if the database cannot be used.
    """
    with ExitStack() as stack:
        database = open_available_database(stack, settings)
        check_host(host, keys=seed_first_key(settings, database))
        place, presses = place_of(settings, watched, host), slack_actions(settings, watched)
        yield ApiService(broker, database, settings.database, place, port, watched, presses)


@dataclass(frozen=True, slots=True)
class ApiService:
    """What is served.

    Attributes:
        database: the open database, and `url` where it is, for the probe's own connection.
        watched: the monitor file.
        extend: adds further paths (the actions of Slack) to the application.
    """

    broker: Broker
    database: Database
    url: str
    place: Place
    port: int
    watched: Monitor
    extend: Callable[[FastAPI, Api], None] | None = None
    log: Log = field(default_factory=open_log)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the API listens, what stands before it, by which secret deliveries of GitHub are known, who finds it where.

    `addresses`: where sources reach API and broker, as far as settings say so.
    """

    host: str
    front: Front = field(default_factory=Front)
    github_secret: str | None = field(default=None, repr=False)
    addresses: SourceAddresses = field(default_factory=SourceAddresses)


def place_of(settings: Settings, watched: Monitor, host: str) -> Place:
    """The place that settings and monitor file describe."""
    https = settings.public_url is not None and settings.public_url.startswith("https://")
    named, given = watched.github_secret_env, settings.webhook_github_secret
    github = (secret(named) if named else None) or (given.get_secret_value() if given else None)
    addresses = SourceAddresses(settings.public_url, settings.public_bootstrap)
    return Place(host, Front(https, settings.proxies), github, addresses)


def _addresses(place: Place, broker: Broker) -> SourceAddresses:
    """Where sources reach us: the broker is the one that we use ourselves, where no setting says otherwise."""
    told = place.addresses
    return replace(told, broker=told.broker or broker.bootstrap, security=broker.security.protocol)


def api_of(database: Database, watched: Monitor, send: Send, system: SystemHealth, place: Place) -> Api:
    """The API on a database, at a `place`, with `send` to publish what comes in and what people decide."""
    relay, live = DecisionPublisher(database, send), LiveUpdates(lambda: database.query(change_marks.read))
    decisions = DecisionWriter(database, relay.wake)
    door = Authenticator(database, LOOPBACK if place.host in LOOPBACK else ())
    counter = IngestCounter(database)
    gateway = ExchangePublisher(send, note=counter.note, limits=IngestLimiter(watched.ingest_limits))
    return Api(
        database,
        gateway,
        decisions,
        relay,
        system,
        door,
        watched=watched,
        live=live,
        front=place.front,
        github_secret=place.github_secret,
        scorers=cache(lambda: scorer_versions(load_settings(), watched)),
        counter=counter,
        addresses=place.addresses,
    )


def operations(broker: Broker, lags: GroupLags, database: Database) -> BrokerOperations:
    """What the API asks of the broker; the content of dead letters is opened with the keys of the database."""

    async def keys() -> Mapping[str, bytes]:
        return await asyncio.to_thread(database.query, secret_keys.find, secret_keys.DEAD_LETTERS)

    async def replay(step: str) -> tuple[int, Mapping[str, int]]:
        done = await dead_letters.replay(broker, dead_letters.topic_names(step), await keys())
        return done.sent, done.left

    async def letters(step: str | None, most: int) -> Sequence[DeadLetter]:
        return await dead_letters.newest(broker, dead_letters.topic_names(step), most, await keys())

    return BrokerOperations(lags.read, replay, letters)


def _lags(broker: Broker, watched: Monitor) -> GroupLags:
    """What asks how far all is behind that reads for this monitor file."""
    return GroupLags(broker, () if watched.score_events is None else (SCORE_EVENTS,))


@dataclass(frozen=True, slots=True)
class ApiPart:
    """The API as a part of a worker process: beside its steps, on the port of its probes."""

    companion: Companion
    extend: Callable[[FastAPI, HealthProbes], None]
    checks: Mapping[str, Check]


def worker_api(
    settings: Settings, watched: Monitor, database: Database, broker: Broker, host: str, registry: CollectorRegistry
) -> ApiPart:
    """The API on the database of a worker that listens on `host`, and counts in `registry`.

    Raises:
        InputError: if `host` is not of this machine while there is no key by which to tell people apart.
    """
    check_host(host, keys=seed_first_key(settings, database))
    place, extend = place_of(settings, watched, host), slack_actions(settings, watched)
    uplink, lags = ConnectingProducer(broker), _lags(broker, watched)
    system = SystemHealth(database, operations(broker, lags, database), registry)
    api = api_of(database, watched, uplink.send, system, replace(place, addresses=_addresses(place, broker)))

    async def companion(_publish: Publish) -> None:
        async with uplink.connecting(), _closing(lags), running(system.survey.run, "survey"), _counting(api):
            try:
                await api.relay.run()
            finally:
                _close_live(api)

    def extended(app: FastAPI, health: HealthProbes) -> None:
        system.probes = ProcessProbes(health.reasons, health.stuck, health.waiting)
        extend_with(app, api)
        if extend is not None:
            extend(app, api)

    return ApiPart(companion, extended, {"decisions": api.relay.check})


@asynccontextmanager
async def serve_api(service: ApiService) -> AsyncIterator[int]:
    """Serve while the block runs; yields the port.

    Raises:
        InputError: if the port cannot be had, or the cluster belongs to another database.
    """
    uplink, cluster = ConnectingProducer(service.broker), BrokerCheck(service.broker, {EXCHANGES.name, DECISIONS.name})
    store, lags, meters = DatabaseCheck(service.url), _lags(service.broker, service.watched), StreamMeters()
    system = SystemHealth(service.database, operations(service.broker, lags, service.database), meters.registry)
    place = replace(service.place, addresses=_addresses(service.place, service.broker))
    api = api_of(service.database, service.watched, uplink.send, system, place)
    checks: dict[str, Check] = {
        "broker": cluster.check,
        "topics": cluster.topics,
        "producer": uplink.sends.check,
        "decisions": api.relay.check,
        "database": in_thread(store.ask),
    }
    health = HealthProbes(checks, lambda: None, meters)
    system.probes = ProcessProbes(health.reasons)
    app = make(api)
    app.include_router(health.router())
    if service.extend is not None:
        service.extend(app, api)
    await _check_deployment(service)
    async with AsyncExitStack() as stack:
        stack.callback(store.close)
        stack.push_async_callback(cluster.close)
        await stack.enter_async_context(uplink.connecting())
        await stack.enter_async_context(_closing(lags))
        await stack.enter_async_context(running(api.relay.run, "relay"))
        await stack.enter_async_context(running(system.survey.run, "survey"))
        await stack.enter_async_context(_counting(api))
        port = await stack.enter_async_context(health.serve(service.port, service.place.host, app, GRACE_SECONDS))
        stack.callback(_close_live, api)  # before the server ends: open pages would keep it
        service.log.info("api", at=f"http://{service.place.host}:{port}/")
        yield port


async def _check_deployment(service: ApiService) -> None:
    """Refuse a cluster of another database. A cluster that is away is waited for: the workers look, too."""
    mine = service.database.transact(deployment.identity)
    with suppress(Unreachable, TimeoutError):
        async with asyncio.timeout(_CHECK_SECONDS):
            await check_deployment(replace(await connected_broker(service.broker), deployment=mine))


def run(service: ApiService) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    asyncio.run(_run(service))


async def _run(service: ApiService) -> None:
    stop = asyncio.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(one, stop.set)
    install(service.log)
    async with serve_api(service):
        await stop.wait()


def _counting(api: Api) -> AbstractAsyncContextManager[None]:
    """While the block runs what comes in is counted and written."""
    return nullcontext() if api.counter is None else running(api.counter.run, "counts")


def _close_live(api: Api) -> None:
    if api.live is not None:
        api.live.close()


@asynccontextmanager
async def _closing(lags: GroupLags) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await lags.close()
