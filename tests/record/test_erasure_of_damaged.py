"""A route whose state cannot be read stops no erasure of what is elsewhere."""

from __future__ import annotations

from sqlalchemy import update

from detectors import DETECTORS
from services.detect.state import DetectState
from services.store import step_states
from services.store.engine import Database
from services.store.tables import table
from services.stream.stateful import DetectStateStore, RouteState
from services.wording import erasure as words
from tests.record.test_erasure import ERIKA, erased, everything, hers, told

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
