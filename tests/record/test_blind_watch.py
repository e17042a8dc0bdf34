"""No data, nothing scored, a flood of dead letters: judged by a clock that the test turns, on both databases."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from schemas.dead_letter import DeadLetter
from schemas.exchange import STREAM_ROUTE
from schemas.position import Position
from services.alert.core import step
from services.alert.state import AlertState
from services.monitor import RoutePolicy
from services.ports import PartitionSight
from services.record.blind_watch import BlindWatch
from services.record.blindness import BlindLimits
from services.record.recorder import Recorder
from services.store import incidents
from tests.record.stories import ROUTES, exchanges
from tests.support.blocks import blocks

ROUTE = ROUTES[0]
TOPIC = "keelwatch.exchanges"
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


class World:
    """A recorder, the alert step and the watch of one database, between a broker and a clock that the test moves."""

    def __init__(self, database) -> None:
        self.database = database
        self.now = datetime(2026, 12, 1, tzinfo=UTC)
        self.recorder = Recorder(database, lambda route: RoutePolicy(), lambda: self.now)
        self.alerts: dict[str, AlertState] = {}
        self.offsets = {("score", TOPIC): [0, 0], ("record", "keelwatch.scores"): [0, 0]}
        self.rows = 0
        self.watch = self.started()

    def started(self) -> BlindWatch:
        """A process of its own."""
        return BlindWatch(self.database, self._look, lambda: self.now, BlindLimits(pause=HOUR))

    async def _look(self):
        return "c1", [PartitionSight(step, topic, 0, *seen) for (step, topic), seen in self.offsets.items()]

    def arrive(self, n: int = 4, route: str = ROUTE) -> None:
        """Exchanges arrive, are scored and recorded."""
        rows = exchanges(4, self.rows)
        made = [block.model_copy(update={"topic": TOPIC}) for block in blocks(rows, 16, route)]
        moved = [
            block.model_copy(
                update={
                    "partition": [0] * len(block.id),
                    "offset": [self.rows + i for i in range(len(block.id))],
                    "id": [f"{route}{self.rows + i}" for i in range(len(block.id))],
                }
            )
            for block in made
        ]
        self.rows += 4
        self.recorder.apply(moved)
        for seen in self.offsets.values():
            seen[:] = [seen[0] + 4, seen[1] + 4]

    def look(self, watch: BlindWatch | None = None) -> list[tuple[str, str | None, str]]:
        """One look; what it told goes the way of every reading."""

        async def publish(told) -> None:
            for reading in told:
                state = self.alerts.get(reading.route) or AlertState.start(reading.route)
                self.alerts[reading.route], made = step(state, [reading])
                self.recorder.apply([reading, *made])

        told = asyncio.run((watch or self.watch).once(publish))
        return [(one.route, one.signal, one.status) for one in told]

    def wait(self, how_long: timedelta):
        """Time passes, with looks in between; what they told."""
        said, every = [], 2 * MINUTE if how_long < HOUR else HOUR
        end = self.now + how_long
        while self.now < end:
            self.now = min(self.now + every, end)
            said += self.look()
        return said

    def open(self, route: str = ROUTE):
        """The incident of the route that is not resolved."""
        with self.database.read() as connection:
            return next(iter(incidents.find(connection, route, ("open",))), None)


@pytest.fixture
def world(database) -> World:
    made = World(database)
    made.look()
    return made


def test_one_route_alone_that_falls_silent_opens_its_incident_and_resolves_when_it_is_heard(world) -> None:
    world.arrive()
    assert world.wait(24 * HOUR - 2 * MINUTE) == []
    assert world.wait(4 * MINUTE) == [(ROUTE, "no_data", "firing")]
    incident = world.open()
    assert (incident.families, incident.severity) == (("blind",), "warning")
    assert f"{ROUTE} is not monitored: no exchange for 24 h" in incident.headline
    assert world.wait(HOUR) == []
    world.arrive()
    assert world.wait(2 * MINUTE) == [(ROUTE, "no_data", "quiet")]
    assert world.open() is None
    with world.database.read() as connection:
        (over,) = incidents.find(connection, ROUTE)
    assert "exchanges arrive again" in over.timeline[-1].text


def test_pauses_that_are_usual_are_no_silence(world) -> None:
    """A route that is used for an hour every ten: 10 times its usual pause is four days."""
    for _ in range(4):
        world.arrive()
        assert world.wait(10 * HOUR) == []
    assert world.wait(80 * HOUR) == []
    assert world.wait(21 * HOUR) == [(ROUTE, "no_data", "firing")]


def test_all_that_fall_silent_at_once_are_told(world) -> None:
    for route in ROUTES:
        world.arrive(route=route)
    assert sorted(world.wait(25 * HOUR)) == sorted((route, "no_data", "firing") for route in ROUTES)


def test_what_waits_may_be_of_the_route_so_nothing_is_judged(world) -> None:
    world.arrive()
    world.offsets["score", TOPIC][1] += 1
    told = world.wait(30 * HOUR)
    assert {(route, signal) for route, signal, _ in told} == {(STREAM_ROUTE, "nothing_scored")}


def test_time_in_which_nobody_looked_does_not_count_and_a_restart_does_not_matter(world) -> None:
    world.arrive()
    assert world.wait(20 * HOUR) == []
    world.now += 10 * HOUR  # nobody was there
    world.watch = world.started()
    assert world.look() == []
    assert world.wait(12 * HOUR) == []
    world.watch = world.started()  # at once again
    assert world.wait(12 * HOUR + 2 * MINUTE) == [(ROUTE, "no_data", "firing")]
    world.watch = world.started()
    assert world.wait(HOUR) == []


def test_nothing_scored_while_input_waits_is_told_after_ten_minutes(world) -> None:
    world.offsets["score", TOPIC][1] += 300
    assert world.wait(8 * MINUTE) == []
    assert world.wait(4 * MINUTE) == [(STREAM_ROUTE, "nothing_scored", "firing")]
    assert "300 records wait, and none was scored for" in world.open(STREAM_ROUTE).headline
    world.offsets["score", TOPIC][0] += 1  # slow is not stuck
    assert world.wait(2 * MINUTE) == [(STREAM_ROUTE, "nothing_scored", "quiet")]
    assert world.open(STREAM_ROUTE) is None


def letters(first: int, n: int, every: int = 1) -> list[DeadLetter]:
    places = [Position(cluster="c1", topic=TOPIC, partition=0, offset=first + i * every) for i in range(n)]
    return [DeadLetter.of(b"{", "score", "not JSON", place) for place in places]


@pytest.mark.parametrize(("n", "every", "flood"), [(100, 1, True), (50, 20, True), (49, 20, False), (49, 1, False)])
def test_a_flood_of_dead_letters_is_told_and_over_when_records_can_be_read(world, n, every, flood) -> None:
    world.recorder.apply(letters(0, n, every))
    world.offsets["score", TOPIC][:] = [max(1_000, n), max(1_000, n)]
    told = world.wait(2 * MINUTE)
    assert told == ([(STREAM_ROUTE, "dead_letters", "firing")] if flood else [])
    if not flood:
        return
    assert f"score could not read {n} of the last 1,000 records" in world.open(STREAM_ROUTE).headline
    world.recorder.apply(letters(1_000, 5))
    world.offsets["score", TOPIC][:] = [1_050, 1_050]
    assert world.wait(2 * MINUTE) == []
    world.offsets["score", TOPIC][:] = [1_300, 1_300]
    assert world.wait(2 * MINUTE) == [(STREAM_ROUTE, "dead_letters", "quiet")]
    assert world.open(STREAM_ROUTE) is None
