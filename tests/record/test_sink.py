"""Applying anything twice, or topics in another order, changes nothing; a failure leaves nothing behind."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from schemas.base import Record
from schemas.incident import Incident
from schemas.score import ScoreBlock
from services.incident.fold import fold
from services.monitor import RoutePolicy
from services.record.recorder import Recorder
from services.store import dead_letters, incidents, journal
from services.store.engine import Database
from services.store.scores import ScoreRow
from services.store.tables import all_metadata, table
from tests.record.stories import (
    ROUTES,
    alert,
    batches,
    by_topic,
    decision,
    exchanges,
    interleaved,
    letter,
    reading,
    sample,
    scores,
    story,
    streams,
)
from tests.support.blocks import START, blocks
from tests.support.databases import dump, opened

PROPERTY = settings(suppress_health_check=list(HealthCheck), max_examples=12)
POLICY = RoutePolicy(slices=("tags.locale",))
OTHERS = {  # tables of other steps
    *(
        "api_keys",
        "api_sessions",
        "baselines",
        "candidates",
        "coverage",
        "decisions_outbox",
        "deliveries",
        "deployment",
        "slack_requests",
        "evaluations",
        "erasures",
        "own_asked",
        "own_suites",
        "fire_times",
        "partition_watches",
        "secret_keys",
        "receivers",
        "ruler",
    ),
    *("parked_records", "parked_routes", "pictures", "run_answers", "runs", "schedules", "write_probes"),
}
# How often a state was saved and where a fact stands in the journal depend on how the records came.
ARRIVAL = {
    "journal": {"seq", "salt", "commitment", "hash"},
    "routes": {"journal_hash", "arrived"},
    "states": {"version"},
}


def recorder(database: Database) -> Recorder:
    return Recorder(database, lambda route: POLICY, lambda: START)


def recorded(database: Database, pieces: Sequence[Sequence[Record]]) -> dict[str, list[tuple]]:
    sink = recorder(database)
    for piece in pieces:
        sink.apply(piece)
    return dump(database, ARRIVAL)


@PROPERTY
@given(st.data())
def test_any_prefix_fed_again_changes_nothing_at_all(new_url: Callable[[], str], data: st.DataObject) -> None:
    records = data.draw(streams())
    with opened(new_url()) as (database,):
        recorded(database, batches(data.draw, records))
        before = dump(database)
        again = records[: data.draw(st.integers(0, len(records)))]
        recorded(database, batches(data.draw, again))
        assert dump(database) == before


@PROPERTY
@given(st.data())
def test_a_redelivery_in_the_middle_changes_nothing_that_is_seen(
    new_url: Callable[[], str], data: st.DataObject
) -> None:
    """The process died after the commit and before the acknowledgement: the last records come again."""
    pieces = batches(data.draw, data.draw(streams()))
    repeated = list(itertools.chain.from_iterable(data.draw(st.sampled_from([[p], [p, p]])) for p in pieces))
    with opened(new_url(), new_url()) as (straight, stuttering):
        assert recorded(straight, pieces) == recorded(stuttering, repeated)


@PROPERTY
@given(st.data())
def test_topics_in_another_order_give_the_same_state(new_url: Callable[[], str], data: st.DataObject) -> None:
    records = data.draw(streams())
    other = interleaved(data.draw, by_topic(records))
    with opened(new_url(), new_url()) as (first, second):
        assert recorded(first, batches(data.draw, records)) == recorded(second, batches(data.draw, other))
        for route in ROUTES:
            assert first.query(journal.verify_chain, route) == ()


@pytest.mark.parametrize("table", sorted(all_metadata().tables.keys() - OTHERS))
def test_a_failure_anywhere_leaves_nothing_behind(new_url: Callable[[], str], table: str) -> None:
    with opened(new_url(), new_url()) as (database, undisturbed):
        sink = recorder(database)
        early, late = story(ROUTES[0]), [rescored(record) for record in story(ROUTES[1])]
        sink.apply(early)
        before = dump(database)
        with database.write() as connection:
            for statement in STOP[connection.dialect.name]:
                connection.exec_driver_sql(statement.format(table=table))
        with pytest.raises(DBAPIError, match="the disk is full"):
            sink.apply([*late, letter(99), *MORE])
        assert dump(database) == before
        with database.write() as connection:
            connection.exec_driver_sql(START_AGAIN[connection.dialect.name].format(table=table))
        sink.apply([*late, letter(99), *MORE])
        assert dump(database, ARRIVAL) == recorded(undisturbed, [[*early, *late, letter(99), *MORE]])


def rescored(record: Record) -> Record:
    """What another scorer made, if it is a block: of one that was seen before nothing is written."""
    if not isinstance(record, ScoreBlock):
        return record
    return record.model_copy(update={"scorer": record.scorer.model_copy(update={"engine": "other"})})


STOP = {
    "sqlite": ("CREATE TRIGGER stop BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'the disk is full'); END",),
    "postgresql": (
        "CREATE OR REPLACE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the disk is full'; END $$",
        "CREATE TRIGGER stop BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION stop()",
    ),
}
START_AGAIN = {"sqlite": "DROP TRIGGER stop", "postgresql": "DROP TRIGGER stop ON {table}"}
MORE = (letter(100, "route: missing"), sample(ROUTES[1], 1), reading(ROUTES[1], 2))


def test_an_incident_is_what_its_facts_give_at_the_routes_clock(database: Database) -> None:
    facts = [alert(ROUTES[0], "model_shift", 3), decision(ROUTES[0], "acknowledge", 5)]
    sink = recorder(database)
    rows = exchanges(60)
    sink.apply([*blocks(rows[:10], 16, ROUTES[0]), *facts])
    assert [incident.state for incident in database.query(incidents.find)] == ["acknowledged"]
    sink.apply(blocks(rows[10:], 16, ROUTES[0]))
    found = database.query(incidents.find)
    assert [incident.state for incident in found] == ["resolved"], "an info incident lapses after 24 h of the clock"
    assert found == fold(ROUTES[0], facts, START + (rows[-1].seconds - rows[0].seconds) * SECOND).incidents
    assert database.query(incidents.get, found[0].id) == found[0]
    assert database.query(incidents.get, "0" * 16) is None


def test_a_week_later_a_resolved_incident_tells_that_it_is_still_so(database: Database) -> None:
    sink, rows = recorder(database), exchanges(40)
    sink.apply([*blocks(rows[:20], 16, ROUTES[0]), alert(ROUTES[0], "model_shift", 3)])
    for days in (2, 6, 8, 9):
        later = [replace(row, id=f"{row.id}-{days}", offset=row.offset + 1000 * days) for row in rows[:5]]
        sink.apply(blocks([replace(row, seconds=row.seconds + days * 86_400) for row in later], 16, ROUTES[0]))
        (incident,) = database.query(incidents.find)
        assert incident.state == "resolved"
        assert sum(entry.kind == "lasting" for entry in incident.timeline) == (days >= 8)


SECOND = (START.replace(second=1)) - START


def test_notifications_stand_in_the_outbox_with_the_incident_and_sent_ones_stay(database: Database) -> None:
    sink = recorder(database)
    sink.apply([alert(ROUTES[0], "rate_shift", 3)])
    (first,) = outbox(database)
    assert (first["state"], first["kind"], first["attempts"]) == ("pending", "post", 0)
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE outbox SET state = 'sent', attempts = 1")
    sent = outbox(database)
    # An earlier alert makes it another incident, with another first message.
    sink.apply([alert(ROUTES[0], "model_shift", 1)])
    assert [row for row in outbox(database) if row["state"] == "sent"] == sent
    assert len(database.query(incidents.find)) == 1
    assert {row["incident"] for row in outbox(database) if row["state"] == "pending"} == {
        incident.id for incident in database.query(incidents.find)
    }


def outbox(database: Database) -> list[dict[str, object]]:
    with database.read() as connection:
        return [dict(row) for row in connection.exec_driver_sql("SELECT * FROM outbox ORDER BY id").mappings()]


def test_two_recorders_in_turn_count_as_one(new_url: Callable[[], str]) -> None:
    """A route moves to another process and back; what the first has in memory is old then."""
    with opened(new_url(), new_url()) as (database, alone):
        pieces = [[record] for record in scores(ROUTES[0])]
        turns = [recorder(database), recorder(database)]
        for piece, sink in zip(pieces, itertools.cycle(turns), strict=False):
            sink.apply(piece)
        assert dump(database, ARRIVAL) == recorded(alone, pieces)


def test_records_that_nobody_sends_here_are_refused(database: Database) -> None:
    sink = recorder(database)
    sink.apply([alert(ROUTES[0], "model_shift", 3)])
    (incident,) = database.query(incidents.find)
    assert isinstance(incident, Incident)
    with pytest.raises(TypeError, match="Incident"):
        sink.apply([letter(1), incident])
    assert database.query(dead_letters.counts) == ()


def test_a_score_row_holds_exactly_what_was_measured(database: Database) -> None:
    (block,) = blocks(exchanges(6), 6, ROUTES[0])
    half = block.model_copy(update={"embedded": (True, False, True, True, True, True), "user": ("u",) * 6})
    recorder(database).apply([half])
    with database.read() as connection:
        rows = connection.execute(select(table(ScoreRow)).order_by(table(ScoreRow).c.event_index)).mappings().all()
    assert [row["id"] for row in rows] == list(block.id)
    assert [row["ts"] for row in rows] == list(block.ts)
    assert [row["identity"] for row in rows] == list(block.identity)
    assert [row["user"] for row in rows] == ["u"] * 6
    for name, width in (("prompt_vec", 384), ("response_vec", 384), ("style", 30)):
        column = base64.b64decode(getattr(block, name))
        expected = [column[i * width * 2 : (i + 1) * width * 2] for i in range(6)]
        expected[1] = expected[1] if name == "style" else None
        assert [row[name] for row in rows] == expected
    assert [json.loads(row["signals"])["refusal"] for row in rows] == [
        [value, None, "scored"] for value in block.signals["refusal"].value
    ]
    assert json.loads(rows[0]["signals"])["pii_leak"] == [None, None, "unscored"]
    assert json.loads(rows[0]["flags"]) == ["no_response"]
    assert json.loads(rows[1]["tags"]) == {"locale": "de"}


def test_a_block_may_hold_exchanges_that_were_counted_before(database: Database) -> None:
    """A killed score step cuts its batches anew; what is beyond the fence counts, the rest does not."""
    some = exchanges(40)
    sink = recorder(database)
    sink.apply(blocks(some[:25], 10, ROUTES[0]))
    sink.apply(blocks(some[15:], 10, ROUTES[0]))
    sink.apply(blocks(some, 13, ROUTES[0]))
    with database.read() as connection:
        query = select(table(ScoreRow).c.event_index, table(ScoreRow).c.id).order_by(table(ScoreRow).c.event_index)
        assert connection.execute(query).all() == [(i, row.id) for i, row in enumerate(some)]
