"""What is published arrives once at the real API, and each answer of it has its consequence."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from keelwatch_client import Publisher, context
from schemas.position import Position
from services.errors import NotSent, UnknownOutcome
from services.ingest.decode import decode
from services.ports import Received
from services.store.engine import open_database
from tests.support.api import Wire, api_on, application
from tests.support.exchange_taker import at_most, results, say, taker

EXCHANGE = {"model": {"requested": "gpt-4"}, "prompt": "Where is my parcel?", "response": "On its way."}
PLACE = Position(cluster="c", topic="t", partition=0, offset=0)


@contextmanager
def real_api(folder: Path, wire: Wire, **gateway: Any) -> Iterator[str]:
    """The API over HTTP, on a thread of this process; `wire` stands where the broker does."""
    with closing(open_database(f"sqlite:///{folder}/kw.db")) as database, socket.create_server(("127.0.0.1", 0)) as own:
        app = application(api_on(database, wire, gateway=gateway))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run, args=([own],))
        thread.start()
        try:
            yield f"http://127.0.0.1:{own.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def sent(wire: Wire) -> list[dict[str, Any]]:
    return [json.loads(value) for _, _, value in wire.sent]


def test_everything_arrives_once_at_the_real_api_and_can_be_decoded(tmp_path: Path) -> None:
    wire = Wire()
    with real_api(tmp_path, wire) as url, Publisher(url, route="support-bot/prod", linger_seconds=0) as publisher:
        with context(conversation="c-17", user="u-4", tags={"locale": "de"}):
            for i in range(450):
                publisher.publish({**EXCHANGE, "prompt": f"{i}: \ud83d half of a pair, \x00 and \u202e"})
        assert publisher.flush(30)
        stats = publisher.stats()
    assert (stats.published, stats.delivered, stats.dropped) == (450, 450, {})
    found = [decode(value, PLACE) for _, _, value in wire.sent]
    assert all(isinstance(one, Received) for one in found)
    exchanges = [one.exchange for one in found if isinstance(one, Received)]
    assert len({one.id for one in exchanges}) == 450
    assert {one.flags for one in found if isinstance(one, Received)} == {("sanitized",)}
    assert {(one.route, one.conversation, one.user, one.tags["locale"]) for one in exchanges} == {
        ("support-bot/prod", "c-17", "u-4", "de")
    }


def test_what_the_real_api_refuses_is_dropped_and_its_neighbours_arrive(tmp_path: Path) -> None:
    wire = Wire()
    with real_api(tmp_path, wire) as url, Publisher(url, route="a/b") as publisher:
        publisher.publish(EXCHANGE)
        publisher.publish({**EXCHANGE, "latency_ms": "310"})
        publisher.publish({"prompt": "p", "response": "r"})
        publisher.publish({**EXCHANGE, "route": "Not A Route"})
        publisher.publish(EXCHANGE)
        assert publisher.flush(30)
        assert publisher.stats().delivered == 2
        assert publisher.stats().dropped == {"invalid": 3}
        publisher.publish({**EXCHANGE, "latency_ms": "310"})
        assert publisher.flush(30)
        assert publisher.stats().dropped == {"invalid": 4}
    assert len(wire.sent) == 2


@pytest.mark.parametrize("fault", [NotSent("no broker"), UnknownOutcome("late")])
def test_what_the_broker_did_not_acknowledge_is_sent_again_under_its_id(tmp_path: Path, fault: Exception) -> None:
    tried: list[str] = []

    def once(value: bytes) -> BaseException | None:
        tried.append(json.loads(value)["id"])
        return fault if tried.count(tried[-1]) == 1 and len(tried) <= 3 else None

    wire = Wire(fault=once)
    with real_api(tmp_path, wire) as url, Publisher(url, route="a/b") as publisher:
        for _ in range(10):
            publisher.publish(EXCHANGE)
        assert publisher.flush(30)
        assert (publisher.stats().delivered, publisher.stats().dropped) == (10, {})
    assert len(tried) == 13
    assert {one["id"] for one in sent(wire)} == set(tried)
    assert len(wire.sent) == 10


def test_too_many_at_one_time_are_sent_in_smaller_batches(tmp_path: Path) -> None:
    """The API takes at most 50 at once here and says 429: nothing is lost, whatever the size of a batch."""
    wire = Wire()
    with real_api(tmp_path, wire, most=50) as url, Publisher(url, route="a/b") as publisher:
        for _ in range(120):
            publisher.publish(EXCHANGE)
        assert publisher.flush(60)
    assert len({one["id"] for one in sent(wire)}) == len(wire.sent) == 120


def test_each_result_of_a_mixed_answer_has_its_own_consequence() -> None:
    with taker() as server, Publisher(server.url, route="a/b") as publisher:
        statuses = ["accepted", "invalid", "forbidden", "refused", "unavailable", "unknown"]
        server.behaviours.append(lambda request, lines: results(request, lines, statuses))
        for _ in statuses:
            publisher.publish(EXCHANGE)
        assert publisher.flush(20)
        stats = publisher.stats()
        assert (stats.delivered, stats.dropped) == (3, {"invalid": 1, "forbidden": 1, "refused": 1})
        assert len(server.ids) == len(set(server.ids)) == 3


@pytest.mark.parametrize(("most", "status"), [(1, 413), (3, 413), (1, 422)])
def test_a_batch_that_a_proxy_finds_too_large_is_sent_in_halves(most: int, status: int) -> None:
    problem = "application/problem+json"  # as Keelwatch has it; of a 422 of something else nothing follows

    def small(request: Any, lines: list[dict[str, Any]]) -> None:
        at_most(most)(request, lines) if len(lines) <= most else request.reply(status, content_type=problem)

    with taker(always=small) as server, Publisher(server.url, route="a/b") as publisher:
        for _ in range(11):
            publisher.publish(EXCHANGE)
        assert publisher.flush(20)
        assert publisher.stats().delivered == len(set(server.ids)) == 11


def test_one_exchange_that_is_too_large_for_a_proxy_does_not_hold_up_the_others() -> None:
    def picky(request: Any, lines: list[dict[str, Any]]) -> None:
        large = any(len(one["prompt"]) > 1000 for one in lines)
        request.reply(413) if large else results(request, lines, ["accepted"] * len(lines))

    with taker(always=picky) as server, Publisher(server.url, route="a/b") as publisher:
        for text in ("a", "b" * 2000, "c"):
            publisher.publish({**EXCHANGE, "prompt": text})
        assert publisher.flush(20)
        assert [one["prompt"] for one in server.taken] == ["a", "c"]
        assert publisher.stats().dropped == {"too_large": 1}


@pytest.mark.parametrize("status", [200, 301, 401, 403, 404, 408, 415, 422, 500, 502])
def test_an_answer_that_is_not_keelwatchs_loses_nothing(status: int) -> None:
    """A wrong address or key is mended later: a 200 of something else is no delivery."""
    with taker() as server, Publisher(server.url, key="kw_x", route="a/b") as publisher:
        server.behaviours.append(say(status))
        publisher.publish(EXCHANGE)
        assert publisher.flush(20)
        assert (publisher.stats().delivered, len(server.taken)) == (1, 1)
        assert [one["authorization"] for one in server.headers] == ["Bearer kw_x"] * 2


def test_a_coroutine_publishes_by_the_same_call_and_waits_without_blocking() -> None:
    async def work(url: str) -> int:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.005)

        async with Publisher(url, route="a/b", linger_seconds=0.2) as publisher:
            ticking = asyncio.create_task(tick())
            publisher.publish(EXCHANGE)
            await asyncio.sleep(0.05)
            before = ticks
            await asyncio.gather(publisher.aflush(20), asyncio.sleep(0.05))
            ticking.cancel()
            assert publisher.stats().delivered == 1
        return ticks - before

    with taker() as server:
        assert asyncio.run(work(server.url)) >= 2
        assert len(server.taken) == 1
