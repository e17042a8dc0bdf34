"""Probes tell the truth, at once, whatever the world does."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable

import httpx
import pytest

from services.errors import InputError
from services.observability.health import HealthProbes, in_thread
from services.observability.metrics import StreamMeters
from services.stream.producer import SendCheck


class World:
    """What checks see."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self.stuck: str | None = None
        self.now = 0.0
        self.hangs = asyncio.Event()
        self.hangs.set()

    async def check(self) -> str | None:
        await self.hangs.wait()
        return self.reason

    def health(self, **more: float) -> HealthProbes:
        return HealthProbes(
            {"broker": self.check}, lambda: self.stuck, StreamMeters(), **{"every": 0.001, "patience": 0.05, **more}
        )


Probe = Callable[[str], Awaitable[tuple[int, dict]]]


def probed(scenario: Callable[[World, HealthProbes, Probe], Awaitable[None]], **more: float) -> None:
    async def run() -> None:
        world = World()
        health = world.health(**more)
        async with health.serve(0) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:

            async def probe(path: str) -> tuple[int, dict]:
                answer = await client.get(path)
                return answer.status_code, answer.json()

            await scenario(world, health, probe)

    asyncio.run(run())


async def until(probe: Probe, path: str, status: int) -> dict:
    async with asyncio.timeout(20):
        while True:
            found, body = await probe(path)
            if found == status:
                return body
            await asyncio.sleep(0.005)


def test_ready_follows_the_checks_and_says_why_not() -> None:
    async def scenario(world: World, health: HealthProbes, probe: Probe) -> None:
        assert await until(probe, "/readyz", 200) == {"ok": True, "reasons": {}}
        world.reason = "127.0.0.1:9092 does not answer"
        assert await until(probe, "/readyz", 503) == {"ok": False, "reasons": {"broker": world.reason}}
        assert not health.well("broker")
        world.reason = None
        await until(probe, "/readyz", 200)
        assert health.well("broker")

    probed(scenario)


def test_a_check_that_hangs_makes_it_not_ready_and_blocks_no_probe() -> None:
    async def scenario(world: World, health: HealthProbes, probe: Probe) -> None:
        await until(probe, "/readyz", 200)
        world.hangs.clear()
        body = await until(probe, "/readyz", 503)
        assert body["reasons"]["broker"] == "no answer within 0.05 s"
        assert (await probe("/livez"))[0] == 200
        world.hangs.set()
        await until(probe, "/readyz", 200)

    probed(scenario)


def test_before_the_first_look_it_is_not_ready() -> None:
    health = HealthProbes({"broker": World.check}, lambda: None, StreamMeters())  # type: ignore[dict-item]
    assert health.reasons() == {"broker": "not checked yet"}


def test_an_old_sight_is_no_good_news() -> None:
    async def well() -> None:
        return None

    now = [0.0]
    health = HealthProbes({"broker": well}, lambda: None, StreamMeters(), clock=lambda: now[0])
    asyncio.run(health.sample("broker"))
    assert health.reasons() == {}
    now[0] = 9.9
    assert health.reasons() == {}
    now[0] = 11.0
    assert health.reasons() == {"broker": "not checked for 11 s"}


def test_a_check_that_fails_is_not_well_and_its_words_are_not_told() -> None:
    async def broken() -> None:
        raise ValueError("postgresql://user:password@host")

    health = HealthProbes({"database": broken}, lambda: None, StreamMeters())
    asyncio.run(health.sample("database"))
    assert health.reasons() == {"database": "cannot be checked: ValueError"}


def test_alive_follows_the_watchdog_alone() -> None:
    async def scenario(world: World, health: HealthProbes, probe: Probe) -> None:
        world.reason = "the broker is away"
        await until(probe, "/readyz", 503)
        assert (await probe("/livez"))[0] == 200
        world.stuck = "keelwatch.scores[0] has lag and has stood at 10 for 50 s"
        assert await probe("/livez") == (503, {"ok": False, "reasons": {"consumer": world.stuck}})

    probed(scenario)


def test_metrics_are_served_in_prometheus_format() -> None:
    async def run() -> None:
        meters = StreamMeters()
        meters.lag({("keelwatch.scores", 0): 5})
        async with HealthProbes({}, lambda: None, meters).serve(0) as port, httpx.AsyncClient() as client:
            answer = await client.get(f"http://127.0.0.1:{port}/metrics")
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert 'keelwatch_lag{partition="0",topic="keelwatch.scores"} 5.0' in answer.text

    asyncio.run(run())


def test_a_taken_port_is_one_clear_line() -> None:
    async def run(port: int) -> None:
        async with HealthProbes({}, lambda: None, StreamMeters()).serve(port):
            pass

    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(InputError, match="name a free port"):
        asyncio.run(run(other.getsockname()[1]))


def test_it_listens_where_it_is_told_and_an_address_of_another_machine_is_one_clear_line() -> None:
    async def asked(host: str) -> int:
        async with HealthProbes({}, lambda: None, StreamMeters()).serve(0, host) as port, httpx.AsyncClient() as client:
            return (await client.get(f"http://{host}:{port}/livez")).status_code

    assert asyncio.run(asked("127.0.0.2")) == 200
    with pytest.raises(InputError, match=r"--host 192\.0\.2\.1: not an address of this machine"):
        asyncio.run(asked("192.0.2.1"))


def test_the_port_is_free_again_at_the_end() -> None:
    async def run() -> int:
        async with HealthProbes({}, lambda: None, StreamMeters()).serve(0) as port:
            return port

    asyncio.run(run())
    port = asyncio.run(run())
    socket.create_server(("127.0.0.1", port)).close()


def test_work_that_hangs_in_a_thread_is_started_once() -> None:
    started, go = [], threading.Event()

    def hang() -> str | None:
        started.append(1)
        go.wait(30)
        return "late"

    async def run() -> None:
        health = HealthProbes({"database": in_thread(hang)}, lambda: None, StreamMeters(), patience=0.01)
        for _ in range(5):
            await health.sample("database")
            assert health.reasons() == {"database": "no answer within 0.01 s"}
        go.set()
        async with asyncio.timeout(20):
            while health.reasons()["database"] != "late":
                await health.sample("database")

    asyncio.run(run())
    assert 1 <= len(started) <= 2


def test_failing_sends_are_told_and_forgiven_when_nobody_tries() -> None:
    now = [0.0]
    sends = SendCheck(lambda: now[0])
    assert asyncio.run(sends.check()) is None
    sends.failed()
    sends.failed()
    assert asyncio.run(sends.check()) == "the last 2 sends were not acknowledged"
    sends.acknowledged()
    assert asyncio.run(sends.check()) is None
    sends.failed()
    now[0] = 31.0
    assert asyncio.run(sends.check()) is None
