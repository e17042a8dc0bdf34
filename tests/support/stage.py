"""The stream set up to be measured: a broker, a database, worker processes with probes, and clocks to read off them."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psycopg
from prometheus_client.parser import text_string_to_metric_families

from schemas.topics import SCORES
from services.stream.broker import Broker
from tests.support import kafka
from tests.support.brokers import unused_ports
from tests.support.postgres import Server
from tests.support.streams import Worker, make_topics, read_all, running

EVERY = 0.05
"""Seconds between two looks."""


class _Rows(msgspec.Struct):
    id: list[str]


@dataclass
class Probed:
    """A worker process, and where it serves its meters."""

    worker: Worker
    port: int

    def total(self, name: str, **labels: str) -> float:
        """The sum of one meter over all other labels; 0 while the worker does not answer yet."""
        assert self.worker.process is not None
        assert self.worker.process.poll() is None, self.worker.log.read_text()[-3000:]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as answer:
                said = answer.read().decode()
        except (urllib.error.URLError, OSError):
            return 0.0
        samples = [one for family in text_string_to_metric_families(said) for one in family.samples]
        return sum(one.value for one in samples if one.name == name and labels.items() <= one.labels.items())


@dataclass
class Stage:
    """Topics of its own, and a database of its own, for one measurement."""

    folder: Path
    broker: Broker
    database: str
    config: Path | None = None

    @contextmanager
    def worker(self, only: str, instance: str = "first", **environment: str) -> Iterator[Probed]:
        """A worker of these steps, under a name that no other goes by; stopped cleanly at the end."""
        own = self.folder / f"{instance}-{only.replace(',', '-')}"
        own.mkdir(exist_ok=True)
        (port,) = unused_ports(1)
        given, options = {"KEELWATCH_INSTANCE": instance, **environment}, ("--port", str(port))
        one = Worker(own, self.broker, only, self.database, self.config, environment=given, options=options)
        with running(one):
            yield Probed(one, port)
            assert one.stop() == 0, one.log.read_text()[-3000:]

    def scores(self) -> list[tuple[float, int]]:
        """When each score block was sent (seconds since 1970), and how many exchanges it holds, in that order."""
        found = read_all(self.broker, SCORES.name)
        rows = msgspec.json.Decoder(_Rows)
        return sorted((record.timestamp / 1000, len(rows.decode(record.value).id)) for record in found)

    def recorded(self) -> int:
        """How many exchanges the database has counted."""
        with psycopg.connect(self.database) as connection:
            found = connection.execute("SELECT coalesce(sum(n), 0) FROM rollups WHERE signal = '' AND slice = ''")
            return int((found.fetchone() or (0,))[0])


@contextmanager
def stage(folder: Path, server: Server, monitor: str = "") -> Iterator[Stage]:
    """A new Apache Kafka with topics of 4 partitions, a new database; `monitor` is the text of the monitor file."""
    folder.mkdir()
    config = folder / "keelwatch.yaml" if monitor else None
    if config is not None:
        config.write_text(monitor)
    with kafka.apache_kafka() as one:
        assert one is not None, kafka.ABSENT
        broker = kafka.cluster_of(one.bootstrap, one).broker
        make_topics(broker)
        yield Stage(folder, broker, server.fresh(), config)


def rate(progress: Callable[[], float], whole: float, seconds: float = 300.0) -> float:
    """Units per second between the first that is seen and the `whole`.

    Raises:
        AssertionError: if it is not done in time.
    """
    end = time.monotonic() + seconds
    first, begin = 0.0, 0.0
    while (now := progress()) < whole:
        assert time.monotonic() < end, f"{now:g} of {whole:g} within {seconds:g} s"
        if now and not first:
            first, begin = now, time.monotonic()
        time.sleep(EVERY)
    assert first, "it was done before anybody could look"
    return (whole - first) / (time.monotonic() - begin)
