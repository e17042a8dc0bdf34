"""Brokers for tests: Apache Kafka from its jars or a running one, and the embedded broker.

`KEELWATCH_KAFKA_HOME` is an unpacked distribution of Apache Kafka, a folder with `libs/`; `KEELWATCH_TEST_KAFKA` names
a running cluster without security instead, whose topics the tests may make and delete.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from services.stream.broker import Broker, options, recognised
from tests.support.brokers import Embedded, Kafka, Server
from tests.support.identifying_kafka import IdentifyingKafka
from tests.support.source import ROOT

ABSENT = "needs Apache Kafka: install Java 17 (Debian: openjdk-17-jre-headless), openssl, and set KEELWATCH_KAFKA_HOME"
GIVEN = "needs Apache Kafka that the tests start themselves: unset KEELWATCH_TEST_KAFKA"
SUBSTITUTE = f"run on the embedded broker, not on Apache Kafka: {ABSENT}"
S = TypeVar("S", bound="Server")


def home() -> Path | None:
    """The folder of Apache Kafka, when there are jars, a Java and openssl to run it with."""
    folder = Path(os.environ.get("KEELWATCH_KAFKA_HOME") or ROOT.parent / "shared" / "kafka")
    present = any((folder / "libs").glob("kafka-clients-*.jar"))
    return folder if present and shutil.which("java") and shutil.which("openssl") else None


@dataclass(frozen=True)
class Cluster:
    """A broker that answers. `server` is None when the tests did not start it."""

    broker: Broker
    server: Server | None

    @property
    def bootstrap(self) -> str:
        """Where it is reached in the clear."""
        return self.broker.bootstrap

    def topic(self, name: str = "topic", partitions: int = 4) -> str:
        """A new topic, whose name no other test uses."""
        unique = f"{name}.{uuid.uuid4().hex[:12]}"
        asyncio.run(_create(self.broker, NewTopic(unique, partitions, 1)))
        return unique


@contextmanager
def any_cluster() -> Iterator[Cluster]:
    """The cluster that KEELWATCH_TEST_KAFKA names, else Apache Kafka, else the embedded broker."""
    given = os.environ.get("KEELWATCH_TEST_KAFKA")
    if given:
        yield cluster_of(given)
        return
    with apache_kafka() as server:
        if server is not None:
            yield cluster_of(server.bootstrap, server)
            return
    with embedded() as substitute:
        yield cluster_of(substitute.bootstrap, substitute)


@contextmanager
def apache_kafka(settings: Mapping[str, str] | None = None) -> Iterator[Kafka | None]:
    """Apache Kafka of one's own, stopped and removed at the end; None where it cannot be run."""
    found = home()
    if found is None:
        yield None
        return
    with (
        TemporaryDirectory(prefix="keelwatch-kafka-") as folder,
        _running(Kafka(Path(folder), home=found, settings=settings or {})) as server,
    ):
        yield server


@contextmanager
def identifying_kafka() -> Iterator[IdentifyingKafka | None]:
    """Apache Kafka that knows its clients by certificates, passwords or tokens; None where it cannot be run."""
    found = home()
    if found is None:
        yield None
        return
    with (
        TemporaryDirectory(prefix="keelwatch-kafka-") as folder,
        _running(IdentifyingKafka(Path(folder), home=found)) as server,
    ):
        yield server


@contextmanager
def embedded() -> Iterator[Embedded]:
    """The embedded broker, for oneself."""
    with TemporaryDirectory(prefix="keelwatch-broker-") as folder, _running(Embedded(Path(folder))) as server:
        yield server


def cluster_of(bootstrap: str, server: Server | None = None) -> Cluster:
    """The cluster that answers there."""
    return Cluster(asyncio.run(recognised(Broker(bootstrap))), server)


@contextmanager
def _running(server: S) -> Iterator[S]:
    try:
        server.start()
        yield server
    finally:
        server.kill()


async def _create(broker: Broker, topic: NewTopic) -> None:
    admin = AIOKafkaAdminClient(**options(broker).admin)
    try:
        await admin.start()
        [(_, code, message)] = (await admin.create_topics([topic])).topic_errors
        assert code == 0, message
    finally:
        await admin.close()
