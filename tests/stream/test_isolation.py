"""One poisoned route ends nobody: its records wait in order, its neighbours never notice, and nothing is lost."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import pytest
from sqlalchemy import text

from detectors.events import Events
from detectors.rate_shift import RateShift
from schemas.base import Record
from schemas.dead_letter import DeadLetter
from schemas.identity import Model
from schemas.score import ScoreBlock
from services.alert import core as alert_core
from services.detect import serialization
from services.monitor import BaselinePolicy, RoutePolicy
from services.offload import Offload
from services.record import recorder
from services.record.recorder import Recorder
from services.store import parks, routes
from services.store.engine import Database, open_database
from services.store.parks import ParkBounds
from services.stream import parking
from services.stream.handlers import alert_handler, detect_handler, record_handler
from services.stream.messages import TopicMessage, decode_record, topic_of
from services.stream.parking import NO_ROOM
from services.stream.stateful import HandlerResources, Threads
from services.stream.step_loop import StepLimits, StepLoop
from tests.record.stories import story, travelling
from tests.support.blocks import Row, blocks
from tests.support.databases import database, dump, new_url, opened

__all__ = ["database", "new_url"]

POLICY = RoutePolicy(baseline=BaselinePolicy(size=100, min_size=50), floors={"refusal": 0.02, "secret_leak": 0.0})
OLD = Model(requested="gpt-4", served="old")
NOW = datetime(2026, 6, 1, tzinfo=UTC)
ROUTES = ("calm/prod", "poisoned/prod", "steady/prod")
POISONED = ROUTES[1]


@dataclass(frozen=True)
class Touchy:
    """A detector that raises while it is shown an exchange whose id says so."""

    inner: RateShift = field(default_factory=RateShift)
    is_broken: Callable[[], bool] = lambda: True

    def step(self, artefact, state, rows):
        if self.is_broken() and any(id.startswith("poison") for id in rows.ids):
            raise FloatingPointError("somebody's secret words")
        return self.inner.step(artefact, state, rows)

    def __getattr__(self, name):
        return getattr(self.inner, name)


def exchanges(route: str, n: int = 280, poison: Sequence[int] = ()) -> list[ScoreBlock]:
    chance = np.random.default_rng([len(route), n])
    rows = [
        Row(
            f"{'poison' if i in poison else 'e'}{i}",
            i,
            i * 86.4,
            OLD,
            signals={"refusal": bool(chance.random() < (0.1 if i < 130 else 0.7)), "secret_leak": i == 180},
            prompt=i % 97,
        )
        for i in range(n)
    ]
    return [replace_route(block, route) for block in blocks(rows, 14)]


def replace_route(block: ScoreBlock, route: str) -> ScoreBlock:
    return block.model_copy(update={"route": route})


def interleaved(streams: Sequence[Sequence[Record]]) -> list[TopicMessage]:
    """One partition on which the records of all routes alternate."""
    rounds = [record for some in zip(*streams, strict=True) for record in some]
    return [TopicMessage(topic_of(record).name, 0, place, record.encode(), NOW) for place, record in enumerate(rounds)]


@dataclass
class Event:
    """What faust gives of a message."""

    message: object
    acked: list = field(default_factory=list)

    def ack(self):
        self.acked.append(self.message.offset)
        return True


class Stage:
    """A step in the real loop: what it sent, what it acknowledged, with which codes it died."""

    def __init__(self, make: Callable[[HandlerResources], object], base: Database, bounds: ParkBounds | None = None):
        self.sent, self.acked, self.died = [], [], []
        self.threads = Threads(Offload("cpu"), Offload("database"))

        async def cluster() -> str:
            return "c"

        async def send(record):
            self.sent.append(record)

        tools = HandlerResources(base, self.threads, cluster, bounds=bounds or ParkBounds())
        self.handler = make(tools)
        limits = StepLimits(patience=1.0, pause=0.001, longest_pause=0.01)
        self.loop = StepLoop(self.handler, send, lambda: 1, limits=limits, die=self.died.append)

    async def take(self, messages: Sequence[TopicMessage]) -> None:
        async def stream():
            for start in range(0, len(messages), self.handler.batch):
                yield [Event(_faust(one), self.acked) for one in messages[start : start + self.handler.batch]]

        task = asyncio.create_task(self.loop.run(stream()))
        while not task.done() and not self.died:
            await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def settle(self) -> None:
        """As the timer does it, once more than a second has passed."""
        self.loop.saved_at = 0.0
        async with asyncio.timeout(30):  # a loop that ends its process never comes back
            await self.loop.idle()

    def records(self, route: str | None = None) -> list[Record]:
        found = [decode_record(one.topic, one.value) for one in self.sent if not one.topic.endswith(".dead")]
        return [one for one in found if route in (None, one.route)]

    def letters(self) -> list[DeadLetter]:
        return [DeadLetter.decode(one.value) for one in self.sent if one.topic.endswith(".dead")]

    def end(self) -> None:
        self.threads.cpu.close()
        self.threads.database.close()


def _faust(one: TopicMessage) -> object:
    @dataclass
    class Message:
        topic: str = one.topic
        partition: int = one.partition
        offset: int = one.offset
        value: bytes = one.value
        timestamp: float = one.ts.timestamp()
        headers: object = None
        generation_id: int = 1

    return Message()


@contextmanager
def staged(make: Callable[[HandlerResources], object], base: Database, **more) -> Iterator[Stage]:
    stage = Stage(make, base, **more)
    try:
        yield stage
    finally:
        stage.end()


def detecting(broken: Callable[[], bool] = lambda: True) -> Callable[[HandlerResources], object]:
    detectors = (Touchy(is_broken=broken), Events())
    return lambda tools: detect_handler(detectors, lambda route: POLICY, tools)


def park(base: Database, step: str, route: str = POISONED) -> parks.ParkedRoute | None:
    return base.query(parks.standing, step, [route]).get(route)


def ask(base: Database) -> None:
    with base.write() as connection:
        assert parks.ask_again(connection, POISONED)


def told(stage: Stage, route: str) -> set[bytes]:
    return {record.encode() for record in stage.records(route)}


HEALTHY = [exchanges(route) for route in ROUTES]
SICK = [exchanges(route, poison=(200,) if route == POISONED else ()) for route in ROUTES]


async def _heard(base: Database, make, messages) -> Stage:
    with staged(make, base) as stage:
        await stage.take(messages)
        await stage.settle()
        return stage


@pytest.fixture
def undisturbed(new_url) -> Stage:
    base = open_database(new_url())
    try:
        return asyncio.run(_heard(base, detecting(lambda: False), interleaved(SICK)))
    finally:
        base.close()


def test_a_detector_that_raises_parks_its_route_and_nobody_else_notices(database: Database, undisturbed: Stage) -> None:
    messages, broken = interleaved(SICK), [True]

    async def run() -> None:
        with staged(detecting(lambda: broken[0]), database) as stage:
            await stage.take(messages)
            await stage.settle()
            assert (stage.died, len(stage.acked)) == ([], len(messages))
            for route in (ROUTES[0], ROUTES[2]):
                assert told(stage, route) == told(undisturbed, route)
            held = park(database, "detect")
            # 20 blocks of 14: the one with exchange 200 is the 15th, and it is the first that waits.
            assert (held.n, held.beyond, held.tries, held.retry) == (6, 0, 1, False)
            assert held.reason.startswith("FloatingPointError in services.detect.run_detectors, line ")
            assert "secret" not in held.reason
            assert told(stage, POISONED) < told(undisturbed, POISONED)

            await stage.settle()  # nobody asked: nothing is tried
            assert park(database, "detect") == held
            broken[0] = False
            ask(database)
            await stage.settle()
            assert park(database, "detect") is None
            assert told(stage, POISONED) == told(undisturbed, POISONED)
            assert stage.letters() == []

    asyncio.run(run())


def test_what_is_parked_and_delivered_again_waits_once(database: Database, undisturbed: Stage) -> None:
    """Killed after the snapshot and before the acknowledgement, twice, with one more block each time."""
    messages = interleaved(SICK)

    async def run() -> None:
        for first, last in ((0, 45), (43, 48), (43, 54)):
            with staged(detecting(), database) as stage:
                await stage.take(messages[first:last])
                await stage.settle()
        assert park(database, "detect").n == 4
        with staged(detecting(lambda: False), database) as stage:
            ask(database)
            await stage.take(messages[54:])
            await stage.settle()
            await stage.settle()
            assert park(database, "detect") is None
            late = {one.encode() for one in undisturbed.records(POISONED) if one.event_index >= 196}
            assert told(stage, POISONED) == late

    asyncio.run(run())


def test_a_record_that_fails_twice_alone_is_a_dead_letter_and_the_route_goes_on(database: Database) -> None:
    messages = interleaved(SICK)

    async def run() -> None:
        with staged(detecting(), database) as stage:
            await stage.take(messages)
            await stage.settle()
            ask(database)
            await stage.settle()
            assert park(database, "detect") is None
            [letter] = stage.letters()
            assert letter.reason.startswith("failed twice: FloatingPointError in ")
            assert letter.source.offset == 14 * 3 + 1
            assert max(record.event_index for record in stage.records(POISONED)) > 230
            assert stage.died == []

    asyncio.run(run())


def test_a_fault_that_stays_makes_one_dead_letter_a_retry_and_keeps_the_rest(database: Database) -> None:
    sick = [exchanges(route, poison=range(200, 280) if route == POISONED else ()) for route in ROUTES]

    async def run() -> None:
        with staged(detecting(), database) as stage:
            await stage.take(interleaved(sick))
            await stage.settle()
            waiting = [park(database, "detect").n]
            for _ in range(2):
                ask(database)
                await stage.settle()
                await stage.settle()
                waiting.append(park(database, "detect").n)
            assert waiting == [6, 5, 4]
            assert len(stage.letters()) == 2
            assert park(database, "detect").retry is False

    asyncio.run(run())


def test_another_release_tries_by_itself(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        with staged(detecting(), database) as stage:
            await stage.take(interleaved(SICK))
            await stage.settle()
        assert park(database, "detect").n == 6
        monkeypatch.setattr("services.stream.stateful.release", lambda: "another")
        monkeypatch.setattr(parking, "release", lambda: "another")
        with staged(detecting(lambda: False), database) as stage:
            await stage.settle()
            assert park(database, "detect") is None

    asyncio.run(run())


def test_two_releases_side_by_side_try_once_each(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rolling upgrade with a fault that neither mends: the park is not emptied into dead letters in turns."""
    sick = [exchanges(route, poison=range(200, 280) if route == POISONED else ()) for route in ROUTES]

    def runs(name: str) -> None:
        monkeypatch.setattr("services.stream.stateful.release", lambda: name)
        monkeypatch.setattr(parking, "release", lambda: name)

    async def run() -> None:
        runs("1.0")
        with staged(detecting(), database) as old, staged(detecting(), database) as new:
            await old.take(interleaved(sick))
            await old.settle()
            old.handler.forget()
            waiting = [park(database, "detect").n]
            for _ in range(3):
                for stage, name in ((new, "1.0.1"), (old, "1.0")):
                    runs(name)
                    stage.handler.forget()
                    await stage.settle()
                    waiting.append(park(database, "detect").n)
            assert waiting == [6, *[5] * 6]
            assert len(old.letters()) + len(new.letters()) == 1
            runs("1.1")
            new.handler.forget()
            await new.settle()
            assert park(database, "detect").n == 4

    asyncio.run(run())


def test_what_finds_no_room_is_a_dead_letter_and_counted(database: Database) -> None:
    async def run() -> None:
        with staged(detecting(), database, bounds=ParkBounds(records=4)) as stage:
            await stage.take(interleaved(SICK))
            await stage.settle()
            held = park(database, "detect")
            assert (held.n, held.beyond) == (4, 2)
            assert [letter.reason for letter in stage.letters()] == [NO_ROOM] * 2
            assert len(stage.acked) == 60

    asyncio.run(run())


def test_a_vector_that_is_no_number_parks_its_route(database: Database, undisturbed: Stage) -> None:
    sick = [list(some) for some in SICK]
    broken = sick[1][10]
    vectors = np.full((14, 384), np.nan, dtype="<f2").tobytes()
    sick[1][10] = broken.model_copy(update={"prompt_vec": base64.b64encode(vectors).decode()})

    async def run() -> None:
        with staged(detecting(lambda: False), database) as stage:
            await stage.take(interleaved(sick))
            await stage.settle()
            assert stage.died == []
            assert park(database, "detect").n == 10
            assert park(database, "detect").reason.startswith("ValueError in services.")
            assert told(stage, ROUTES[0]) == told(undisturbed, ROUTES[0])

    asyncio.run(run())


def test_a_state_that_cannot_be_read_parks_its_route_and_stays_as_it_is(database: Database) -> None:
    messages = interleaved(HEALTHY)

    async def run() -> None:
        with staged(detecting(), database) as stage:
            await stage.take(messages[:30])
            await stage.settle()
        with database.write() as connection:
            stored = connection.execute(text("SELECT blob FROM states WHERE route = :r"), {"r": POISONED}).scalar_one()
            connection.execute(text("UPDATE states SET blob = :b WHERE route = :r"), {"b": b"junk", "r": POISONED})
        with staged(detecting(), database) as stage:
            await stage.take(messages[30:])
            await stage.settle()
            ask(database)
            await stage.settle()
            assert (stage.died, len(stage.acked), park(database, "detect").n) == ([], 30, 10)
            assert stage.letters() == []
            with database.write() as connection:
                connection.execute(text("UPDATE states SET blob = :b WHERE route = :r"), {"b": stored, "r": POISONED})
            ask(database)
            await stage.settle()
            assert park(database, "detect") is None

    asyncio.run(run())


def test_a_state_that_cannot_be_saved_parks_its_route(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    pack = serialization.pack_running_state

    def touchy(state):
        if state.route == POISONED:
            raise TypeError("no form for this")
        return pack(state)

    monkeypatch.setattr(serialization, "pack_running_state", touchy)

    async def run() -> None:
        with staged(detecting(lambda: False), database) as stage:
            await stage.take(interleaved(HEALTHY))
            await stage.settle()
            assert (stage.died, len(stage.acked)) == ([], 60)
            assert park(database, "detect") is not None

    asyncio.run(run())


def test_an_alert_stage_that_raises_parks_its_route(database: Database, undisturbed: Stage, monkeypatch) -> None:
    said = undisturbed.records()
    messages = [TopicMessage(topic_of(one).name, 0, place, one.encode(), NOW) for place, one in enumerate(said)]
    stages = alert_core.PATH

    def touchy(turn):
        if getattr(turn.item, "route", None) == POISONED and getattr(turn.item, "status", None) == "firing":
            raise KeyError("a stage")
        return turn

    async def run() -> None:
        calm = await _heard(database, alert_handler, [one for one in messages if POISONED.encode() not in one.value])
        with database.write() as connection:
            connection.execute(text("DELETE FROM states"))
        monkeypatch.setattr(alert_core, "PATH", (touchy, *stages))
        with staged(alert_handler, database) as stage:
            await stage.take(messages)
            await stage.settle()
            assert (stage.died, len(stage.acked)) == ([], len(messages))
            assert park(database, "alert").n > 0
            assert {one.encode() for one in stage.records()} == {one.encode() for one in calm.records()}
            monkeypatch.setattr(alert_core, "PATH", stages)
            ask(database)
            await stage.settle()
            assert park(database, "alert") is None
            assert stage.records(POISONED)

    asyncio.run(run())


def test_a_fold_that_raises_parks_its_route_and_the_others_are_recorded(
    new_url: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = (*story("calm/prod"), *story(POISONED))
    records = [travelling(one) for one in told if not isinstance(one, DeadLetter)]
    messages = [TopicMessage(topic_of(one).name, 0, place, one.encode(), NOW) for place, one in enumerate(records)]
    folded = recorder.folded

    def touchy(route, facts):
        if route == POISONED:
            raise IndexError("a fold")
        return folded(route, facts)

    async def run(database: Database) -> dict:
        monkeypatch.setattr(recorder, "folded", touchy)
        make = Recorder(database, lambda route: POLICY).apply
        with staged(lambda tools: record_handler(make, tools), database) as stage:
            await stage.take(messages)
            assert (stage.died, len(stage.acked)) == ([], len(messages))
            assert park(database, "record").reason.startswith("IndexError in services.record.recorder, line")
            assert database.query(routes.exists, POISONED)
            monkeypatch.setattr(recorder, "folded", folded)
            ask(database)
            await stage.settle()
            assert park(database, "record") is None
        return dump(database)

    with opened(new_url(), new_url()) as (poisoned, calm):
        after = asyncio.run(run(poisoned))
        Recorder(calm, lambda route: POLICY).apply(records)
        undisturbed = dump(calm)
    # Salts are drawn by chance, and states are saved once more.
    for name in ("incidents", "score_rows", "rollups", "samples", "readings", "streams", "routes"):
        known = [row[:2] for row in after[name]] if name == "routes" else after[name]
        wanted = [row[:2] for row in undisturbed[name]] if name == "routes" else undisturbed[name]
        assert known == wanted, name
    assert after["incidents"]
