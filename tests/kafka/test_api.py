"""`keelwatch api` on a real broker: 202 only for what is on the topic, honest while the broker is away, whole after."""

from __future__ import annotations

import json
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from schemas.decision import Decision
from schemas.topics import DECISIONS, EXCHANGES
from services.api.exchange_publisher import DEADLINE_SECONDS
from services.store import routes
from services.store.engine import open_database
from services.stream.broker import Broker
from tests.support.brokers import Kafka, unused_ports
from tests.support.served import Served, served
from tests.support.streams import make_topics, read_all, until

PATH = "/v1/exchanges"


def exchange(i: int, **fields: Any) -> dict[str, Any]:
    return {"route": f"r{i % 3}", "prompt": f"p{i}", "response": "yes", "model": {"requested": "m"}, **fields}


def silence(api: Served, n: int) -> str:
    """Silence one alert of the route, another one for each `n`: what is silenced already is not silenced again."""
    body = {"kind": "silence", "route": "r1", "fingerprint": f"{n:016x}", "actor": "mara", "reason": str(n)}
    answer = api.ask("POST", "/v1/decisions", json=body)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def on_topic(kafka: Kafka) -> list[str]:
    return [json.loads(record.value)["id"] for record in read_all(Broker(kafka.bootstrap), EXCHANGES.name)]


def published(kafka: Kafka) -> list[str]:
    found = [record.value for record in read_all(Broker(kafka.bootstrap), DECISIONS.name)]
    return list(dict.fromkeys(Decision.decode(value).id for value in found))


def send(api: Served, some: list[dict[str, Any]]) -> tuple[httpx.Response, float]:
    begin = time.monotonic()
    answer = api.ask("POST", PATH, json=some)
    return answer, time.monotonic() - begin


def ids(answer: httpx.Response, status: str) -> list[str]:
    results = answer.json()["results"]
    assert {one["status"] for one in results} == {status}, answer.text
    return [one["id"] for one in results]


def test_accepted_is_on_the_topic_through_the_loss_and_the_return_of_the_broker(
    own_kafka: Kafka, tmp_path: Path
) -> None:
    make_topics(Broker(own_kafka.bootstrap))
    own_kafka.stop()
    url = f"sqlite:///{tmp_path}/kw.db"
    with closing(open_database(url)) as database:
        database.transact(lambda connection: routes.lock(connection, ["r1"]))  # nothing is decided on one never seen
    with served(tmp_path, own_kafka.bootstrap, url) as api:
        until(api.alive, "the API answers without a broker", 60)
        answer, took = send(api, [exchange(0)])
        lost = ids(answer, "unavailable")
        assert (answer.status_code, took < 5, answer.headers["retry-after"]) == (503, True, "5")
        decided = [silence(api, 0)]

        own_kafka.start()
        until(api.ready, "ready with the broker")
        answer, _ = send(api, [exchange(i) for i in range(90)])
        accepted = ids(answer, "accepted")
        assert answer.status_code == 202
        there = on_topic(own_kafka)
        assert sorted(there) == sorted(accepted)
        assert not set(lost) & set(there)

        own_kafka.kill()
        answer, took = send(api, [exchange(i) for i in range(90, 93)])
        unknown = ids(answer, "unknown")
        assert answer.status_code == 503
        assert took < DEADLINE_SECONDS + 3
        until(lambda: not api.ready(), "not ready without the broker", 20)
        assert api.ask("GET", "/v1/incidents").status_code == 200
        decided += [silence(api, 1), silence(api, 2)]

        own_kafka.start()
        until(api.ready, "ready again")
        again = [exchange(i, id=id) for i, id in zip(range(90, 93), unknown, strict=True)]
        answer, _ = send(api, again)
        accepted += ids(answer, "accepted")
        until(lambda: set(published(own_kafka)) == set(decided), "every decision is published", 60)
        assert published(own_kafka) == decided
        assert set(on_topic(own_kafka)) == set(accepted)
        assert api.stop() == 0
        assert "Traceback" not in api.log.read_text()


@pytest.mark.processes
def test_an_announcement_of_the_command_line_is_written(keelwatch, monkeypatch, tmp_path: Path) -> None:
    """Without a broker it waits for one: what a person said is not lost."""
    [nobody] = unused_ports(1)
    words = ("change", "announce", "bot/prod", "--model", "gpt-5", "--reason", "the vendor says so", "--actor", "mara")
    monkeypatch.setenv("KEELWATCH_API_URL", f"http://127.0.0.1:{nobody}")
    code, _, said = keelwatch(*words)
    assert (code, "no Keelwatch API answers" in said, "KEELWATCH_API_URL" in said) == (1, True, True)
    with served(tmp_path, f"127.0.0.1:{nobody}", f"sqlite:///{tmp_path}/kw.db") as api:
        until(api.alive, "the API answers", 60)
        monkeypatch.setenv("KEELWATCH_API_URL", api.url)
        code, _, said = keelwatch(*words)
        assert (code, "bot/prod was never seen" in said, "--new" in said) == (2, True, True)
        code, said, _ = keelwatch(*words, "--served", "gpt-5-0101", "--new")
        assert (code, said.startswith("announced: ")) == (0, True)
        code, _, said = keelwatch("change", "announce", "BOT", "--model", "m", "--reason", "x")
        assert (code, said.startswith("keelwatch: route: ")) == (2, True)
        assert api.stop() == 0


def test_another_machine_is_not_answered_without_a_key(keelwatch) -> None:
    code, _, said = keelwatch("api", "--host", "0.0.0.0", "--bootstrap", "127.0.0.1:9")
    assert code == 2
    assert "--host 0.0.0.0: without an API key the API answers on 127.0.0.1 alone" in said
