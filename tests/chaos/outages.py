"""Broker and database go away under steady traffic: `python -m tests.chaos.outages [--seconds N] [--only NAME]`.

Needs Apache Kafka and PostgreSQL. For each outage: how much had piled up at its end, and how long after it all that
had been accepted by then was in the database. Exit code 1 when that took longer than 120 s, or when anything was lost,
counted twice, dead-lettered without fault, or told otherwise than by replay.
"""

from __future__ import annotations

import argparse
import logging
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from services.store.tables import all_metadata
from services.stream.broker import Broker
from tests.chaos.check import SCRIPT, check, configured
from tests.support import kafka, postgres
from tests.support.brokers import Kafka
from tests.support.fleet import Fleet
from tests.support.oracle import seen_ids
from tests.support.postgres import Server
from tests.support.streams import make_topics, remove_topics
from tests.support.traffic import ROUTES, Steady, story

RATE = 40.0
"""Exchanges a second: less than a worker of all steps takes on two slow cores, beside another test."""
ENOUGH = len(ROUTES) * (SCRIPT.before + 150)
DRAINED_SECONDS = 120.0

Outage = Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True)
class Drained:
    """What came after one outage.

    Attributes:
        seconds: how long it lasted. behind: exchanges that were sent and not recorded at its end. drained: seconds
            until what had been accepted by its end was in the database. restarts: workers that ended with 70.
    """

    name: str
    seconds: float
    behind: int
    drained: float
    restarts: int

    def line(self) -> str:
        """For people."""
        return (
            f"{self.name} for {self.seconds:.0f} s: {self.behind} exchanges behind at its end, all in the database "
            f"{self.drained:.1f} s later; {self.restarts} restarts"
        )


def run(
    broker: Broker,
    database: str,
    folder: Path,
    outages: Mapping[str, Outage],
    seconds: float,
    rate: float = RATE,
    environment: Mapping[str, str] | None = None,
) -> list[Drained]:
    """Let outages of `seconds` come one after the other over a worker of all steps, with this `environment`.

    Raises:
        AssertionError: if one did not drain in time, or its traces are wrong.
    """
    config = configured(folder)
    found = []
    fleet_of = Fleet(folder, broker, database, config, environment=environment or {})
    with fleet_of as fleet, Steady(broker, story(SCRIPT), rate) as traffic:
        fleet.join("worker")
        fleet.until(lambda: fleet.shared(1), "the worker is a member of its groups")
        fleet.until(lambda: len(seen_ids(database)) >= 2 * rate, "exchanges are recorded")
        for name, outage in outages.items():
            found.append(_one(fleet, traffic, database, name, outage, seconds))
        fleet.until(lambda: len(traffic.accepted) >= ENOUGH, "every route's model was replaced long enough ago")
        accepted = traffic.finish()
        fleet.until(fleet.settled, "every group has committed everything", DRAINED_SECONDS)
        fleet.leave("worker")
    check(broker, database, config, accepted)
    return found


def _one(fleet: Fleet, traffic: Steady, database: str, name: str, outage: Outage, seconds: float) -> Drained:
    before = len(fleet.restarts)
    with outage():
        begin = time.monotonic()
        fleet.until(lambda: time.monotonic() - begin >= seconds, f"{name} has lasted", seconds + 30)
    accepted = frozenset(traffic.accepted)
    missing = len(accepted - set(seen_ids(database)))
    drained = fleet.until(lambda: accepted <= set(seen_ids(database)), f"{name}: drained", DRAINED_SECONDS)
    return Drained(name, time.monotonic() - begin - drained, missing, drained, len(fleet.restarts) - before)


@contextmanager
def killed(server: Kafka) -> Iterator[None]:
    """The broker is killed with signal 9."""
    server.kill()
    try:
        yield
    finally:
        server.start()


@contextmanager
def stopped(server: Kafka | postgres.Cluster) -> Iterator[None]:
    """The broker or the database is stopped."""
    server.stop()
    try:
        yield
    finally:
        server.start()


@contextmanager
def locked(url: str) -> Iterator[None]:
    """Somebody else holds a lock on everything in the database, readers of PostgreSQL included."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None, timeout=60)) as connection:
            connection.execute("BEGIN EXCLUSIVE")
            yield
            connection.execute("ROLLBACK")
        return
    with psycopg.connect(url) as connection:
        while not _takes(connection, f"LOCK TABLE {', '.join(all_metadata().tables)} IN ACCESS EXCLUSIVE MODE"):
            pass  # a worker held what we wanted and wanted what we held: PostgreSQL ended us, or else the worker
        yield
        connection.rollback()


def _takes(connection: psycopg.Connection, lock: str) -> bool:
    """Whether the lock was had; nothing is held otherwise."""
    try:
        connection.execute(lock.encode())
    except psycopg.errors.DeadlockDetected:
        connection.rollback()
        return False
    return True


@dataclass(frozen=True)
class Stage:
    """The servers, and what can happen to them."""

    server: Kafka
    database: postgres.Cluster

    def broker(self) -> Broker:
        """The broker, as it presents itself."""
        return kafka.cluster_of(self.server.bootstrap, self.server).broker

    def url(self) -> str:
        """A new PostgreSQL database."""
        return Server(self.database.url).fresh()

    def on_postgresql(self, url: str) -> dict[str, Outage]:
        """All outages of a worker on PostgreSQL."""
        return {
            "broker killed": lambda: killed(self.server),
            "broker stopped": lambda: stopped(self.server),
            "database stopped": lambda: stopped(self.database),
            "database locked": lambda: locked(url),
        }


@contextmanager
def stage() -> Iterator[Stage]:
    """A broker and a database of one's own."""
    with kafka.apache_kafka() as server, postgres.own_cluster() as database:
        if server is None or database is None:
            raise SystemExit(kafka.ABSENT if server is None else postgres.ABSENT)
        yield Stage(server, database)


def main(seconds: float, only: Sequence[str]) -> None:
    """Run every outage on topics and databases of its own, and print the figures."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # the broker goes away on purpose
    with stage() as on, ExitStack() as stack:
        broker = on.broker()

        def each(url: str, outages: Mapping[str, Outage]) -> None:
            for name, outage in outages.items():
                if not only or any(word in name for word in only):
                    make_topics(broker)
                    folder = Path(stack.enter_context(TemporaryDirectory(prefix="keelwatch-outage-")))
                    for drained in run(broker, url, folder, {name: outage}, seconds):
                        print(drained.line(), flush=True)
                    remove_topics(broker)

        for name in on.on_postgresql(""):
            url = on.url()
            each(url, {name: on.on_postgresql(url)[name]})
        file = Path(stack.enter_context(TemporaryDirectory(prefix="keelwatch-outage-"))) / "keelwatch.db"
        each(f"sqlite:///{file}", {"SQLite locked": lambda: locked(f"sqlite:///{file}")})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Broker and database go away under traffic, and come back.")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each outage (default 60)")
    parser.add_argument("--only", action="append", default=[], help="outages whose name contains this; may be repeated")
    given = parser.parse_args()
    sys.exit(main(given.seconds, given.only))
