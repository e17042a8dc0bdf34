"""Detect and alert on a real database: whatever is killed, and wherever, they say what an undisturbed run says."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.events import Events
from detectors.rate_shift import RateShift
from schemas.decision import Decision
from schemas.identity import Model
from schemas.topics import DECISIONS, READINGS, SCORES
from services.monitor import BaselinePolicy, RoutePolicy
from services.offload import Offload
from services.store import baselines, step_states
from services.store.engine import Conflict, open_database
from services.stream.handlers import alert_handler, detect_handler, in_order
from services.stream.messages import TopicMessage, decode_record
from services.stream.stateful import HandlerResources, Stateful, Threads
from tests.support.blocks import ROUTE, START, Row, blocks
from tests.support.databases import opened

DETECTORS = (RateShift(), Events())
POLICY = RoutePolicy(baseline=BaselinePolicy(size=100, min_size=50), floors={"refusal": 0.02, "secret_leak": 0.0})
OLD = Model(requested="gpt-4", served="old")
NOW = datetime(2026, 6, 1, tzinfo=UTC)


def traffic(n, first, rate):
    chance = np.random.default_rng([9, first])
    return [
        Row(
            f"e{i}",
            i,
            i * 86.4,
            OLD,
            signals={"refusal": bool(chance.random() < rate), "secret_leak": i == 180},
            prompt=i % 97,
        )
        for i in range(first, first + n)
    ]


RESOLVE = Decision(kind="resolve", route=ROUTE, actor="ana", reason="seen", ts=START + timedelta(seconds=86.4 * 220))
BLOCKS = [(SCORES.name, one) for one in blocks(traffic(130, 0, 0.1) + traffic(150, 130, 0.7), 14)]
STORY = [*BLOCKS[:16], (DECISIONS.name, RESOLVE), *BLOCKS[16:]]
MESSAGES = [TopicMessage(topic, 0, place, record.encode(), NOW) for place, (topic, record) in enumerate(STORY)]


def fresh_url(folder: Path) -> str:
    """A copy of an empty database that was migrated once."""
    empty = folder / "empty.db"
    if not empty.exists():
        open_database(f"sqlite:///{empty}").close()
    path = folder / f"{uuid4().hex}.db"
    shutil.copy(empty, path)
    return f"sqlite:///{path}"


async def cluster() -> str:
    return "c"


class Process:
    """One process of a step, with what a crash leaves: the database, and what was sent."""

    def __init__(self, database, make):
        self.threads = Threads(Offload("cpu"), Offload("database"))
        self.step: Stateful = make(HandlerResources(database, self.threads, cluster))

    async def take(self, messages: Sequence[TopicMessage], sent: list[tuple[str, bytes]]) -> None:
        handled = await self.step.handle(messages)
        sent += [(one.topic, one.value) for one in handled.outgoing]
        handled.keep()

    def end(self):
        self.threads.cpu.close()
        self.threads.database.close()


def detecting(tools):
    return detect_handler(DETECTORS, lambda route: POLICY, tools)


async def _play(database, make, messages, cuts):
    """Batches between the cuts; at each cut: go on, save, or crash and begin again after the last save."""
    sent: list[tuple[str, bytes]] = []
    process, start, acknowledged = Process(database, make), 0, 0
    for place, what in [*cuts, (len(messages), "save")]:
        if place > start:
            await process.take(messages[start:place], sent)
            start = place
        if what == "save":
            await process.step.snapshot()
            acknowledged = start
        elif what == "crash":
            process.end()
            process, start = Process(database, make), acknowledged
    if start < len(messages):
        await process.take(messages[start:], sent)
        await process.step.snapshot()
    process.end()
    return sent


def play(folder, make, messages, cuts=()):
    with opened(fresh_url(folder)) as (database,):
        return asyncio.run(_play(database, make, messages, cuts))


def distinct(sent):
    return list(dict.fromkeys(sent))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("states")


@pytest.fixture(scope="module")
def said(folder):
    return play(folder, detecting, MESSAGES)


@pytest.fixture(scope="module")
def heard(folder, said):
    """What alert says of what detect said."""
    return play(folder, alert_handler, _as_messages(said))


def _as_messages(sent):
    """What detect sent, and the decision before the first record of its time or later."""
    late = [decode_record(topic, value).ts >= RESOLVE.ts for topic, value in sent].index(True)
    inputs = [*sent[:late], (DECISIONS.name, RESOLVE.encode()), *sent[late:]]
    return [TopicMessage(topic, 0, place, value, NOW) for place, (topic, value) in enumerate(inputs)]


def test_the_story_fires_twice_and_is_resolved(said, heard):
    assert len(distinct(said)) == len(said)
    statuses = [decode_record(topic, value).status for topic, value in heard]
    assert statuses == ["firing"] * 2 + ["resolved"] * 2


CUTS = st.lists(st.tuples(st.integers(0, len(MESSAGES)), st.sampled_from(["go", "save", "crash"])), max_size=7)


@settings(max_examples=15)
@given(cuts=CUTS.map(sorted))
def test_detect_says_the_same_wherever_it_is_saved_or_killed(folder, said, cuts):
    again = play(folder, detecting, MESSAGES, cuts)
    assert sorted(distinct(again)) == sorted(said)


@settings(max_examples=15)
@given(data=st.data())
def test_alert_says_the_same_wherever_it_is_saved_or_killed(folder, said, heard, data):
    messages = _as_messages(said)
    places = st.tuples(st.integers(0, len(messages)), st.sampled_from(["go", "save", "crash"]))
    again = play(folder, alert_handler, messages, sorted(data.draw(st.lists(places, max_size=7))))
    assert distinct(again) == heard


@settings(max_examples=10)
@given(cuts=CUTS.map(sorted))
def test_alert_hears_what_a_killed_detect_repeats_once(folder, heard, cuts):
    """Readings that come again, behind later ones, make no alert again."""
    again = play(folder, detecting, MESSAGES, cuts)
    assert [decode_record(*one).id for one in play(folder, alert_handler, _as_messages(again))] == [
        decode_record(*one).id for one in heard
    ]


def test_a_zombie_that_saves_late_loses_and_writes_nothing(tmp_path):
    async def story(database):
        zombie, successor = Process(database, detecting), Process(database, detecting)
        await zombie.take(MESSAGES[:3], [])
        await successor.take(MESSAGES[:4], [])
        await successor.step.snapshot()
        with pytest.raises(Conflict):
            await zombie.step.snapshot()
        with database.read() as connection:
            rows = baselines.candidates(connection, ROUTE)
            version = step_states.saves(step_states.load(connection, "detect", ROUTE)[0])
        zombie.end()
        successor.end()
        return len(rows), version

    with opened(fresh_url(tmp_path)) as (database,):
        assert asyncio.run(story(database)) == (4, 1)


def test_a_batch_of_many_routes_is_cut_to_those_whose_states_fit(tmp_path):
    many = [TopicMessage(SCORES.name, 0, n, b"", NOW, key=b"route/%d" % n) for n in range(64)]
    one = [TopicMessage(SCORES.name, 0, n, b"", NOW, key=b"route/1") for n in range(64)]

    async def story(process):
        before = process.step.fits(many), process.step.fits(one)
        await process.take(MESSAGES[:8], [])
        return before, process.step.fits(many)

    with opened(fresh_url(tmp_path)) as (database,):
        process = Process(database, detecting)
        try:
            (unknown, same), light = asyncio.run(story(process))
        finally:
            process.end()
    assert 1 < unknown < 16, "of routes of which nothing is known"
    assert (same, light > unknown) == (64, True)


def test_nothing_is_written_when_nothing_is_new(tmp_path):
    async def story(database):
        process = Process(database, detecting)
        await process.take(MESSAGES[:4], [])
        await process.step.snapshot()
        await process.step.snapshot()
        process.end()
        with database.read() as connection:
            return step_states.saves(step_states.load(connection, "detect", ROUTE)[0])

    with opened(fresh_url(tmp_path)) as (database,):
        assert asyncio.run(story(database)) == 1


def test_readings_and_changes_between_decisions_are_in_the_order_of_exchanges(said):
    inputs = [decode_record(topic, value) for topic, value in said]
    assert {topic for topic, _ in said} > {READINGS.name}
    mixed = [*inputs[::2], RESOLVE, *inputs[1::2]]
    ordered = list(in_order(mixed))
    place = ordered.index(RESOLVE)
    assert place == len(inputs[::2])
    for part in (ordered[:place], ordered[place + 1 :]):
        assert [one.event_index for one in part] == sorted(one.event_index for one in part)
