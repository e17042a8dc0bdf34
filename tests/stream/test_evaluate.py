"""What asks for a suite is one row per (change, suite, target, delay), however often it comes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from schemas.change import Change
from schemas.decision import Decision
from schemas.identity import Model, identity_of
from schemas.topics import CHANGES, DECISIONS
from services.monitor import RoutePolicy, Target
from services.offload import Offload
from services.store import evaluation_queue
from services.stream.handlers import evaluate_handler
from services.stream.messages import TopicMessage
from services.stream.stateful import HandlerResources, Threads

ROUTE = "support-bot/prod"
NOW = datetime(2026, 6, 1, tzinfo=UTC)
NEW = Model(requested="gpt-4", served="new")
WATCHED = RoutePolicy(
    suites=("core", "leaks"),
    target=Target(url="https://llm.example/v1", model="gpt-4"),
    after_change=(timedelta(0), timedelta(hours=1)),
)


def change(kind, **more):
    return Change(
        id="0123456789abcdef",
        kind=kind,
        route=ROUTE,
        from_identity=identity_of(NEW),
        to_identity=identity_of(NEW),
        model=NEW,
        baseline="0" * 16,
        ts=NOW,
        event_index=7,
        reason="seen",
        **more,
    )


def decision(kind, **more):
    return Decision(kind=kind, route=ROUTE, actor="ana", reason="a new model on Monday", ts=NOW, **more)


def messages(*records):
    topics = {Change: CHANGES.name, Decision: DECISIONS.name}
    return [TopicMessage(topics[type(one)], 0, place, one.encode(), NOW) for place, one in enumerate(records)]


def scheduled(database, *batches, policy=WATCHED):
    async def cluster():
        return "c"

    async def story():
        threads = Threads(Offload("cpu"), Offload("database"))
        step = evaluate_handler(lambda route: policy, HandlerResources(database, threads, cluster))
        out = [one for batch in batches for one in (await step.handle(batch)).outgoing]
        threads.cpu.close()
        threads.database.close()
        return out

    out = asyncio.run(story())
    with database.read() as connection:
        return [one.what for one in evaluation_queue.find(connection)], out


def test_a_change_is_run_after_each_delay_once_however_often_it_comes(database):
    batch = messages(change("observed"))
    rows, out = scheduled(database, batch, batch, batch * 2)
    assert sorted((row.suite, row.delay) for row in rows) == [
        ("core", 0),
        ("core", 3600),
        ("leaks", 0),
        ("leaks", 3600),
    ]
    assert {row.due - timedelta(seconds=row.delay) for row in rows} == {NOW}
    assert {(row.moment, row.identity) for row in rows} == {("change", identity_of(NEW))}
    assert out == []


def test_a_pinned_baseline_is_run_at_once_and_an_announcement_names_whom_it_can(database):
    rows, _ = scheduled(database, messages(change("pinned"), decision("announce"), decision("announce", model=NEW)))
    pinned = [row for row in rows if row.moment == "pinned"]
    announced = [row for row in rows if row.moment == "announced"]
    assert [(row.suite, row.delay) for row in sorted(pinned, key=lambda row: row.suite)] == [("core", 0), ("leaks", 0)]
    assert {row.identity for row in announced} == {None, identity_of(NEW)}
    assert len(announced) == 2 * 4


@pytest.mark.parametrize("policy", [replace(WATCHED, target=None), replace(WATCHED, suites=())])
def test_a_route_without_target_or_suites_asks_for_nothing(database, policy):
    rows, _ = scheduled(database, messages(change("observed"), decision("acknowledge")), policy=policy)
    assert rows == []


def test_what_cannot_be_read_is_a_dead_letter_and_its_neighbours_count(database):
    bad = TopicMessage(CHANGES.name, 2, 9, b"{}", NOW)
    rows, out = scheduled(database, [bad, *messages(change("observed"))])
    assert len(rows) == 4
    (letter,) = out
    assert letter.topic == CHANGES.dead("evaluate")
    assert (letter.record.source.cluster, letter.record.source.partition, letter.record.source.offset) == ("c", 2, 9)
