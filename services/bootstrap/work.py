"""What a worker process does, and what `keelwatch api` serves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Final

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from detectors import registered
from services.api.guard import check_host
from services.bootstrap.access import seeded
from services.bootstrap.acting import slack_actions
from services.bootstrap.database import claimed, opened
from services.bootstrap.evaluating import evaluating
from services.bootstrap.notifying import sender
from services.bootstrap.scoring import scorer
from services.monitor import Monitor
from services.offload import Offload
from services.record.sink import Recorder
from services.serving import Service, api_part
from services.settings import Settings
from services.store.engine import Database
from services.stream.alert import alert
from services.stream.config import Broker
from services.stream.detect import detect
from services.stream.evaluate import Evaluate
from services.stream.health import Check, Health
from services.stream.message import Handler
from services.stream.record import Record
from services.stream.runner import Cluster, Companion, Publish
from services.stream.score import Score
from services.stream.stateful import Threads, Tools

STREAMED: Final = ("score", "detect", "evaluate", "alert", "record")
"""Steps that read topics."""
NOTIFY: Final = "notify"
API: Final = "api"
STEPS: Final = (*STREAMED, NOTIFY, API)
"""All that a worker can run."""


@dataclass(frozen=True, slots=True)
class Process:
    """A worker process, as far as what it does depends on it.

    Attributes:
        names: its steps. broker: its broker, with this process's instance.
        host, port: where its probes and its API answer; None if they do not.
        registry: what its /metrics shows. say: prints one line for people.
    """

    names: Sequence[str]
    broker: Broker
    host: str
    port: int | None
    registry: CollectorRegistry
    say: Callable[[str], None]

    @property
    def instance(self) -> str:
        """Its name among its like."""
        return self.broker.instance or "worker"


@dataclass(frozen=True, slots=True)
class Work:
    """What a worker process does.

    Attributes:
        handlers: made with the function that asks the broker for its id. companions: what runs beside them.
        extend: adds the API's paths to those of the probes; None when this process has no API.
        checks: more that must be well for the process to be ready.
    """

    handlers: Callable[[Cluster], Sequence[Handler]]
    companions: Sequence[Companion] = ()
    extend: Callable[[FastAPI, Health], None] | None = None
    checks: Mapping[str, Check] = field(default_factory=dict)


@contextmanager
def work(settings: Settings, watched: Monitor, process: Process) -> Iterator[Work]:
    """What the steps of a process do; threads and database are closed at the end.

    Raises:
        InputError: if the API is one of them and `host` is not of this machine while there is no key, or a receiver's
            token is missing.
        StoreError: if the database cannot be used, or is SQLite and another process works on it.
    """
    names = process.names
    with ExitStack() as stack:
        threads = Threads(Offload("cpu"), Offload("database"))
        stack.callback(threads.cpu.close)
        stack.callback(threads.database.close)
        database = claimed(stack, settings.database) if set(names) - {"score"} else None
        streamed = [name for name in names if name in STREAMED]

        def made(cluster: Cluster) -> Sequence[Handler]:
            return [_handler(name, settings, watched, database, threads, cluster) for name in streamed]

        companions: list[Companion] = []
        if database is not None and "evaluate" in names:
            companions.append(evaluating(watched, database, threads.database, process.instance))
        if database is not None and NOTIFY in names:
            companions.append(_sender(settings, watched, process, database))
        if database is None or API not in names:
            yield Work(made, companions)
            return
        check_host(process.host, keys=seeded(settings, database))
        part = api_part(
            database, watched.policy, process.broker, process.host, process.registry, slack_actions(settings)
        )
        yield Work(made, [*companions, part.companion], part.extend, part.checks)


@contextmanager
def api(settings: Settings, watched: Monitor, broker: Broker, host: str, port: int) -> Iterator[Service]:
    """What `keelwatch api` serves; the database is made when it does not exist, and closed at the end.

    On SQLite it works beside the one worker process: what it writes are single decisions, which wait their turn.

    Raises:
        InputError: if `host` is not of this machine while there is no key by which to tell people apart.
        StoreError: if the database cannot be used.
    """
    with ExitStack() as stack:
        database = opened(stack, settings.database)
        check_host(host, keys=seeded(settings, database))
        yield Service(broker, database, settings.database, host, port, watched.policy, slack_actions(settings))


def _handler(
    name: str, settings: Settings, watched: Monitor, database: Database | None, threads: Threads, cluster: Cluster
) -> Handler:
    if name == "score":
        made = scorer(settings, watched)
        threads.cpu.begin(made.warm)
        return Score(made.score, threads.cpu, cluster)
    assert database is not None
    tools = Tools(database, threads, cluster)
    if name == "detect":
        return detect(registered(), watched.policy, tools)
    if name == "evaluate":
        return Evaluate(watched.policy, tools)
    if name == "alert":
        return alert(tools)
    return Record(Recorder(database, watched.policy).apply, threads, cluster)


def _sender(settings: Settings, watched: Monitor, process: Process, database: Database) -> Companion:
    """What tells people of incidents. Links lead to this process's own pages where no other address is known."""
    own = f"http://{process.host}:{process.port}" if API in process.names and process.port else None
    made = sender(settings, watched, database, process.instance, process.say, registry=process.registry, own=own)

    async def companion(_publish: Publish) -> None:
        await made.run()

    return companion
