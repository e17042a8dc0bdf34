"""Several recorders at one time on real connections: nothing is lost, nothing counted twice."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import select

from schemas.base import Record
from schemas.dead_letter import DeadLetter
from services.record.recorder import Recorder
from services.store import dead_letters, incidents, journal, rollups
from services.store.engine import Database
from services.store.scores import ScoreRow
from services.store.tables import table
from tests.record.stories import ROUTES, alert, decision, exchanges, letter, scores, story
from tests.record.test_sink import ARRIVAL, POLICY, recorded
from tests.support.blocks import START, Row, blocks
from tests.support.databases import dump, opened

WAIT = 60.0


def pieces_of(records: Sequence[Record], seed: int) -> list[list[Record]]:
    """The records in pieces of drawn sizes, in order."""
    generator, pieces, rest = random.Random(seed), [], list(records)
    while rest:
        size = generator.randint(1, 9)
        pieces.append(rest[:size])
        rest = rest[size:]
    return pieces


def record_together(databases: Sequence[Database], streams: Sequence[Sequence[Sequence[Record]]]) -> None:
    """One recorder a stream, each with connections of its own; all begin at once."""
    begin = Barrier(len(streams))

    def work(database: Database, pieces: Sequence[Sequence[Record]]) -> None:
        sink = Recorder(database, lambda route: POLICY, lambda: START)
        begin.wait(WAIT)
        for piece in pieces:
            sink.apply(piece)

    with ThreadPoolExecutor(len(streams)) as pool:
        list(pool.map(work, databases, streams))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_two_recorders_of_the_same_records_count_them_once(new_url: Callable[[], str], seed: int) -> None:
    """A process that was thought dead goes on beside its successor."""
    records = [*story(ROUTES[0]), *story(ROUTES[1])]
    url = new_url()
    with opened(url, url, new_url()) as (one, two, alone):
        record_together([one, two], [pieces_of(records, seed), pieces_of(records, seed + 10)])
        assert dump(one, ARRIVAL) == recorded(alone, [records])
        for route in ROUTES:
            assert one.query(journal.verify_chain, route) == ()


def test_recorders_of_different_routes_do_not_touch_each_other(new_url: Callable[[], str]) -> None:
    names = [f"bot-{n}/prod" for n in range(4)]
    stories = [[one for one in story(name) if not isinstance(one, DeadLetter)] for name in names]
    letters = [letter(n) for n in range(5)]
    url = new_url()
    with opened(url, url, url, url, new_url()) as (*several, alone):
        streams = [[*pieces_of(records, n), letters] for n, records in enumerate(stories)]
        record_together(several, streams)
        assert dump(several[0], ARRIVAL) == recorded(alone, [[*(one for some in stories for one in some), *letters]])


def test_facts_of_one_route_from_two_processes_make_one_chain(new_url: Callable[[], str]) -> None:
    facts = [alert(ROUTES[0], "rate_shift", hour, status) for hour in range(12) for status in ("firing", "resolved")]
    facts += [decision(ROUTES[0], "acknowledge", hour) for hour in range(12)]
    url = new_url()
    with opened(url, url, new_url()) as (one, two, alone):
        halves = [[[fact] for fact in facts[::2]], [[fact] for fact in facts[1::2]]]
        record_together([one, two], halves)
        assert one.query(journal.verify_chain, ROUTES[0]) == ()
        assert {fact.id for fact in one.query(journal.facts, ROUTES[0])} == {fact.id for fact in facts}
        with one.read() as connection:
            assert len(journal.entries(connection, ROUTES[0])) == len(facts)
        recorded(alone, [facts])
        assert one.query(incidents.find) == alone.query(incidents.find)


def test_two_sources_of_one_route_add_up(new_url: Callable[[], str]) -> None:
    """Exchanges without a key lie on several partitions: each has a fence of its own."""
    sources = [
        [Row(f"p{p}-{i}", i, i * 60.0, partition=p, signals={"refusal": True}) for i in range(60)] for p in (0, 1)
    ]
    url = new_url()
    with opened(url, url) as (one, two):
        record_together([one, two], [[[block] for block in blocks(some, 7, ROUTES[0])] for some in sources])
        rates = {rate.signal: (rate.n, rate.scored, rate.sum) for rate in one.query(rollups.rates, ROUTES[0])}
        assert rates == {"": (120, 120, 120.0), "refusal": (120, 120, 120.0)}
        with one.read() as connection:
            stored = connection.execute(select(table(ScoreRow).c.event_index, table(ScoreRow).c.id)).all()
        assert sorted(index for index, _ in stored) == list(range(120))
        assert {id for _, id in stored} == {row.id for some in sources for row in some}


def test_dead_letters_of_one_reason_from_two_processes_add_up(new_url: Callable[[], str]) -> None:
    def of_partition(partition: int) -> list[list[Record]]:
        found = [letter(n, f"reason {n % 3}") for n in range(60)]
        moved = [one.source.model_copy(update={"partition": partition}) for one in found]
        return [[one.model_copy(update={"source": place})] for one, place in zip(found, moved, strict=True)]

    url = new_url()
    with opened(url, url, url) as several:
        record_together(several, [of_partition(0), of_partition(1), of_partition(0)])
        assert [(one.reason, one.n) for one in several[0].query(dead_letters.counts)] == [
            (f"reason {n}", 40) for n in range(3)
        ]


def test_a_database_that_was_away_takes_the_same_batch_afterwards(new_url: Callable[[], str]) -> None:
    """Whether a commit arrived whose answer did not is unknown: the batch is applied again."""
    with opened(new_url(), new_url()) as (database, alone):
        sink = Recorder(database, lambda route: POLICY, lambda: START)
        measured = scores(ROUTES[0])
        sink.apply(measured[:2])
        with_another = Recorder(database, lambda route: POLICY, lambda: START)
        with_another.apply(measured[:3])  # committed, and the first one does not know
        database.engine.dispose()
        sink.apply(measured[1:])
        assert dump(database, ARRIVAL) == recorded(alone, [measured])


@pytest.mark.parametrize("text", ["x\0y", "".join(chr(0x1F300 + i * 7 % 800) for i in range(4_000)), "ä" * 100_000])
def test_long_or_hostile_text_from_outside_stops_no_batch(database: Database, text: str) -> None:
    """PostgreSQL refuses NUL and long index entries; one exchange must not stop a route's recording."""
    (block,) = blocks([Row("e0", 0, 0.0, tags={"locale": text.replace("\0", "")})], 1, ROUTES[0])
    (other,) = blocks(exchanges(2)[1:], 1, ROUTES[0])
    sink = Recorder(database, lambda route: POLICY, lambda: START)
    sink.apply([block.model_copy(update={"user": (text,)}), other, letter(1, text), letter(2, text + "2")])
    labels = {rate.slice for rate in database.query(rollups.rates, ROUTES[0], slice=None)}
    assert len(labels) == 3
    assert all(len(label) <= 500 for label in labels)
    reasons = [one.reason for one in database.query(dead_letters.counts)]
    assert len(set(reasons)) == 2
    assert all(len(reason) <= 500 and "\0" not in reason for reason in reasons)
    with database.read() as connection:
        users = connection.execute(select(table(ScoreRow).c.user)).scalars().all()
    assert len(set(users)) == 2
