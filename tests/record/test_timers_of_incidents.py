"""What time alone does to incidents is written once, not with every batch of exchanges that comes later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from schemas.base import Record
from services.incident.fold import fold
from services.record.recorder import Recorder
from services.store import incidents, routes
from services.store.deliveries import OutboxRow
from services.store.engine import Database
from services.store.tables import table
from tests.record.stories import ROUTES, alert, decision, exchanges
from tests.record.test_sink import recorder
from tests.support.blocks import blocks

ROUTE = ROUTES[0]


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The routes whose incidents were written, one for each time."""
    found: list[str] = []
    replace_all = incidents.replace

    def noted(connection: Any, route: str, *rest: Any) -> None:
        found.append(route)
        replace_all(connection, route, *rest)

    monkeypatch.setattr(incidents, "replace", noted)
    return found


def later(days: float) -> Sequence[Record]:
    rows = [replace(row, id=f"{row.id}-{days}", offset=row.offset + int(1000 * days)) for row in exchanges(5)]
    return blocks([replace(row, seconds=row.seconds + days * 86_400) for row in rows], 16, ROUTE)


def clocked(sink: Recorder, facts: Sequence[Record]) -> None:
    sink.apply([*blocks(exchanges(20), 16, ROUTE), *facts])


def test_after_a_timer_ran_out_later_batches_write_nothing(database: Database, written: list[str]) -> None:
    sink = recorder(database)
    facts = [alert(ROUTE, "model_shift", 3)]
    clocked(sink, facts)
    for days in (2, 3, 4):
        sink.apply(later(days))
    assert written == [ROUTE, ROUTE], "when it opened, and when it closed by itself"
    sink.apply(later(8.5))
    sink.apply(later(9))
    assert len(written) == 3, "that it lasts"
    clock = database.query(routes.clock, ROUTE)
    assert database.query(incidents.find) == fold(ROUTE, facts, clock).incidents


def test_a_fact_of_before_the_timer_counts_all_the_same(database: Database, written: list[str]) -> None:
    sink = recorder(database)
    facts = [alert(ROUTE, "model_shift", 3), decision(ROUTE, "acknowledge", 5)]
    clocked(sink, facts[:1])
    sink.apply(later(2))
    sink.apply(facts[1:])
    sink.apply(later(3))
    assert written == [ROUTE] * 3
    assert database.query(incidents.find) == fold(ROUTE, facts, database.query(routes.clock, ROUTE)).incidents


def lasting_states(database: Database) -> list[str]:
    rows = table(OutboxRow).c
    with database.read() as connection:
        found = connection.execute(select(rows.state, rows.payload)).all()
    return [row.state for row in found if "It has been so for 7 days" in row.payload]


@pytest.mark.parametrize(("days", "state"), [(8, "pending"), (30, "passed")])
def test_that_it_lasts_is_not_told_long_after_it_was_due(database: Database, days: float, state: str) -> None:
    """As after an upgrade, of whose incidents nobody was told that they last."""
    sink = recorder(database)
    clocked(sink, [alert(ROUTE, "model_shift", 3)])
    sink.apply(later(days))
    assert lasting_states(database) == [state]
    sink.apply([*later(days + 30), decision(ROUTE, "acknowledge", 5)])
    assert lasting_states(database) == [state]
    (incident,) = database.query(incidents.find)
    assert any(one.kind == "lasting" for one in incident.timeline), "its page tells it"
