"""Ready means that what is accepted becomes durable; and one poisoned route ends no worker. On a real broker."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from detectors import registered
from schemas.score import ScoreBlock
from schemas.topics import CHANGES, READINGS, SCORES
from services.detect.core import step as detect_step
from services.detect.state import DetectionPlan, DetectState
from services.monitor import RoutePolicy
from services.store import fleet, parks, rollups
from services.store.engine import open_database
from services.stream import topics
from services.stream.broker import Broker, options
from tests.support.blocks import Row, blocks
from tests.support.brokers import unused_ports
from tests.support.streams import PARTITIONS, Worker, publish, read_all, remove_topics, running, until

POISONED, HEALTHY = "poisoned/prod", ("calm/prod", "steady/prod")


class Probes:
    """What a worker's probes say now."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def reasons(self) -> dict[str, str] | None:
        """Why it is not ready; None while it does not listen."""
        try:
            return dict(httpx.get(f"{self.url}/readyz", timeout=2).json()["reasons"])
        except httpx.TransportError:
            return None

    def taken(self, topic: str) -> float:
        """Records of the topic that were taken."""
        text = httpx.get(f"{self.url}/metrics", timeout=2).text
        mine = (line for line in text.splitlines() if line.startswith("keelwatch_records_total") and topic in line)
        return sum(float(line.rsplit(" ", 1)[1]) for line in mine)

    def ready(self) -> bool:
        """Whether nothing keeps it from being ready."""
        return self.reasons() == {}


@contextmanager
def worker_of(folder: Path, broker: Broker, only: str) -> Iterator[tuple[Worker, Probes]]:
    (port,) = unused_ports(1)
    url = f"sqlite:///{folder / 'keelwatch.db'}"
    made = replace(Worker(folder, broker, only, url), options=("--port", str(port)))
    with running(made):
        probes = Probes(port)
        try:
            until(probes.ready, "ready", seconds=60)
            yield made, probes
            assert made.stop() == 0  # it leaves its groups: the next test's worker finds nobody there
        except BaseException:
            print(probes.reasons())
            raise


def exchanges(route: str, n: int, first: int = 0) -> list[ScoreBlock]:
    chance = np.random.default_rng([len(route), first])
    rows = [
        Row(f"{route}{i}", i, i * 86.4, signals={"refusal": bool(chance.random() < 0.1)}, prompt=i % 97)
        for i in range(first, first + n)
    ]
    return [block.model_copy(update={"route": route}) for block in blocks(rows, 14)]


def keyed(some: list[ScoreBlock]) -> list[tuple[bytes, bytes]]:
    return [(block.route.encode(), block.encode()) for block in some]


def counted(url: str, route: str) -> int:
    database = open_database(url, create=False)
    try:
        return sum(rate.n for rate in database.query(rollups.rates, route) if rate.signal == "" and rate.slice == "")
    finally:
        database.close()


def admin(broker: Broker, work: Callable[[AIOKafkaAdminClient], Any]) -> Any:
    async def run() -> Any:
        client = AIOKafkaAdminClient(**options(broker).admin)
        await client.start()
        try:
            return await work(client)
        finally:
            await client.close()

    return asyncio.run(run())


def test_a_topic_that_is_made_anew_under_a_worker_is_told_within_ten_seconds(broker: Broker, tmp_path: Path) -> None:
    with worker_of(tmp_path, broker, "record") as (worker, probes):
        publish(broker, SCORES.name, keyed(exchanges(HEALTHY[0], 140)))
        until(lambda: counted(worker.database, HEALTHY[0]) == 140, "all is recorded")
        until(probes.ready, "ready with all of it done", seconds=20)
        remove_topics(broker, [SCORES])
        asyncio.run(topics.create(broker, [replace(SCORES, partitions=PARTITIONS)]))
        publish(broker, SCORES.name, keyed(exchanges(HEALTHY[0], 56, 140)))
        taken = probes.taken(SCORES.name)
        until(lambda: probes.taken(SCORES.name) > taken or not probes.ready(), "it is read, or not ready", seconds=10)
        if probes.taken(SCORES.name) == taken:
            told = probes.reasons() or {}
            assert "made anew" in told.get("consumed", "") or "nobody in" in told.get("owners", ""), told


def test_a_worker_that_came_back_reads_partitions_that_were_added_and_then_those_that_are_left(
    broker: Broker, tmp_path: Path
) -> None:
    """Under its name it is given what it had, and never looks at its topics again.

    What it had may be partitions that are there no more, and whose offsets nobody can tell.
    """
    with worker_of(tmp_path, broker, "record") as (worker, probes):
        worker.kill()
        worker.start()
        until(probes.ready, "ready again", seconds=60)
        admin(broker, lambda client: client.create_partitions({SCORES.name: NewPartitions(PARTITIONS + 2)}))
        new = [(b"", block.encode()) for block in exchanges(HEALTHY[0], 56)]
        until(lambda: "owners" in (probes.reasons() or {}), "nobody reads them yet", seconds=10)
        for one in new:
            publish(broker, SCORES.name, [one], partition=PARTITIONS + 1)
        until(lambda: counted(worker.database, HEALTHY[0]) == 56, "they are read", seconds=30)
        until(probes.ready, "ready again", seconds=20)

        worker.kill()
        remove_topics(broker, [SCORES])
        asyncio.run(topics.create(broker, [replace(SCORES, partitions=PARTITIONS - 2)]))
        worker.start()
        publish(broker, SCORES.name, keyed(exchanges(HEALTHY[1], 56)))
        until(lambda: counted(worker.database, HEALTHY[1]) == 56, "they are read", seconds=45)
        until(probes.ready, "ready again", seconds=20)


def nan(block: ScoreBlock) -> ScoreBlock:
    vectors = np.full((len(block.id), 384), np.nan, dtype="<f2").tobytes()
    return block.model_copy(update={"prompt_vec": base64.b64encode(vectors).decode()})


def said(broker: Broker, route: str) -> set[bytes]:
    found = [one.value for topic in (CHANGES, READINGS) for one in read_all(broker, topic.name)]
    return {value for value in found if decode_route(value) == route}


def decode_route(value: bytes) -> str:
    return str(json.loads(value)["route"])


def undisturbed(route: str, some: list[ScoreBlock]) -> set[bytes]:
    """What detect says of the route alone."""
    plan = DetectionPlan(tuple(registered()), RoutePolicy())
    _, output = detect_step(plan, DetectState.start(route), some)
    return {record.encode() for record in (*output.changes, *output.readings)}


def blind(url: str) -> fleet.FleetEntry | None:
    database = open_database(url, create=False)
    try:
        return database.query(fleet.entry, POISONED, datetime.now(UTC))
    finally:
        database.close()


def waits(url: str) -> dict[str, int]:
    database = open_database(url, create=False)
    try:
        found = database.query(parks.of_routes, [POISONED]).get(POISONED, ())
        return {one.step: one.n for one in found}
    finally:
        database.close()


def test_a_poisoned_route_ends_no_worker_and_its_neighbours_never_notice(
    broker: Broker, tmp_path: Path, keelwatch: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    healthy = {route: exchanges(route, 1_120) for route in HEALTHY}
    sick = exchanges(POISONED, 1_120)
    sick[40] = nan(sick[40])
    rounds = [block for some in zip(*healthy.values(), sick, strict=True) for block in some]
    with worker_of(tmp_path, broker, "detect,alert,record,api") as (worker, probes):
        process = worker.process
        publish(broker, SCORES.name, keyed(rounds))
        until(lambda: all(counted(worker.database, route) == 1_120 for route in HEALTHY), "neighbours are recorded")
        # What detect said of it before waits in record too, behind the block that record could not take.
        until(lambda: waits(worker.database).get("detect") == 40, "the poisoned one waits, from there on")
        until(lambda: waits(worker.database).get("record", 0) >= 40, "in record too")
        entry = blind(worker.database)
        assert entry is not None
        assert entry.route.status.watch == "blind"
        assert {one.reason.partition(" in ")[0] for one in entry.route.status.parked} == {"ValueError"}
        told = httpx.get(f"{probes.url}/v1/routes/{POISONED}", timeout=5).json()
        assert told["state"] == "blind"
        assert "detect fails on it (ValueError in services." in told["blind_spots"][0]
        until(probes.ready, "what is parked is durable: ready", seconds=20)
        for route in HEALTHY:
            assert said(broker, route) == undisturbed(route, healthy[route]) != set()

        monkeypatch.setenv("KEELWATCH_API_URL", probes.url)
        code, out, _ = keelwatch("route", "retry", POISONED)
        assert (code, "detect (40 records)" in out, ", record (" in out) == (0, True, True)
        until(
            lambda: waits(worker.database) == {}, "it is taken up again: the record that fails twice is a dead letter"
        )
        assert counted(worker.database, POISONED) == 1_120 - 14
        for step in ("detect", "record"):
            letters = read_all(broker, f"{SCORES.name}.{step}.dead")
            assert len(letters) == 1
            assert b"failed twice: ValueError" in letters[0].value
        publish(broker, SCORES.name, keyed(exchanges(POISONED, 28, 1_120)))
        until(lambda: counted(worker.database, POISONED) == 1_120 + 14, "and the route goes on")
        assert worker.process is process
        assert process is not None
        assert process.poll() is None
