"""How far steps are behind, as a real broker tells it, and dead letters sent again by the API."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer

from schemas.dead_letter import DeadLetter
from schemas.position import Position
from schemas.topics import EXCHANGES
from services.ports import PartitionSight, StepLag
from services.stream.broker import Broker, options
from services.stream.consumer_groups import GroupLags
from services.stream.embedded_broker import start_broker
from services.stream.topics import all_topics, create
from tests.support.brokers import Kafka
from tests.support.served import Served, served
from tests.support.streams import make_topics, publish, read_all, until

TOPIC = EXCHANGES.name
DEAD = f"{TOPIC}.score.dead"


async def asked(broker: Broker) -> dict[tuple[str, str], StepLag]:
    lags = GroupLags(broker)
    try:
        return {(one.step, one.topic): one for one in await lags.read()}
    finally:
        await lags.close()


async def sighted(broker: Broker) -> tuple[str, tuple[PartitionSight, ...]]:
    lags = GroupLags(broker)
    try:
        return await lags.sights()
    finally:
        await lags.close()


def exchange(i: int) -> bytes:
    return json.dumps({"route": "r", "prompt": f"p{i}", "response": "yes", "model": {"requested": "m"}}).encode()


def letter(i: int) -> DeadLetter:
    at = Position(cluster="old", topic=TOPIC, partition=0, offset=i)
    return DeadLetter.of(exchange(i), "score", "prompt: must be text", at)


def test_lag_is_what_the_group_has_not_committed_and_workers_are_its_members(broker: Broker) -> None:
    publish(broker, TOPIC, [(b"r", exchange(i)) for i in range(10)])
    before = asyncio.run(asked(broker))
    assert (before["score", TOPIC].records, before["score", TOPIC].workers) == (10, 0)
    assert (before["record", DEAD].records, before["detect", "keelwatch.scores"].records) == (0, 0)

    async def work() -> StepLag:
        consumer = AIOKafkaConsumer(TOPIC, group_id="keelwatch.score", **options(broker).consumer)
        await consumer.start()
        try:
            taken = 0
            while taken < 4:
                for place, found in (await consumer.getmany(timeout_ms=500, max_records=4 - taken)).items():
                    taken += len(found)
                    await consumer.commit({place: found[-1].offset + 1})
            return (await asked(broker))["score", TOPIC]
        finally:
            await consumer.stop()

    told = asyncio.run(work())
    assert (told.records, told.workers) == (6, 1)
    cluster, seen = asyncio.run(sighted(broker))
    scored = [one for one in seen if (one.step, one.topic) == ("score", TOPIC)]
    assert cluster == broker.cluster or not broker.cluster
    assert sum(one.end - one.committed for one in scored) == 6
    assert {one.committed for one in seen if one.topic == "keelwatch.scores"} == {0}


@pytest.mark.kafka
def test_the_embedded_broker_tells_of_workers_and_not_of_lag() -> None:
    embedded = start_broker()
    try:
        asyncio.run(create(embedded.broker, all_topics()))
        publish(embedded.broker, TOPIC, [(b"r", exchange(0))])
        told = asyncio.run(asked(Broker(embedded.broker.bootstrap)))
        assert (told["score", TOPIC].records, told["score", TOPIC].workers) == (None, 0)
    finally:
        embedded.stop()


def known(api: Served, part: str) -> bool:
    return bool(api.ask("GET", "/v1/health").json()[part]["ok"])


def settled(api: Served) -> dict:
    until(lambda: api.ask("GET", "/v1/dead-letters/replay").json()["state"] != "running", "the replay has its end")
    return api.ask("GET", "/v1/dead-letters/replay").json()


@pytest.mark.serial
def test_the_api_sends_letters_again_once_and_answers_while_the_broker_is_away(
    own_kafka: Kafka, tmp_path: Path
) -> None:
    broker = Broker(own_kafka.bootstrap)
    make_topics(broker)
    publish(broker, DEAD, [(b"", letter(i).encode()) for i in range(5)])
    with served(tmp_path, own_kafka.bootstrap, f"sqlite:///{tmp_path / 'k.db'}") as api:
        until(lambda: api.alive() and known(api, "broker"), "the API has asked the broker")
        steps = {one["step"]: one for one in api.ask("GET", "/v1/health").json()["steps"]}
        assert (steps["record"]["waiting"], steps["record"]["state"]) == (5, "not running")
        shown = api.ask("GET", "/v1/dead-letters?show_content=true&limit=2").json()["letters"]
        assert [one["content"] for one in shown] == [exchange(i).decode() for i in (4, 3)]

        begun = api.ask("POST", "/v1/dead-letters/replay", json={"step": "score"})
        assert begun.status_code == 202
        assert (settled(api)["state"], settled(api)["sent"]) == ("done", 5)
        assert api.ask("POST", "/v1/dead-letters/replay", json={"step": "score"}).status_code == 202
        assert (settled(api)["sent"], settled(api)["left"]) == (0, {})
        assert len(read_all(broker, TOPIC)) == 5
        assert 'keelwatch_consumer_lag{step="score",topic="keelwatch.exchanges"}' in api.ask("GET", "/metrics").text

        own_kafka.kill()
        until(lambda: not known(api, "broker"), "the API sees that the broker is away")
        begin = time.monotonic()
        page = api.ask("GET", "/health")
        assert (page.status_code, "not known" in page.text, time.monotonic() - begin < 2) == (200, True, True)
