"""What a worker process does: the handlers of its steps and what runs beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry

from detectors import registered
from services.monitor import Monitor
from services.monitor.route_limit import RouteLimit
from services.observability.health import Check, HealthProbes
from services.offload import Offload, ProcessProgress
from services.ports import Publish
from services.record.blind_watch import BlindWatch
from services.record.provider_watch import ProviderWatch
from services.record.recorder import Recorder
from services.settings import Settings
from services.store import deployment
from services.store.engine import Database
from services.stream.broker import Broker
from services.stream.consumer_groups import GroupLags
from services.stream.handlers import ScoreHandler, alert_handler, detect_handler, evaluate_handler, record_handler
from services.stream.letter_keys import DatabaseKeys, FollowedKeys, publish_keys
from services.stream.messages import Handler, Seal
from services.stream.runner import AskClusterId, Companion
from services.stream.stateful import HandlerResources, Threads
from services.wiring.adapters import audit_companion, evaluation_companion, scorer
from services.wiring.coverage import coverage_companion
from services.wiring.database import claim_for_worker
from services.wiring.judging import judge_panel
from services.wiring.receivers import sender
from services.wiring.retention import following_routes, route_limit, sweeping
from services.wiring.ruler import ruler_companion
from services.wiring.score_events import score_event_companion

if TYPE_CHECKING:
    from fastapi import FastAPI

STREAMED: Final = ("score", "detect", "evaluate", "alert", "record")
"""Steps that read topics."""
NOTIFY: Final = "notify"
API: Final = "api"
STEPS: Final = (*STREAMED, NOTIFY, API)
"""All that a worker can run."""


@dataclass(frozen=True, slots=True)
class WorkerProcess:
    """A worker process, as far as what it does depends on it.

    Attributes:
        names: its steps. broker: its broker, with this process's instance.
        host, port: where its probes and its API answer; None if they do not.
        registry: what its /metrics shows. say: prints one line for people.
        progress: counts what its steps get done, for its watchdog.
    """

    names: Sequence[str]
    broker: Broker
    host: str
    port: int | None
    registry: CollectorRegistry
    say: Callable[[str], None]
    progress: ProcessProgress = field(default_factory=ProcessProgress)

    @property
    def instance(self) -> str:
        """Its name among its like."""
        return self.broker.instance or "worker"


@dataclass(frozen=True, slots=True)
class WorkerSetup:
    """What a worker process does.

    Attributes:
        handlers: made with the function that asks the broker for its id. companions: what runs beside them.
        extend: adds the API's paths to those of the probes; None when this process has no API.
        checks: more that must be well for the process to be ready.
        deployment: id of its database; empty without one.
    """

    handlers: Callable[[AskClusterId], Sequence[Handler]]
    companions: Sequence[Companion] = ()
    extend: Callable[[FastAPI, HealthProbes], None] | None = None
    checks: Mapping[str, Check] = field(default_factory=dict)
    deployment: str = ""


@contextmanager
def worker_setup(settings: Settings, watched: Monitor, process: WorkerProcess) -> Iterator[WorkerSetup]:
    """What the steps of a process do; threads and database are closed at the end.

    Raises:
        InputError: if the API is one of them and `host` is not of this machine while there is no key, or a receiver's
            token is missing.
        StoreError: if the database cannot be used, or is SQLite and another process works on it.
    """
    names = process.names
    with ExitStack() as stack:
        cpu, database_thread = (stack.enter_context(closing(Offload(name))) for name in ("cpu", "database"))
        threads = Threads(cpu, database_thread)
        database = claim_for_worker(stack, settings) if set(names) - {"score"} else None
        known = "" if database is None else database.transact(deployment.identity)
        streamed = [name for name in names if name in STREAMED]

        limit = route_limit(watched, database)

        keys = None if database is None else DatabaseKeys(database, database_thread)
        maker = _ToolMaker(settings, watched, limit, database, cpu, database_thread, process)

        def made(cluster: AskClusterId) -> Sequence[Handler]:
            return [_handler(name, maker.tools(name, cluster)) for name in streamed]

        companions: list[Companion] = []
        if database is not None and "record" in names:
            companions.append(sweeping(database, threads, watched))
        if database is not None and "score" in names:
            companions.append(following_routes(limit, database, threads))
        if database is not None and "evaluate" in names:
            companions.append(evaluation_companion(watched, database, database_thread, process.instance))
            companions.append(coverage_companion(settings, watched, database))
        if database is not None and "record" in names:
            companions.append(audit_companion(watched, database))
            companions.append(ruler_companion(settings, watched, database))
            companions.append(_blind_watch(process, database))
            companions.append(ProviderWatch(database).run)
        if keys is not None and "record" in names:
            companions.append(_key_publisher(process, keys))
        if database is not None and NOTIFY in names:
            companions.append(_sender(settings, watched, process, database))
        if NOTIFY in names and (events := score_event_companion(watched, process.broker, process.registry)) is not None:
            companions.append(events)
        if database is None or API not in names:
            yield WorkerSetup(made, companions, deployment=known)
            return
        from services.wiring.api_server import worker_api  # noqa: PLC0415 -- pages and all, and most workers have none

        part = worker_api(settings, watched, database, process.broker, process.host, process.registry)
        yield WorkerSetup(made, [*companions, part.companion], part.extend, part.checks, known)


@dataclass(frozen=True, slots=True)
class _Tools:
    """What handlers are made of."""

    settings: Settings
    watched: Monitor
    limit: RouteLimit
    database: Database | None
    threads: Threads
    cluster: AskClusterId
    tick: Callable[[], object]
    seal: Seal


@dataclass(frozen=True, slots=True)
class _ToolMaker:
    """What the steps of a process share; each counts its own progress, also in the threads."""

    settings: Settings
    watched: Monitor
    limit: RouteLimit
    database: Database | None
    cpu: Offload
    database_thread: Offload
    process: WorkerProcess

    def tools(self, step: str, cluster: AskClusterId) -> _Tools:
        """What the handler of a step is made of."""
        progress, database = self.process.progress.of(step), self.database
        own = Threads(self.cpu.of(progress), self.database_thread.of(progress))
        keys = FollowedKeys(self.process.broker) if database is None else DatabaseKeys(database, own.database)
        return _Tools(self.settings, self.watched, self.limit, database, own, cluster, progress.tick, keys.seal)


def _handler(name: str, given: _Tools) -> Handler:
    watched, threads = given.watched, given.threads
    if name == "score":
        made = scorer(given.settings, watched, given.tick, judge_panel(given.settings, watched))
        threads.cpu.begin(made.warm)
        return ScoreHandler(made.score, threads.cpu, given.cluster, given.limit, seal=given.seal, rules=watched.ingest)
    database = given.database
    assert database is not None
    tools = HandlerResources(database, threads, given.cluster, given.tick, seal=given.seal)
    if name == "detect":
        return detect_handler(registered(), watched.policy, tools)
    if name == "evaluate":
        return evaluate_handler(watched.policy, tools)
    if name == "alert":
        return alert_handler(tools, watched.policy)
    return record_handler(Recorder(database, watched.policy, tick=given.tick).apply, tools)


def _key_publisher(process: WorkerProcess, keys: DatabaseKeys) -> Companion:
    """What lets processes without a database seal dead letters."""

    async def companion(_publish: Publish) -> None:
        await publish_keys(process.broker, keys)

    return companion


def _blind_watch(process: WorkerProcess, database: Database) -> Companion:
    """What notices that nothing is seen any more."""
    lags = GroupLags(process.broker)
    watch = BlindWatch(database, lags.sights, lambda: datetime.now(UTC))

    async def companion(publish: Publish) -> None:
        try:
            await watch.run(publish)
        finally:
            await lags.close()

    return companion


def _sender(settings: Settings, watched: Monitor, process: WorkerProcess, database: Database) -> Companion:
    """What tells people of incidents. Links lead to this process's own pages where no other address is known."""
    own = f"http://{process.host}:{process.port}" if API in process.names and process.port else None
    made = sender(settings, watched, database, process.instance, process.say, registry=process.registry, own=own)

    async def companion(_publish: Publish) -> None:
        await made.run()

    return companion
