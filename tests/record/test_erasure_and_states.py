"""An erasure where the state of a route is not what its stored exchanges say: damaged, or with merged identities."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import update

from detectors import DETECTORS
from services.detect.state import DetectState, SecondReference
from services.store import step_states
from services.store.engine import Database
from services.store.tables import table
from services.stream.stateful import DetectStateStore, RouteState
from services.wording import erasure as words
from tests.record.test_erasure import ERIKA, erased, everything, hers, told
from tests.support.blocks import ROUTE

DAMAGED = "damaged"


def test_a_damaged_route_is_named_and_the_rest_is_erased(database: Database) -> None:
    told(database)
    states = table(step_states.StateRow)
    with database.write() as connection:
        DetectStateStore(DETECTORS).save(connection, DAMAGED, RouteState(DetectState.start(DAMAGED)))
        connection.execute(update(states).where(states.c.route == DAMAGED).values(blob=b"\x93\xc4"))
    report = erased(database, user=ERIKA)
    assert (report.unread, report.of_files, len(report.refitted)) == ([DAMAGED], [], 1)
    assert [one for one in hers() if one in everything(database)] == []
    assert "the state of 1 route cannot be read" in " ".join(words.baselines(0, 0, 0, 0, len(report.unread)))


def test_what_was_learned_under_a_name_of_before_is_named(database: Database) -> None:
    """Identities that differed in a volatile field alone became one: rows of before bear the old names."""
    flow = told(database)
    assert flow.detect.pinned is not None
    merged = replace(flow.detect, pinned=replace(flow.detect.pinned, identity="f" * 16))
    with database.write() as connection:
        store = DetectStateStore(DETECTORS)
        kept = store.load(connection, ROUTE)
        store.save(connection, ROUTE, RouteState(merged, kept.saved, kept.version))
    report = erased(database, user=ERIKA)
    assert (report.refitted, report.not_refitted) == ([], [flow.detect.pinned.id])


def test_a_second_reference_begins_anew_whatever_its_identity_was_called(database: Database) -> None:
    flow = told(database)
    second = SecondReference(0, 0.0, id="5" * 16, n=100, event_index=300)
    with database.write() as connection:
        store = DetectStateStore(DETECTORS)
        kept = store.load(connection, ROUTE)
        named = replace(flow.detect, second={"f" * 16: second})
        store.save(connection, ROUTE, RouteState(named, kept.saved, kept.version))
    assert second.id in erased(database, id="exchange-00123").discarded
