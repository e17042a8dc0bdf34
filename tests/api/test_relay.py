"""Decisions reach their topic at least once, in order per route, whichever replica carries them and whatever fails."""

from __future__ import annotations

import asyncio
import random
from datetime import datetime, timedelta

import pytest

from schemas.decision import Decision
from schemas.topics import DECISIONS
from services.api.decision_outbox import LEASE, DecisionPublisher
from services.errors import UnknownOutcome
from services.store import decisions
from services.store.engine import Database, open_database
from tests.support.api import NOW, Wire
from tests.support.records import decision


class Time:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def write(database: Database, *some: Decision) -> None:
    for one in some:
        with database.write() as connection:
            decisions.add(connection, one, NOW)


def story(n: int, *routes: str) -> list[Decision]:
    return [decision("silence", route=routes[i % len(routes)], reason=f"{i}") for i in range(n)]


def waits(database: Database) -> bool:
    with database.read() as connection:
        return decisions.any_unpublished(connection)


def sent_on(wire: Wire, route: str) -> list[str]:
    assert {topic for topic, _, _ in wire.sent} <= {DECISIONS.name}
    found = [Decision.decode(value) for _, key, value in wire.sent if key == route.encode()]
    assert {one.route for one in found} <= {route}
    return [one.reason for one in found]


def firsts(reasons: list[str]) -> list[str]:
    return list(dict.fromkeys(reasons))


def test_each_route_in_order_and_each_decision_once_when_nothing_fails(database: Database) -> None:
    some = story(30, "a", "b", "c")
    write(database, *some)
    wire = Wire()
    relay = DecisionPublisher(database, wire.send, clock=Time())
    assert asyncio.run(relay.once()) == 30
    assert asyncio.run(relay.once()) == 0
    for i, route in enumerate("abc"):
        assert sent_on(wire, route) == [str(n) for n in range(i, 30, 3)]
    assert not waits(database)


def test_what_fails_holds_up_its_own_route_alone_and_is_sent_again(database: Database) -> None:
    write(database, *story(6, "a", "b"))
    broken = [True]
    wire = Wire(fault=lambda value: UnknownOutcome("late") if broken[0] and b'"reason":"2"' in value else None)
    relay = DecisionPublisher(database, wire.send, clock=Time())
    with pytest.raises(UnknownOutcome):
        asyncio.run(relay.once())
    assert (sent_on(wire, "a"), sent_on(wire, "b")) == (["0"], ["1", "3", "5"])
    broken[0] = False
    assert asyncio.run(relay.once()) == 2
    assert sent_on(wire, "a") == ["0", "2", "4"]


def test_another_replica_takes_over_when_the_lease_has_ended_and_not_before(database: Database) -> None:
    write(database, *story(2, "a"))
    time, wire = Time(), Wire()
    down = Wire(fault=lambda _: UnknownOutcome("late"))
    first = DecisionPublisher(database, down.send, owner="one", clock=time)
    second = DecisionPublisher(database, wire.send, owner="two", clock=time)
    with pytest.raises(UnknownOutcome):
        asyncio.run(first.once())
    write(database, decision("silence", route="a", reason="2"))
    assert asyncio.run(second.once()) == 0
    time.now += LEASE + timedelta(seconds=1)
    assert asyncio.run(second.once()) == 3
    assert sent_on(wire, "a") == ["0", "1", "2"]


def test_a_replica_that_ends_gives_its_claims_up(database: Database) -> None:
    write(database, *story(1, "a"))
    time, wire = Time(), Wire()

    async def work() -> None:
        failed = asyncio.Event()

        def fault(_value: bytes) -> BaseException:
            failed.set()
            return UnknownOutcome("late")

        relay = DecisionPublisher(database, Wire(fault=fault).send, owner="one", clock=time)
        task = asyncio.create_task(relay.run())
        await failed.wait()
        while await relay.check() is None:
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await DecisionPublisher(database, wire.send, owner="two", clock=time).once() == 1

    asyncio.run(asyncio.wait_for(work(), 30))


def test_nothing_is_sent_whose_lease_could_end_meanwhile(database: Database) -> None:
    write(database, *story(3, "a"))
    time, wire = Time(), Wire()

    async def slow(topic: str, key: bytes | None, value: bytes) -> None:
        time.now += timedelta(seconds=10)
        await wire.send(topic, key, value)

    relay = DecisionPublisher(database, slow, clock=time)
    assert asyncio.run(relay.once()) == 2
    assert asyncio.run(relay.once()) == 1
    assert sent_on(wire, "a") == ["0", "1", "2"]


def test_it_publishes_what_is_written_while_it_runs_and_forgets_it_later(database: Database) -> None:
    time, wire = Time(), Wire()

    async def work() -> None:
        relay = DecisionPublisher(database, wire.send, clock=time, every=60)
        task = asyncio.create_task(relay.run())
        for i in range(3):
            await asyncio.to_thread(write, database, decision("silence", route="a", reason=str(i)))
            relay.wake()
            while len(wire.sent) <= i:
                await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await relay.check() is None

    asyncio.run(asyncio.wait_for(work(), 30))
    time.now += timedelta(days=8)
    write(database, decision("silence", route="a", reason="3"))
    asyncio.run(DecisionPublisher(database, wire.send, clock=time).once())
    with database.read() as connection:
        kept = [
            reason
            for reason in "0123"
            if decisions.is_known(connection, decision("silence", route="a", reason=reason).id)
        ]
    assert kept == ["3"]


@pytest.mark.parametrize("seed", [1, 2])
def test_two_replicas_lose_nothing_and_keep_the_order_under_failures(new_url, seed: int) -> None:
    chance = random.Random(seed)
    url = new_url()
    databases = [open_database(url), open_database(url)]
    faults = [0]

    def fault(_value: bytes) -> BaseException | None:
        if chance.random() < 0.2:
            faults[0] += 1
            return UnknownOutcome("late")
        return None

    wire = Wire(fault=fault)
    some = story(60, "a", "b", "c")

    async def work() -> None:
        relays = [DecisionPublisher(db, wire.send, owner=str(i), every=0.01) for i, db in enumerate(databases)]
        tasks = [asyncio.create_task(relay.run()) for relay in relays]
        for one in some:
            await asyncio.to_thread(write, databases[0], one)
            chance.choice(relays).wake()
        while await asyncio.to_thread(waits, databases[0]):
            await asyncio.sleep(0.02)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(asyncio.wait_for(work(), 90))
    for database in databases:
        database.close()
    for i, route in enumerate("abc"):
        assert firsts(sent_on(wire, route)) == [str(n) for n in range(i, 60, 3)]
    assert faults[0] > 0
