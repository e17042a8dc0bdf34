"""Limits a minute of keys and routes: what is within is sent, the rest is told when to come again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from services.api.app import Api
from services.api.ingest_limits import IngestLimiter
from services.monitor import IngestLimits, MonitorError, load
from services.store.engine import Database, open_database
from tests.ingest.test_bounds import spans
from tests.support.api import Wire, api_on, asked


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """One is as good as the other: nothing here is stored."""
    with closing(open_database(f"sqlite:///{tmp_path}/kw.db")) as made:
        yield made


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def exchange(route: str = "r", **more: Any) -> dict[str, Any]:
    return {"route": route, "prompt": "p", "response": "a", "model": {"requested": "m"}, **more}


def limited(database: Database, wire: Wire, clock: Clock, **most: int) -> Api:
    return api_on(database, wire, gateway={"limits": IngestLimiter(IngestLimits(**most), clock)})


def test_what_is_within_is_sent_and_the_rest_comes_later(database: Database) -> None:
    wire, clock = Wire(), Clock()
    api = limited(database, wire, clock, per_route=3)
    sent = [exchange(id=f"e{i}") for i in range(5)] + [exchange("other"), {"route": "r"}]
    answer = asked(api, "POST", "/v1/exchanges", json=sent)
    assert answer.status_code == 207
    assert answer.headers["retry-after"] == "20"
    told = answer.json()
    assert [one["status"] for one in told["results"]] == ["accepted"] * 3 + ["unavailable"] * 2 + [
        "accepted",
        "invalid",
    ]
    late = told["results"][3]
    assert (late["id"], late["retry_after"]) == ("e3", 20)
    assert late["detail"] == (
        "more than 3 exchanges a minute of this route (ingest_limits.per_route); send it again after 20 s"
    )
    assert len(wire.sent) == 4
    again = asked(api, "POST", "/v1/exchanges", json=sent[3:5])
    assert (again.status_code, again.headers["retry-after"]) == (429, "20")
    assert again.headers["content-type"] == "application/problem+json"
    assert [one["status"] for one in again.json()["results"]] == ["unavailable"] * 2
    clock.now += 40
    assert asked(api, "POST", "/v1/exchanges", json=sent[3:5]).status_code == 202
    assert len(wire.sent) == 6


def test_a_key_is_limited_over_all_its_routes(database: Database) -> None:
    wire = Wire()
    api = limited(database, wire, Clock(), per_key=2)
    answer = asked(api, "POST", "/v1/exchanges", json=[exchange(f"r{i}") for i in range(3)])
    assert [one["status"] for one in answer.json()["results"]] == ["accepted", "accepted", "unavailable"]
    assert "of this key (ingest_limits.per_key)" in answer.json()["results"][2]["detail"]


def test_an_export_is_sent_whole_or_not_at_all(database: Database) -> None:
    """Exporters send all again: what is more than a minute's worth must get through one day."""
    wire, clock = Wire(), Clock()
    api = limited(database, wire, clock, per_route=2)
    body = json.loads(spans(5, lambda _: False))
    assert asked(api, "POST", "/v1/traces", json=body).status_code == 200
    assert len(wire.sent) == 5
    refused = asked(api, "POST", "/v1/traces", json=body)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "120")
    assert len(wire.sent) == 5
    clock.now += 120
    assert asked(api, "POST", "/v1/traces", json=body).status_code == 200
    assert len(wire.sent) == 10


def test_buckets_of_many_routes_are_forgotten_when_they_are_full() -> None:
    clock = Clock()
    limiter = IngestLimiter(IngestLimits(per_route=60), clock)
    for i in range(25_000):
        assert limiter.take_each("k", [f"r{i}"]) == [None]
        clock.now += 0.01
    assert len(limiter._tokens) <= 10_001


def test_the_monitor_file_says_the_limits(tmp_path: Path) -> None:
    file = tmp_path / "keelwatch.yaml"
    file.write_text("ingest_limits: {per_key: 6000, per_route: 3000}\n")
    assert load(file).ingest_limits == IngestLimits(6000, 3000)
    file.write_text("ingest_limits: {per_key: 0}\n")
    with pytest.raises(MonitorError, match=r"ingest_limits\.per_key"):
        load(file)
