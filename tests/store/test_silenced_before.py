"""A database of before silences had ends: what people silenced then holds on, and what was kept back is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from alembic import command
from sqlalchemy import text

from services.alert.core import step
from services.alert.state import AlertState, FormerSilence
from services.store import silences
from services.store.codec import pack, unpack
from services.store.engine import alembic_config, open_database
from tests.support.databases import opened
from tests.support.notify import record
from tests.support.records import ROUTE, at, decision, event

DAY = decision("silence", 30, reason="load test")
SHORT = decision("silence", 31, expires=at(33), fingerprint="a" * 16)


def test_silences_of_before_are_known_by_their_decisions(new_url: Callable[[], str]) -> None:
    url = new_url()
    with opened(url) as (database,):
        record(database, DAY, SHORT)
        with database.engine.begin() as connection:
            command.downgrade(alembic_config(connection), "0009")
            assert connection.execute(text("SELECT count(*) FROM journal")).scalar() == 2
        again = open_database(url)
        with again.read() as connection:
            held = silences.of_route(connection, ROUTE, at(32))
            later = silences.of_route(connection, ROUTE, at(40))
        again.close()
    assert [(one.id, one.until) for one in held] == [(DAY.id, at(54)), (SHORT.id, at(33))]
    assert [one.id for one in later] == [DAY.id]


def test_the_state_of_an_alert_step_that_knew_silences_is_read_and_they_count_no_more() -> None:
    silence = FormerSilence(at(0), at(0) + timedelta(days=9), "mara", "load test")
    before = pack(replace(AlertState.start(ROUTE), silences=(silence,)))
    assert b"Silence" in before
    state = unpack(AlertState, before)
    assert state.silences == (silence,)
    assert [alert.silenced for alert in step(state, [event()])[1]] == [False]
