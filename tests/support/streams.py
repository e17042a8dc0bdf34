"""The stream as people run it, for tests: topics, exchanges on them, real worker processes, what the database says."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError, GroupLoadInProgressError

from schemas.alert import Alert
from schemas.base import plain_object
from schemas.change import Change
from schemas.exchange import Exchange
from schemas.topics import Topic
from services.flow import topics_of
from services.replay.report import alert_object
from services.store import incidents, journal, rollups
from services.store.engine import Database, open_database
from services.stream import topics
from services.stream.broker import Broker, options
from services.stream.clients import ReadUntil, from_start, read_records
from services.stream.clients import consumer as connected_consumer
from tests.support.source import ROOT

PARTITIONS = 4
STEPS = ("score", "detect", "evaluate", "alert", "record")
_TAIL = 4000


def make_topics(broker: Broker) -> None:
    """Every topic of Keelwatch, new, with few partitions; returns once the broker tells consumers of them."""
    made, _ = asyncio.run(topics.create(broker, topics.all_topics(PARTITIONS)))
    assert len(made) == len(topics.all_topics()), f"not all are new: only {made}"


def remove_topics(broker: Broker, some: Iterable[Topic] = topics.all_topics()) -> None:
    """Drop them again, and what the groups have committed of them; returns once both are gone."""
    names = [topic.name for topic in some]
    asyncio.run(_admin(broker, lambda admin: admin.delete_topics(names)))
    until(lambda: not asyncio.run(_admin(broker, lambda admin: _left(admin, names))), "the topics are gone")


def publish(broker: Broker, topic: str, records: Iterable[tuple[bytes, bytes]], **more: Any) -> None:
    """Send (key, value) pairs in order, all of them acknowledged."""
    asyncio.run(_publish(broker, topic, list(records), more))


def keyed(exchanges: Iterable[Exchange]) -> list[tuple[bytes, bytes]]:
    """Exchanges keyed by their route, as publishers send them."""
    return [(exchange.route.encode(), exchange.encode()) for exchange in exchanges]


def read_all(broker: Broker, topic: str) -> list[Any]:
    """Every record of a topic that was there when it was called."""
    return asyncio.run(_read_all(broker, topic))


def lag(broker: Broker, steps: Sequence[str]) -> int:
    """Records that the groups of these steps have not committed yet."""
    return asyncio.run(_lag(broker, steps))


def groups(broker: Broker, steps: Sequence[str]) -> dict[str, tuple[str, int]]:
    """Step -> the state of its group, and how many members it has."""
    return asyncio.run(_admin(broker, lambda admin: _groups(admin, steps)))


def until(true: Callable[[], bool], what: str, seconds: float = 90.0) -> None:
    """Look again and again until it is true.

    Raises:
        AssertionError: if it is not in time.
    """
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        time.sleep(0.1)


@dataclass
class Worker:
    """A `keelwatch worker` process with a data directory of its own."""

    folder: Path
    broker: Broker
    only: str
    database: str
    config: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    options: Sequence[str] = ()
    module: str = "services.cli"
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        """Start it; it runs once its process does."""
        config = ["--config", str(self.config)] if self.config else []
        given = {
            **{name: value for name, value in os.environ.items() if not name.startswith("KEELWATCH_")},
            "KEELWATCH_DATA_DIR": str(self.folder),
            "KEELWATCH_DATABASE_URL": self.database,
            "KEELWATCH_KAFKA_BOOTSTRAP": self.broker.bootstrap,
            "KEELWATCH_INSTANCE": "test",
            "OMP_NUM_THREADS": "1",
            **self.environment,
        }
        command = [sys.executable, "-m", self.module, "worker", "--only", self.only, *config, *self.options]
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(command, cwd=ROOT, env=given, stdout=out, stderr=out)

    @property
    def log(self) -> Path:
        """What it printed."""
        return self.folder / f"{self.only.replace(',', '-')}.log"

    def print_log(self) -> None:
        """Print the end of what it printed, and whether it runs."""
        end = "was ended" if self.process is None else f"exit code {self.process.poll()}"
        print(f"--- {self.log}: {end}\n{self.log.read_text(errors='replace')[-_TAIL:]}")

    def kill(self) -> None:
        """Kill it with signal 9."""
        self._end(signal.SIGKILL)

    def suspend(self) -> None:
        """Stop it where it is, until `resume`."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> int:
        """End it cleanly; its exit code."""
        return self._end(signal.SIGTERM)

    def wait(self, seconds: float = 60.0) -> int:
        """The exit code of a process that ends by itself."""
        assert self.process is not None
        return self.process.wait(seconds)

    def _end(self, how: signal.Signals) -> int:
        process, self.process = self.process, None
        if process is None:
            return 0
        process.send_signal(how)
        try:
            return process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()


@contextmanager
def running(worker: Worker) -> Iterator[Worker]:
    """The worker, started, and gone at the end whatever happens; the end of its log is printed when the block fails."""
    try:
        worker.start()
        yield worker
    except BaseException:
        worker.print_log()
        raise
    finally:
        worker.kill()


@dataclass(frozen=True)
class Seen:
    """What the database says of one route."""

    alerts: list[dict[str, Any]]
    incidents: list[dict[str, Any]]
    exchanges: int


def seen(url: str, route: str) -> Seen:
    """Alerts and incidents of a route in the shape of the replay's report, and how many exchanges were counted."""
    database = open_database(url, create=False)
    try:
        alerts = [fact for fact in database.query(journal.facts, route) if isinstance(fact, Alert)]
        alerts.sort(key=lambda alert: (alert.ts, alert.route, alert.fingerprint))
        counted = sum(rate.n for rate in database.query(rollups.rates, route) if rate.signal == "")
        return Seen([alert_object(alert) for alert in alerts], incidents_of(database, route), counted)
    finally:
        database.close()


def incidents_of(database: Database, route: str) -> list[dict[str, Any]]:
    """The incidents of a route as a replay says them.

    That routes moved together is found beside the flow, by our own clock: a replay of them does not say it.
    """
    facts = database.query(journal.facts, route)
    beside = {fact.id for fact in facts if isinstance(fact, Change) and fact.kind == "provider"}
    return [_without(plain_object(one), beside) for one in database.query(incidents.find, route)]


def _without(incident: dict[str, Any], refs: set[str]) -> dict[str, Any]:
    """An incident as it would be without the entries that refer to these."""
    kept = [one for one in incident["timeline"] if one["ref"] not in refs]
    if len(kept) == len(incident["timeline"]):
        return incident
    return {**incident, "timeline": kept, "updated_at": kept[-1]["ts"]}


async def _admin(broker: Broker, work: Callable[[AIOKafkaAdminClient], Any]) -> Any:
    admin = AIOKafkaAdminClient(**options(broker).admin)
    try:
        await admin.start()
        return await work(admin)
    finally:
        await admin.close()


async def _left(admin: AIOKafkaAdminClient, names: Sequence[str]) -> set[str]:
    """Which of the topics are still there, or still have places that a group has committed."""
    left = set(await admin.list_topics()) & set(names)
    try:
        groups = await admin.list_consumer_groups()
    except GroupLoadInProgressError:  # a broker that has just started does not know yet: look again
        return set(names)
    for group, _ in groups:
        left |= {place.topic for place in await admin.list_consumer_group_offsets(group)} & set(names)
    return left


async def _groups(admin: AIOKafkaAdminClient, steps: Sequence[str]) -> dict[str, tuple[str, int]]:
    found = dict.fromkeys(steps, ("", 0))
    for step in steps:
        with suppress(GroupCoordinatorNotAvailableError):  # a new cluster makes its topic of groups when first asked
            [response] = await admin.describe_consumer_groups([f"keelwatch.{step}"])
            [(_, _, state, _, _, members, *_)] = response.groups
            found[step] = (state, len(members))
    return found


async def _publish(broker: Broker, topic: str, records: list[tuple[bytes, bytes]], more: Mapping[str, Any]) -> None:
    producer = AIOKafkaProducer(**options(broker).producer)
    await producer.start()
    try:
        sent = [await producer.send(topic, value=value, key=key, **more) for key, value in records]
        await asyncio.gather(*sent)
    finally:
        await producer.stop()


async def _read_all(broker: Broker, topic: str) -> list[Any]:
    async with connected_consumer(broker) as client:
        places = [TopicPartition(topic, number) for number in await _partitions(client, topic)]
        # The embedded broker does not know where a topic ends.
        until = ReadUntil(idle=1.5) if broker.kind == "embedded" else ReadUntil(ends=await client.end_offsets(places))
        await from_start(client, places)
        return [record async for records in read_records(client, until) for record in records]


async def _partitions(consumer: AIOKafkaConsumer, topic: str) -> Sequence[int]:
    known = await consumer._client.fetch_all_metadata()
    return sorted(known.partitions_for_topic(topic) or ())


async def _lag(broker: Broker, steps: Sequence[str]) -> int:
    consumer = AIOKafkaConsumer(**options(broker).consumer, group_id=None)
    await consumer.start()
    try:
        missing = 0
        for step in steps:
            places = [
                TopicPartition(topic, number)
                for topic in topics_of(step)
                for number in await _partitions(consumer, topic)
            ]
            ends = await consumer.end_offsets(places)
            group = f"keelwatch.{step}"
            done = await _admin(broker, lambda admin, group=group: admin.list_consumer_group_offsets(group))
            missing += sum(end - (done[at].offset if at in done else 0) for at, end in ends.items())
        return missing
    finally:
        await consumer.stop()
