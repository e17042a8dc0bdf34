"""A route is deleted with all its rows, in every table, and comes back from nobody's memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select

from detectors.events import Events
from detectors.rate_shift import RateShift
from services.monitor import BaselinePolicy, RoutePolicy
from services.offload import Offload
from services.record.recorder import Recorder
from services.store import audit_check, audit_log, routes, runs, schedules, step_states
from services.store.deliveries import fan_out
from services.store.engine import Database
from services.store.evaluation_queue import DueRun, enqueue
from services.store.incidents import find
from services.store.pictures import MessagePicture, keep_picture
from services.store.route_deletion import delete_by, delete_route
from services.store.schedules import StoredSchedule
from services.store.tables import all_metadata
from services.stream.handlers import detect_handler
from services.stream.messages import TopicMessage
from services.stream.stateful import HandlerResources, Threads
from services.stream.step_loop import StepLoop
from tests.record.stories import ROUTES, story
from tests.support.blocks import START, blocks, rows

ROUTE, OTHER = ROUTES
NOT_OF_A_ROUTE = {
    *("scorers", "receivers", "api_keys", "api_sessions", "dead_letters", "dead_counts"),
    *("partition_watches", "deployment", "audit_log", "secret_keys", "erasures", "write_probes", "slack_requests"),
    "ruler",
}
BY_WAY_OF_OTHERS = {"deliveries", "pictures", "run_answers"}


def test_every_table_is_of_a_route_or_known_not_to_be() -> None:
    tables = all_metadata().tables
    assert {name for name, one in tables.items() if "route" not in one.c} == NOT_OF_A_ROUTE | BY_WAY_OF_OTHERS


def filled(database: Database, route: str) -> None:
    Recorder(database, lambda _: RoutePolicy()).apply([*story(route), *blocks(rows(5), 5, route)])
    with database.write() as connection:
        plan = StoredSchedule(route, "weekly", None, "0 6 * * 1", "UTC", True, "command", START)
        schedules.add(connection, plan)
        schedules.take_fire_time(connection, plan, START)
        due = DueRun(route, f"cause-{route}", "requested", None, "core", "t", 0, START)
        enqueue(connection, [due])
        runs.keep_answers(connection, due.id, [("item", 0, "{}")])
        fan_out(connection, lambda _: ("slack",), datetime.now(UTC))
        keep_picture(connection, "slack", find(connection, route)[0].id, MessagePicture("f", "k", "w"))


def counts(database: Database) -> dict[str, int]:
    with database.read() as connection:
        return {
            name: int(connection.execute(select(func.count()).select_from(one)).scalar_one())
            for name, one in all_metadata().tables.items()
        }


def test_all_rows_of_the_route_go_and_none_of_another(database: Database) -> None:
    filled(database, OTHER)
    before = counts(database)
    filled(database, ROUTE)
    more = {name: n - before[name] for name, n in counts(database).items() if n != before[name]}
    assert {"journal", "incidents", "outbox", "deliveries", "pictures", "run_answers", "fire_times"} <= set(more)
    gone = database.transact(lambda connection: delete_route(connection, ROUTE))
    assert gone == {name: n for name, n in more.items() if name not in NOT_OF_A_ROUTE}
    assert {name: n for name, n in counts(database).items() if name not in NOT_OF_A_ROUTE} == {
        name: n for name, n in before.items() if name not in NOT_OF_A_ROUTE
    }
    assert database.transact(lambda connection: delete_route(connection, ROUTE)) == {}


def test_the_recorder_begins_a_deleted_route_anew(database: Database) -> None:
    sink = Recorder(database, lambda _: RoutePolicy())
    sink.apply(blocks(rows(10), 5, ROUTE))
    database.transact(lambda connection: delete_route(connection, ROUTE))
    sink.apply(blocks(rows(5, first=10), 5, ROUTE))
    with database.read() as connection:
        scores = all_metadata().tables["score_rows"]
        assert connection.execute(select(scores.c.event_index, scores.c.id)).all() == [
            (i, f"e{10 + i}") for i in range(5)
        ]


def test_a_zombie_never_takes_a_new_life_for_its_own(database: Database) -> None:
    """Saved once, deleted, and saved once by another process: the numbers of both versions must differ."""
    with database.write() as connection:
        routes.ensure(connection, ROUTE)
        mine = step_states.save(connection, "record", ROUTE, 0, b"old")
        delete_route(connection, ROUTE)
        assert step_states.save(connection, "record", ROUTE, 0, b"new") != mine


class Event:
    """One block as faust hands it over."""

    def __init__(self, offset: int, value: bytes) -> None:
        self.offset, self.value, self.acked = offset, value, False

    @property
    def message(self) -> object:
        made = TopicMessage("keelwatch.scores", 0, self.offset, self.value, START)
        return type(
            "Message",
            (),
            {
                "topic": made.topic,
                "partition": 0,
                "offset": self.offset,
                "value": self.value,
                "timestamp": START.timestamp(),
                "headers": None,
                "generation_id": 1,
            },
        )()

    def ack(self) -> bool:
        self.acked = True
        return True


def test_detect_does_not_bring_a_deleted_route_back_from_memory(database: Database) -> None:
    asyncio.run(_forgotten(database))


async def _forgotten(database: Database) -> None:
    policy = RoutePolicy(baseline=BaselinePolicy(size=200, min_size=100))
    threads = Threads(Offload("cpu"), Offload("database"))

    async def named() -> str:
        return "c"

    async def send(_record: object) -> None:
        return None

    handler = detect_handler((RateShift(), Events()), lambda _: policy, HandlerResources(database, threads, named))
    handler.every = 0.0
    loop = StepLoop(handler, send, lambda: 1, die=lambda code: pytest.fail(f"ended with {code}"))
    given = [Event(i, one.encode()) for i, one in enumerate(blocks(rows(40), 10, ROUTE))]

    async def batches(some: list[Event]) -> AsyncIterator[list[Event]]:
        yield some

    try:
        await loop.run(batches(given[:3]))
        assert handler.states[ROUTE].intake.count == 30
        with database.write() as connection:
            routes.ensure(connection, ROUTE)
            assert set(delete_route(connection, ROUTE)) >= {"states", "routes"}
        assert ROUTE in handler.states, "still in memory"
        await loop.run(batches(given[3:]))
        await loop.finish()
        assert handler.states[ROUTE].intake.count == 10
        assert all(one.acked for one in given)
    finally:
        threads.cpu.close()
        threads.database.close()


def test_a_deletion_is_no_break_of_the_audit_log_and_says_who_asked_for_it(database: Database) -> None:
    filled(database, ROUTE)
    assert database.transact(lambda connection: delete_by(connection, ROUTE, "mara", "was never ours"))
    with database.read() as connection:
        assert audit_check.check(connection, None).problems == ()
        acts = [json.loads(one.payload) for one in audit_log.entries(connection) if one.payload]
    assert [(act["route"], act["actor"], act["reason"]) for act in acts] == [(ROUTE, "mara", "was never ours")]
